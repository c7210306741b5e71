"""What an expression can see, as typed structs; and how it is built from the messages.

JSON only: durations are seconds with the suffix ``_s``, times are seconds since the epoch.
The structs are the published model: lint checks every path against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from aiopsd.model import Change, Incident, Kind, Labels, Run, Severity, StepState, Suspect


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all that expressions see."""


class IncidentView(View, frozen=True, kw_only=True):
    id: str
    kind: Kind
    severity: Severity
    title: str
    opened_s: float
    age_s: float
    services: list[str]
    anomalies: int  # how many belong to it
    confidence: float  # of the first suspect, in [0, 1]


class RootView(View, frozen=True, kw_only=True):
    """The first suspect."""

    kind: str
    id: str
    service: str
    metric: str
    score: float
    labels: Labels


class ChangeView(View, frozen=True, kw_only=True):
    """The change that the first suspect carries; null when it carries none."""

    kind: Literal["deploy", "config", "scale", "flag", "migration", "restart"]
    id: str
    service: str
    age_s: float
    author: str
    version: str
    previous: str
    migration: bool
    labels: Labels


class RunView(View, frozen=True, kw_only=True):
    id: str
    started_s: float
    age_s: float


class StepView(View, frozen=True, kw_only=True):
    """A step that has been tried; ``before`` and ``result`` are its executor's."""

    state: StepState
    inputs: dict[str, Any] = msgspec.field(name="with")
    before: dict[str, Any]
    result: dict[str, Any]


def of_incident(incident: Incident, root: Suspect, now_s: float) -> dict[str, Any]:
    """The roots ``incident``, ``root``, ``change`` and ``now_s``."""
    seen = IncidentView(
        id=incident.id,
        kind=incident.kind,
        severity=incident.severity,
        title=incident.title,
        opened_s=incident.opened_s,
        age_s=now_s - incident.opened_s,
        services=list(incident.services),
        anomalies=len(incident.anomalies),
        confidence=root.score,
    )
    return {
        "incident": msgspec.to_builtins(seen),
        "root": msgspec.to_builtins(_root(root)),
        "change": _change(root.change, now_s),
        "now_s": now_s,
    }


def of_target(kind: str, name: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """The root ``target``: what the executor saw, and who it is."""
    return {**state, "kind": kind, "id": name}


def of_run(run: Run, now_s: float) -> dict[str, Any]:
    """The roots ``run`` and ``steps``."""
    steps = {
        step.id: msgspec.to_builtins(
            StepView(state=step.state, inputs=step.inputs, before=step.before, result=step.result)
        )
        for step in run.steps
        if ":" not in step.id  # the way back of a step is not a step
    }
    seen = RunView(id=run.id, started_s=run.started_s, age_s=now_s - run.started_s)
    return {"run": msgspec.to_builtins(seen), "steps": steps}


def _root(root: Suspect) -> RootView:
    return RootView(
        kind=root.kind,
        id=root.id,
        service=root.service,
        metric=root.metric,
        score=root.score,
        labels=root.labels,
    )


def _change(change: Change | None, now_s: float) -> Any:
    if change is None:
        return None
    seen = ChangeView(
        kind=change.kind,
        id=change.id,
        service=change.service,
        age_s=now_s - change.time_s,
        author=change.author,
        version=change.version,
        previous=change.previous,
        migration=change.migration,
        labels=change.labels,
    )
    return msgspec.to_builtins(seen)


def aged(pinned: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """What a run said of the incident when it began, as old as it is by now."""
    passed = now_s - pinned["now_s"]
    seen = dict(pinned) | {"now_s": now_s}
    for root in ("incident", "change"):
        if seen.get(root) is not None:
            seen[root] = seen[root] | {"age_s": seen[root]["age_s"] + passed}
    return seen
