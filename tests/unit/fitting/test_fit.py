"""Seasons that are there are found, and none is where there is none."""

import numpy as np
import pytest

from aiopsd.fitting.fit import DAY, SLOT_SECS, WEEK, fit
from aiopsd.model import Floats

STEP_SECS = 600
MONDAY_S = 1_700_438_400.0  # 2023-11-20 00:00 UTC


def weeks(days: float, shape: str, noise: float = 4.0, seed: int = 0) -> tuple[Floats, Floats]:
    """Ten-minute samples that end at a Monday's midnight."""
    random = np.random.default_rng(seed)
    times_s = MONDAY_S - days * 86400 + np.arange(int(days * 86400 / STEP_SECS)) * STEP_SECS
    hour = times_s % 86400 / 3600
    weekday = (times_s - MONDAY_S) // 86400 % 7
    error = noise * random.standard_normal(len(times_s))
    swing = 30 * np.sin(2 * np.pi * hour / 24)
    return times_s, {
        "flat": 100 + error,
        "walk": 1000 + np.cumsum(error),
        "heavy": 100 + noise * random.standard_t(3, len(times_s)),
        "day": 100 + swing + error,
        "nightly": 100 + error + 200 * (hour < 1),
        "week": (100 + swing) * np.where(weekday < 5, 1.0, 0.6) + error,
    }[shape]


@pytest.mark.parametrize(
    ("days", "shape", "period"),
    [
        (28, "flat", "none"), (28, "walk", "none"), (28, "heavy", "none"),
        (28, "day", "day"), (28, "nightly", "day"), (28, "week", "week"),
        (4, "flat", "none"), (4, "day", "day"), (4, "nightly", "day"),
        (2, "day", "none"),
    ],
)  # fmt: skip
def test_the_season_that_is_there(days: float, shape: str, period: str) -> None:
    found = fit(*weeks(days, shape))
    assert found is not None
    assert found.period == period
    if period == "none":
        assert not found.season.any()


def test_a_season_in_noise_is_rare() -> None:
    found = [fit(*weeks(14, shape, seed=n)) for shape in ("flat", "walk") for n in range(20)]
    assert sum(one is not None and one.period != "none" for one in found) <= 1


def test_its_numbers_are_those_of_the_series() -> None:
    found = fit(*weeks(28, "week"))
    assert found is not None
    assert found.season.shape == (WEEK,)
    assert found.samples == 28 * 144
    assert found.scale == pytest.approx(4 * 0.6745, rel=0.2)  # the median of |noise|
    noon_monday, six_monday, six_sunday = 24, 12, 6 * DAY + 12
    assert found.season[six_monday] - found.season[noon_monday] == pytest.approx(30, abs=4)
    assert found.season[six_monday] - found.season[six_sunday] == pytest.approx(52, abs=5)


def test_a_hole_and_outliers_do_not_matter() -> None:
    times_s, values = weeks(28, "day")
    values[::97] *= 20
    values[1000:1400] = np.nan
    values[5] = np.inf
    found = fit(times_s, values)
    assert found is not None
    assert found.period == "day"
    assert found.season[12] == pytest.approx(30, abs=6)
    assert found.scale < 5


def test_a_slot_that_was_never_seen_says_nothing() -> None:
    times_s, values = weeks(14, "day")
    closed = (times_s % 86400) // SLOT_SECS < 16  # nobody measures at night
    found = fit(times_s[~closed], values[~closed])
    assert found is not None
    assert np.isnan(found.season).sum() in (0, 7 * 16)


@pytest.mark.parametrize("values", [[], [np.nan] * 500, [1.0] * 20])
def test_too_little_is_none(values: list[float]) -> None:
    assert fit(MONDAY_S + 600.0 * np.arange(len(values)), np.array(values)) is None


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e200])
def test_hostile_scales(scale: float) -> None:
    times_s, values = weeks(7, "day")
    found = fit(times_s, values * scale)
    assert found is not None
    assert found.period == "day"
    assert found.level == pytest.approx(100 * scale, rel=0.1)


def test_a_constant() -> None:
    found = fit(MONDAY_S + 600.0 * np.arange(2000), np.full(2000, 7.0))
    assert found is not None
    assert (found.level, found.scale, found.period) == (7.0, 0.0, "none")
