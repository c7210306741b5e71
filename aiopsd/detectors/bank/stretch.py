"""A stretch outside the band, from its first sample until the series is back.

A stretch that passes leaves its peak; one that stays shows the series' new level. Deviations
inside the band teach the tail later, and what led to a stretch does not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.bank import level, tail
from aiopsd.detectors.bank.clock import Flags, Singles, Ticks
from aiopsd.detectors.bank.season import NONE
from aiopsd.rows import At, Cell, Lane

LEAD: Final = 8  # deviations teach half an epoch later, if nothing strange came of them
REACH: Final = np.float32(2)  # steps times sqrt(samples): how far a wandering series goes unseen
GROWN: Final = 256  # samples; a younger series may turn out to be one that wanders
BACK: Final = 2  # a sample inside the band makes up for two outside
STAYS_SAMPLES, STAYS_SECS = 300, 1800.0  # a new level is normal after both ...
STAYS_DAY_SAMPLES, STAYS_DAY_SECS = 20, 86400.0  # ... or after these
MEMORY: Final = 100.0  # samples, of the new level

CELLS: Final = {
    "lead": Cell(np.nan, np.float32, (LEAD,)),  # deviations that did not teach yet, in a ring
    "run": Cell(),  # how long it is by now; 0: there is none
    "since": Cell(np.nan, np.float64),
    "peak_away": Cell(),  # largest deviation in it
    "shift": Cell(),  # level in it
    "shift_miss": Cell(),  # mean |y - shift|
}


def walk(
    lane: Lane, ticks: Ticks, away: Singles, width: Singles, floor: Singles, given: Flags
) -> tuple[Singles, Singles, Flags, Singles]:
    """Tick by tick through a strange stretch: away, jump, outside the band, what it teaches."""
    away, jump = away.copy(), away.copy()
    out, weight = np.zeros(away.shape, np.bool_), given.astype(np.float32)
    for i, now in enumerate(ticks.times.tolist()):
        some = np.flatnonzero((lane["run"] > 0) | (given[i] & (away[i] > width[i])))
        here, run = given[i, some], lane["run"][some]
        way = REACH * lane["step"][some] * np.sqrt(run)
        wanders = lane["wanders"][some] & (lane["seasonal"][some] == NONE)
        far = np.maximum(away[i, some] - way * wanders, 0)
        jump[i, some] = far - np.where(lane["n"][some] >= GROWN, 0, way * ~wanders)
        away[i, some], outside = far, here & (far > width[i, some])
        out[i, some] = outside
        weight[i, some] = (here & ~outside) * np.where(run > 0, np.float32(level.UNSURE), 1)
        lane["lead"][:, some[outside]] = np.nan
        row = slice(i, i + 1)
        lead(lane, ticks.ages[row], away[row], given[row] & ~out[row], floor[row])
        some = some[outside | (here & (run > 0))]
        if len(some):
            y = ticks.y[i, some]
            over = _follow(lane, some, y, out[i, some], away[i, some], now)
            if len(over):
                passed = np.zeros((1, lane.n), np.bool_)
                passed[0, over] = True
                tail.note(lane, lane["peak_away"][None], passed, floor[row])
    return away, jump, out, weight


def lead(lane: Lane, ages: NDArray[np.int32], away: Singles, calm: Flags, floor: Singles) -> None:
    """Calm deviations teach later; what led to something strange does not."""
    line, new = lane["lead"], np.where(calm, away, np.float32(np.nan))
    at = ages - 1 & LEAD - 1
    if len(at) == 1 < at.shape[1]:  # one tick of series that may not be in step
        place = at[0], np.arange(lane.n)
        due, line[place] = line[place][None], new[0]
    else:
        at = at[:, 0]
        due = np.concatenate((line[at[:LEAD]], new[: max(len(new) - LEAD, 0)]))
        line[at[-LEAD:]] = new[-LEAD:]
    tail.note(lane, due, np.isfinite(due), floor)


def _follow(lane: Lane, some: At, y: Singles, out: Flags, away: Singles, now: float) -> At:
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
