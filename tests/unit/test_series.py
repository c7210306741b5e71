"""Labels to indexes and back, bounded, and never confused by clocks."""

import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aiopsd.keys import UNKNOWN
from aiopsd.model import Batch
from aiopsd.series import SPARED, SeriesTable


def batch(rule: str, time_s: float, pairs: dict[int, float]) -> Batch:
    return Batch(rule, time_s, np.array(list(pairs), np.int32), np.array(list(pairs.values())))


def expired(table: SeriesTable, before_s: float) -> list[int]:
    return [index for _ in range(SPARED + 1) for index in table.expire(before_s).tolist()]


def test_the_same_labels_in_any_order_are_the_same_series() -> None:
    table = SeriesTable()
    first = table.intern("r", {"a": "1", "b": "2"})
    assert table.intern("r", {"b": "2", "a": "1"}) == first
    assert table.intern("other", {"a": "1", "b": "2"}) != first
    assert table.labels(first) == {"a": "1", "b": "2"}


def test_a_full_table_refuses_new_series_and_counts_them() -> None:
    table = SeriesTable(limit=2)
    assert [table.intern("r", {"n": str(n)}) for n in range(4)] == [0, 1, -1, -1]
    assert table.refused == 2
    assert len(table) == 2


def fill(table: SeriesTable, rule: str, source: str, series: int) -> int:
    """How many of them find room."""
    seen = table.seen_by(source) if source else table
    found = [seen.intern(rule, {"n": str(n), "of": source}) for n in range(series)]
    return sum(index >= 0 for index in found)


@pytest.mark.parametrize("limit", [1, 2, 8, 9, 10, 17, 18, 100, 1000, 9999])
def test_a_source_alone_may_have_the_whole_limit(limit: int) -> None:
    table = SeriesTable(limit)
    assert fill(table, "", "only", limit + 50) == limit
    assert table.refused == 50


def test_who_has_much_keeps_nobody_out() -> None:
    """Neither what rules make, nor a source that comes later; and no crowd of them is endless."""
    table = SeriesTable(900)
    assert fill(table, "", "wild", 5000) == 900
    assert fill(table, "errors", "", 50) == 50
    assert fill(table, "", "late", 20) == 20
    crowd = [fill(table, "", f"more {n}", 5000) for n in range(20)]
    assert len(table) <= 1000
    assert sum(crowd) <= 30
    assert table.crowd().startswith("900 of source=wild, refused most: ")


def test_two_wild_ones_leave_room_as_well() -> None:
    table = SeriesTable(900)
    for n in range(5000):
        for source in ("a", "b"):
            table.seen_by(source).intern("", {"n": str(n), "of": source})
    counts = table.counts()
    assert counts["a", ""] == pytest.approx(counts["b", ""], abs=1)
    assert 450 < counts["a", ""] < 490
    assert fill(table, "errors", "", 20) == 20


def test_shares_are_as_they_were_after_expiry_and_a_restart() -> None:
    table = SeriesTable(90)
    fill(table, "", "wild", 200)
    saved, again = table.save(), SeriesTable(90)
    again.load(saved)
    assert again.counts() == table.counts() == {("wild", ""): 90}
    assert fill(again, "", "wild", 200) == 90
    expired(again, 1.0)
    assert again.counts() == {("wild", ""): 0}
    assert fill(again, "", "other", 200) == 90


def test_a_part_of_a_source_has_a_share_of_its_own() -> None:
    table = SeriesTable(90)
    source = table.seen_by("fleet")
    for n in range(200):
        source.seen_by("wild:9100").intern("", {"n": str(n)})
    assert source.seen_by("good:9100").intern("", {"__name__": "up"}) >= 0
    assert table.crowd().startswith("90 of source=fleet/wild:9100")


