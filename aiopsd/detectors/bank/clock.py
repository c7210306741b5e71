"""The samples of a series in order: where it begins, how old it is, when it may learn.

Everything here is relative to where a series began, in float32: seven digits of what it moves by.
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
from aiopsd.rows import At, Cell, Lane

Singles = NDArray[np.float32]
Flags = NDArray[np.bool_]

EPOCH: Final = 16  # samples; 16 of them at 5 min are 80 min: short against all that is learned
YOUNG: Final = 64  # samples; until then each one teaches at once
FEW: Final = 1024  # flags that are cheaper to ask directly
HUGE: Final = 1e30  # squares of ratios still fit float32; anything larger is no measurement
DAY_SECS: Final = 86400.0

CELLS: Final = {
    "age": Cell(0, np.int32),  # ticks it was named in, with a sample or without
    "seen": Cell(),  # finite samples
    "n": Cell(),  # samples learned, live or in a lesson
    "origin": Cell(0, np.float64),  # the first value, or a lesson's level
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
    complete: bool  # all of them are
    before: Singles  # [T, n]: y of the tick before
    moved: Singles  # [T, n]: |y - before|
    seen: Singles  # [T, n]: samples before this one
    broken: Flags  # [T, n]: comes after a gap, or is the first
    ages: NDArray[np.int32]  # the tick included; [T, 1] where all series have the same


def room(lane: Lane) -> int:
    """How many ticks fit before the first of these series learns; one unless all are in step."""
    phase = lane["age"] & (EPOCH - 1)
    if young(lane).any() or int(phase.min()) != int(phase.max()):
        return 1
    return EPOCH - int(phase[0])


def young(lane: Lane) -> Flags:
    return np.asarray((lane["age"] < YOUNG) | (lane["seen"] < YOUNG))


def meet(lane: Lane, times: Floats, values: Floats) -> Ticks:
    """``values[T, n]`` as they are; more than one tick only as ``room`` says."""
    ok = np.abs(values) < HUGE
    complete = bool(ok.all())
    count = lane["seen"]
    fresh = count.min() == 0
    if fresh:
        first = ok[0] & (count == 0)
        lane["origin"] = np.where(first & (lane["n"] == 0), values[0], lane["origin"])
        lane["last"] = np.where(first, values[0] - lane["origin"], lane["last"])  # it moved by 0
        lane["born"] = np.where(first, times[0] - lane["head_secs"], lane["born"])
    if not times.min() >= lane["time"].max():  # a clock went back, or there is no time yet
        lane["born"] = np.fmin(lane["born"], times.min() - lane["head_secs"])
    y = (values - lane["origin"]).astype(np.float32)
    before = lane["last"][None]  # the view is read before ``finish``
    if len(y) > 1 or not complete:
        before = np.empty_like(y)
        before[0] = lane["last"]
        for i in range(len(y)):
            if not complete:
                y[i] = np.where(ok[i], y[i], before[i])
            if i + 1 < len(y):
                before[i + 1] = y[i]
    seen = count[None] if len(y) == 1 else running(np.add, count, ok[:-1])
    broken = _gone(lane, times) > 4 * lane["step_secs"]
    if fresh:
        broken |= seen == 0
    return Ticks(
        times,
        values,
        y,
        ok,
        complete,
        before,
        np.abs(y - before),
        seen,
        broken,
        _ages(lane, len(y)),
    )


def _gone(lane: Lane, times: Floats) -> Singles:
    """Seconds since the tick before, ``[T, n]``, or ``[T, 1]`` where it was the same for all."""
    last = lane["time"]
    if last.min() == last.max():
        last = last[:1]
    gone = np.empty((len(times), len(last)), np.float32)
    gone[0] = times[0] - last
    gone[1:] = np.diff(times)[:, None]
    pace = lane["step_secs"]
    if np.isnan(pace.max()):  # the usual step begins as the first one
        lane["step_secs"] = np.where(np.isnan(pace) & (gone[0] > 0), gone[0], pace)
    return gone


def _ages(lane: Lane, ticks: int) -> NDArray[np.int32]:
    age = lane["age"]
    if age.min() == age.max():
        age = age[:1]
    return np.asarray(age + np.arange(1, ticks + 1, dtype=np.int32)[:, None])


def finish(lane: Lane, ticks: Ticks) -> Flags:
    """After all members have seen the ticks; returns whose epoch is over: these learn now."""
    ends = young(lane)
    lane["age"] += len(ticks.y)
    ends |= lane["age"] & (EPOCH - 1) == 0
    if np.count_nonzero(ends):  # the usual step moves a little by each epoch's last one
        before = ticks.times[-2] if len(ticks.times) > 1 else lane["time"]
        gone, pace = (ticks.times[-1] - before).astype(np.float32), lane["step_secs"]
        moved = pace + np.float32(0.1) * np.clip(gone - pace, -0.5 * pace, 0.5 * pace)
        lane["step_secs"] = np.where(ends & (gone > 0), moved, pace)
    lane["last"] = ticks.y[-1]
    np.add(ticks.seen[-1], ticks.ok[-1], out=lane["seen"])
    lane["time"] = ticks.times[-1]
    return ends


def total(into: Singles, rows: Singles | Flags) -> None:
    """Adds rows one after another, so that any split of them gives the same bits."""
    if rows.dtype == np.bool_ and len(rows) > 1:  # whole numbers, exact in any order
        into += np.add.reduce(rows, axis=0, dtype=np.float32)
    elif into.size < 4 * len(rows):
        into[...] = running(np.add, into, rows)[-1]
    else:
        for row in rows:
            into += row


def running(ufunc: np.ufunc, first: Singles, rows: Singles | Flags) -> Singles:
    """``first``, then that joined by each of ``rows[T, ...]`` in turn: ``[T + 1, ...]``.

    Many columns go row by row, as numpy would go column by column; the bits are the same.
    """
    if first.size < 4 * len(rows):
        found: Singles = np.concatenate((first[None], rows))
        ufunc.accumulate(found, 0, None, found)
        return found
    found = np.empty((len(rows) + 1, *first.shape), np.float32)
    found[0] = first
    for i in range(len(rows)):
        ufunc(found[i], rows[i], out=found[i + 1])
    return found


def where(flags: Flags) -> tuple[At, ...]:
    """Where they are set: by axis. Found flat, as with many axes it takes ten times as long."""
    if flags.size < FEW:
        return flags.nonzero()
    return np.unravel_index(np.flatnonzero(flags), flags.shape)


def mean(rows: Singles) -> Singles:
    """Down the columns; summed one after another, so that the number of columns is no matter."""
    return np.asarray(np.add.accumulate(rows, axis=0)[-1] / np.float32(len(rows)))
