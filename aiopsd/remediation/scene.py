"""What a run under way knows and may touch; and the questions it asks before each step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from aiopsd.contracts import Clock, Executor, Metrics
from aiopsd.errors import Unreachable
from aiopsd.model import Incident, Outcome, Run
from aiopsd.remediation import context as views
from aiopsd.remediation.gate import unmet
from aiopsd.remediation.ledger import Journal, Ledger
from aiopsd.remediation.measuring import check_values, metric_values
from aiopsd.remediation.schema import Playbook
from aiopsd.remediation.vault import Vault
from aiopsd.remediation.verify import Verification

T = TypeVar("T")
LOOK_SECS = 1.0  # how soon a halt is seen while waiting


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends, why, and whether its steps go back."""

    outcome: Outcome
    why: str
    undo: Literal["no", "by_policy", "always"] = "no"


class Stop(Exception):
    """The run ends here."""

    def __init__(
        self, outcome: Outcome, why: str, *, undo: Literal["no", "by_policy", "always"] = "no"
    ) -> None:
        super().__init__(why)
        self.ending = Ending(outcome, why, undo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """All of the world that a run may touch."""

    executors: Mapping[str, Executor]  # by the first word of their actions
    metrics: Metrics
    journal: Journal
    clock: Clock
    halted: Callable[[str], str]  # target -> why nothing may be done to it; "" when it may
    secret: Callable[[str], str]  # credential name -> value; raises ConfigError
    incident: Callable[[str], Incident | None]  # id -> its newest version
    redact: Callable[[Any], Any] = lambda found: found  # JSON as it may be kept


@dataclass
class Scene:
    """One run under way. What it said of the incident when it began stays as it was said."""

    reach: Reach
    playbook: Playbook
    ledger: Ledger
    vault: Vault
    metric: dict[str, float | None] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        return self.ledger.run

    @property
    def changed(self) -> bool:
        """Whether any step happened, or may have."""
        states = ("started", "done", "unknown", "undone")
        return any(step.state in states for step in self.run.steps)

    @property
    def settled(self) -> bool:
        """No step is under way or in doubt."""
        return all(step.state not in ("started", "unknown") for step in self.run.steps)

    @property
    def incident_closed(self) -> bool:
        incident = self.reach.incident(self.run.incident)
        return incident is None or incident.closed

    def executor(self, action: str) -> Executor:
        return self.reach.executors[action.partition(".")[0]]

    def context(self, target: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The roots for ``${...}``; ``target``: what the executor saw of it."""
        now_s = self.reach.clock()
        return {
            **views.aged(self.run.params, now_s),
            **views.of_run(self.run, now_s),
            "metric": self.metric,
            "target": views.of_target(*self._target(), target or {}),
        }

    def _target(self) -> tuple[str, str]:
        named = self.run.params["target"]
        return named["kind"], named["id"]

    # --- before each step ---------------------------------------------------------------

    def stop_if_halted(self) -> None:
        reason = self.reach.halted(self.run.target)
        if reason:
            raise Stop("superseded", reason)

    def stop_if_pointless(self) -> None:
        """Time is up, or, while nothing was done yet, there is nothing left to heal."""
        self.stop_if_halted()
        if self.reach.clock() - self.run.started_s > self.playbook.timeout:
            why = f"the run took longer than its timeout of {self.playbook.timeout}"
            raise Stop("failed" if self.changed else "superseded", why, undo="by_policy")
        if self.changed:
            return
        incident = self.reach.incident(self.run.incident)
        if incident is None or incident.closed:
            raise Stop("healed_by_itself", "the incident was over before anything was done")
        root, said = incident.root, self.run.params["root"]
        if root is None or root.id != said["id"]:
            now = "nobody" if root is None else root.id
            raise Stop("superseded", f"the first suspect is {now} now, not {said['id']}")

    async def look(self) -> None:
        """The playbook's ``metrics`` as they are now. Who cannot see does not act."""
        try:
            self.metric = await metric_values(self.playbook, self.reach.metrics, self.context())
        except Unreachable as error:
            raise Stop("inconclusive", f"cannot see, so does not act: {error}") from None

    async def stop_if_unguarded(self, target: Mapping[str, Any]) -> None:
        """Is the diagnosis still true? Asks with what is known now."""
        await self.look()
        seen = self.context(target)
        incident = self.reach.incident(self.run.incident)
        for suspect in incident.suspects if incident is not None else ():
            if incident is not None and suspect.id == seen["root"]["id"]:
                fresh = views.of_incident(incident, suspect, self.reach.clock())
                seen |= {"incident": fresh["incident"], "root": fresh["root"]}
                break
        reason = unmet(self.playbook.guard.require, seen)
        if reason is not None:
            raise Stop("superseded", reason.text)

    async def stop_if_worse(self) -> None:
        """What must not worsen is asked between steps too."""
        spec = self.playbook.verify
        if not self.changed or not spec.must_not_worsen:
            return
        context = self.context()
        samples, _ = await check_values(spec.must_not_worsen, self.reach.metrics, context)
        verdict = Verification(spec, self.run.baseline, context, 0.0).worse(samples)
        if verdict is not None:
            raise Stop("made_worse", verdict.text, undo="by_policy")

    # --- time ---------------------------------------------------------------------------

    async def pause(self, secs: float) -> None:
        """A wait that a halt ends within a second."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + secs
        while (left := until_s - loop.time()) > 1e-6:
            self.stop_if_halted()
            await asyncio.sleep(min(left, LOOK_SECS))
        self.stop_if_halted()


async def uncut(work: Coroutine[Any, Any, T]) -> T:
    """Awaits work that a cancellation must not cut; the cancellation comes after it."""
    task = asyncio.ensure_future(work)
    cut: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cut = error
    if cut is not None and isinstance(task.exception(), Stop | None):
        raise cut
    return task.result()