def test_labels_longer_than_any_name_are_dropped_and_told() -> None:
    told: list[tuple[str, str]] = []
    table = SeriesTable(oversize=lambda source, labels: told.append((source, labels["__name__"])))
    seen = table.seen_by("fleet")
    assert seen.intern("", {"__name__": "a", "text": "x" * 65_000}) >= 0
    assert seen.intern("", {"__name__": "b", "text": "x" * 66_000}) == -1
    assert (told, table.refused, len(table)) == ([("fleet", "b")], 0, 1)


def test_samples_that_are_not_newer_are_dropped_and_counted() -> None:
    table = SeriesTable()
    one, two = (table.intern("r", {"n": n}) for n in "ab")
    assert len(table.record(batch("r", 10.0, {one: 1.0, two: 2.0})).series) == 2
    kept = table.record(batch("r", 10.0, {one: 9.0}))
    assert len(kept.series) == 0
    assert len(table.record(batch("r", 9.0, {one: 9.0, two: 9.0})).series) == 0  # clock went back
    assert table.late == 3
    assert table.latest("r", {"n": "a"}, 0.0) == [({"n": "a"}, 1.0)]


def test_a_series_twice_in_one_batch_counts_once() -> None:
    table = SeriesTable()
    one = table.intern("r", {})
    twice = Batch("r", 1.0, np.array([one, one], np.int32), np.array([5.0, 6.0]))
    assert table.record(twice).values.tolist() == [5.0]


def test_a_refused_series_never_reaches_a_detector() -> None:
    table = SeriesTable(limit=1)
    one, none = table.intern("r", {"n": "1"}), table.intern("r", {"n": "2"})
    kept = table.record(batch("r", 1.0, {one: 1.0, none: 2.0}))
    assert kept.series.tolist() == [one]


def test_latest_is_finite_fresh_and_matches() -> None:
    table = SeriesTable()
    a, b, c = (table.intern("r", {"n": n, "all": "x"}) for n in "abc")
    table.record(batch("r", 10.0, {a: 1.0, b: float("nan")}))
    table.record(batch("r", 20.0, {c: 3.0}))
    assert [value for _, value in table.latest("r", {"all": "x"}, 0.0)] == [1.0, 3.0]
    assert [value for _, value in table.latest("r", {}, 15.0)] == [3.0]
    assert table.latest("r", {"n": "zzz"}, 0.0) == []


def test_expired_indexes_are_used_again_for_other_series() -> None:
    table = SeriesTable()
    old, new = table.intern("r", {"n": "old"}), table.intern("r", {"n": "new"})
    table.record(batch("r", 1.0, {old: 1.0}))
    table.record(batch("r", 100.0, {new: 1.0}))
    assert expired(table, 50.0) == [old]
    with pytest.raises(KeyError):
        table.labels(old)
    assert table.intern("r", {"n": "next"}) == old
    assert table.latest("r", {"n": "next"}, -1e18) == []


def test_a_series_whose_sample_is_on_its_way_is_left_alone() -> None:
    """It may wait in a queue behind much else; for the table it is old, or without any sample."""
    table = SeriesTable()
    one, two = table.intern("r", {"n": "1"}), table.intern("r", {"n": "2"})
    table.record(batch("r", 1.0, {two: 1.0}))
    assert len(expired(table, 50.0)) == 2
    one, two = table.intern("r", {"n": "1"}), table.intern("r", {"n": "2"})
    for _ in range(SPARED):
        assert table.expire(50.0).tolist() == []
    table.intern("r", {"n": "1"})
    assert table.expire(50.0).tolist() == [two]
    table.record(batch("r", 2.0, {one: 1.0}))  # history is being read
    for _ in range(SPARED):
        assert table.expire(50.0).tolist() == []
    assert table.expire(50.0).tolist() == [one]


def test_sources_intern_while_detection_records() -> None:
    """Without the lock indexes are shared and records are lost within a second."""
    table = SeriesTable(limit=100_000)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def intern(worker: int) -> list[int]:
        found = []
        for number in range(3000):
            index = table.intern("", {"w": str(worker), "n": str(number)})
            table.record(batch("", 1.0, {index: float(number)}))
            found.append(index)
        return found

    try:
        with ThreadPoolExecutor(4) as pool:
            indexes = [i for found in pool.map(intern, range(4)) for i in found]
    finally:
        sys.setswitchinterval(before)
    assert len(set(indexes)) == 12_000 == len(table)
    assert table.late == 0
    assert len(table.latest("", {}, 0.0)) == 12_000


