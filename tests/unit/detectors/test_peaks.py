"""How high is usual: surprises of who often comes up high are divided by it."""

import numpy as np
import pytest

from aiopsd.detectors.groups import peaks
from aiopsd.model import Floats
from aiopsd.rows import Rows

EVERY = np.array([43.2])  # a thousand surprises a half day: the highest should be 3.16 decades
HALF = 43_200.0
DUE = 3 + peaks.MEDIAN


def lived(highest: list[float]) -> Floats:
    """The bar after these half days."""
    rows, at = Rows(**peaks.COLUMNS), np.array([0])
    for half, high in enumerate([*highest, 0.0]):
        found = peaks.bar(rows, at, np.array([high]), 100 + HALF * half, EVERY)
    return found


def test_a_tail_that_is_told_right_needs_no_bar() -> None:
    assert lived([DUE] * 20) == 1
    assert lived([1.0] * 20) == 1, "a calm one is not held to a lower limit"


def test_who_comes_up_twice_as_high_every_day_is_divided_by_two() -> None:
    assert lived([2 * DUE] * 14) == pytest.approx(2)


@pytest.mark.parametrize("events", [1, 2, 3])
def test_a_few_real_events_in_a_week_change_little(events: int) -> None:
    assert lived([DUE] * (14 - events) + [30.0] * events) == pytest.approx(1)


def test_young_it_takes_two_days_to_believe_that_high_is_usual() -> None:
    assert lived([30.0] * 2) == 1
    assert lived([30.0] * 4) > 5


def test_the_highest_of_many_numbers_is_what_is_due() -> None:
    """Surprises that are told right: one in N is log10(N) decades."""
    random = np.random.default_rng(1)
    highest = (-np.log10(random.random((1000, 2000)))).max(axis=0)
    assert np.median(highest) == pytest.approx(DUE, abs=0.05)


def test_who_was_told_of_needs_more_for_two_weeks_and_once_in_half_a_day() -> None:
    rows, at, day = Rows(**peaks.TIRED), np.array([0]), 86400.0
    assert peaks.weary(rows, at, day) == 1
    for minute in range(5):
        peaks.tire(rows, at, day + 60 * minute)
    assert peaks.weary(rows, at, day + 300) == pytest.approx(1.2, abs=1e-3)
    peaks.tire(rows, at, 2 * day)
    assert peaks.weary(rows, at, 2 * day) == pytest.approx(1.37, abs=0.01)
    assert peaks.weary(rows, at, 40 * day) < 1.03
