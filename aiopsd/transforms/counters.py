"""Increases of counters over a window, many series at once.

Each row keeps a total that never falls (a counter that fell began anew at 0). Snapshots of all
totals are taken at most sixteen times a window. The increase is what was counted between the
oldest snapshot inside the window and now: seen, not extrapolated. The first value of a counter
counts nothing, however large it is: nobody knows when that was counted.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

Where: TypeAlias = At | slice
Flags = NDArray[np.bool_]

A_WINDOW: Final = 16  # snapshots
JITTER: Final = 1 / A_WINDOW  # of the window: scrapes are not on the dot
FINE: Final = 2.0**-20  # of what was counted: a total must tell as much
_COARSER: Final = 16.0
HOLE: Final = 4.0  # windows; what happened in a longer hole is unknown

COLUMNS: Final = {
    "last": Column(np.nan),  # newest raw value
    "total": Column(),  # counted since it began
    "since": Column(np.nan),  # when it began
    "counted": Column(-np.inf),  # when it was counted last
}


class Counters:
    """``rows`` has ``COLUMNS``. With ``changes`` what is counted is how often the value was
    another than before."""

    def __init__(self, rows: Rows, window_secs: float, *, changes: bool) -> None:
        self._rows, self._window_secs, self._changes = rows, window_secs, changes
        self._past: deque[tuple[float, Floats, Floats]] = deque()  # tick, counted, total by row

    def count(self, at: Where, values: Floats, times: Floats, ok: Flags) -> tuple[Floats, Floats]:
        """Takes in newer values where ``ok``; returns increases and the seconds they span, NaN
        where unknown."""
        rows = self._rows
        last, total, since, counted = (rows[name][at] for name in COLUMNS)
        with np.errstate(over="ignore", invalid="ignore"):
            if self._changes:
                grown = (values != last).astype(np.float64)
            else:
                grown = np.where(values >= last, values - last, np.maximum(values, 0.0))
            new = total + grown
            # One absurd sample must not drown what comes after it: a row whose total is far
            # coarser than the counter itself begins anew.
            coarse = np.spacing(new)
            drowned = ~np.isfinite(new) | (
                (grown > 0)
                & (coarse > FINE * grown)
                & (coarse > _COARSER * np.spacing(np.abs(values)))
            )
            hole = (times - counted > HOLE * self._window_secs) | (times <= counted)
        anew = np.isnan(last) | hole | drowned
        new, began = np.where(anew, 0.0, new), np.where(anew, times, since)
        base_time, base = self._base(at, began)
        with np.errstate(over="ignore", invalid="ignore"):
            spans, found = times - base_time, new - base
        rows["last"][at] = np.where(ok, values, last)
        rows["total"][at] = np.where(ok, new, total)
        rows["since"][at] = np.where(ok, began, since)
        rows["counted"][at] = np.where(ok, times, counted)
        return found, np.where(spans > 0, spans, np.nan)

    def enter(self, now_s: float) -> None:
        """Before the samples of a tick: what is older than the window is past, but the newest."""
        oldest = now_s - self._window_secs * (1 + JITTER)
        while len(self._past) > 1 and self._past[0][0] < oldest:
            self._past.popleft()

    def leave(self, now_s: float, rows: int) -> None:
        """After the samples of a tick. ``rows``: how many rows there may be."""
        since = now_s - self._past[-1][0] if self._past else np.inf
        if since == 0:  # more of the same moment
            self._past.pop()
        if since == 0 or since >= self._window_secs / A_WINDOW:
            counted, total = self._rows["counted"][:rows], self._rows["total"][:rows]
            self._past.append((now_s, counted.copy(), total.copy()))

    def _base(self, at: Where, began: Floats) -> tuple[Floats, Floats]:
        """When and from what each row is counted: the oldest snapshot, or its own beginning,
        where the row was another series' or none before."""
        if not self._past:
            return began, np.zeros(len(began))
        _, counted, total = self._past[0]
        if isinstance(at, slice):
            known = min(len(counted), len(began))
            times, base = began.copy(), np.zeros(len(began))
            fits = counted[:known] >= began[:known]
            times[:known] = np.where(fits, counted[:known], began[:known])
            base[:known] = np.where(fits, total[:known], 0.0)
            return times, base
        place = np.minimum(at, len(counted) - 1)
        fits = (at < len(counted)) & (counted[place] >= began)
        return np.where(fits, counted[place], began), np.where(fits, total[place], 0.0)

    def rewind(self, now_s: float) -> None:
        """None of it is newer than now."""
        np.minimum(self._rows["counted"], now_s, out=self._rows["counted"])
        np.minimum(self._rows["since"], now_s, out=self._rows["since"])
        for _, counted, _ in self._past:
            np.minimum(counted, now_s, out=counted)
        self._past = deque(
            (min(tick, now_s), counted, total) for tick, counted, total in self._past
        )

    def state(self, known: At) -> list[Any]:
        """Of these rows, in this order."""
        found = []
        for tick, counted, total in self._past:
            there = int(np.searchsorted(known, len(counted)))
            found.append((tick, counted[known[:there]].tobytes(), total[known[:there]].tobytes()))
        return found

    def restore(self, saved: list[Any]) -> None:
        """``saved`` rows are the first ones now."""
        self._past = deque((t, _floats(counted), _floats(total)) for t, counted, total in saved)


def _floats(saved: bytes) -> Floats:
    return np.frombuffer(saved).copy()
