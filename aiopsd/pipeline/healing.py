"""Incidents to runs: match playbooks, ask the gate, say what it said, run what may run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from aiopsd.contracts import Metrics
from aiopsd.errors import Refused
from aiopsd.model import Decision, Halt, Incident, Run
from aiopsd.pipeline.publishing import Publish
from aiopsd.pipeline.state import State
from aiopsd.remediation.gate import House, judge
from aiopsd.remediation.matching import Plan, match
from aiopsd.remediation.measuring import consider
from aiopsd.remediation.runner import Runner
from aiopsd.remediation.schema import Playbook
from aiopsd.telemetry import log

AGAIN_SECS = 2.0  # how often plans that were held are judged again


class Healing:
    """The heal stage. Runs are tasks of the stage's own group: what one dies of ends the daemon."""

    def __init__(
        self,
        playbooks: Sequence[Playbook],
        runner: Runner,
        metrics: Metrics,
        state: State,
        halts: Callable[[], Iterable[Halt]],
        house: Callable[[float], House],
    ) -> None:
        self._playbooks = playbooks
        self._runner = runner
        self._metrics = metrics
        self._state = state
        self._halts = halts
        self._house = house
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._considered_s = 0.0

    async def __aenter__(self) -> Healing:
        """Runs that a crash or a stop interrupted go on first."""
        await self._group.__aenter__()
        for run in [r for r in self._state.runs.values() if not r.closed]:
            self._start(self._runner.resume(run), f"resume {run.id}")
        return self

    async def __aexit__(self, *failure: Any) -> None:
        """Runs stop where they may: a step under way is finished and journalled first."""
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(*failure)

    async def consider(self, incident: Incident | None, now_s: float, publish: Publish) -> None:
        """One incident that changed; None: some time has passed, look at all open ones."""
        if incident is not None:
            await self._judge_all([incident], now_s, publish)
        elif not 0 <= now_s - self._considered_s < AGAIN_SECS:  # a clock may go back
            self._considered_s = now_s
            open_ones = [i for i in self._state.incidents.values() if not i.closed]
            await self._judge_all(open_ones, now_s, publish)

    async def _judge_all(
        self, incidents: Iterable[Incident], now_s: float, publish: Publish
    ) -> None:
        for incident in incidents:
            plans, refusals = match(self._playbooks, incident, now_s)
            for refusal in refusals:
                await self._say(refusal, publish)
            for plan in plans:
                if self._at_it(plan):
                    continue
                plan, decision = await consider(
                    plan, self._metrics, lambda p: self._judge(p, now_s)
                )
                await self._say(decision, publish)
                if decision.verdict == "run":
                    self._start(self._runner.run(plan, decision), f"run {decision.id}")
                    await asyncio.sleep(0)  # it takes its lock before the next plan is judged

    def _at_it(self, plan: Plan) -> bool:
        """This very playbook is at work on this very incident, or has healed it: the incident only
        waits until it has been quiet for long enough, and there is nothing to ask."""
        mine = plan.incident.id, plan.playbook.name
        run = self._runner.active.get(plan.target)
        if run is not None and (run.incident, run.playbook) == mine:
            return True
        newest_s = max((a.onset_s for a in plan.incident.anomalies), default=0.0)
        return any(
            (r.incident, r.playbook, r.outcome) == (*mine, "healed") and (r.ended_s or 0) > newest_s
            for r in self._state.runs.values()
        )

    def _judge(self, plan: Plan, now_s: float) -> Decision:
        runs = self._state.runs | {run.id: run for run in self._runner.active.values()}
        return judge(
            plan,
            history=list(runs.values()),
            halts=self._halts(),
            now_s=now_s,
            house=self._house(now_s),
        )

    async def _say(self, decision: Decision, publish: Publish) -> None:
        """Only what is new: the same answer to the same question is no news."""
        before = self._state.decisions.get(decision.id)
        same = before is not None and (before.verdict, before.reason.code, before.target) == (
            decision.verdict, decision.reason.code, decision.target,
        )  # fmt: skip
        if not same or decision.verdict == "run":
            await publish(decision)

    def _start(self, work: Coroutine[Any, Any, Run], name: str) -> None:
        task = self._group.create_task(_careful(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _careful(work: Coroutine[Any, Any, Run]) -> None:
    """A run that is refused at its very beginning has done nothing."""
    try:
        await work
    except Refused as error:
        log.error("run refused reason=%s", error)
