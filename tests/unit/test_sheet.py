"""Columns with the series last: chunks, scattered series, and the same bytes after a restart."""

import numpy as np
import pytest

from aiopsd.rows import CHUNK, Cell, Sheet


def sheet() -> Sheet:
    return Sheet(level=Cell(1.5), ring=Cell(np.nan, np.float32, (3,)), seen=Cell(0, np.int16))


def ids(*series: int) -> np.ndarray:
    return np.array(series, np.int32)


def levels(one: Sheet, series: np.ndarray) -> list[float]:
    found = np.empty(len(series))
    for lane, place in one.lanes(series):
        found[place] = lane["level"]
    return found.tolist()


def put(one: Sheet, series: np.ndarray, values: np.ndarray) -> None:
    for lane, place in one.lanes(series):
        lane["level"] = values[place]
        lane["level"] += 0
        lane.close()


@pytest.mark.parametrize("count", [1, 17, CHUNK, 2 * CHUNK + 5])
def test_any_order_any_number(count: int) -> None:
    one, order = sheet(), np.random.default_rng(1).permutation(count).astype(np.int32)
    put(one, order, order.astype(float))
    every = np.arange(count, dtype=np.int32)
    assert levels(one, every) == every.tolist()
    some = every[::3]
    put(one, some, -some.astype(float))
    assert levels(one, every) == [-n if n % 3 == 0 else n for n in range(count)]
    assert len(one) == count


def test_forgotten_series_begin_again() -> None:
    one = sheet()
    put(one, ids(1, 2, 3), np.array([7.0, 8.0, 9.0]))
    one.forget(ids(2, 99))
    assert levels(one, ids(1, 5, 3)) == [7.0, 1.5, 9.0]
    assert one.one(2) is None


def test_a_part_of_a_lane_is_put_back() -> None:
    one = sheet()
    put(one, ids(0, 1, 2, 3), np.zeros(4))
    for lane, _ in one.lanes(ids(0, 3)):
        lane["level"] += 1
        part = lane.only(np.array([False, True]))
        part["level"] += 10
        part.close()
        assert lane["level"].tolist() == [1, 11]
        lane.close()
    assert levels(one, ids(0, 1, 2, 3)) == [1, 0, 0, 11]


def test_saved_and_loaded_bit_for_bit() -> None:
    one, other = sheet(), sheet()
    put(one, np.arange(CHUNK + 9, dtype=np.int32), np.arange(CHUNK + 9) / 3)
    one.forget(ids(3, CHUNK + 1))
    saved = one.save()
    other.load(saved)
    assert other.save() == saved
    assert levels(other, ids(5, CHUNK + 8)) == levels(one, ids(5, CHUNK + 8))
    for garbage in (b"", saved[:-3], Sheet(other=Cell()).save()):
        with pytest.raises(ValueError, match=r"."):
            other.load(garbage)
    assert other.save() == saved
