"""A spell apart from the peers, from its first round until the member is back.

A spell that passes leaves its peak; one that stays shows the member's new way.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

BACK: Final = 2  # a sample inside the band makes up for two outside
STAYS_SAMPLES, STAYS_SECS = 300, 1800.0  # a new level is normal after both ...
STAYS_DAY_SAMPLES, STAYS_DAY_SECS = 20, 86400.0  # ... or after these
MEMORY: Final = 100.0  # samples, of the new level

COLUMNS: Final = {
    "run": Column(),  # how long it is by now; 0: there is none
    "since": Column(np.nan),
    "peak": Column(),  # largest deviation in it
    "shift": Column(),  # level in it
    "shift_miss": Column(),  # mean |x - shift|
}


def follow(rows: Rows, at: At, x: Floats, out: NDArray[np.bool_], away: Floats, now: float) -> None:
    """One sample for each of these rows: outside the band or not, and how far away."""
    before = rows["run"][at]
    rows["run"][at] = np.where(out, before + 1, np.maximum(before - BACK, 0))
    new = before == 0
    rows["since"][at] = np.where(new, now, np.fmin(rows["since"][at], now))
    rows["peak"][at] = np.maximum(np.where(new, 0.0, rows["peak"][at]), away * out)
    shift = np.where(new, x, rows["shift"][at])
    miss = np.where(new, 0.0, rows["shift_miss"][at])
    gain = out / np.clip(before + 1, 1.0, MEMORY)
    rows["shift_miss"][at] = miss + gain * (np.abs(x - shift) - miss)
    rows["shift"][at] = shift + gain * (x - shift)


def passed(rows: Rows, at: At) -> NDArray[np.bool_]:
    """Of rows just followed: is the stretch over?"""
    return np.asarray(rows["run"][at] == 0)


def stays(rows: Rows, at: At, now: float) -> NDArray[np.bool_]:
    """Of rows just followed: has the stretch become the new normal?"""
    run, lasted = rows["run"][at], now - rows["since"][at]
    long = (run >= STAYS_SAMPLES) & (lasted >= STAYS_SECS)
    return np.asarray(long | ((run >= STAYS_DAY_SAMPLES) & (lasted >= STAYS_DAY_SECS)))
