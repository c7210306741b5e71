"""What the hour adds to a level: without it, a large swing hides a step.

The mean of each hour of the week is kept. By day, an hour is expected where the median of its
seven days is; by week, where it was a week ago. A season is believed that predicted each of the
last seven days, but one, much better than the level alone did: who has not seen a weekend would
take it for a step.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

HOUR, HOURS, DAYS = 3600.0, 24, 7
NONE, BY_DAY, BY_WEEK = 0, 1, 2
MONDAY: Final = 4 * HOURS  # the epoch began on a Thursday
USEFUL: Final = 0.7  # of the error without; as in ``band``
SEEN, LEFT = 6, 5  # days of seven that were predicted so, to begin and to go on
BETTER: Final = 0.8  # of the day's error, for the week to take its place
BLEND: Final = 0.5  # how much of an hour is this week's
AT_ONCE: Final = 4096  # series; what is in between stays small

COLUMNS: Final = {
    "hours": Column(np.nan, np.float32, DAYS * HOURS),
    "hour": Column(np.nan),  # that is open, since the epoch
    "hour_sum": Column(),
    "hour_n": Column(),
    "ramp": Column(np.nan, np.float64, 4),  # through this hour: begin and end, by day and by week
    "middle": Column(np.nan, np.float64, 2),  # of the profile, by day and by week
    "offset": Column(0.0, np.float64, 2),  # of the last day, against it
    "missed": Column(0.0, np.float64, 3),  # today: by level, by day, by week
    "missed_n": Column(),
    "usual": Column(),  # mean error of a day, with the season that is believed
    "ratios": Column(np.nan, np.float32, 2 * DAYS),  # of the last days, by day and by week
    "season": Column(NONE, np.int8),
}


def turn(rows: Rows, at: At, now: float) -> At:
    """Closes hours and days that are over; returns the rows whose season is another now."""
    hour = float(now // HOUR)
    old = rows["hour"][at]
    at = at[old != hour]
    if not len(at):
        return at
    old = rows["hour"][at]
    known = ~np.isnan(old)
    _close(rows, at[known], old[known])
    ended = at[known & (old // HOURS != hour // HOURS)]
    changed = _choose(rows, ended, int(hour // HOURS) % DAYS) if len(ended) else ended
    rows["hour"][at] = hour
    for some in np.array_split(at, -(-len(at) // AT_ONCE)):
        _open(rows, some, int(hour - MONDAY) % (DAYS * HOURS))
    return changed


def _close(rows: Rows, at: At, hour: Floats) -> None:
    at, hour = at[rows["hour_n"][at] > 0], hour[rows["hour_n"][at] > 0]
    place = (hour - MONDAY).astype(np.intp) % (DAYS * HOURS)
    mean, was = rows["hour_sum"][at] / rows["hour_n"][at], rows["hours"][at, place]
    rows["hours"][at, place] = np.where(np.isnan(was), mean, was + BLEND * (mean - was))
    rows["hour_sum"][at] = rows["hour_n"][at] = 0.0


def _open(rows: Rows, at: At, place: int) -> None:
    """The ramps through the new hour."""
    week = rows["hours"][at].astype(np.float64)
    ranked = np.sort(week.reshape(len(at), DAYS, HOURS), axis=1)  # NaN last
    count = (~np.isnan(ranked)).sum(axis=1, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, DAYS - 1)
    high = np.maximum(np.where(count > 0, high, 0), low)
    day = (np.take_along_axis(ranked, low, 1) + np.take_along_axis(ranked, high, 1))[:, 0] / 2
    for n, profile in enumerate((day, week)):
        size = profile.shape[1]
        before, here, after = (profile[:, (place + d) % size] for d in (-1, 0, 1))
        half = _slope(here - before, after - here) / 2
        rows["ramp"][at, 2 * n], rows["ramp"][at, 2 * n + 1] = here - half, here + half
        there = ~np.isnan(profile)
        total = np.where(there, profile, 0.0).sum(axis=1)
        rows["middle"][at, n] = np.where(there.any(1), total / np.maximum(there.sum(1), 1), np.nan)


def _slope(left: Floats, right: Floats) -> Floats:
    """As steep as both sides say; where one of them is a jump, at most twice as steep as the other
    (van Leer 1977). Level where nobody knows."""
    least = 2 * np.minimum(np.abs(left), np.abs(right))
    steep = np.clip((left + right) / 2, -least, least)
    return np.asarray(np.nan_to_num(np.where(left * right > 0, steep, 0.0)))


def _choose(rows: Rows, at: At, day: int) -> At:
    """By how well the day that is over was predicted; returns what changed."""
    missed, ratios = rows["missed"][at], rows["ratios"]
    plain = np.maximum(missed[:, 0], 1e-300)
    ratios[at, day] = by_day = np.where(missed[:, 0] > 0, missed[:, 1] / plain, np.nan)
    ratios[at, DAYS + day] = by_week = np.where(missed[:, 0] > 0, missed[:, 2] / plain, np.nan)
    good = (ratios[at].reshape(len(at), 2, DAYS) < USEFUL).sum(axis=2)
    was = rows["season"][at]
    days = good[:, 0] >= np.where(was == BY_DAY, LEFT, SEEN)
    weeks = good[:, 1] >= np.where(was == BY_WEEK, LEFT, SEEN)
    weeks &= ~days | (by_week < BETTER * by_day) | (was == BY_WEEK)
    now = np.where(weeks, BY_WEEK, np.where(days, BY_DAY, NONE)).astype(np.int8)
    rows["season"][at] = now
    rows["usual"][at] = missed[np.arange(len(at)), now] / np.maximum(rows["missed_n"][at], 1)
    rows["missed"][at], rows["missed_n"][at] = 0.0, 0
    changed: At = at[now != was]
    return changed


def profiles(rows: Rows, at: At, now: float, every_secs: Floats) -> Floats:
    """Where each series would be by the day and by the week, ``[n, 2]``; NaN where nobody knows."""
    part = np.where(every_secs >= HOUR, 0.5, now % HOUR / HOUR)[:, None]
    ramp = rows["ramp"][at]
    return np.asarray(ramp[:, ::2] + (ramp[:, 1::2] - ramp[:, ::2]) * part)


def swing(rows: Rows, at: At, found: Floats) -> Floats:
    """What the season adds now; 0 without one. ``found``: the profiles."""
    season = rows["season"][at]
    if not season.any():
        return np.zeros(len(at))
    more = np.nan_to_num(found - rows["middle"][at])
    return np.where(season == NONE, 0.0, more[np.arange(len(at)), np.maximum(season - 1, 0)])


def learn(rows: Rows, at: At, x: Floats, plain: Floats, found: Floats, gain: Floats) -> None:
    """Takes in calm samples; ``plain``: how far the level alone would be off."""
    rows["hour_sum"][at] += x
    rows["hour_n"][at] += 1
    rest = x[:, None] - found
    there, offset = np.isfinite(rest), rows["offset"][at]
    error = np.where(there, np.abs(rest - offset), plain[:, None])
    rows["offset"][at] += np.where(there, gain[:, None] * (rest - offset), 0.0)
    rows["missed"][at] += np.column_stack((plain, error))
    rows["missed_n"][at] += 1


def level(rows: Rows, at: At) -> Floats:
    """Where these series are, their swing taken out."""
    one = np.arange(len(at)), np.maximum(rows["season"][at] - 1, 0)
    return np.asarray(rows["middle"][at][one] + rows["offset"][at][one])


def move(rows: Rows, at: At, step: Floats) -> None:
    """The whole profile with its series."""
    for name in ("hours", "ramp", "middle"):
        rows[name][at] += step[:, None]
    rows["hour_sum"][at] = rows["hour_n"][at] = 0.0
