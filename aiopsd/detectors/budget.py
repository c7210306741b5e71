"""Bad, total and heard, added up over minutes, hours and days in bounded rings.

Only minutes that are over count, so what a tick brings, in however many batches, is seen whole.
A stretch that nobody heard of adds nothing: neither good nor bad.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

BAD, TOTAL, HEARD = range(3)
NEVER: Final = -(2**60)
BACK: Final = 5  # minutes; a clock that went back further begins anew
DAYS: Final = 30  # parts of the budget's period

Minutes = NDArray[np.int64]


class Ring(NamedTuple):
    """So many parts of so many seconds."""

    secs: int
    size: int


RINGS: Final = Ring(60, 60), Ring(300, 72), Ring(3600, 72)
WINDOWS: Final = {
    300: (0, 5), 1800: (0, 30), 3600: (0, 60), 7200: (1, 24), 21600: (1, 72),
    86400: (2, 24), 259200: (2, 72),
}  # fmt: skip
"""Seconds: which ring, and how many of its parts."""


class Budget:
    """``rows``: one row a budget, with your columns too."""

    def __init__(self, period_secs: float, **columns: Column) -> None:
        self._rings = (*RINGS, Ring(int(period_secs / DAYS), DAYS))
        rings = {f"ring{n}": Column(width=3 * ring.size) for n, ring in enumerate(self._rings)}
        opened = {f"open{n}": Column(width=3) for n in range(len(self._rings))}
        self.rows = Rows(
            minute=Column(NEVER, np.int64), seen=Column(-np.inf),
            sums=Column(width=3 * len(WINDOWS)), **rings, **opened, **columns,
        )  # fmt: skip

    def turn(self, at: At, now: float) -> At:
        """Closes the minutes that are over; returns the rows that closed one, their sums anew."""
        rows, minute = self.rows, int(now // 60)
        was = rows["minute"][at]
        anew = at[(was == NEVER) | (minute < was - BACK)]
        self._clear(anew)
        rows["minute"][anew] = minute
        at = at[rows["minute"][at] < minute]
        if len(at):
            self._close(at, minute)
            rows["sums"][at] = self._sums(at, minute).reshape(len(at), -1)
        return at

    def _clear(self, at: At) -> None:
        for n in range(len(self._rings)):
            self.rows[f"ring{n}"][at] = self.rows[f"open{n}"][at] = 0.0
        self.rows["sums"][at], self.rows["seen"][at] = 0.0, -np.inf

    def _close(self, at: At, minute: int) -> None:
        rows, closed, was = self.rows, self.rows["open0"][at], self.rows["minute"][at]
        for n, ring in enumerate(self._rings):
            if n:
                rows[f"open{n}"][at] += closed
            old, new = was * 60 // ring.secs, minute * 60 // ring.secs
            self._push(n, at[old < new], old[old < new], new)
        rows["minute"][at] = minute

    def _push(self, n: int, at: At, old: Minutes, new: int) -> None:
        """The open part takes its place in the ring; parts that nobody heard of are empty."""
        ring, rows = self._rings[n], self.rows
        kept, opened = rows[f"ring{n}"].reshape(-1, 3, ring.size), rows[f"open{n}"]
        kept[at, :, old % ring.size] = opened[at]
        opened[at] = 0.0
        skipped = old < new - 1
        if skipped.any():
            part = new - 1 - (new - 1 - np.arange(ring.size)) % ring.size
            row, place = np.nonzero(part > old[skipped, None])
            kept[at[skipped][row], :, place] = 0.0

    def _sums(self, at: At, minute: int) -> Floats:
        """Shape ``[n, windows, 3]``."""
        found = np.empty((len(at), len(WINDOWS), 3))
        for w, (n, parts) in enumerate(WINDOWS.values()):
            ring = self._rings[n]
            kept = self.rows[f"ring{n}"].reshape(-1, 3, ring.size)
            place = (minute * 60 // ring.secs - 1 - np.arange(parts)) % ring.size
            cells = kept[at[:, None, None], np.arange(3)[None, :, None], place[None, None, :]]
            found[:, w] = cells.sum(axis=2)
            if n:
                found[:, w] += self.rows[f"open{n}"][at]
        return found

    def add(self, at: At, what: int, amount: Floats) -> None:
        """Adds to the open minutes, in this order."""
        np.add.at(self.rows["open0"][:, what], at, amount)

    def hear(self, at: At, now: float, span_secs: float) -> None:
        """Somebody spoke now, of the last ``span_secs``."""
        secs = np.clip(now - self.rows["seen"][at], 0.0, span_secs)
        self.rows["open0"][at, HEARD] += secs
        self.rows["seen"][at] = now

    def sums(self, at: At) -> Floats:
        """Of each window, ``[n, windows, (bad, total, heard)]``."""
        found: Floats = self.rows["sums"][at].reshape(len(at), len(WINDOWS), 3)
        return found

    def period(self, at: int) -> Floats:
        """(bad, total, heard) of the whole period, for one row."""
        n = len(self._rings) - 1
        kept = self.rows[f"ring{n}"][at].reshape(3, -1).sum(axis=1) + self.rows[f"open{n}"][at]
        found: Floats = kept
        return found
