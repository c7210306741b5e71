"""Raw bytes to index: what is known is found, what is dead is never found again."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aiopsd.keys import REFUSED, UNKNOWN, Keys
from aiopsd.model import Batch
from aiopsd.series import SPARED, SeriesTable


def asked(table: SeriesTable, keys: Keys, names: list[str]) -> list[int]:
    """As a source does: find, intern what is unknown, learn it."""
    raw = [name.encode() for name in names]
    found = keys.find(raw)
    new = np.flatnonzero(found == UNKNOWN)
    indexes = [table.intern("", {"n": names[at]}) for at in new]
    keys.learn([raw[at] for at in new], indexes)
    found[new] = indexes
    return found.tolist()


def test_what_was_learned_is_found() -> None:
    table = SeriesTable()
    keys = table.keys()
    assert keys.find([b"a", b"b"]).tolist() == [UNKNOWN, UNKNOWN]
    assert asked(table, keys, ["a", "b"]) == [0, 1]
    assert keys.find([b"b", b"c", b"a"]).tolist() == [1, UNKNOWN, 0]
    assert keys.find([]).tolist() == []


def test_what_is_found_is_spared_as_if_interned() -> None:
    table = SeriesTable()
    keys = table.keys()
    asked(table, keys, ["a", "b"])
    for _ in range(SPARED):
        table.expire(50.0)
    keys.find([b"b"])
    table.touch(np.array([-1], np.int32))  # what has no index spares nobody
    assert table.expire(50.0).tolist() == [0]
    table.touch(np.array([1], np.int32))
    for _ in range(SPARED):
        assert table.expire(50.0).tolist() == []
    assert table.expire(50.0).tolist() == [1]


def test_a_freed_index_is_not_found_by_its_old_key() -> None:
    table = SeriesTable()
    keys = table.keys()
    asked(table, keys, ["old"])
    for _ in range(SPARED + 1):
        table.expire(50.0)
    assert keys.find([b"old"]).tolist() == [UNKNOWN]
    assert table.intern("", {"n": "next"}) == 0
    assert keys.find([b"old"]).tolist() == [UNKNOWN]
    assert asked(table, keys, ["old"]) == [1]


def test_a_refusal_is_remembered_until_there_is_room() -> None:
    table = SeriesTable(limit=1)
    keys = table.seen_by("fleet").keys("up")
    table.seen_by("fleet").intern("up", {"n": "a"})
    keys.learn([b"b"], [table.seen_by("fleet").intern("up", {"n": "b"})])
    assert keys.find([b"b", b"b"]).tolist() == [REFUSED, REFUSED]
    assert table.refused == 3
    assert table.crowd() == "1 of source=fleet rule=up, refused most: 3 of source=fleet rule=up"
    for _ in range(SPARED + 1):
        table.expire(50.0)
    assert keys.find([b"b"]).tolist() == [UNKNOWN]
    table.intern("", {"n": "c"})
    assert keys.find([b"b"]).tolist() == [REFUSED], "somebody else was sooner"


def test_only_as_many_of_the_refused_are_asked_for_as_there_is_room() -> None:
    table = SeriesTable(limit=3)
    keys = table.keys()
    assert asked(table, keys, ["a", "b", "c", "d", "e", "f"])[3:] == [UNKNOWN] * 3
    table.shares.limit = 5
    assert keys.find([b"d", b"e", b"a", b"f"]).tolist() == [UNKNOWN, UNKNOWN, 0, REFUSED]
    assert asked(table, keys, ["d", "e", "f"]) == [3, 4, REFUSED]


def test_many_refusals_are_remembered_within_bounds() -> None:
    table = SeriesTable(limit=1000)
    keys = table.keys()
    crowd = [str(n) for n in range(1800)]
    asked(table, keys, crowd)
    assert (keys.find([name.encode() for name in crowd[1000:]]) == REFUSED).all()
    asked(table, keys, [str(n) for n in range(9000)])
    assert len(keys) <= 2000
    assert (keys.find([name.encode() for name in crowd[:1000]]) >= 0).all()


def test_what_is_too_long_to_be_a_name_is_not_remembered() -> None:
    table = SeriesTable()
    keys = table.keys()
    keys.learn([b"x" * 70_000, b"y"], [-1, table.intern("", {"n": "y"})])
    assert len(keys) == 1


def test_dead_keys_are_forgotten() -> None:
    table = SeriesTable(limit=1000)
    keys = table.keys()
    for day in range(40):
        asked(table, keys, [f"{day}/{n}" for n in range(100)])
        for _ in range(SPARED + 1):
            table.expire(50.0)
    assert len(keys) <= 1100


def test_many_names_for_few_series_are_bounded() -> None:
    table = SeriesTable(limit=100)
    keys = table.keys()
    one = table.intern("", {"n": "one"})
    for n in range(50):
        keys.learn([b"%d/%d" % (n, m) for m in range(100)], [one] * 100)
    assert len(keys) <= 1200


def test_after_a_load_nothing_is_found_that_was_known_before() -> None:
    table, other = SeriesTable(), SeriesTable()
    keys = table.keys()
    asked(table, keys, ["a", "b"])
    other.intern("", {"n": "another"})
    table.load(other.save())
    assert keys.find([b"a", b"b"]).tolist() == [UNKNOWN, UNKNOWN]


@settings(max_examples=60, stateful_step_count=60, deadline=None)
class Churn(RuleBasedStateMachine):
    """Series come and go, sources ask in any order: an index names one series at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SeriesTable(limit=6)
        self.keys = [self.table.keys(), self.table.keys()]
        self.now_s = 0.0

    @rule(which=st.integers(0, 1), names=st.lists(st.sampled_from("abcdefghij"), unique=True))
    def ask(self, which: int, names: list[str]) -> None:
        found = asked(self.table, self.keys[which], names)
        for name, index in zip(names, found, strict=True):
            if index >= 0:
                assert self.table.labels(index) == {"n": name}
        self.now_s += 1.0
        series = np.array(found, np.int32)
        kept = self.table.record(Batch("", self.now_s, series, np.zeros(len(series))))
        assert sorted(kept.series.tolist()) == sorted(i for i in found if i >= 0)

    @rule(times=st.sampled_from([1, SPARED + 1]), age=st.integers(-1, 2))
    def expire(self, times: int, age: int) -> None:
        for _ in range(times):
            for index in self.table.expire(self.now_s - age).tolist():
                with pytest.raises(KeyError):
                    self.table.labels(index)

    @rule()
    def restart(self) -> None:
        self.table.load(self.table.save())

    @invariant()
    def bounded(self) -> None:
        assert len(self.table) <= 6 >= self.table.capacity


TestChurn = Churn.TestCase
