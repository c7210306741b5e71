"""A plan becomes a run. Every run ends in one word, also when the daemon died meanwhile."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType

from aiopsd.errors import Refused
from aiopsd.model import Decision, Run
from aiopsd.remediation.course import live
from aiopsd.remediation.ledger import Ledger
from aiopsd.remediation.matching import Plan
from aiopsd.remediation.scene import Reach, Scene
from aiopsd.remediation.schema import Playbook
from aiopsd.remediation.vault import Vault, new_marks

__all__ = ["Reach", "Runner"]


class Runner:
    """Runs plans, and goes on with runs that a crash or a stop interrupted.

    It may be cancelled at any time: a step under way is finished and journalled first, and
    the run stays open in the journal for ``resume``.
    """

    def __init__(
        self,
        reach: Reach,
        playbook: Callable[[str], Playbook | None],
        new_id: Callable[[], str] = lambda: f"r-{secrets.token_hex(5)}",
    ) -> None:
        """``playbook``: by name, as the configuration has it now."""
        self._reach = reach
        self._playbook = playbook
        self._new_id = new_id
        self._active: dict[str, Ledger] = {}

    @property
    def active(self) -> Mapping[str, Run]:
        """Runs under way by target, newest versions: a part of the gate's history."""
        return MappingProxyType({target: one.run for target, one in self._active.items()})

    async def run(self, plan: Plan, decision: Decision) -> Run:
        """Only what the gate let pass. Raises Refused for anything else, and when the target
        is taken."""
        if decision.verdict != "run" or decision.target != plan.target:
            raise Refused(f"the gate did not let {plan.playbook.name} run on {plan.target}")
        marks = new_marks(plan.playbook.params)
        seen = {root: found for root, found in plan.context.items() if root != "metric"}
        run = Run(
            id=self._new_id(),
            incident=plan.incident.id,
            playbook=plan.playbook.name,
            digest=plan.playbook.digest,
            target=plan.target,
            started_s=self._reach.clock(),
            params=seen | {"params": plan.params | marks},
        )
        scene = self._scene(plan.playbook, run)
        return await self._alone(scene, begin=f"{plan.playbook.name} on {plan.target}")

    async def resume(self, run: Run) -> Run:
        """Brings a run that the journal shows open to its end; never repeats a step blindly."""
        if run.closed:
            return run
        playbook = self._playbook(run.playbook)
        if playbook is None or playbook.digest != run.digest:
            return await self._orphan(run, f"{run.playbook} was changed or removed while it ran")
        if run.redacted:
            return await self._orphan(run, "what it was given could not be kept, being personal")
        scene = self._scene(playbook, run)
        late = ""
        if scene.incident_closed:
            late = "the incident is over"
        elif self._reach.clock() - run.started_s > playbook.timeout:
            late = f"it began longer ago than its timeout of {playbook.timeout}"
        return await self._alone(scene, late=late)

    async def _alone(self, scene: Scene, *, begin: str = "", late: str = "") -> Run:
        target = scene.run.target
        if target in self._active:
            raise Refused(f"run {self._active[target].run.id} is at it on {target}")
        self._active[target] = scene.ledger
        try:
            if begin:
                await scene.ledger.write(("run", begin))
            await live(scene, late=late)
        finally:
            del self._active[target]
        return scene.run

    async def _orphan(self, run: Run, why: str) -> Run:
        """Nobody knows what its steps meant."""
        why = f"{why}: a person must look"
        ledger = Ledger(run, self._reach.journal, self._reach.clock, Vault({}, {}, str))
        ended_s = self._reach.clock()
        await ledger.write(
            ("failed", why), ("escalate", why), state="closed", outcome="failed", ended_s=ended_s
        )
        return ledger.run

    def _scene(self, playbook: Playbook, run: Run) -> Scene:
        given = run.params["params"]
        marks = {n: given[n] for n, param in playbook.params.items() if param.type == "secret"}
        vault = Vault(playbook.params, marks, self._reach.secret, self._reach.redact)
        ledger = Ledger(run, self._reach.journal, self._reach.clock, vault)
        return Scene(self._reach, playbook, ledger, vault)
