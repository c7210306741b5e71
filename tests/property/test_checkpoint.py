"""A crash at any moment, and reading again from the checkpoint, ends in the same anomalies."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.correlation.changes import VersionWatch
from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.threshold import ThresholdSettings
from aiopsd.detectors.watch import RuleInfo, Watch
from aiopsd.logs import Miner
from aiopsd.model import Anomaly, Batch
from aiopsd.pipeline.detection import Detection
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms, compile_selection

SERVICES = ("api", "db", "web")


def detection() -> Detection:
    table = SeriesTable()
    rate = compile_selection("requests_total", "rate", ("service",), None, 10.0, "sum")
    level = compile_selection("queue", "value", ("service",), None, 10.0, "sum")
    band, limit = BandSettings(direction="up", floor=5.0), ThresholdSettings(above=100.0)
    watches = {
        "rate": Watch(_info("rate"), band, table.labels),
        "queue": Watch(_info("queue"), limit, table.labels),
    }
    versions = {"release": VersionWatch("release", ("service",), "version")}
    transforms = Transforms({"rate": rate, "queue": level}, table)
    return Detection(table, Miner(table), transforms, watches, versions)


def _info(name: str) -> RuleInfo:
    return RuleInfo(name, "saturation", "high", ("service",), for_secs=2.0)


def world(seed: int, ticks: int, sick_from: int) -> list[dict[tuple[str, str], float]]:
    """Samples of each tick: a counter and a gauge a service, one of which falls ill."""
    random = np.random.default_rng(seed)
    totals = dict.fromkeys(SERVICES, 0.0)
    found = []
    for tick in range(ticks):
        samples: dict[tuple[str, str], float] = {}
        for name in SERVICES:
            sick = name == "api" and sick_from <= tick < sick_from + 15
            totals[name] += 10 + random.normal(0, 1) + (200 if sick else 0)
            if random.random() < 0.02:
                totals[name] = 0.0  # a restart
            samples["requests_total", name] = totals[name]
            samples["queue", name] = 150.0 if sick else float(random.integers(0, 20))
            if random.random() < 0.05:
                samples["queue", name] = math.nan
        found.append(samples)
    return found


def feed(one: Detection, tick: int, samples: dict[tuple[str, str], float]) -> list[Anomaly]:
    labels = [{"__name__": metric, "service": service} for metric, service in samples]
    series = np.array([one.table.intern("", x) for x in labels], np.int32)
    batch = Batch("", 1000.0 + tick, series, np.array(list(samples.values())))
    return one.observe("src", [batch], {"tick": tick}).anomalies


def final(anomalies: list[Anomaly]) -> dict[str, Anomaly]:
    """What the journal would hold at the end: the newest version of each."""
    return {a.id: a for a in anomalies}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sick_from=st.integers(25, 60),
    checkpoint=st.integers(0, 79),
    further=st.integers(0, 79),
)
def test_nothing_lost_nothing_doubled(
    seed: int, sick_from: int, checkpoint: int, further: int
) -> None:
    ticks = world(seed, 80, sick_from)
    straight = detection()
    wanted = [a for n, samples in enumerate(ticks) for a in feed(straight, n, samples)]

    first, journal = detection(), []
    saved = first.save()
    for n in range(min(checkpoint + further, len(ticks))):
        if n == checkpoint:
            saved = first.save()
        journal += feed(first, n, ticks[n])
    second = detection()  # kill -9: only the checkpoint and the journal are left
    second.load(saved)
    second.adopt([a for a in final(journal).values() if not a.closed])
    begin = second.positions.get("src", {"tick": -1})["tick"] + 1
    for n in range(begin, len(ticks)):
        journal += feed(second, n, ticks[n])

    assert {i: a.ended_s for i, a in final(journal).items()} == {
        i: a.ended_s for i, a in final(wanted).items()
    }
    assert final(wanted), "the world had a fault, so there is something to compare"
    assert len(second.table) == len(straight.table)
