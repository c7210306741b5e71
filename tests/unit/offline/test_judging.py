"""One judgement a row, in the rows' order, by the daemon's own engine."""

import numpy as np
import pytest

from aiopsd.offline import judging
from aiopsd.offline.judging import in_order, judge

TIMES_S = 1_700_000_000.0 + 300 * np.arange(900.0)


def spiky(columns: int = 1) -> np.ndarray:
    values = 100 + 5 * np.random.default_rng(3).standard_normal((900, columns))
    values[700] += 200
    return values


def test_a_spike_is_found_where_it_is() -> None:
    judged = judge(TIMES_S, spiky())
    assert np.flatnonzero(judged.is_anomaly[600:800]).tolist() == [100]
    assert judged.score[700] > 0.5
    assert judged.score[700:704].max() == judged.score[300:].max()
    assert judged.low[699] < judged.expected[699] < judged.high[699]
    assert ((judged.score >= 0) & (judged.score <= 1)).all()
    assert (judged.alert_score[~judged.is_anomaly] < 1).all()


@pytest.mark.parametrize("columns", [1, 5])
def test_portions_change_nothing(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, told = judge(TIMES_S, spiky(columns)), list[int]()
    monkeypatch.setattr(judging, "PORTION", 101)
    parts = judge(TIMES_S, spiky(columns), told.append)
    for name in judging.Judgement.__slots__:
        assert np.array_equal(getattr(whole, name), getattr(parts, name), equal_nan=True), name
    assert told[-1] == 900


def test_newest_first_is_the_same_turned_round() -> None:
    forward, backward = judge(TIMES_S, spiky()), judge(TIMES_S[::-1], spiky()[::-1])
    assert np.array_equal(forward.score, backward.score[::-1])
    assert np.array_equal(forward.is_anomaly, backward.is_anomaly[::-1])


def test_a_shuffled_file_is_judged_in_order_of_time() -> None:
    mixed = np.random.default_rng(4).permutation(900)
    judged = judge(TIMES_S[mixed], spiky()[mixed])
    assert np.array_equal(judged.score, judge(TIMES_S, spiky()).score[mixed])


def test_order() -> None:
    assert in_order(np.array([3.0, 3, 2, 1])).tolist() == [3, 2, 1, 0]
    assert in_order(np.array([1.0, 1, 2, 2])).tolist() == [0, 1, 2, 3]
    summer_ends = np.concatenate((np.arange(0, 7200, 60.0), np.arange(3600, 9000, 60.0)))
    assert in_order(summer_ends).tolist() == list(range(len(summer_ends)))


def test_rows_without_time_or_value_are_rows() -> None:
    times_s, values = TIMES_S.copy(), spiky()
    times_s[[0, 5, 6]], values[[0, 9, 10]] = np.nan, np.nan
    judged = judge(times_s, values)
    assert len(judged.score) == 900
    assert np.isfinite(judged.score).all()
    assert judged.score[[0, 9, 10]].tolist() == [0, 0, 0]
    assert judged.is_anomaly[700]


def test_infinite_and_huge_values_spoil_nothing() -> None:
    values = spiky()
    values[[100, 200, 300]] = np.array([[np.inf], [-np.inf], [1e300]])
    assert judge(TIMES_S, values).is_anomaly[700]


def test_a_short_file() -> None:
    judged = judge(TIMES_S[:1], spiky()[:1])
    assert judged.score.tolist() == [0.0]
    assert judged.is_anomaly.tolist() == [False]


def test_sides_of_one_thing_are_judged_together() -> None:
    """What one of twenty columns does is less strange than what all do."""
    one, all_ = (100 + 5 * np.random.default_rng(3).standard_normal((900, 20)) for _ in range(2))
    one[700, 3] += 60
    all_[700] += 60
    assert judge(TIMES_S, all_).score[700] > judge(TIMES_S, one).score[700]
