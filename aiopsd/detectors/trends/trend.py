"""Straight lines through block means: where a series is going, and how sure that is.

The slope is the median of slopes between blocks that lie apart (the incomplete Theil-Sen
estimator: 49 pairs of 496, a tenth of the work for nearly all of the precision); a quarter of
the blocks may be anything.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats

BLOCKS: Final = 32
LAGS: Final = 10, 16, 21  # blocks
WALKS: Final = 1, 4  # blocks; noise differs as much over both, a walk four times as much
BRIDGE: Final = 5  # blocks; a straight line leads over shorter gaps
FEWEST: Final = 12  # blocks
NEWEST: Final = 3  # blocks without data at the end
SIGMA: Final = 1.4826  # of a Gaussian, by its median absolute deviation
STICKY: Final = 0.9  # most autocorrelation of residuals that is believed
TINY: Final = 1e-12

Flags = NDArray[np.bool_]
Float32s = NDArray[np.float32]


class Trend(NamedTuple):
    """One of each for every series; in units of the values and of blocks."""

    known: Flags
    slope: Floats
    level: Floats  # of the line, in the middle of the last block
    spread: Floats  # of block means around it
    r2: Floats
    error: Floats  # standard error of the slope
    walk: Floats  # variance that each block adds for good: 0 for what keeps to its line


def fit(blocks: Float32s) -> Trend:
    """``blocks``: means, oldest first, ``[n, BLOCKS]``, NaN where there is no data."""
    values = np.ascontiguousarray(_bridged(blocks))  # so that a row is summed alike in any company
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    known = (count >= FEWEST) & there[:, -1 - NEWEST :].any(axis=1)
    slope = _median(np.concatenate([(values[:, n:] - values[:, :-n]) / n for n in LAGS], axis=1))
    known &= ~np.isnan(slope)
    slope = np.where(known, slope, 0.0)
    place = np.arange(BLOCKS)
    offset = np.where(known, _median(values - slope[:, None] * place), 0.0)
    off = np.where(there & known[:, None], values - offset[:, None] - slope[:, None] * place, 0.0)
    mean = np.where(there, values, 0.0).sum(axis=1) / np.maximum(count, 1)
    around = np.where(there, values - mean[:, None], 0.0)
    rest, whole = (off**2).sum(axis=1), (around**2).sum(axis=1)
    held = np.where(there, off, np.nan)
    near, far = (
        (SIGMA * np.nan_to_num(_median(np.abs(held[:, n:] - held[:, :-n])))) ** 2 for n in WALKS
    )
    spread = SIGMA * np.nan_to_num(_median(np.where(there, np.abs(off), np.nan)))
    sticky = np.clip((off[:, 1:] * off[:, :-1]).sum(axis=1) / (rest + TINY), 0.0, STICKY)
    free = np.maximum(count * (1 - sticky) / (1 + sticky), 2.0)
    return Trend(
        known=known,
        slope=slope,
        level=offset + slope * (BLOCKS - 1),
        spread=spread,
        r2=np.where(whole > TINY, 1 - rest / np.maximum(whole, TINY), 0.0),
        error=spread * np.sqrt(12 / free) / np.maximum(count, 1),
        walk=np.maximum(far - near, 0.0) / (WALKS[1] - WALKS[0]),
    )


def _median(values: NDArray[Any]) -> Floats:
    """Of each row, without its NaN."""
    ranked = np.sort(values, axis=1)  # NaN last
    count = (~np.isnan(ranked)).sum(axis=1)
    row = np.arange(len(ranked))
    low, high = ranked[row, np.maximum(count - 1, 0) // 2], ranked[row, count // 2]
    return np.asarray(np.where(count % 2 == 1, low, (low + high) / 2))


def _bridged(blocks: Float32s) -> Floats:
    """Short gaps filled by a straight line."""
    values = blocks.astype(np.float64)
    gaps = np.isnan(values)
    some = np.flatnonzero(gaps.any(axis=1) & ~gaps.all(axis=1))
    if not len(some):
        return values
    part, place = values[some], np.arange(BLOCKS)
    there = ~np.isnan(part)
    before = np.maximum.accumulate(np.where(there, place, -1), axis=1)
    after = np.minimum.accumulate(np.where(there, place, BLOCKS)[:, ::-1], axis=1)[:, ::-1]
    fill = ~there & (before >= 0) & (after < BLOCKS) & (after - before <= BRIDGE)
    left = np.take_along_axis(part, np.maximum(before, 0), axis=1)
    right = np.take_along_axis(part, np.minimum(after, BLOCKS - 1), axis=1)
    line = left + (right - left) * (place - before) / np.maximum(after - before, 1)
    values[some] = np.where(fill, line, part)
    return values
