"""What is usual at this time of the day or the week: a profile for each series, learned online.

A slot's mean joins the profile when the slot is over, so a sample is always held against earlier
days. Between slots the profile is a ramp through their middles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from aiopsd.detectors.bank.clock import DAY_SECS, Singles, Ticks, total
from aiopsd.rows import Cell, Lane

MONDAY_SECS: Final = 4 * DAY_SECS  # the epoch began on a Thursday
CLIP: Final = 4.0  # mean deviations: one odd day moves a slot by no more
NONE, BY_DAY, BY_WEEK = 0, 1, 2  # the profile a series is expected by


@dataclass(frozen=True, slots=True)
class Profile:
    """One period in slots."""

    name: str
    period_secs: float
    slots: int
    slowest: float  # weight of one more period in the long run

    @property
    def slot_secs(self) -> float:
        return self.period_secs / self.slots

    @property
    def cells(self) -> dict[str, Cell]:
        return {
            f"{self.name}_profile": Cell(np.nan, np.float32, (self.slots,)),
            f"{self.name}_slot": Cell(-1, np.int16),
            f"{self.name}_sum": Cell(),
            f"{self.name}_count": Cell(),
            f"{self.name}_begin": Cell(np.nan),  # the ramp through the slot
            f"{self.name}_end": Cell(np.nan),
        }

    def follow(self, lane: Lane, ticks: Ticks, scale: Singles) -> Singles | None:
        """The profile's value at each tick, NaN where that slot was never seen before.

        None where nobody has seen it. ``scale[n]``: the usual deviation of the series.
        """
        times = np.where(np.isfinite(ticks.times), ticks.times, 0.0)
        since = (times - MONDAY_SECS) % self.period_secs / self.slot_secs
        slots = np.minimum(since.astype(np.int64), self.slots - 1)
        part = (since - slots).astype(np.float32)
        base = None
        cuts = [0, *((slots[1:] != slots[:-1]).nonzero()[0] + 1).tolist(), len(slots)]
        for a, b in pairwise(cuts):
            self._enter(lane, int(slots[a]), float(times[a]), scale)
            begin, end = lane[f"{self.name}_begin"], lane[f"{self.name}_end"]
            if np.count_nonzero(np.isfinite(begin)):
                base = np.full_like(ticks.y, np.nan) if base is None else base
                base[a:b] = begin + (end - begin) * part[a:b, None]
            y = ticks.y[a:b] if ticks.complete else ticks.y[a:b] * ticks.ok[a:b]
            total(lane[f"{self.name}_sum"], y)
            if ticks.complete:
                lane[f"{self.name}_count"] += b - a
            else:
                total(lane[f"{self.name}_count"], ticks.ok[a:b])
        return base

    def _enter(self, lane: Lane, slot: int, now: float, scale: Singles) -> None:
        slots = lane[f"{self.name}_slot"]
        first = int(slots[0])
        if lane.n == 1 or (slots == first).all():  # as a rule
            if first != slot:
                if first >= 0:
                    self._close(lane, first, now, scale)
                self._open(lane, slot)
            return
        moved = slots != slot
        for old in np.unique(slots[moved]).tolist():
            if old >= 0:
                some = lane[f"{self.name}_slot"] == old
                part = lane.only(some)
                self._close(part, old, now, scale if part is lane else scale[some])
                part.close()
        part = lane.only(moved)
        self._open(part, slot)
        part.close()

    def _close(self, lane: Lane, slot: int, now: float, scale: Singles) -> None:
        """The mean of the slot that ended joins its profile: plain average first."""
        profile, where = lane.whole(f"{self.name}_profile")[slot], lane.where
        count, old = lane[f"{self.name}_count"], profile[where]
        mean = lane[f"{self.name}_sum"] / np.maximum(count, 1)
        periods = 1 + np.maximum(now - lane["born"], 0) / self.period_secs
        rate = np.maximum(self.slowest, 1 / periods).astype(np.float32)
        limit = CLIP * scale + np.float32(1e-9)
        blended = np.where(
            np.isnan(old), mean, old + rate * np.minimum(np.maximum(mean - old, -limit), limit)
        )
        profile[where] = np.where(count > 0, blended, old)

    def _open(self, lane: Lane, slot: int) -> None:
        """One sample a slot needs no ramp."""
        profile, where = lane.whole(f"{self.name}_profile"), lane.where
        here, sides = profile[slot][where], profile[[slot - 1, (slot + 1) % self.slots]][:, where]
        flat = lane["step_secs"] >= self.slot_secs
        begin, end = np.where(flat | np.isnan(sides), here, (sides + here) / 2)
        lane[f"{self.name}_begin"], lane[f"{self.name}_end"] = begin, end
        lane[f"{self.name}_slot"] = slot
        lane[f"{self.name}_sum"] = 0.0
        lane[f"{self.name}_count"] = 0.0


DAY: Final = Profile("day", DAY_SECS, 48, 0.1)
WEEK: Final = Profile("week", 7 * DAY_SECS, 168, 0.25)
