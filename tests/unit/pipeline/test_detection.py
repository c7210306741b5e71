"""What a tick of known series costs, and what a checkpoint keeps."""

import threading
from collections.abc import Mapping

import numpy as np
import pytest

from aiopsd.correlation.changes import VersionWatch
from aiopsd.correlation.ties import ties
from aiopsd.detectors.threshold import ThresholdSettings
from aiopsd.detectors.watch import RuleInfo, Watch
from aiopsd.logs import Miner
from aiopsd.model import Batch, Labels
from aiopsd.pipeline.detection import Detection
from aiopsd.series import SPARED, SeriesTable
from aiopsd.transforms import Transforms


class Reading(SeriesTable):
    """Counts how often labels are read."""

    read = 0

    def labels(self, index: int) -> Labels:
        self.read += 1
        return super().labels(index)


def detection(table: SeriesTable | None = None) -> Detection:
    table = SeriesTable() if table is None else table
    info = RuleInfo("load", "saturation", "high", ("service",))
    watch = Watch(info, ThresholdSettings(above=100.0), table.labels)
    versions = {"release": VersionWatch("release", ("service",), "version")}
    return Detection(table, Miner(table), Transforms({}, table), {"load": watch}, versions)


def tick(one: Detection, rule: str, time_s: float, pairs: Mapping[int, float]) -> Batch:
    return Batch(rule, time_s, np.array(list(pairs), np.int32), np.array(list(pairs.values())))


def test_labels_of_known_series_are_not_read() -> None:
    table = Reading()
    one = detection(table)
    series = [table.intern("load", {"service": str(n)}) for n in range(50)]
    series += [table.intern("", {"__name__": "m", "service": str(n)}) for n in range(50)]
    for n in range(100):
        for rule, own in (("load", series[:50]), ("", series[50:])):
            one.observe("src", [tick(one, rule, 15.0 * n, dict.fromkeys(own, 1.0))], {"n": n})
        if n == 0:
            first, table.read = table.read, 0
    assert 100 <= first <= 150
    assert table.read == 0


def test_edges_are_handed_on_until_their_series_is_forgotten() -> None:
    one = detection()
    edge = {"client": "web", "server": "db"}
    at = one.table.intern("", edge | {"__name__": "calls"})
    assert one.observe("src", [tick(one, "", 1.0, {at: 1.0})], {}).ties == ties(edge)
    for _ in range(SPARED + 1):
        one.expire(50.0)
    other = edge | {"server": "queue"}
    assert one.table.intern("", other | {"__name__": "calls"}) == at
    assert one.observe("src", [tick(one, "", 60.0, {at: 1.0})], {}).ties == ties(other)


def test_the_newest_value_is_told_while_a_tick_is_judged() -> None:
    """A playbook asks on the loop, which must not wait for it."""
    one = detection()
    at = one.table.intern("load", {"service": "api"})
    one.observe("src", [tick(one, "load", 1.0, {at: 7.0})], {})
    found = []
    with one._lock:
        asker = threading.Thread(target=lambda: found.append(one.latest("load", {}, 0.0)))
        asker.start()
        asker.join(30.0)
    assert found == [[({"service": "api"}, 7.0)]]


def test_a_checkpoint_holds_all_that_was_learned() -> None:
    one, other = detection(), detection()
    at = one.table.intern("load", {"service": "api"})
    opened = one.observe("src", [tick(one, "load", 1.0, {at: 500.0})], {"n": 1}).anomalies
    other.load(one.save())
    assert other.positions == {"src": {"n": 1}}
    assert other.latest("load", {"service": "api"}, 0.0) == [({"service": "api"}, 500.0)]
    at = other.table.intern("load", {"service": "api"})
    ended = [
        anomaly
        for n in range(2, 200)
        for anomaly in other.observe("src", [tick(other, "load", n, {at: 1.0})], {}).anomalies
        if anomaly.closed
    ]
    assert [a.id for a in ended] == [a.id for a in opened]


@pytest.mark.parametrize(
    ("part", "bad"),
    [
        ("table/columns", b""),
        ("table/columns", b"\x93\x01\x02\x03"),
        ("table/keys/0", b"\x92\xc4\x00\xc4\x01x"),
        ("table/keys/0", None),
        ("positions", b"{"),
        ("watch/load/open", b"\x00"),
        ("watch/load/detector", b""),
        ("watch/load/limit", None),
        ("miner", b""),
        ("transforms", b"\xff"),
    ],
)
def test_what_is_no_checkpoint_is_refused(part: str, bad: bytes | None) -> None:
    one = detection()
    one.table.intern("load", {"service": "api"})
    parts = one.save()
    del parts[part]
    if bad is not None:
        parts[part] = bad
    with pytest.raises((ValueError, KeyError)):
        detection().load(parts)


def test_it_says_between_two_pieces_of_work_that_it_moves() -> None:
    """A watchdog that hears nothing for long takes a large reading for a standstill."""
    one, heard = detection(), list[int]()
    one.moved = lambda: heard.append(one.samples)
    at = one.table.intern("load", {"service": "web"})
    one.observe("src", [tick(one, "load", float(n), {at: 1.0}) for n in range(3)], {})
    assert sorted(set(heard)) == [0, 1, 2]
