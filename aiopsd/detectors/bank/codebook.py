"""How unlike all earlier windows is this one? A small codebook of normal shapes for each series.

The novelty of a window is its mean L1 distance to its two nearest prototypes. The most novel
window of an epoch, if it is farther than the member's own 98 % quantile, takes the place of the
prototype that was least often useful: passing anomalies displace each other and not the normal
shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.bank.clock import EPOCH, Flags, Singles, where
from aiopsd.detectors.bank.nearest import LIMIT, WIDTH, Codes, most, nearest
from aiopsd.rows import Cell, Lane

FADES: Final = 32768  # ticks after which uses count half: no int16 overflows, and old habits fade


@dataclass(frozen=True, slots=True)
class Codebook:
    """``size`` prototypes a series; fine shapes vary most and need the most."""

    name: str
    size: int
    every: int  # ticks between two windows

    @property
    def finds(self) -> int:
        """Novel windows that one epoch may keep: one for four ticks."""
        return max(1, EPOCH // max(WIDTH, self.every))

    @property
    def cells(self) -> dict[str, Cell]:
        return {
            f"{self.name}_book": Cell(0, np.int16, (self.size, WIDTH)),
            f"{self.name}_uses": Cell(0, np.int16, (self.size,)),
            f"{self.name}_fill": Cell(0, np.int16),
            f"{self.name}_find": Cell(0, np.int16, (self.finds, WIDTH)),  # novel ones of the epoch
            f"{self.name}_far": Cell(0, np.float32, (self.finds,)),  # their distances; 0: none
        }

    def novelty(
        self, lane: Lane, windows: Codes, ready: Flags, counted: Flags
    ) -> tuple[Singles, Flags]:
        """Distance of ``windows[WIDTH, B, n]``, in codes, and where it means something ``[B, n]``.

        Not ready are windows that had no time to fill; their distance is 0. Where ``counted``,
        ``[B, n]`` or ``[B, 1]``, the nearest prototype gets a use.
        """
        fill = lane[f"{self.name}_fill"]
        good = ready
        if fill.min() < self.size:
            good = np.empty(ready.shape, np.bool_)
            for b in range(len(ready)):
                good[b] = ready[b] & (fill >= self.size)
                self._fill(lane, windows[:, b], ready[b] & ~good[b])
        if good.all():
            return self._search(lane, windows, counted), good
        if np.count_nonzero(good):
            return self._search(lane, windows, counted & good) * good, good
        return np.zeros(good.shape, np.float32), good

    def _search(self, lane: Lane, windows: Codes, counted: Flags) -> Singles:
        book, uses = (
            lane.whole(f"{self.name}_{kept}")[..., lane.where] for kept in ("book", "uses")
        )
        rows = np.flatnonzero(counted.any(axis=1)).tolist()
        ticks, n = windows.shape[1:]
        two = np.empty((2, ticks, n), np.uint16)
        for first in range(0, n, most(ticks)):
            some = slice(first, first + most(ticks))
            found = nearest(book[..., some], windows[..., some], two[..., some])
            if n == 1 and counted[rows].all():  # in one go: calls are what takes time
                hits = found[:, rows] == two[0, rows]
                uses += np.add.reduce(hits, axis=1, dtype=np.int16)
                continue
            for row in rows:
                hits = found[:, row] == two[0, row, some]
                if counted.shape[1] > 1:
                    hits &= counted[row, some]
                uses[:, some] += hits.view(np.int8)
        if rows and not isinstance(lane.where, slice):  # copies
            lane.whole(f"{self.name}_uses")[..., lane.where] = uses
        return np.asarray((two[0].astype(np.float32) + two[1]) * np.float32(0.5))

    def _fill(self, lane: Lane, window: Codes, begins: Flags) -> None:
        """The first windows are all kept."""
        if not begins.any():
            return
        fill, some = lane[f"{self.name}_fill"], begins.nonzero()[0]
        book, at = lane.whole(f"{self.name}_book"), lane.places(some)
        book[fill[some], :, at] = window[:, some].T
        fill[some] += 1

    def keep(
        self, lane: Lane, windows: Codes, distance: Singles, novel: Flags, ages: NDArray[np.int32]
    ) -> None:
        """Remembers the most novel window of each four ticks; the first of equals."""
        if not np.count_nonzero(novel):
            return
        row, at = where(novel)
        far, find = lane[f"{self.name}_far"], lane[f"{self.name}_find"]
        which = ages[row, at if ages.shape[1] > 1 else 0] - 1 & EPOCH - 1
        which = which * self.finds // EPOCH
        mine, before = distance[row, at], far[which, at]
        np.maximum.at(far, (which, at), mine)
        best = np.flatnonzero((mine > before) & (mine == far[which, at]))[::-1]
        find[which[best], :, at[best]] = windows[:, row[best], at[best]].T

    def learn(self, lane: Lane) -> None:
        """An epoch is over."""
        far, find = lane[f"{self.name}_far"], lane[f"{self.name}_find"]
        for which in np.flatnonzero(far.any(axis=1)).tolist():
            some = far[which].nonzero()[0]
            book, uses = lane.whole(f"{self.name}_book"), lane.whole(f"{self.name}_uses")
            at = lane.places(some)
            old = uses[:, at].argmin(0)
            book[old, :, at] = find[which][:, some].T
            uses[old, at] = 1
            far[which] = 0
        fading = (lane["age"] & FADES - 1 == 0).nonzero()[0]
        if len(fading):
            lane.whole(f"{self.name}_uses")[:, lane.places(fading)] >>= 1

    def rescale(self, lane: Lane, some: NDArray[np.intp], power: NDArray[np.int32]) -> None:
        """The code's unit grew by 2**power."""
        book, at = lane.whole(f"{self.name}_book"), lane.places(some)
        moved = np.ldexp(book[..., at].astype(np.float32), -power)
        book[..., at] = np.clip(np.rint(moved), -LIMIT, LIMIT).astype(np.int16)