def test_saved_and_loaded_it_knows_the_same_series_values_and_holes() -> None:
    table = SeriesTable()
    for n in range(5):
        table.intern("r", {"n": str(n)})
    table.record(batch("r", 7.0, {2: 2.5, 3: 3.5}))
    assert expired(table, 1.0) == [0, 1, 4]
    other = SeriesTable()
    other.load(table.save())
    assert [other.intern("r", {"n": n}) for n in "23"] == [2, 3]
    assert other.latest("r", {"n": "2"}, 0.0) == [({"n": "2"}, 2.5)]
    assert other.intern("r", {"n": "brand new"}) in (0, 1, 4)


def test_a_table_from_the_future_takes_samples_of_now() -> None:
    table = SeriesTable()
    ahead, old = table.intern("r", {"n": "ahead"}), table.intern("r", {"n": "old"})
    table.record(batch("r", 5.0, {old: 1.0}))
    table.record(batch("r", 1e9, {ahead: 1.0}))
    table.rewind(100.0)
    assert table.record(batch("r", 101.0, {ahead: 2.0})).values.tolist() == [2.0]
    assert table.latest("r", {"n": "old"}, 6.0) == []


class Pods:
    """A fleet of which a tenth is replaced each hour, read by a source that keeps its keys."""

    SIZE, TICKS = 1000, 10  # ticks an hour

    def __init__(self, table: SeriesTable) -> None:
        self.table, self.keys = table, table.keys("r")
        self.pods = list(range(self.SIZE))
        self.born = self.SIZE
        self.random = np.random.default_rng(3)
        self.meaning = np.full(64, -1)  # by index: what a detector's row was learned from
        self.now_s = 0.0

    def tick(self) -> None:
        """Seen, judged, and forgotten after an hour."""
        for at in self.random.integers(0, self.SIZE, self.SIZE // 10 // self.TICKS).tolist():
            self.born += 1
            self.pods[at] = self.born
        raw = [b"pod-%d" % pod for pod in self.pods]
        found = self.keys.find(raw)
        new = np.flatnonzero(found == UNKNOWN).tolist()
        fresh = [self.table.intern("r", {"pod": raw[at].decode(), "zone": "a"}) for at in new]
        self.keys.learn([raw[at] for at in new], fresh)
        found[new] = fresh
        self.now_s += 3600.0 / self.TICKS
        kept = self.table.record(Batch("r", self.now_s, found, np.array(self.pods, float)))
        assert len(kept.series) == self.SIZE, "a series found no room, or two share one index"
        self.judge(kept)
        gone = self.table.expire(self.now_s - 3600.0)
        self.meaning[gone[gone < len(self.meaning)]] = -1

    def judge(self, batch: Batch) -> None:
        if len(self.meaning) < self.table.capacity:
            more = np.full(self.table.capacity - len(self.meaning), -1)
            self.meaning = np.concatenate((self.meaning, more))
        meant = self.meaning[batch.series]
        assert ((meant == -1) | (meant == batch.values)).all(), "an index means two series"
        self.meaning[batch.series] = batch.values


def test_days_of_churn_leave_memory_and_time_flat() -> None:
    table = SeriesTable(limit=2 * Pods.SIZE)
    pods = Pods(table)
    held, took = [], []
    tracemalloc.start()
    for _ in range(4):
        begun = time.process_time()
        for _ in range(24 * Pods.TICKS):
            pods.tick()
        took.append(time.process_time() - begun)
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert table.refused == 0
    assert table.capacity < 1.4 * Pods.SIZE
    assert len(pods.keys) < 2 * Pods.SIZE + 1000
    assert held[3] < 1.25 * held[1]  # keys of the dead are swept now and then
    assert took[3] < 2 * took[1]
