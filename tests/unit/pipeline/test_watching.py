"""What no rule selects is judged all the same: as evidence, once, and named for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aiopsd.correlation.grouping import Grouping, GroupingLimits
from aiopsd.correlation.topology import Layout
from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.suspicious import evidence
from aiopsd.detectors.watch import SERVICE_LABELS, RuleInfo, Watch
from aiopsd.logs import Miner
from aiopsd.model import Anomaly, Batch, LogBatch, LogLine
from aiopsd.pipeline.detection import Detection
from aiopsd.series import SPARED, SeriesTable
from aiopsd.transforms import BUILT_IN, Selection, Transforms, Unruled, compile_selection

EVERY_SECS = 15.0
BUCKETS = {"+Inf": 1.0, "0.1": 0.9, "1": 0.99, "10": 1.0}


@dataclass
class World:
    """A service that is scraped: a counter, a histogram, a gauge, and its logs."""

    rules: Mapping[str, Selection] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    calm: float = 1.0
    errors: float = 1.0
    slow: float = 0.0
    ticks: int = 0

    def __post_init__(self) -> None:
        self.table = SeriesTable()
        self.random = np.random.default_rng(3)
        self.totals: dict[str, float] = {}
        self.one = self.fresh()

    def fresh(self) -> Detection:
        watches = {
            one.rule: Watch(
                RuleInfo(one.rule, one.kind, "info", ("metric", *SERVICE_LABELS), one.unit,
                         one.title, 60.0),
                evidence("light"),
                lambda index, one=one: one.shown(self.table.labels(index)),
            )
            for one in BUILT_IN
        }  # fmt: skip
        for rule in self.rules:
            info = RuleInfo(rule, "saturation", "high", ("service",))
            watches[rule] = Watch(info, BandSettings(), self.table.labels)
        transforms = Transforms(dict(self.rules), self.table, Unruled(self.types))
        return Detection(self.table, Miner(self.table), transforms, watches, {})

    def tick(self) -> list[Anomaly]:
        self.ticks += 1
        now_s = 1_700_000_000 + EVERY_SECS * self.ticks
        grow = self.random.poisson(300)
        for le, share in BUCKETS.items():
            self._count(f"took_seconds_bucket le={le}", grow * max(share - self.slow, 0.0)
                        if le != "+Inf" else grow)  # fmt: skip
        self._count("took_seconds_count", grow)
        self._count("errors_total", self.random.poisson(20) * self.errors)
        samples = dict(self.totals)
        samples["memory_bytes"] = self.calm * (1e9 + 1e6 * self.random.standard_normal())
        samples["log_lines level=error template=x"] = 5.0
        series = [self.table.intern("", _labels(text)) for text in samples]
        batch = Batch("", now_s, np.array(series, np.int32), np.array([*samples.values()]))
        return self.one.observe("src", [batch], {}).anomalies

    def _count(self, name: str, more: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + more

    def run(self, ticks: int) -> list[Anomaly]:
        return [anomaly for _ in range(ticks) for anomaly in self.tick()]


def _labels(text: str) -> dict[str, str]:
    name, *rest = text.split()
    return {"__name__": name, "service": "api", "instance": "a:1"} | dict(
        pair.split("=", 1) for pair in rest
    )


def test_what_turns_strange_is_told_with_its_metric_and_labels() -> None:
    world = World()
    world.run(200)
    world.calm, world.errors, world.slow = 3.0, 20.0, 0.5
    found = {a.rule: a for a in world.run(12)}
    assert set(found) == {
        "watch_all.value.saturation", "watch_all.rate.error-rate",
        "watch_all.p50.latency.seconds", "watch_all.p99.latency.seconds",
    }  # fmt: skip
    memory = found["watch_all.value.saturation"]
    assert memory.labels == {"metric": "memory_bytes", "service": "api", "instance": "a:1"}
    assert memory.service == "api"
    assert memory.title.startswith("memory_bytes api a:1 3")
    assert found["watch_all.rate.error-rate"].title.startswith("rate of errors_total api a:1 ")
    late = found["watch_all.p99.latency.seconds"]
    assert late.labels == {"metric": "took_seconds", "service": "api", "instance": "a:1"}
    assert (late.kind, late.unit) == ("latency", "seconds")
    assert late.title.startswith("p99 of took_seconds api a:1 ")


def test_it_is_evidence_and_opens_nothing() -> None:
    world = World()
    world.run(200)
    world.calm, world.errors, world.slow = 100.0, 1000.0, 0.8
    found = world.run(30)
    assert {(a.severity, a.tier) for a in found} == {("info", "suspicious")}
    assert Grouping(GroupingLimits()).absorb(found, Layout(), (), found[-1].seen_s) == []


def test_what_a_rule_selects_is_left_to_it() -> None:
    rules = {"mine": compile_selection("memory_bytes", by=("service",)),
             "p95": compile_selection("took_seconds", "p95", ("service",))}  # fmt: skip
    world = World(rules=rules)
    world.run(200)
    world.calm, world.errors, world.slow = 3.0, 20.0, 0.5
    assert {a.rule for a in world.run(12)} == {"mine", "p95", "watch_all.rate.error-rate"}


def test_only_those_series_of_a_metric_that_no_rule_selects() -> None:
    rules = {"mine": compile_selection('memory_bytes{service="other"}', by=("service",))}
    world = World(rules=rules)
    world.run(200)
    world.calm = 3.0
    assert {a.rule for a in world.run(12)} == {"watch_all.value.saturation"}


def test_what_its_exporter_says_counts_more_than_its_name() -> None:
    said = {"errors": "gauge", "memory_bytes": "counter", "took_seconds": "gaugehistogram"}
    world = World(types=said)
    world.run(200)
    hows = {one.rule: one.how for one in BUILT_IN}
    open_now = {hows[n]: len(w._recent) for n, w in world.one.watches.items() if len(w._recent)}
    assert open_now == {"value": 6, "rate": 1}


def test_raw_series_keep_their_raw_value_and_no_room_is_taken() -> None:
    world = World()
    world.run(5)
    assert len(world.table) == 8
    assert world.table.late == 0
    ((_, value),) = world.table.latest("", {"__name__": "errors_total"}, 0.0)
    assert value == world.totals["errors_total"]


def test_log_lines_have_rules_of_their_own() -> None:
    world = World()
    lines = tuple(LogLine(0, {"service": "api"}, f"level=error msg=broken n={n}") for n in range(9))
    for n in range(5):
        world.one.observe("logs", [LogBatch(1_700_000_000.0 + n, lines)], {})
    assert not any(len(watch._recent) for watch in world.one.watches.values())


def test_a_restart_goes_on_and_ends_what_is_open() -> None:
    straight, broken = World(), World()
    for world in (straight, broken):
        world.run(200)
        world.calm = 3.0
    wanted = straight.run(20)
    journal = broken.run(10)
    saved = broken.one.save()
    journal += broken.run(5)
    broken.one = broken.fresh()
    broken.one.load(saved)
    newest = {a.id: a for a in journal}
    assert broken.one.adopt([a for a in newest.values() if not a.closed]) == []
    straight.calm = broken.calm = 1.0
    wanted, journal = wanted + straight.run(60), journal + broken.run(65)[-60:]
    assert {a.id for a in journal} == {a.id for a in wanted}
    last = {a.id: a for a in journal}
    assert all(a.ended_s is not None for a in last.values())


def test_an_open_anomaly_that_only_the_journal_knows_is_ended() -> None:
    """The checkpoint is older than it: it is found by the raw series that it names."""
    world = World()
    world.run(200)
    saved, world.calm, world.slow = world.one.save(), 3.0, 0.5
    opened = {a.id: a for a in world.run(10)}
    assert opened
    world.one = world.fresh()
    world.one.load(saved)
    world.calm, world.slow = 1.0, 0.0
    assert world.one.adopt(opened.values()) == []
    ended = [a for a in world.run(40) if a.closed]
    assert {a.id for a in ended} == set(opened)
    assert len(world.table) == 8, "it was one of those that are there"


def test_a_rule_that_is_new_takes_its_series_over() -> None:
    before = World()
    before.run(50)
    rules = {"mine": compile_selection("memory_bytes", by=("service",))}
    after = World(rules=rules)
    after.table.load(before.table.save())
    after.ticks, after.totals = before.ticks, before.totals
    after.one.transforms.load(before.one.transforms.save())
    after.run(200)
    after.calm = 3.0
    assert {a.rule for a in after.run(12)} == {"mine"}
    unruled = after.one.transforms._unruled
    assert unruled is not None
    for _ in range(SPARED + 2):
        after.one.expire(2e9)
    assert unruled._histograms.state() == [None], "each bucket was a member once"


def test_forgotten_series_leave_nothing_behind() -> None:
    world = World()
    world.run(20)
    before = len(world.one.transforms.save())
    for _ in range(SPARED + 2):
        world.one.expire(2e9)
    world.totals.clear()
    world.run(20)
    assert len(world.one.transforms.save()) <= before
    assert len(world.table) == 8


def test_time_that_passes_ends_a_round() -> None:
    world = World()
    world.run(1)
    assert not world.one.tick(1e9).anomalies
    watched = world.one.watches["watch_all.value.saturation"]._recent
    assert len(watched) == 0
    world.one.tick(1_800_000_000.0)
    assert len(watched) == 1
