"""Warm start: while the daemon already runs, long history is fitted beside it, rule by rule.

What a rule was taught is kept in the checkpoint, so that a restart does not ask for weeks of
history again; a rule whose expression changed is taught anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from aiopsd.contracts import Lesson
from aiopsd.errors import Unreachable
from aiopsd.fitting.job import Done, Failed, Found, Job
from aiopsd.fitting.teacher import fitted
from aiopsd.pipeline.detection import Detection
from aiopsd.telemetry import Telemetry, log

AGAIN_SECS = 600.0  # what could not be had may be there later


@dataclass
class Warming:
    """One job a source. Trouble is logged and tried again; it never ends the daemon."""

    jobs: Mapping[str, Job]
    detection: Detection
    telemetry: Telemetry
    timeout_secs: float

    async def run(self) -> None:
        """Until every rule was taught, or was refused."""
        waiting = dict(self.jobs)
        while waiting:
            for source, job in list(waiting.items()):
                due = [q for q in job.questions if self.detection.taught.get(q.rule) != q.promql]
                if due and not await self._through(source, replace(job, questions=tuple(due))):
                    continue
                del waiting[source]
            if waiting:
                await asyncio.sleep(AGAIN_SECS)

    async def _through(self, source: str, job: Job) -> bool:
        """False when it broke off; what was taught by then stays."""
        log.info("warm start: fitting history source=%s rules=%d days=%.0f",
                 source, len(job.questions), (job.end_s - job.start_s) / 86400)  # fmt: skip
        count = self.telemetry.counting(source)
        asked = {question.rule: question.promql for question in job.questions}
        found: list[Found] = []
        try:
            async for word in fitted(job, self.timeout_secs):
                match word:
                    case Found():
                        found.append(word)
                    case Done(rule=rule):
                        await self._teach(rule, asked[rule], found)
                        count("fitted_series", len(found))
                        log.info("warm start: learned rule=%s series=%d left_out=%d",
                                 rule, len(found), word.left_out)  # fmt: skip
                        found = []
                    case Failed(rule=rule, reason=reason):
                        log.warning("warm start: not learned rule=%s reason=%s", rule, reason)
                        found = []
        except Unreachable as error:
            log.warning("warm start: broke off source=%s reason=%s", source, error)
            return False
        return True

    async def _teach(self, rule: str, promql: str, found: Sequence[Found]) -> None:
        lessons = [(one.labels, lesson(one)) for one in found]
        await asyncio.to_thread(self.detection.teach, rule, promql, lessons)


def lesson(found: Found) -> Lesson:
    """As it came through the pipe; who knows its index fills in ``series``."""
    season = np.array([np.nan if x is None else x for x in found.season], np.float64)
    return Lesson(-1, found.level, found.scale, season, found.period, found.samples)
