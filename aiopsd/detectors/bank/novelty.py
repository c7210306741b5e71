"""Seven members, each with its own idea of strange, and their common word.

``win4``, ``win64``: a window of so many samples is unlike all before (``windows``); ``season16``:
the same for 16 samples less what is usual at this time. ``residual``: far from what is usual at
this time. ``range``: beyond all that was ever seen. ``spread``: more, or less, restless. Each
one's statistic becomes a surprise on the series' own history (``tails``), and the plain mean of
them is the common word: agreement is the evidence (the mean beat maximum, root mean square and
weighted sums).

``missed``: the last 16 samples were not where each one before seemed to lead. It comes late and
lasts as long as the trouble, so it speaks in the dense score only: as a voter it gained nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.detectors.bank import tails, windows
from aiopsd.detectors.bank.clock import Flags, Singles, Ticks, total
from aiopsd.detectors.bank.windows import Found
from aiopsd.rows import At, Cell, Lane

MEMBERS: Final = ("win4", "win64", "season16", "residual", "range", "spread", "missed")
VOTERS: Final = 6  # the first ones; all speak in the dense score
WORDS: Final = (
    "the shape of the last 4 samples",
    "the shape of the last 64 samples",
    "the last 16 samples, less what is usual at this time",
    "the distance from what is usual at this time",
    "beyond all that was seen before",
    "its restlessness, less or more than usual",
    "samples that are not where the one before seemed to lead",
)
RESIDUAL, RANGE, SPREAD, MISSED = 3, 4, 5, 6
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
SUMS: Final = 10  # what an epoch adds up
LEVELS, DEVS, DIFFS, SPREADS, RESTS, RESTED, TICKS, AHEADS, SQUARES, MISSES = range(SUMS)
HELD: Final = 8  # what it holds on to
(RESIDUAL_UNIT, AWAY_MOST, AWAY_UNIT, STEP_UNIT, STEP_MOST, SPREAD_UNIT, AHEAD, MISSED_UNIT) = (
    range(HELD)
)

CELLS: Final = (
    {
        "pace_level": Cell(),
        "pace_dev": Cell(),  # mean |y - level|
        "pace_diff": Cell(),  # mean seasonal step
        "pace_new": Cell(0, np.float32, (SUMS,)),
        "pace_held": Cell(1e-9, np.float32, (HELD,)),
        "pace_rest": Cell(),  # mean |y - what is usual at this time|
        "pace_rests": Cell(),  # samples of that
        "pace_base": Cell(),  # what was expected at the last tick
        "low": Cell(),  # all-time range
        "high": Cell(),
        "pace_recent": Cell(0, np.float32, (2,)),  # steps and misses of the last samples, in units
        "spread_slow": Cell(),  # steps of the last 400
        "ahead_last": Cell(),  # what the last tick was away by, in mean deviations
        "ahead_product": Cell(),  # mean of that times its next,
        "ahead_square": Cell(),  # and of its square: their ratio leads to the next
        "ahead_miss": Cell(),  # mean |y - where it led to|
        "said": Cell(0, np.float32, (len(MEMBERS),)),  # newest surprises, to explain with
    }
    | windows.CELLS
    | tails.cells(len(MEMBERS))
)


@dataclass(frozen=True, slots=True)
class Novelty:
    """How strange each tick is, in decades, ``[T, n]``."""

    plain: Singles  # each member counts at most DENSE
    capped: Singles  # each voter counts at most CAP


def observe(lane: Lane, ticks: Ticks, base: Singles | None) -> Novelty:
    """``base[T, n]``: what is usual at this time, NaN where nobody knows; None: nowhere."""
    shape = ticks.y.shape
    if base is None:
        seasonal, expected = np.zeros(shape, np.bool_), np.empty(shape, np.float32)
        expected[...] = lane["pace_level"]
    else:
        seasonal = np.isfinite(base)
        expected = np.where(seasonal, base, lane["pace_level"])
    members = shape[0], len(MEMBERS), shape[1]
    found = Found(np.empty(members, np.float32), np.empty(members, np.bool_))
    warm = ticks.ok & (ticks.seen > WARM)
    rest = ticks.y - expected
    _range(lane, ticks, warm, found)
    _residual(lane, np.abs(rest), seasonal & (ticks.seen > WARM), seasonal, found)
    step, miss = _step(lane, ticks, expected), _miss(lane, ticks, rest)
    _recent(lane, ticks, step, miss, found)
    windows.observe(lane, ticks, rest, seasonal, found)
    s, beyond = tails.surprise(lane, found.v, found.ok)
    _note(lane, ticks, step)
    lane["said"] = s[-1]
    voters = np.add.reduce(found.ok[:, :VOTERS].view(np.uint8), axis=1, dtype=np.uint8)
    young = 1 + HALF_YOUNG / (ticks.seen + 1)
    plain, capped = _words(s, beyond)
    every = np.maximum(voters + found.ok[:, MISSED], 1)
    return Novelty(plain / (every * young), capped / (np.maximum(voters, 1) * young))


def _words(s: Singles, beyond: tuple[At, ...]) -> tuple[Singles, Singles]:
    """The sums of what each member may count for; ``beyond``: where it could be more."""
    capped = _sum(s)
    plain = capped + s[:, MISSED]
    high = s[beyond] > CAP
    if np.count_nonzero(high):
        row, at = beyond[0][high], beyond[2][high]
        columns = s[row, :, at]
        capped[row, at] = _sum(np.minimum(columns, np.float32(CAP)))
        columns = np.minimum(columns, np.float32(DENSE))
        plain[row, at] = _sum(columns) + columns[:, MISSED]
    return plain, capped


def _sum(s: Singles) -> Singles:
    """Of the voters, in their order, whatever the shape."""
    sum_ = s[:, 0] + s[:, 1]
    for m in range(2, VOTERS):
        sum_ += s[:, m]
    return sum_


def _range(lane: Lane, ticks: Ticks, warm: Flags, found: Found) -> None:
    """How far beyond all that was seen, in spans."""
    y = ticks.y
    if lane["seen"].min() == 0:
        first = ticks.seen[0] == 0
        lane["low"] = np.where(first, y[0], lane["low"])
        lane["high"] = np.where(first, y[0], lane["high"])
    v = found.v[:, RANGE]
    v[...], found.ok[:, RANGE] = 0, warm
    beyond = (y > lane["high"]) | (y < lane["low"])
    if not np.count_nonzero(beyond):
        return
    for i in np.flatnonzero(beyond.any(axis=1)).tolist():
        some = np.flatnonzero((y[i] > lane["high"]) | (y[i] < lane["low"]))
        high, low, now = lane["high"][some], lane["low"][some], y[i, some]
        breach = np.maximum(now - high, low - now) / np.maximum(high - low, _floor(lane)[some])
        v[i, some] = np.minimum(breach, 10) * warm[i, some]
        lane["high"][some], lane["low"][some] = np.maximum(high, now), np.minimum(low, now)


def _residual(lane: Lane, rest: Singles, ok: Flags, seasonal: Flags, found: Found) -> None:
    """How far from the profile, in usual distances."""
    found.ok[:, RESIDUAL] = ok
    if not np.count_nonzero(seasonal):
        found.v[:, RESIDUAL] = 0
        return
    usual, count = lane["pace_rest"], lane["pace_rests"]
    found.v[:, RESIDUAL] = np.where(ok, rest / lane["pace_held"][RESIDUAL_UNIT], 0)
    calm = np.where(count < EARLY, rest, np.minimum(rest, CLIP * usual)) * seasonal
    total(lane["pace_new"][RESTS], calm)
    total(lane["pace_new"][RESTED], seasonal)


def _step(lane: Lane, ticks: Ticks, expected: Singles) -> Singles:
    """The seasonal steps: what a sample moved by, less what was expected to."""
    before = np.concatenate((lane["pace_base"][None], expected[:-1]))
    step = np.abs((ticks.y - ticks.before) - (expected - before))
    if np.count_nonzero(ticks.broken):
        step *= ~ticks.broken
    lane["pace_base"] = expected[-1]
    return np.asarray(step)


def _miss(lane: Lane, ticks: Ticks, rest: Singles) -> Singles:
    """How far a sample is from where the one before led to: an AR(1) around what is expected."""
    held, new = lane["pace_held"], lane["pace_new"]
    calm = np.minimum(np.maximum(rest, -held[AWAY_MOST]), held[AWAY_MOST])
    calm /= held[AWAY_UNIT]  # the squares of some values would be infinite
    before = np.concatenate((lane["ahead_last"][None], calm[:-1]))
    lane["ahead_last"] = calm[-1]
    miss = np.abs(rest - held[AHEAD] * before)
    if np.count_nonzero(ticks.broken):
        miss *= ~ticks.broken
    rows = np.empty((len(miss), 3, lane.n), np.float32)
    np.multiply(calm, before, out=rows[:, 0])
    np.multiply(before, before, out=rows[:, 1])
    np.minimum(miss, CLIP * held[MISSED_UNIT], out=rows[:, 2])
    if lane["seen"].min() < EARLY:
        rows[:, 2] = np.where(ticks.seen < EARLY, miss, rows[:, 2])
    total(new[AHEADS : MISSES + 1], rows)
    return np.asarray(miss)


def _recent(lane: Lane, ticks: Ticks, step: Singles, miss: Singles, found: Found) -> None:
    """Of the last 16 samples: restlessness against the last 400, and how far they missed."""
    held, a = lane["pace_held"], np.empty((len(step), 2, lane.n), np.float32)
    np.divide(step, held[STEP_UNIT], out=a[:, 0])
    np.divide(miss, held[MISSED_UNIT], out=a[:, 1])
    np.minimum(a, 8, out=a)
    total(lane["pace_new"][SPREADS], np.minimum(a[:, 0], 4))
    rate = np.maximum(np.float32(1 / 16), 1 / (ticks.seen + 1))
    recent = lane["pace_recent"]
    for i in range(len(a)):
        recent += rate[i] * (a[i] - recent)
        a[i] = recent
    v = a[:, 0] + np.float32(0.1)
    v /= held[SPREAD_UNIT]
    np.abs(np.log(v), out=found.v[:, SPREAD])
    found.v[:, MISSED] = a[:, 1]
    found.ok[:, SPREAD] = found.ok[:, MISSED] = ok = ticks.seen > WARM
    if not ok.all():
        found.v[:, SPREAD] *= ok
        found.v[:, MISSED] *= ok


def _note(lane: Lane, ticks: Ticks, step: Singles) -> None:
    """What the epoch will teach of level and scales."""
    new, away = lane["pace_new"], ticks.y - lane["pace_level"]
    most, slow = lane["pace_held"][AWAY_MOST], np.minimum(step, lane["pace_held"][STEP_MOST])
    calm = np.minimum(np.maximum(away, -most), most)
    if lane["seen"].min() < EARLY:
        early = ticks.seen < EARLY
        calm, slow = np.where(early, away, calm), np.where(early, step, slow)
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
    for name, which in (("product", AHEADS), ("square", SQUARES), ("miss", MISSES)):
        lane[f"ahead_{name}"] += spread * (new[which] - ticks * lane[f"ahead_{name}"])
    lane["pace_rests"] += new[RESTED]
    rest = np.maximum(1 / np.maximum(lane["pace_rests"], 1), 1 / REST)
    lane["pace_rest"] += rest * (new[RESTS] - new[RESTED] * lane["pace_rest"])
    tails.learn(lane, ticks)
    lane["pace_new"] = 0
    floor = _floor(lane)
    scale = np.maximum(lane["pace_dev"], np.float32(0.1) * floor)
    windows.learn(lane, scale)
    held = lane["pace_held"]
    held[RESIDUAL_UNIT] = np.maximum(lane["pace_rest"], LEAST_REST * scale)
    held[AWAY_MOST], held[AWAY_UNIT] = CLIP * scale, scale
    held[STEP_UNIT] = np.maximum(lane["pace_diff"], floor)
    held[STEP_MOST] = CLIP * np.maximum(lane["pace_diff"], np.float32(0.1) * floor)
    held[SPREAD_UNIT] = lane["spread_slow"] + np.float32(0.1)
    lead = lane["ahead_product"] / np.maximum(lane["ahead_square"], TINY)
    held[AHEAD] = np.minimum(np.maximum(lead, 0), 1) * scale
    held[MISSED_UNIT] = np.maximum(lane["ahead_miss"], LEAST_REST * scale)


def _floor(lane: Lane) -> Singles:
    level = np.abs(lane["pace_level"] + lane["origin"].astype(np.float32))
    return np.asarray(np.maximum(FLOOR * level, TINY))
