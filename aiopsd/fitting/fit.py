"""The season, level and scale of one series: MSTL where a season is there, and proof that it is.

MSTL is Bandara, Hyndman and Bergmeir (2021), https://arxiv.org/abs/2107.13462, on top of STL
(Cleveland et al. 1990). A decomposition finds a season in any noise; so a season counts only when
the one of the earlier weeks predicts the last days clearly better than no season does.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats

SLOT_SECS: Final = 1800
DAY: Final = 48  # slots
WEEK: Final = 7 * DAY
MONDAY: Final = 4 * DAY  # slots from 1970-01-01 to the first Monday
LEAST_SLOTS: Final = DAY  # with less than a day, the daemon's own learning is as good
DAYS, WEEKS = 3, 3  # cycles without which a season cannot be tried on the last ones
HELD_OUT: Final = 4  # a quarter of the cycles is what it is tried on
BETTER: Final = 0.9  # of the error without it: what a season must come to
HOLE_SLOTS: Final = 4  # a hole of more than two hours says nothing of the season there

Period = Literal["none", "day", "week"]
Slots = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fit:
    """See ``contracts.Lesson`` for what the fields mean; ``season`` has 336 slots."""

    level: float
    scale: float
    season: Floats
    period: Period
    samples: int


def fit(times_s: Floats, values: Floats) -> Fit | None:
    """From samples in order of time, both ``[n]``; None where there is too little of them."""
    ok = np.isfinite(values)
    times_s, values = times_s[ok], values[ok]
    if not len(values):
        return None
    slot = (times_s // SLOT_SECS).astype(np.int64)
    first, series = int(slot[0]), _by_slot(slot, values)
    if np.isfinite(series).sum() < LEAST_SLOTS:
        return None
    seen = np.isfinite(series)
    filled = np.interp(np.arange(len(series)), np.flatnonzero(seen), series[seen])
    period = _period(filled, seen)
    season = _of_week(_decomposed(filled, period), seen, first, period)
    here = np.nan_to_num(season[(np.arange(len(series)) + first - MONDAY) % WEEK])
    level = _running(filled - here)
    residual = np.abs(values - (here + level)[slot - first])
    recent = times_s > times_s[-1] - 7 * 86400  # the noise of today, not of last month
    return Fit(
        level=float(np.median((filled - here)[-DAY:])),
        scale=float(np.median(residual[recent])),
        season=season,
        period=period,
        samples=len(values),
    )


def _by_slot(slot: Slots, values: Floats) -> Floats:
    """Medians by half hour, NaN where nothing was seen: one outlier moves none of them."""
    starts = np.unique(slot, return_index=True)[1]
    medians = [float(np.median(part)) for part in np.split(values, starts[1:])]
    series = np.full(int(slot[-1] - slot[0]) + 1, np.nan)
    series[slot[starts] - slot[0]] = medians
    return series


def _period(series: Floats, seen: Flags) -> Period:
    """The season that predicts the last cycles clearly better than what is simpler."""
    best: Period = "none"
    trials: tuple[tuple[Period, int, int], ...] = (("day", DAY, DAYS), ("week", WEEK, WEEKS))
    for period, length, cycles in trials:
        held_out = max(1, len(series) // length // HELD_OUT) * length
        known = seen[-held_out:]
        if len(series) < cycles * length or known.sum() < held_out // 2:
            break
        missed = {one: _missed(series, held_out, known, one) for one in (best, period)}
        if missed[period] < BETTER * missed[best]:
            best = period
    return best


def _missed(series: Floats, held_out: int, known: Flags, period: Period) -> float:
    """Mean error of the last cycles' shape, as the plain profile of the earlier ones tells it.

    The mean, not the median: a nightly job of an hour is a season too.
    """
    level = _running(series)
    shape = np.zeros(held_out)
    if period != "none":
        cycle = DAY if period == "day" else WEEK
        whole = (len(series) - held_out) // cycle * cycle
        earlier = (series - level)[-held_out - whole : -held_out].reshape(-1, cycle)
        shape = np.resize(np.median(earlier, axis=0), held_out)
    error = (series - level)[-held_out:] - shape
    return float(np.abs(error[known]).mean())


def _decomposed(series: Floats, period: Period) -> Floats:
    """The season by slot."""
    from statsmodels.tsa.seasonal import MSTL, STL

    if period == "none" or float(np.ptp(series)) == 0.0:
        return np.zeros(len(series))
    # Seasons that hardly change, over all the weeks there are; every fifth slot is smoothed anew
    # and the others lie on lines between, which costs nothing and is many times as fast.
    window = max(7, 2 * (len(series) // DAY) + 1)
    options = {"robust": True, "trend_jump": DAY // 10, "low_pass_jump": DAY // 10}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cycles that are few: we have counted them
        if period == "day":
            return np.asarray(STL(series, period=DAY, seasonal=window, **options).fit().seasonal)
        windows = (window, window)
        found = MSTL(series, periods=(DAY, WEEK), windows=windows, stl_kwargs=options).fit()
    return np.asarray(found.seasonal.sum(axis=1))


def _running(series: Floats) -> Floats:
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(series, size=min(DAY, len(series)), mode="nearest"))


def _of_week(season: Floats, seen: Flags, first_slot: int, period: Period) -> Floats:
    """The last cycle of the season as slots of a week from Monday on."""
    if period == "none":
        return np.zeros(WEEK)
    slots = np.arange(len(season)) + first_slot - MONDAY
    cycle = DAY if period == "day" else WEEK
    total, count = np.zeros(cycle), np.zeros(cycle)
    last = slice(-min(len(season), 4 * cycle), None)
    known = seen[last] | ~_in_hole(seen)[last]
    np.add.at(total, slots[last][known] % cycle, season[last][known])
    np.add.at(count, slots[last][known] % cycle, 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.tile(total / count, WEEK // cycle))


def _in_hole(seen: Flags) -> Flags:
    """Slots in holes that are too long to be filled by a line."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], seen, [True])).astype(np.int8)))
    hole = np.zeros(len(seen), bool)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        hole[begin:end] = end - begin > HOLE_SLOTS
    return hole
