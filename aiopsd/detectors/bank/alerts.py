"""From surprise to alerts: how high is high for this series, once an event, and tiring.

A series that often comes up high raises its own bar: surprises are divided by its usual peak, the
median of the maxima of its last 14 half days. One event is told once: again only after half a day
or at three times the peak. Each alert lifts the series' bar by 20 %, forgotten in 14 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.detectors.bank.clock import DAY_SECS, Flags, Singles
from aiopsd.model import Floats
from aiopsd.rows import At, Cell, Lane

HALF_SECS: Final = DAY_SECS / 2
HALVES: Final = 14  # a week of half days: one to three real events do not move their median
PRIORS: Final = 3  # half days as expected, before there are any
USUAL: Final = 0.9  # decades: the peak of a calm half day at 5 min
TREND_SECS: Final = 300.0  # of that: more samples a day have higher maxima, by half a decade in ten
LEAST: Final = 0.4
REARM_STEPS: Final = 10.0  # samples, for series slower than half-hourly
AGAIN: Final = 3.0  # twice the peak doubled four alerts in ten within some samples
FLAG: Final = 1.45  # decades of common surprise, over the bar: see docs/benchmarks.md
WARN: Final = 0.9  # and from which on a severity is told
FATIGUE, FORGET_SECS = 0.2, 14 * DAY_SECS  # 10 to 40 % and 7 to 30 days lie on one curve

PEAKS: Final = {
    "peaks": Cell(0, np.float32, (HALVES,)),  # of finished half days; 0: none
    "peaks_n": Cell(0, np.int16),
    "peak": Cell(),  # of this half day
    "half": Cell(0, np.int32),
    "bar": Cell(1),  # the series' own divisor
}


@dataclass(frozen=True, slots=True)
class Machine:
    """Alerts over one limit."""

    name: str
    limit: float  # decades
    fatigue: float = FATIGUE

    @property
    def cells(self) -> dict[str, Cell]:
        return {
            f"{self.name}_at": Cell(-np.inf, np.float64),  # of the last alert
            f"{self.name}_seen": Cell(np.nan, np.float64),  # last over the limit
            f"{self.name}_high": Cell(),  # its height
            f"{self.name}_tired": Cell(),
        }

    def observe(self, lane: Lane, times: Floats, high: Singles) -> tuple[Singles, Flags]:
        """Alert heights ``[T, n]``, 0 where there is none, and where it is over the bar."""
        told, over = np.zeros_like(high), np.zeros(high.shape, np.bool_)
        reached = high >= self.limit
        if np.count_nonzero(reached):
            for i in np.flatnonzero(reached.any(axis=1)).tolist():
                some, now = reached[i].nonzero()[0], float(times[i])
                told[i, some], over[i, some] = self._tell(lane, now, high[i, some], some)
        return told, over

    def _tell(self, lane: Lane, now: float, high: Singles, some: At) -> tuple[Singles, Flags]:
        at, seen = lane[f"{self.name}_at"], lane[f"{self.name}_seen"]
        peak, tired = lane[f"{self.name}_high"], lane[f"{self.name}_tired"]
        rested = np.maximum(np.nan_to_num(now - seen[some]), 0.0)
        tired[some] *= np.exp(-rested / FORGET_SECS).astype(np.float32)
        seen[some] = now
        height = high / (1 + np.float32(self.fatigue) * tired[some])
        pause = np.maximum(HALF_SECS, REARM_STEPS * np.nan_to_num(lane["step_secs"][some]))
        new = np.abs(now - at[some]) > pause
        over = np.asarray(height >= self.limit)
        hit = over & (new | (height > AGAIN * peak[some]))
        told = some[hit]
        at[told], peak[told] = now, height[hit]
        tired[told] += np.where(new[hit], 1.0, 0.5)
        return np.where(hit, height, 0), over


def flag(weight: float = 1.0, fatigue: float = FATIGUE) -> Machine:
    return Machine("flag", FLAG * weight, fatigue)


def warn(weight: float = 1.0, fatigue: float = FATIGUE) -> Machine:
    return Machine("warn", WARN * weight, fatigue)


def own_bar(lane: Lane, lived: Floats, high: Singles) -> Singles:
    """The series' divisor at each tick ``[T, n]``, by the half days that were over before it.

    ``[1, n]`` where none ended.

    ``lived[T, n]``: seconds since it was born.
    """
    halves = np.floor(lived / HALF_SECS)
    if (halves == lane["half"]).all():
        np.maximum(lane["peak"], high.max(axis=0), out=lane["peak"])
        return lane["bar"][None]
    bar = np.empty_like(high)
    for i, half in enumerate(np.where(np.abs(halves) < 2**31, halves, 0).astype(np.int32)):
        ended = half != lane["half"]  # the unborn have none
        if np.count_nonzero(ended):
            part = lane.only(ended)
            _end_half(part)
            part.close()
            lane["half"] = half
        np.maximum(lane["peak"], high[i], out=lane["peak"])
        bar[i] = lane["bar"]
    return bar


def _end_half(lane: Lane) -> None:
    count, peaks = lane["peaks_n"], lane["peaks"]
    some = (lane["peak"] > 0).nonzero()[0]
    peaks[count[some] % HALVES, some] = lane["peak"][some]
    count[some] = np.where(count[some] == HALVES * 2 - 1, HALVES, count[some] + 1)
    lane["peak"] = 0
    often = 0.5 * np.log10(TREND_SECS / np.nan_to_num(lane["step_secs"], nan=TREND_SECS))
    prior = np.maximum(LEAST, USUAL * (1 + often)).astype(np.float32)
    known = np.full((HALVES + PRIORS, lane.n), np.inf, np.float32)
    known[:PRIORS], known[PRIORS:][peaks > 0] = prior, peaks[peaks > 0]
    known.sort(axis=0)
    middle, all_ = PRIORS + np.count_nonzero(peaks > 0, axis=0), np.arange(lane.n)
    median = (known[(middle - 1) // 2, all_] + known[middle // 2, all_]) / 2
    lane["bar"] = np.maximum(1, median / np.float32(USUAL))
