"""Where a series without a day is expected: a slow level, or a fast one for series that wander.

White noise is best predicted by a long mean, a queue or a sliding window by its last few values;
each series shows by its errors which it is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.detectors.bank.clock import Flags, Singles, Ticks, mean, total
from aiopsd.rows import Cell, Lane

SLOW, FAST = 128.0, 8.0  # samples remembered
WANDERS, RESTS = 0.6, 1.0  # fast error against slow: on below, off above (equal: costs nothing)
SMOOTH: Final = 1.0  # steps against spread, where errors are not known yet; white noise has 1.4
UNSURE: Final = 0.1  # how much a sample teaches beyond the edge, or while a stretch lasts
STEPS, MISSES, FASTS, MOVES, WEIGHTS = range(5)  # what an epoch adds up

CELLS: Final = {
    "level": Cell(),
    "miss": Cell(),  # mean |y - level|
    "fast": Cell(),
    "fast_miss": Cell(),
    "step": Cell(),  # mean |y - the sample before|
    "wanders": Cell(0, np.bool_),
    "edge": Cell(),  # deviation at the band's edge, as the epoch holds on to it
    "level_new": Cell(0, np.float32, (5,)),
}


def begin(lane: Lane, kept: Singles) -> Singles:
    """From the warm-up, shape ``[samples, n]``: robust levels; returns the deviations."""
    middle = np.median(kept, axis=0)
    away = kept - middle
    fast, wandered = kept[0].copy(), np.zeros_like(kept)
    for i in range(1, len(kept)):
        wandered[i] = kept[i] - fast
        fast += np.float32(max(1 / (i + 1), 1 / FAST)) * wandered[i]
    lane["level"], lane["fast"] = middle, fast
    lane["miss"], lane["fast_miss"] = mean(np.abs(away)), mean(np.abs(wandered))
    lane["step"] = mean(np.abs(np.diff(kept, axis=0)))
    lane["wanders"] = wanders = lane["step"] < SMOOTH * lane["miss"]
    return np.where(wanders, wandered, away)


def follow(lane: Lane, ticks: Ticks) -> Singles:
    """The fast level before each tick; samples beyond the edge hardly move it."""
    fast, found, edge = lane["fast"], np.empty_like(ticks.y), lane["edge"]
    for i in range(len(found)):
        found[i] = fast
        d = ticks.y[i] - fast
        beyond = np.abs(d) > edge
        if np.count_nonzero(beyond):
            some = np.flatnonzero(beyond)
            d[some] = np.float32(UNSURE) * np.copysign(edge[some], d[some])
        d *= np.float32(1 / FAST)
        if not ticks.complete:
            d *= ticks.ok[i]
        fast += d
    return found


def note(lane: Lane, ticks: Ticks, fast: Singles, weight: Singles) -> None:
    """What the epoch will teach, as far as the weight of each sample."""
    new = lane["level_new"]
    rows = np.empty((len(weight), *new.shape), np.float32)
    moves = np.multiply(weight, ticks.y - lane["level"], out=rows[:, MOVES])
    np.abs(moves, out=rows[:, MISSES])
    np.multiply(weight, np.abs(ticks.y - fast), out=rows[:, FASTS])
    np.multiply(weight, ticks.moved, out=rows[:, STEPS])
    rows[:, WEIGHTS] = weight
    total(new, rows)


def learn(lane: Lane, n: Singles) -> None:
    """An epoch is over; ``n`` samples were known before it: a plain mean at first."""
    new = lane["level_new"]
    gain, weight = 1 / np.clip(n, 1, SLOW), new[WEIGHTS]
    lane["level"] += gain * new[MOVES]
    for name, sum_ in (("miss", MISSES), ("fast_miss", FASTS), ("step", STEPS)):
        lane[name] += gain * (new[sum_] - weight * lane[name])
    lane["level_new"] = 0


def choose(lane: Lane) -> None:
    """Slow or fast."""
    slow, fast = lane["miss"], lane["fast_miss"]
    lane["wanders"] = fast < np.where(lane["wanders"], RESTS, WANDERS) * slow


def error(lane: Lane) -> Singles:
    """The mean error of what is predicted."""
    return np.where(lane["wanders"], lane["fast_miss"], lane["miss"])


def move(lane: Lane, some: Flags, level: Singles, miss: Singles) -> None:
    """A new level was accepted."""
    for name, value in (("level", level), ("fast", level), ("miss", miss), ("fast_miss", miss)):
        lane[name] = np.where(some, value, lane[name])
