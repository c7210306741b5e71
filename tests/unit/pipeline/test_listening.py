"""A rule that can judge nothing is named, with what it lacks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest

from aiopsd.correlation.changes import VersionWatch
from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.burn import BurnSettings
from aiopsd.detectors.drift import DriftSettings
from aiopsd.detectors.flood import FloodSettings
from aiopsd.detectors.halfspace import HalfspaceSettings
from aiopsd.detectors.peer import PeerSettings
from aiopsd.detectors.watch import Builder, RuleInfo, Watch
from aiopsd.logs import Miner
from aiopsd.logs.odd_sessions import LOOK
from aiopsd.model import Batch, Labels, LogBatch, LogLine
from aiopsd.pipeline.detection import Detection
from aiopsd.pipeline.listening import AWAY_SECS, PATIENCE_SECS, Listening
from aiopsd.series import SeriesTable
from aiopsd.telemetry import Telemetry
from aiopsd.transforms import Transforms, compile_selection

PODS: list[Labels] = [{"service": "a", "pod": f"a{n}"} for n in range(3)]
BUCKETS: list[Labels] = [{"service": "a", "le": le} for le in ("0.1", "1", "+Inf")]


class World:
    """One rule, and what it is given."""

    def __init__(self, settings: Builder | None) -> None:
        self.table = SeriesTable()
        info = RuleInfo("it", "saturation", "high", ("service",))
        watches = {"it": Watch(info, settings, self.table.labels)} if settings else {}
        versions = {} if settings else {"it": VersionWatch("it", ("service",), "version")}
        self.detection = Detection(
            self.table, Miner(self.table), Transforms({}, self.table, None), watches, versions
        )
        self.telemetry = Telemetry(lambda: 0.0)
        self.listening = Listening(self.detection, self.telemetry, {"it": ["prom"]}, {"it": 15.0})

    def hear(self, series: Sequence[Labels], value: float = 0.5) -> None:
        for tick in range(3):
            indexes = np.array([self.table.intern("it", labels) for labels in series], np.int32)
            values = np.full(len(series), value)
            self.detection.observe("prom", [Batch("it", 1e9 + 15 * tick, indexes, values)], {})

    def after(self, secs: float) -> str:
        self.listening.heard = self.detection.hearing()
        self.listening.look(secs)
        return self.listening.mute.get("it", "")

    def why(self) -> str:
        assert self.after(0.0) == ""
        return self.after(PATIENCE_SECS)


@pytest.mark.parametrize(
    ("settings", "series", "value", "why"),
    [
        (PeerSettings(), PODS, 0.5, "peer needs at least 4 in a group (by service); "
                                    "the largest here has 3"),
        (HalfspaceSettings(min_members=5), PODS, 0.5,
         "halfspace needs at least 5 in a group (by service); the largest here has 3"),
        (DriftSettings(), PODS, 0.5, "drift needs the label 'le'; none of them has it"),
        (DriftSettings(category="code"), PODS, 0.5,
         "drift needs the label 'code'; none of them has it"),
        (DriftSettings(), [{**one, "le": one["pod"]} for one in PODS], 0.5,
         "drift needs numbers in the label 'le'; none of them is one"),
        (DriftSettings(), [{**one, "le": "+Inf"} for one in PODS], 0.5,
         "drift needs a histogram of at least 2 buckets; all have 1"),
        (BurnSettings(objective=0.99, label="code"), PODS, 0.5,
         "burn needs the label 'code'; none of them has it"),
        (BurnSettings(objective=0.99), PODS, 12.0,
         "burn without `label` needs ratios from 0 to 1; no value so far was one"),
        (FloodSettings(bad={"levle": ("error",)}), PODS, 0.5,
         "flood needs the label 'levle' (`bad`); none of them has it"),
        (None, PODS, 1.0, "change needs the labels 'version' and 'service'; none of them has both"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_named(
    settings: Builder | None, series: list[Labels], value: float, why: str
) -> None:
    world = World(settings)
    world.hear(series, value)
    assert world.why() == f"hears 3 series but can judge none: {why}"
    assert 'aiopsd_rule_mute{part="it"} 1' in world.telemetry.exposition()
    assert 'aiopsd_rule_series{part="it"} 3' in world.telemetry.exposition()


@pytest.mark.parametrize(
    ("settings", "series"),
    [
        (PeerSettings(min_peers=3), [*PODS, {"service": "alone"}]),
        (HalfspaceSettings(), PODS),
        (DriftSettings(), BUCKETS),
        (DriftSettings(category="le2"), [{"service": "a", "le2": "x"}]),
        (BurnSettings(objective=0.99, label="pod"), PODS),
        (BurnSettings(objective=0.99), PODS),
        (BandSettings(), PODS),
        (FloodSettings(bad={"speaks": ("failure",), "pod": ("a9",)}), PODS),  # so far all is calm
        (None, [{"service": "a", "version": "1"}]),
    ],
)
def test_what_can_be_judged_is_not(settings: Builder | None, series: list[Labels]) -> None:
    world = World(settings)
    world.hear(series)
    assert world.why() == ""
    assert 'aiopsd_rule_mute{part="it"} 0' in world.telemetry.exposition()


def test_a_rule_without_any_series() -> None:
    assert World(BandSettings()).why() == "hears no series: what it asks or selects is not there"


def test_a_ratio_whose_other_side_is_not_there() -> None:
    world = World(BandSettings())
    selection = compile_selection("errors_total", "rate", ("service",), over="requests_total")
    world.detection.transforms = Transforms({"it": selection}, world.table, None)
    index = world.table.intern("", {"__name__": "errors_total", "service": "a"})
    for tick in range(5):
        batch = Batch("", 1e9 + 15 * tick, np.array([index], np.int32), np.array([1.0 * tick]))
        world.detection.observe("prom", [batch], {})
    assert world.why() == (
        "hears no series: `select` matches 1 and `over` matches 0, and no value came of that"
    )


def test_while_its_source_is_away_nothing_is_said_of_it() -> None:
    world = World(BandSettings())
    world.telemetry.went("prom", "no answer")
    assert world.why() == ""
    world.telemetry.came("prom")
    assert world.after(2 * PATIENCE_SECS) == ""
    assert world.after(3 * PATIENCE_SECS) != ""


def test_another_source_that_is_away_is_no_excuse() -> None:
    world = World(BandSettings())
    world.telemetry.went("mail", "no answer")
    assert world.why() == "hears no series: what it asks or selects is not there"


def test_after_an_hour_its_own_source_is_none_either() -> None:
    world = World(BandSettings())
    world.telemetry.went("prom", "no answer")
    assert world.after(0.0) == world.after(AWAY_SECS - 1) == ""
    said = "hears no series: what it asks or selects is not there; prom is away"
    assert world.after(AWAY_SECS) == said


def test_what_names_sessions_is_looked_for_first() -> None:
    world = World(BandSettings())
    table = world.table
    selection = {"it": compile_selection("log_odd_sessions", "value", ("service",))}
    miner = Miner(table, sessions=None)
    world.detection = Detection(
        table, miner, Transforms(selection, table, None), world.detection.watches, {}
    )
    world.listening._detection = world.detection

    def hear(first: int, lines: int) -> None:
        said = (LogLine(1, {"service": "a"}, f"line {n} of none") for n in range(lines))
        world.detection.observe("prom", [LogBatch(1e9 + first, tuple(said))], {})

    hear(0, 100)
    assert world.why() == ""
    hear(1, LOOK)
    assert world.after(2 * PATIENCE_SECS) == ""
    assert world.after(3 * PATIENCE_SECS).startswith("hears no series: ")


def test_it_is_logged_once_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World(PeerSettings(min_peers=3))
    world.hear(PODS[:2])
    for n in range(4):
        world.after(n * PATIENCE_SECS)
    world.hear(PODS)
    world.after(5 * PATIENCE_SECS)
    assert [record.getMessage().split(" reason")[0] for record in caplog.records] == [
        "mute rule=it", "no longer mute rule=it"
    ]  # fmt: skip


def test_that_nothing_answers_may_be_as_it_should_be(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert World(BandSettings()).why() != ""
    lacking = World(PeerSettings())
    lacking.hear(PODS)
    assert lacking.why() != ""
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_who_is_asked_seldom_gets_its_time() -> None:
    world = World(BandSettings())
    listening = Listening(world.detection, world.telemetry, {}, {"it": 3600.0})
    listening.heard = world.detection.hearing()
    listening.look(0.0)
    listening.look(3600.0)
    assert listening.mute == {}
    listening.look(7200.0)
    assert "it" in listening.mute


def test_samples_of_too_many_members_are_counted() -> None:
    world = World(HalfspaceSettings())
    world.hear([{"service": "a", "pod": f"{n}"} for n in range(40)])
    assert world.after(0.0) == ""
    assert 'aiopsd_samples_beyond{part="it"} 16' in world.telemetry.exposition()
