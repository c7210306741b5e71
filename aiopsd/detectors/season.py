"""What is usual at this time of day: a profile of half hours for each series, learned online.

A profile counts once two days were seen, and (``auto``) only while it predicts clearly better
than the plain level does: a series without a day keeps its simpler band.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

DAY_SECS: Final = 86400.0
SLOTS: Final = 48
SLOT_SECS: Final = DAY_SECS / SLOTS
MEMORY: Final = 128.0  # samples, of the offset and the error

COLUMNS: Final = {
    "profile": Column(np.nan, np.float32, SLOTS),  # slot means, less the series' origin
    "born": Column(np.nan),  # time of the first sample
    "slot": Column(-1.0),
    "sum": Column(),  # of this slot so far
    "count": Column(),
    "begin": Column(np.nan),  # the profile's ramp through this slot
    "end": Column(np.nan),
    "offset": Column(),  # the last hours against the profile
    "error": Column(np.nan),  # mean |x - prediction| with the profile
}
SWITCH: Final = {"seasonal": Column(0.0, np.bool_)}  # is the profile in use?


def enter(rows: Rows, at: At, time_s: float) -> At:
    """A batch came: closes the half hours that ended, opens the new; returns those rows."""
    born = rows["born"][at]
    rows["born"][at] = np.where(np.isnan(born), time_s, np.minimum(born, time_s))
    slot = int(time_s % DAY_SECS // SLOT_SECS)
    moved: At = at[rows["slot"][at] != slot]
    if len(moved):
        _close(rows, moved, time_s)
        _open(rows, moved, slot)
    return moved


def predicted(rows: Rows, at: At, time_s: float) -> Floats:
    """The profile's value now, less the origin; NaN where this half hour was not seen yet."""
    part = time_s % SLOT_SECS / SLOT_SECS
    begin, end = rows["begin"][at], rows["end"][at]
    return np.asarray(begin + (end - begin) * part + rows["offset"][at])


def learn(rows: Rows, at: At, value: Floats, base: Floats, weight: Floats) -> None:
    """Takes in values (less the origin) as far as their weight; ``base`` is what was predicted."""
    rows["sum"][at] += weight * value
    rows["count"][at] += weight
    gain = np.where(np.isnan(base), 0.0, weight / MEMORY)
    miss = np.nan_to_num(value - base)
    rows["offset"][at] += gain * miss
    rows["error"][at] += gain * (np.abs(miss) - np.nan_to_num(rows["error"][at]))


def choose(
    rows: Rows, at: At, now: float, plain: Floats, best: Floats, always: bool
) -> NDArray[np.float64]:
    """Turns the profile on or off; returns how much larger errors become by that (1: no change).

    Its error is held against the slow level's (``plain``) and the one in use (``best``). It
    starts as good as the plain level and has to show that it is better.
    """
    on, error = rows["seasonal"][at], rows["error"][at]
    rows["error"][at] = error = np.where(np.isnan(error), plain, error)
    good = (error < np.where(on, 1.0, 0.7) * plain) & (error < np.where(on, 1.5, 1.2) * best)
    ready = (now - rows["born"][at] >= 2 * DAY_SECS) & np.isfinite(rows["begin"][at])
    rows["seasonal"][at] = use = ready & (good | always)
    ratio = np.clip(error / np.maximum(best, 1e-300), 0.05, 2.0)
    return np.where(use & ~on, ratio, np.where(on & ~use, 1 / ratio, 1.0))


def move(rows: Rows, at: At, value: Floats) -> None:
    """The series is now here (less the origin): the profile keeps its shape."""
    begin = rows["begin"][at]
    rows["offset"][at] = np.where(np.isnan(begin), rows["offset"][at], value - begin)


def _close(rows: Rows, at: At, time_s: float) -> None:
    """The mean of the slot that ended joins its profile: plain average first, then a week's."""
    at = at[(rows["slot"][at] >= 0) & (rows["count"][at] > 0)]
    slot = rows["slot"][at].astype(np.intp)
    mean, old = rows["sum"][at] / rows["count"][at], rows["profile"][at, slot]
    days = 1 + np.maximum(time_s - rows["born"][at], 0) / DAY_SECS
    blended = old + np.maximum(1 / 7, 1 / days) * (mean - old)
    rows["profile"][at, slot] = np.where(np.isnan(old), mean, blended)


def _open(rows: Rows, at: At, slot: int) -> None:
    """The ramp goes through the middles of neighbouring slots; one sample a slot needs none."""
    around = (slot - 1) % SLOTS, slot, (slot + 1) % SLOTS
    before, here, after = (rows["profile"][at, i].astype(np.float64) for i in around)
    flat = rows["count"][at] <= 1
    rows["begin"][at] = np.where(flat | np.isnan(before), here, (before + here) / 2)
    rows["end"][at] = np.where(flat | np.isnan(after), here, (here + after) / 2)
    rows["slot"][at], rows["sum"][at], rows["count"][at] = slot, 0.0, 0.0
