"""A series as white noise of spread 1: what a test for a change of the mean may take for granted.

Level and spread are robust and follow within a day. What a sample shares with the one before is
taken out (``z - phi * z_before``), and what is still shared over blocks of 64 samples, such as a
day, widens the spread. So a test that is quiet on white noise is quiet on a queue, too.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

WARM: Final = 30  # samples before the first judgement
RECENT: Final = 30  # samples kept
FEW: Final = 7  # samples that say where a series is
CLIP: Final = 5.0  # spreads; nothing counts for more
GAUSS: Final = 1.25  # standard deviation of a Gaussian, by its mean deviation
MEMORY_SECS, MEMORY = 86400.0, (256.0, 65536.0)  # a day, within these numbers of samples
MOST_SHARED: Final = 0.95  # phi; beyond it a wandering series would have no mean at all
BLOCK: Final = 64  # samples
PRIOR_BLOCKS, BLOCKS = 2.0, 32.0  # of white noise taken for granted; remembered

COLUMNS: Final = {
    "recent": Column(0.0, np.float64, RECENT),  # the last samples, a ring
    "written": Column(),
    "level": Column(),
    "variance": Column(),
    "steps": Column(),  # mean square of the difference of two samples
    "before": Column(),  # z of the sample before
    "block_sum": Column(),
    "block_n": Column(),
    "blocks": Column(PRIOR_BLOCKS),
    "block_square": Column(1.0),  # BLOCK * mean square of the blocks' means: 1 for white noise
}


def write(rows: Rows, at: At, x: Floats) -> None:
    written = rows["written"][at]
    rows["recent"][at, written.astype(np.intp) % RECENT] = x
    rows["written"][at] = written + 1


def newest(rows: Rows, row: int, count: int) -> Floats:
    """The last ``count`` samples of one series, oldest first, as far as they are kept."""
    written = int(rows["written"][row])
    places = np.arange(max(written - min(count, RECENT), 0), written) % RECENT
    return np.asarray(rows["recent"][row, places])


def middle(rows: Rows, at: At) -> Floats:
    """The median of the last few samples: where each of these series is."""
    written = rows["written"][at].astype(np.intp)[:, None]
    places = np.maximum(written - 1 - np.arange(FEW), 0) % RECENT
    return np.asarray(np.median(rows["recent"][at[:, None], places], axis=1))


def begin(rows: Rows, at: At, least: Floats | float = 0.0) -> None:
    """Level and spread from the last samples; the variance is at least ``least``."""
    kept = rows["recent"][at]
    level = np.median(kept, axis=1)
    away = np.sort(np.abs(kept - level[:, None]), axis=1)
    limit = CLIP * GAUSS * away[:, :-2].mean(axis=1)
    order = (rows["written"][at].astype(np.intp)[:, None] + np.arange(RECENT)) % RECENT
    d = np.clip(np.take_along_axis(kept, order, axis=1) - level[:, None], -limit[:, None],
                limit[:, None])  # fmt: skip
    rows["level"][at], rows["variance"][at] = level, np.maximum((d * d).mean(axis=1), least)
    step = np.diff(d, axis=1)
    rows["steps"][at] = np.maximum((step * step).mean(axis=1), least)
    rows["before"][at] = rows["block_sum"][at] = rows["block_n"][at] = 0.0


def restart(rows: Rows, at: At, level: Floats, miss: Floats) -> None:
    """Another season is taken out: here is the level now, and so far off are samples usually."""
    rows["level"][at], rows["variance"][at] = level, (GAUSS * miss) ** 2
    rows["steps"][at] = np.minimum(rows["steps"][at], 2 * rows["variance"][at])
    rows["recent"][at] = level[:, None]
    rows["before"][at] = rows["block_sum"][at] = rows["block_n"][at] = 0.0
    rows["blocks"][at], rows["block_square"][at] = PRIOR_BLOCKS, 1.0


def spread(rows: Rows, at: At, floor: Floats) -> Floats:
    """Of one sample; a series that hardly moves has a quarter of the floor."""
    return np.asarray(np.maximum(np.sqrt(rows["variance"][at]), floor / 4))


def noise(rows: Rows, at: At, floor: Floats) -> Floats:
    """The spread that counts: a change of the mean by so much moves white noise by 1."""
    phi = _shared(rows, at)
    widened = np.sqrt(np.maximum(rows["block_square"][at], 1.0))
    return np.asarray(spread(rows, at, floor) * np.sqrt((1 + phi) / (1 - phi)) * widened)


def _shared(rows: Rows, at: At) -> Floats:
    """How much of a sample is in the next one."""
    variance, steps = rows["variance"][at], rows["steps"][at]
    ratio = np.divide(steps, 2 * variance, out=np.ones(len(at)), where=variance > 0)
    return np.asarray(np.clip(1 - ratio, 0.0, MOST_SHARED))


def whiten(rows: Rows, at: At, x: Floats, floor: Floats) -> Floats:
    """These samples as white noise of spread 1, at most CLIP; the next call knows them."""
    phi = _shared(rows, at)
    z = (x - rows["level"][at]) / spread(rows, at, floor)
    y = (z - phi * rows["before"][at]) / np.sqrt(1 - phi * phi)
    rows["before"][at] = z
    widened = np.sqrt(np.maximum(rows["block_square"][at], 1.0))
    return np.asarray(np.clip(y / widened, -CLIP, CLIP))


def gain(age: Floats, every_secs: Floats) -> Floats:
    """Of what is forgotten in a day."""
    memory = np.clip(MEMORY_SECS / np.maximum(every_secs, 1e-3), *MEMORY)
    return np.asarray(1 / np.clip(age + 1, WARM, memory))


def learn(
    rows: Rows, at: At, x: Floats, step: Floats, y: Floats, weight: Floats, age: Floats,
    every_secs: Floats,
) -> None:  # fmt: skip
    """Takes in calm samples; ``step`` is how far each is from the one before, ``y`` it as white."""
    rate = weight * gain(age, every_secs)
    deviation = np.sqrt(rows["variance"][at])
    limit = np.where(deviation > 0, CLIP * deviation, np.inf)
    d = np.clip(x - rows["level"][at], -limit, limit)
    step = np.clip(step, -limit, limit)
    rows["level"][at] += rate * d
    rows["variance"][at] += rate * (d * d - rows["variance"][at])
    rows["steps"][at] += rate * (step * step - rows["steps"][at])
    _learn_block(rows, at, y)


def _learn_block(rows: Rows, at: At, y: Floats) -> None:
    widened = np.sqrt(np.maximum(rows["block_square"][at], 1.0))
    rows["block_sum"][at] += y * widened  # as it was before it was widened
    rows["block_n"][at] += 1
    full = rows["block_n"][at] >= BLOCK
    if full.any():
        at = at[full]
        square = rows["block_sum"][at] ** 2 / BLOCK
        rows["blocks"][at] = blocks = np.minimum(rows["blocks"][at] + 1, BLOCKS)
        rows["block_square"][at] += (square - rows["block_square"][at]) / blocks
        rows["block_sum"][at] = rows["block_n"][at] = 0.0
