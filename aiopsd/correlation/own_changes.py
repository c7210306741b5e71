"""What we did ourselves is a change like any other: the steps of a run. Pure."""

from __future__ import annotations

from typing import Final

from aiopsd.correlation.same_change import OURS
from aiopsd.model import Change, ChangeKind, Run, StepRecord

_DONE: Final = frozenset({"started", "done", "unknown", "undone"})
_KINDS: Final[tuple[tuple[str, ChangeKind], ...]] = (
    ("restart", "restart"), ("reload", "config"), ("start", "restart"), ("stop", "restart"),
    ("kill", "restart"), ("delete_pod", "restart"), ("scale", "scale"), ("flag", "flag"),
    ("rollback", "deploy"), ("deploy", "deploy"), ("image", "deploy"),
)  # fmt: skip


def changes_of(run: Run) -> list[Change]:
    """One for each step that may have done something. Inputs are left out: what they hold is the
    run's affair."""
    return [
        Change(
            id=f"{OURS}:{run.id}/{step.id}",
            kind=_kind(step),
            time_s=step.started_s,
            service=service_of(run.target),
            author=OURS,
            source=OURS,
            labels={
                "playbook": run.playbook,
                "incident": run.incident,
                "step": step.id,
                "do": step.do,
                "target": run.target,
                "state": step.state,
            },
        )
        for step in run.steps
        if step.state in _DONE and step.started_s is not None and run.outcome != "dry"
    ]


def _kind(step: StepRecord) -> ChangeKind:
    """By its verb; whoever runs a command or a request may do anything: a change of configuration
    is the least that can be said."""
    verb = step.do.rpartition(".")[2]
    return next((kind for word, kind in _KINDS if word in verb), "config")


def service_of(target: str) -> str:
    """``systemd/unit/host/shop@1.service`` is the service shop, as journald calls it."""
    name = target.rpartition("/")[2]
    if name.endswith(".service"):
        name = name.removesuffix(".service").partition("@")[0]
    return name
