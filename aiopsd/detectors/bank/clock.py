"""The samples of a series in order: where it begins, how old it is, when it may learn.

Everything here is relative to a series' first value, in float32: seven digits of what it moves by.
What is learned is frozen within an *epoch* of 16 samples (of one sample while a series is young),
and learned at its end. So a stretch of samples of one series is judged by the same few calls as
one sample of many series, and with the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats
from aiopsd.rows import Cell, Lane

Singles = NDArray[np.float32]
Flags = NDArray[np.bool_]

EPOCH: Final = 16  # samples; 16 of them at 5 min are 80 min: short against all that is learned
YOUNG: Final = 64  # samples; until then each one teaches at once
HUGE: Final = 1e30  # squares of ratios still fit float32; anything larger is no measurement
DAY_SECS: Final = 86400.0

CELLS: Final = {
    "age": Cell(0, np.int32),  # ticks it was named in, with a sample or without
    "seen": Cell(),  # finite samples
    "origin": Cell(0, np.float64),  # the first value
    "last": Cell(),
    "time": Cell(np.nan, np.float64),  # of the last tick
    "born": Cell(np.nan, np.float64),  # time of the first sample, less the head start
    "head_secs": Cell(),  # of life that a lesson stands for
    "step_secs": Cell(np.nan),  # usual time between samples
}


@dataclass(frozen=True, slots=True)
class Ticks:
    """Some samples in a row of the series of a lane, within one epoch."""

    times: Floats  # [T]
    values: Floats  # [T, n], as they came
    y: Singles  # [T, n], less the origin; a missing one repeats the last
    ok: Flags  # [T, n]: there is a sample
    before: Singles  # [T, n]: y of the tick before
    seen: Singles  # [T, n]: samples before this one
    broken: Flags  # [T, n]: comes after a gap, or is the first


def room(lane: Lane) -> int:
    """How many ticks fit before the first of these series learns."""
    return 1 if young(lane).any() else EPOCH - int((lane["age"] % EPOCH).max())


def young(lane: Lane) -> Flags:
    return np.asarray((lane["age"] < YOUNG) | (lane["seen"] < YOUNG))


def meet(lane: Lane, times: Floats, values: Floats) -> Ticks:
    """``values[T, n]`` as they are; more than one tick only as ``room`` says."""
    ok = np.abs(values) < HUGE
    count = lane["seen"]
    if count.min() == 0:
        first = ok[0] & (count == 0)
        lane["origin"] = np.where(first, values[0], lane["origin"])
        lane["born"] = np.where(first, times[0] - lane["head_secs"], lane["born"])
    lane["born"] = np.fmin(lane["born"], times.min() - lane["head_secs"])
    y = (values - lane["origin"]).astype(np.float32)
    before = np.empty_like(y)
    before[0] = lane["last"]
    if ok.all():
        before[1:] = y[:-1]
    else:
        for i in range(len(y)):
            y[i] = np.where(ok[i], y[i], before[i])
            if i + 1 < len(y):
                before[i + 1] = y[i]
    seen = running(np.add, count, ok[:-1])
    gone = np.empty(y.shape, np.float32)
    gone[0] = times[0] - lane["time"]
    gone[1:] = np.diff(times)[:, None]
    _pace(lane, gone)
    return Ticks(times, values, y, ok, before, seen, (gone > 4 * lane["step_secs"]) | (seen == 0))


def _pace(lane: Lane, gone: Singles) -> None:
    """The usual time step: the first one, then moved a little by each epoch's last one."""
    dt = lane["step_secs"]
    fresh = np.isnan(dt)
    if np.count_nonzero(fresh):
        lane["step_secs"] = np.where(fresh & (gone[0] > 0), gone[0], dt)


def finish(lane: Lane, ticks: Ticks) -> Flags:
    """After all members have seen the ticks; returns whose epoch is over: these learn now."""
    ends = young(lane)
    lane["last"] = ticks.y[-1]
    lane["seen"] = ticks.seen[-1] + ticks.ok[-1]
    lane["age"] += len(ticks.y)
    ends |= lane["age"] % EPOCH == 0
    gone = ticks.times[-1] - (ticks.times[-2] if len(ticks.times) > 1 else lane["time"])
    dt = lane["step_secs"]
    moved = dt + 0.1 * np.clip(gone - dt, -0.5 * dt, 0.5 * dt)
    lane["step_secs"] = np.where(ends & (gone > 0), moved, dt)
    lane["time"] = ticks.times[-1]
    return ends


def total(into: Singles, rows: Singles) -> None:
    """Adds rows one after another, so that any split of them gives the same bits."""
    if len(rows) == 1:
        into += rows[0]
    else:
        into[...] = running(np.add, into, rows)[-1]


def running(ufunc: np.ufunc, first: Singles, rows: Singles | Flags) -> Singles:
    """``first``, then that joined by each of ``rows[T, ...]`` in turn: ``[T + 1, ...]``.

    Many columns go row by row, as numpy would go column by column; the bits are the same.
    """
    found: Singles = np.concatenate((first[None], rows))
    if first.size < 4 * len(rows):
        ufunc.accumulate(found, axis=0, out=found)
        return found
    for i in range(len(rows)):
        ufunc(found[i], rows[i], out=found[i + 1])
    return found


def mean(rows: Singles) -> Singles:
    """Down the columns; summed one after another, so that the number of columns is no matter."""
    return np.asarray(np.add.accumulate(rows, axis=0)[-1] / np.float32(len(rows)))
