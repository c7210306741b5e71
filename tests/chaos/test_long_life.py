"""A day of virtual time, with churn and a fault an hour, leaves nothing behind."""

import asyncio
import gc
import tracemalloc

import numpy as np

from aiopsd.correlation.changes import Ledger, VersionWatch
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.ranking import EvidenceRanker
from aiopsd.correlation.topology import Topology
from aiopsd.detectors.absent import AbsentSettings
from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.watch import RuleInfo, Watch
from aiopsd.logs import Miner
from aiopsd.model import AnyEvent, Batch, LogBatch, LogLine
from aiopsd.pipeline.correlating import Correlating
from aiopsd.pipeline.detection import Detection
from aiopsd.pipeline.state import REMEMBER_SECS, State
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms, compile_selection

HOUR = 3600
TICK = 60
PODS = 100  # two raw series each
START = 1_700_000_000
KEEP_SECS = 2 * HOUR  # instead of a day, so that a day shows what comes and goes


class World:
    """Pods that come and go, a tenth of them an hour; and one that falls ill every hour."""

    def __init__(self) -> None:
        self.table = SeriesTable()
        rate = compile_selection("requests_total", "rate", ("pod", "service"), None, 300.0, "sum")
        level = compile_selection("queue", "value", ("pod", "service"), None, 300.0, "sum")
        watches = {
            name: Watch(RuleInfo(name, "saturation", "high", ("service",)), settings, self._labels)
            for name, settings in (("rate", BandSettings(floor=20)), ("queue", AbsentSettings()))
        }
        versions = {"release": VersionWatch("release", ("service",), "version")}
        transforms = Transforms({"rate": rate, "queue": level}, self.table)
        miner = Miner(self.table, max_templates=500)
        self.detection = Detection(self.table, miner, transforms, watches, versions)
        self.grouping = Grouping()
        self.correlating = Correlating(self.grouping, Topology({}), Ledger(), EvidenceRanker())
        self.state = State()
        self.opened: set[str] = set()
        self._random = np.random.default_rng(1)
        self._totals: dict[int, float] = {}
        self._first_pod = 0

    def _labels(self, index: int) -> dict[str, str]:
        return self.table.labels(index)

    async def publish(self, *events: AnyEvent) -> None:
        for event in events:
            self.state.apply(event)
            self.opened.add(event.id)

    def _batch(self, now_s: float, tick: int) -> Batch:
        if tick % 6 == 0:
            self._first_pod += PODS // 100  # ten pods of a hundred an hour are others
        series, values = [], []
        for pod in range(self._first_pod, self._first_pod + PODS):
            sick = pod % PODS == 7 and tick % 60 in range(50, 55)
            grown = 600 + 30 * self._random.standard_normal() + (60_000 if sick else 0)
            self._totals[pod] = self._totals.get(pod, 0.0) + grown
            labels = {"pod": f"p{pod}", "service": f"s{pod % 20}"}
            series.append(self.table.intern("", {"__name__": "requests_total", **labels}))
            values.append(self._totals[pod])
            series.append(self.table.intern("", {"__name__": "queue", **labels}))
            values.append(float(self._random.integers(0, 9)))
        self._totals.pop(self._first_pod - 1, None)
        return Batch("", now_s, np.array(series, np.int32), np.array(values))

    async def tick(self, tick: int) -> None:
        now_s = float(START + tick * TICK)
        line = f"request {tick} of user u{tick % 977} took {tick % 13} ms in shard-{tick}-{tick}"
        logs = LogBatch(now_s, (LogLine(int(now_s * 1e9), {"service": f"s{tick % 20}"}, line),))
        items = (self._batch(now_s, tick), logs)
        found = self.detection.observe("src", items, {"tick": tick})
        await self.correlating.absorb(found, now_s, self.publish)
        if tick % 10 == 0:
            self.detection.expire(now_s - KEEP_SECS)
            self.state.forget(now_s - min(KEEP_SECS, REMEMBER_SECS))
            self.detection.save()

    def sizes(self) -> dict[str, int]:
        gc.collect()
        return {
            "series": len(self.table),
            "capacity": self.table.capacity,
            "incidents": len(self.state.incidents),
            "open": len(self.grouping.open),
            "checkpoint": sum(map(len, self.detection.save().values())),
            "bytes": tracemalloc.get_traced_memory()[0],
        }


def test_a_day_leaks_nothing() -> None:
    world = World()

    async def live(first: int, last: int) -> None:
        for tick in range(first, last):
            await world.tick(tick)

    tracemalloc.start()
    try:
        asyncio.run(live(0, 8 * HOUR // TICK))
        early = world.sizes()
        asyncio.run(live(8 * HOUR // TICK, 24 * HOUR // TICK))
        late = world.sizes()
    finally:
        tracemalloc.stop()
    print(f"after 8 h {early}\nafter 24 h {late}")
    assert len(world.opened) >= 12, "the faults were seen, so there was something to forget"
    for name in ("series", "capacity", "incidents", "open", "checkpoint"):
        assert late[name] <= early[name] * 1.15 + 5, (name, early, late)
    assert late["bytes"] <= early["bytes"] * 1.2, (early, late)
