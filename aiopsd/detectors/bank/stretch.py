"""A stretch outside the band, from its first sample until the series is back.

A stretch that passes leaves its peak; one that stays shows the series' new level.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.detectors.bank.clock import Flags, Singles
from aiopsd.rows import At, Cell, Lane

BACK: Final = 2  # a sample inside the band makes up for two outside
STAYS_SAMPLES, STAYS_SECS = 300, 1800.0  # a new level is normal after both ...
STAYS_DAY_SAMPLES, STAYS_DAY_SECS = 20, 86400.0  # ... or after these
MEMORY: Final = 100.0  # samples, of the new level

CELLS: Final = {
    "run": Cell(),  # how long it is by now; 0: there is none
    "since": Cell(np.nan, np.float64),
    "peak_away": Cell(),  # largest deviation in it
    "shift": Cell(),  # level in it
    "shift_miss": Cell(),  # mean |y - shift|
}


def follow(lane: Lane, some: At, y: Singles, out: Flags, away: Singles, now: float) -> At:
    """One sample of each of these series; returns those whose stretch is over."""
    run, before = lane["run"], lane["run"][some]
    run[some] = after = np.where(out, before + 1, np.maximum(before - BACK, 0))
    new = before == 0
    since = lane["since"]
    since[some] = np.where(new, now, np.fmin(since[some], now))
    peak = lane["peak_away"]
    peak[some] = np.maximum(np.where(new, 0, peak[some]), away * out)
    shift = np.where(new, y, lane["shift"][some])
    miss = np.where(new, 0, lane["shift_miss"][some])
    gain = out / np.clip(before + 1, 1, np.float32(MEMORY))
    lane["shift_miss"][some] = miss + gain * (np.abs(y - shift) - miss)
    lane["shift"][some] = shift + gain * (y - shift)
    return np.asarray(some[after == 0])


def stays(lane: Lane) -> Flags:
    """Has the stretch become the new normal? Asked at an epoch's end."""
    run, lasted = lane["run"], lane["time"] - lane["since"]
    long = (run >= STAYS_SAMPLES) & (lasted >= STAYS_SECS)
    return np.asarray(long | ((run >= STAYS_DAY_SAMPLES) & (lasted >= STAYS_DAY_SECS)))
