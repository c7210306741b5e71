"""Missing is certain after a while; our own silence says nothing of others."""

import numpy as np
import pytest

from aiopsd.detectors.absent import Absent, AbsentSettings
from aiopsd.model import Batch
from aiopsd.settings import Duration


def absent(after: float = 60.0, forget: float = 3600.0) -> Absent:
    return AbsentSettings(after=Duration(after), forget=Duration(forget)).build(lambda _: {})


def tick(one: Absent, time_s: float, **values: float) -> dict[str, tuple[float, bool]]:
    """Series a, b, ... -> (score, certain)."""
    series = np.array([ord(name) - 97 for name in values], np.int32)
    scores = one.observe(Batch("r", time_s, series, np.array(list(values.values()), float)))
    return {
        chr(97 + index): (float(score), bool(certain))
        for index, score, certain in zip(scores.series, scores.score, scores.certain, strict=True)
    }


def learned(one: Absent) -> None:
    for n in range(4):
        tick(one, n * 15.0, a=1, b=2)


def test_missing_long_enough_is_certain_and_back_is_fine() -> None:
    one = absent()
    learned(one)
    found = [tick(one, 45 + n * 15.0, a=1).get("b") for n in range(1, 6)]
    assert found[0] is None  # 15 s late is nothing
    assert found[1] == (pytest.approx(0.245), False)
    assert found[3] == found[4] == (1.0, True)
    assert tick(one, 135.0, a=1, b=2) == {"a": (0.0, False), "b": (0.0, False)}


def test_an_empty_tick_counts_and_nan_is_missing() -> None:
    for sample in ({}, {"a": float("nan"), "b": float("inf")}):
        one = absent()
        learned(one)
        for n in range(1, 5):
            found = tick(one, 45 + n * 15.0, **sample)
        assert found == {"a": (1.0, True), "b": (1.0, True)}


def test_what_was_seen_twice_is_not_missed() -> None:
    one = absent()
    tick(one, 0, a=1, b=1)
    tick(one, 15, a=1, b=1)
    for n in range(2, 12):
        found = tick(one, n * 15.0, a=1)
        assert found.get("b", (0.0, False))[1] is False


def test_after_our_own_silence_nobody_is_absent_at_once() -> None:
    """A restart after two hours: the first batch is of one target, the others follow."""
    one = absent()
    learned(one)
    assert tick(one, 7245.0, a=1).get("b", (0, False))[1] is False
    assert tick(one, 7246.0, b=1)["b"] == (0.0, False)


def test_rules_read_less_often_than_the_patience_work_too() -> None:
    one = absent(after=60)
    for n in range(4):
        tick(one, n * 120.0, a=1, b=2)
    found = [tick(one, 360 + n * 120.0, a=1).get("b", (0, False))[1] for n in range(1, 4)]
    assert found == [False, True, True]


def test_in_the_end_it_is_how_things_are() -> None:
    one = absent(after=60, forget=120)
    learned(one)
    said = [tick(one, 45 + n * 15.0, a=1).get("b") for n in range(1, 12)]
    assert said[5] == (1.0, True)
    assert said[-1] is None


def test_a_clock_that_jumps_ahead_makes_nobody_absent() -> None:
    one = absent()
    learned(one)
    assert tick(one, 1e12, a=1).get("b", (0, False))[1] is False
    assert tick(one, 60.0, a=1, b=1) == {"a": (0.0, False), "b": (0.0, False)}


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        AbsentSettings(after=Duration(0))
    with pytest.raises(ValueError, match="longer than"):
        AbsentSettings(after=Duration(60), forget=Duration(60))
