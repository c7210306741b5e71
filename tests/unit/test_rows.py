"""Rows of numbers by series: stable, growing, and the same after a restart."""

import msgspec
import numpy as np
import pytest

from aiopsd.rows import Column, Rows, pack, unpack


def rows() -> Rows:
    return Rows(level=Column(1.5), ring=Column(np.nan, np.float32, 3), flag=Column(0, np.bool_))


def ids(*series: int) -> np.ndarray:
    return np.array(series, np.int32)


def test_a_new_row_starts_with_its_fill_and_keeps_its_place() -> None:
    one = rows()
    at = one.of(ids(7, 100_000))
    assert one["level"][at].tolist() == [1.5, 1.5]
    assert np.isnan(one["ring"][at]).all()
    one["level"][at] = 3, 4
    for n in range(1000):
        one.of(ids(n))
    assert one["level"][one.find(ids(7, 100_000))].tolist() == [3, 4]
    assert len(one) == 1001


def test_find_does_not_make_rows() -> None:
    one = rows()
    assert one.find(ids(5)).tolist() == [-1]
    assert len(one) == 0


def test_a_forgotten_row_is_used_again_as_new() -> None:
    one = rows()
    at = one.of(ids(1, 2))
    one["level"][at], one["ring"][at], one["flag"][at] = 9, 9, True
    assert one.forget(ids(2, 77)).tolist() == [at[1]]
    assert one.find(ids(2)).tolist() == [-1]
    again = one.of(ids(3))
    assert again.tolist() == [at[1]]
    assert one["level"][again].tolist() == [1.5]
    assert np.isnan(one["ring"][again]).all()
    assert one["flag"][again].tolist() == [False]
    assert sorted(one.known()[0].tolist()) == [1, 3]


def test_a_series_twice_is_one_row() -> None:
    one = rows()
    at = one.of(ids(4, 4))
    assert at[0] == at[1]
    assert len(one) == 1


def test_saved_and_loaded_bit_for_bit() -> None:
    one, other = rows(), rows()
    at = one.of(ids(3, 5, 8))
    one["level"][at] = 0.1 + 0.2, np.inf, np.nan
    one.forget(ids(5))
    other.of(ids(1))
    other.load(one.save())
    assert other.save() == one.save()
    assert other.find(ids(1)).tolist() == [-1]
    assert other["level"][other.find(ids(3))][0] == 0.1 + 0.2
    assert other.find(ids(5)).tolist() == [-1]
    assert len(other) == 2


def test_columns_may_come_and_go_between_versions() -> None:
    one = rows()
    one["level"][one.of(ids(3))] = 7
    other = Rows(level=Column(), fresh=Column(2.0))
    other.load(one.save())
    at = other.find(ids(3))
    assert (other["level"][at][0], other["fresh"][at][0]) == (7, 2)


@pytest.mark.parametrize("cut", [0, 1, 10, 40])
def test_garbage_is_refused_and_leaves_what_was_there(cut: int) -> None:
    one = rows()
    one["level"][one.of(ids(3))] = 7
    twice = msgspec.msgpack.encode((np.array([3, 3], np.int32).tobytes(), {}))
    for garbage in (one.save()[:cut], b"\x92\xc4\x01\x00\x80", twice, b"\xff" * (cut + 1)):
        with pytest.raises(ValueError, match=r"."):
            one.load(garbage)
    assert one["level"][one.find(ids(3))].tolist() == [7]


def test_what_another_part_saved_is_refused() -> None:
    assert unpack("band", 1, pack("band", 1, 5), tuple[int]) == (5,)
    with pytest.raises(ValueError, match="'band' version 1, not 'novel' version 1"):
        unpack("novel", 1, pack("band", 1, 5), tuple[int])
    with pytest.raises(ValueError, match="version 1, not 'band' version 2"):
        unpack("band", 2, pack("band", 1, 5), tuple[int])
    with pytest.raises(ValueError, match="cannot be read"):
        unpack("band", 1, pack("band", 1, "five"), tuple[int])
