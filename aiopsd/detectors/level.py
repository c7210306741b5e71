"""Where a series without a day is expected: a slow level, or a fast one for series that wander.

White noise is best predicted by a long mean, a queue or a sliding window by its last few values;
each series shows by its errors which it is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

SLOW, FAST = 128.0, 8.0  # samples remembered
WANDERS, RESTS = (
    0.6,
    1.0,
)  # fast error against slow: on below, off above (equal: a change costs nothing)
SMOOTH: Final = 1.0  # steps against spread, where errors are not known yet; white noise has 1.4

COLUMNS: Final = {
    "level": Column(),
    "miss": Column(),  # mean |x - level|
    "fast": Column(),
    "fast_miss": Column(),
    "step": Column(),  # mean |x - the sample before|
    "wanders": Column(0.0, np.bool_),
}


def begin(rows: Rows, at: At, kept: Floats) -> Floats:
    """From the warm-up, shape ``[n, samples]``: robust levels; returns the deviations."""
    middle = np.median(kept, axis=1)
    away = kept - middle[:, None]
    fast, wandered = kept[:, 0].copy(), np.zeros_like(kept)
    for i in range(1, kept.shape[1]):
        wandered[:, i] = kept[:, i] - fast
        fast += max(1 / (i + 1), 1 / FAST) * wandered[:, i]
    rows["level"][at], rows["fast"][at] = middle, fast
    rows["miss"][at], rows["fast_miss"][at] = np.abs(away).mean(1), np.abs(wandered).mean(1)
    rows["step"][at] = np.abs(np.diff(kept, axis=1)).mean(1)
    rows["wanders"][at] = wanders = rows["step"][at] < SMOOTH * rows["miss"][at]
    return np.where(wanders[:, None], wandered, away)


def predicted(rows: Rows, at: At) -> Floats:
    return np.where(rows["wanders"][at], rows["fast"][at], rows["level"][at])


def error(rows: Rows, at: At) -> Floats:
    """The mean error of what is predicted."""
    return np.where(rows["wanders"][at], rows["fast_miss"][at], rows["miss"][at])


def learn(rows: Rows, at: At, x: Floats, step: Floats, weight: Floats, age: Floats) -> None:
    """Takes in samples as far as their weight; ``step`` is how far each is from the last."""
    slow = weight / np.clip(age, 1.0, SLOW)  # a plain mean at first
    for level, miss, gain in (("level", "miss", slow), ("fast", "fast_miss", weight / FAST)):
        d = x - rows[level][at]
        rows[level][at] += gain * d
        rows[miss][at] += slow * (np.abs(d) - rows[miss][at])
    rows["step"][at] += slow * (step - rows["step"][at])


def choose(rows: Rows, at: At) -> Floats:
    """Slow or fast; returns how much larger errors become by the change (1: none)."""
    was, slow, fast = rows["wanders"][at], rows["miss"][at], rows["fast_miss"][at]
    rows["wanders"][at] = now = fast < np.where(was, RESTS, WANDERS) * slow
    ratio = np.clip(fast / np.maximum(slow, 1e-300), 0.05, 1.0)
    return np.where(now & ~was, ratio, np.where(was & ~now, 1 / ratio, 1.0))


def move(rows: Rows, at: At, level: Floats, miss: Floats) -> None:
    """A new level was accepted."""
    rows["level"][at] = rows["fast"][at] = level
    rows["miss"][at] = rows["fast_miss"][at] = miss
