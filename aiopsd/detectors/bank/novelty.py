"""Six members, each with its own idea of strange, and their common word.

``win4``, ``win64``: a window of so many samples is unlike all before (``windows``); ``season16``:
the same for 16 samples less what is usual at this time. ``residual``: far from what is usual at
this time. ``range``: beyond all that was ever seen. ``spread``: more, or less, restless. Each
one's statistic becomes a surprise on the series' own history (``tails``), and the plain mean of
them is the common word: agreement is the evidence (the mean beat maximum, root mean square and
weighted sums).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.detectors.bank import tails, windows
from aiopsd.detectors.bank.clock import Flags, Singles, Ticks, running, total
from aiopsd.detectors.bank.windows import Found
from aiopsd.rows import Cell, Lane

MEMBERS: Final = ("win4", "win64", "season16", "residual", "range", "spread")
WORDS: Final = (
    "the shape of the last 4 samples",
    "the shape of the last 64 samples",
    "the last 16 samples, less what is usual at this time",
    "the distance from what is usual at this time",
    "beyond all that was seen before",
    "its restlessness, less or more than usual",
)
RESIDUAL, RANGE, SPREAD = 3, 4, 5
CAP: Final = 5.0  # decades: for alerts no single, extrapolated tail decides,
DENSE: Final = 8.0  # and for the dense score not much more
HALF_YOUNG: Final = 30.0  # samples at which a surprise counts half: young tails are guesses
WARM: Final = 30.0  # samples before range and spread speak
LEVEL, SCALE, REST = 288.0, 200.0, 400.0  # samples remembered of level, scales, residuals
CLIP: Final = np.float32(4)  # mean deviations: an outlier moves them by no more
EARLY: Final = 20.0  # samples that are not clipped, as there is no scale yet
FLOOR: Final = np.float32(1e-3)  # of the level: what is never a deviation
LEAST_REST: Final = np.float32(0.02)  # of the mean deviation: a perfect day has one too
TINY: Final = np.float32(1e-9)
LEVELS, DEVS, DIFFS, SPREADS, RESTS, RESTED, TICKS = range(7)  # what an epoch adds up

CELLS: Final = (
    {
        "pace_level": Cell(),
        "pace_dev": Cell(),  # mean |y - level|
        "pace_diff": Cell(),  # mean seasonal step
        "pace_new": Cell(0, np.float32, (7,)),
        "pace_rest": Cell(),  # mean |y - what is usual at this time|
        "pace_rests": Cell(),  # samples of that
        "pace_base": Cell(),  # what was expected at the last tick
        "low": Cell(),  # all-time range
        "high": Cell(),
        "spread_fast": Cell(),
        "spread_slow": Cell(),
        "said": Cell(0, np.float32, (len(MEMBERS),)),  # newest surprises, to explain with
    }
    | windows.CELLS
    | tails.cells(len(MEMBERS))
)


@dataclass(frozen=True, slots=True)
class Novelty:
    """How strange each tick is, in decades, ``[T, n]``."""

    plain: Singles  # each member counts at most DENSE
    capped: Singles  # each member counts at most CAP


def observe(lane: Lane, ticks: Ticks, base: Singles) -> Novelty:
    """``base[T, n]``: what is usual at this time, NaN where nobody knows."""
    seasonal = np.isfinite(base)
    expected = np.where(seasonal, base, lane["pace_level"])
    shape = len(ticks.y), len(MEMBERS), lane.n
    found = Found(np.empty(shape, np.float32), np.empty(shape, np.bool_))
    floor = _floor(lane)
    _range(lane, ticks, floor, found)
    _residual(lane, ticks, np.abs(ticks.y - expected), seasonal, floor, found)
    difference = _spread(lane, ticks, expected, floor, found)
    windows.observe(lane, ticks, expected, seasonal, found)
    s = tails.surprise(lane, found.v, found.ok)
    _note(lane, ticks, difference, floor)
    lane["said"] = s[-1]
    voters = np.maximum(found.ok.sum(axis=1), 1)
    share = (1 / (voters * (1 + HALF_YOUNG / (ticks.seen + 1)))).astype(np.float32)
    calm = np.minimum(s, np.float32(DENSE))
    return Novelty(_sum(calm) * share, _sum(np.minimum(s, np.float32(CAP))) * share)


def _sum(s: Singles) -> Singles:
    """In the order of the members, whatever the shape."""
    sum_ = s[:, 0] + s[:, 1]
    for m in range(2, len(MEMBERS)):
        sum_ += s[:, m]
    return sum_


def _floor(lane: Lane) -> Singles:
    level = np.abs(lane["pace_level"] + lane["origin"].astype(np.float32))
    return np.asarray(np.maximum(FLOOR * level, TINY))


def _range(lane: Lane, ticks: Ticks, floor: Singles, found: Found) -> None:
    """How far beyond all that was seen, in spans."""
    y, first = ticks.y, ticks.seen[0] == 0
    if np.count_nonzero(first):
        lane["low"] = np.where(first, y[0], lane["low"])
        lane["high"] = np.where(first, y[0], lane["high"])
    high, low = running(np.maximum, lane["high"], y), running(np.minimum, lane["low"], y)
    breach = np.maximum(y - high[:-1], low[:-1] - y)
    breach /= np.maximum(high[:-1] - low[:-1], floor)
    ok = ticks.ok & (ticks.seen > WARM)
    found.v[:, RANGE] = np.minimum(np.maximum(breach, 0), 10) * ok
    found.ok[:, RANGE] = ok
    lane["high"], lane["low"] = high[-1], low[-1]


def _residual(
    lane: Lane, ticks: Ticks, rest: Singles, seasonal: Flags, floor: Singles, found: Found
) -> None:
    """How far from the profile, in usual distances."""
    usual, count = lane["pace_rest"], lane["pace_rests"]
    least = LEAST_REST * np.maximum(lane["pace_dev"], np.float32(0.1) * floor)
    found.ok[:, RESIDUAL] = ok = seasonal & (ticks.seen > WARM)
    found.v[:, RESIDUAL] = np.where(ok, rest / np.maximum(usual, least), 0)
    calm = np.where(count < EARLY, rest, np.minimum(rest, CLIP * usual)) * seasonal
    total(lane["pace_new"][RESTS], calm)
    total(lane["pace_new"][RESTED], seasonal.astype(np.float32))


def _spread(lane: Lane, ticks: Ticks, expected: Singles, floor: Singles, found: Found) -> Singles:
    """Restlessness of the last 16 samples against the last 400; returns the seasonal steps."""
    before = np.concatenate((lane["pace_base"][None], expected[:-1]))
    difference = np.abs((ticks.y - ticks.before) - (expected - before))
    difference *= ~ticks.broken
    lane["pace_base"] = expected[-1]
    a = np.minimum(difference / np.maximum(lane["pace_diff"], floor), 8)
    rate = np.maximum(np.float32(1 / 16), 1 / (ticks.seen + 1))
    fast, v = lane["spread_fast"], np.empty_like(a)
    for i in range(len(a)):
        fast += rate[i] * (a[i] - fast)
        v[i] = fast
    total(lane["pace_new"][SPREADS], np.minimum(a, 4))
    ratio = (v + np.float32(0.1)) / (lane["spread_slow"] + np.float32(0.1))
    found.v[:, SPREAD] = np.abs(np.log(ratio))
    found.ok[:, SPREAD] = ticks.seen > WARM
    return np.asarray(difference)


def _note(lane: Lane, ticks: Ticks, difference: Singles, floor: Singles) -> None:
    """What the epoch will teach of level and scales."""
    new, early = lane["pace_new"], ticks.seen < EARLY
    away = ticks.y - lane["pace_level"]
    limit = CLIP * np.maximum(lane["pace_dev"], np.float32(0.1) * floor)
    steps = CLIP * np.maximum(lane["pace_diff"], np.float32(0.1) * floor)
    calm = np.minimum(np.maximum(away, -limit), limit)
    slow = np.minimum(difference, steps)
    if np.count_nonzero(early):
        calm, slow = np.where(early, away, calm), np.where(early, difference, slow)
    rows = np.empty((len(away), 3, lane.n), np.float32)
    rows[:, LEVELS], rows[:, DIFFS] = calm, slow
    np.abs(calm, out=rows[:, DEVS])
    total(new[: len(rows[0])], rows)
    new[TICKS] += len(away)


def learn(lane: Lane) -> None:
    """An epoch is over."""
    new, young = lane["pace_new"], 1 / np.maximum(lane["seen"], 1)
    ticks = new[TICKS]
    scale, spread = np.maximum(young, 1 / SCALE), np.maximum(young, 1 / 400)
    lane["pace_level"] += np.maximum(young, 1 / LEVEL) * new[LEVELS]
    lane["pace_dev"] += scale * (new[DEVS] - ticks * lane["pace_dev"])
    lane["pace_diff"] += scale * (new[DIFFS] - ticks * lane["pace_diff"])
    lane["spread_slow"] += spread * (new[SPREADS] - ticks * lane["spread_slow"])
    lane["pace_rests"] += new[RESTED]
    rest = np.maximum(1 / np.maximum(lane["pace_rests"], 1), 1 / REST)
    lane["pace_rest"] += rest * (new[RESTS] - new[RESTED] * lane["pace_rest"])
    tails.learn(lane, ticks)
    windows.learn(lane, np.maximum(lane["pace_dev"], np.float32(0.1) * _floor(lane)))
    lane["pace_new"] = 0
