"""How unlike all earlier windows is this one? A small codebook of normal shapes for each series.

The novelty of a window is its mean L1 distance to its two nearest prototypes. The most novel
window of an epoch, if it is farther than the member's own 98 % quantile, takes the place of the
prototype that was least often useful: passing anomalies displace each other and not the normal
shapes. Codes are 16-bit, so that one instruction compares sixteen series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.bank.clock import EPOCH, Flags, Singles
from aiopsd.rows import Cell, Lane

Codes = NDArray[np.int16]
WIDTH: Final = 4  # blocks a window
LIMIT: Final = 8191  # of a code: four absolute differences still fit uint16
CACHED: Final = 1 << 17  # distances at a time: their sums and parts stay in the cache
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

        Not ready are windows that had no time to fill. Where ``counted`` the nearest prototype
        gets a use.
        """
        fill = lane[f"{self.name}_fill"]
        good = np.empty(ready.shape, np.bool_)
        for b in range(len(ready)):
            good[b] = ready[b] & (fill >= self.size)
            self._fill(lane, windows[:, b], ready[b] & ~good[b])
        if np.count_nonzero(good):
            return self._search(lane, windows, counted & good), good
        return np.zeros(good.shape, np.float32), good

    def _search(self, lane: Lane, windows: Codes, counted: Flags) -> Singles:
        book = lane.whole(f"{self.name}_book")[..., lane.where]
        shape = (self.size, *windows.shape[1:])
        part, sum_ = _space(shape)
        few = max(1, CACHED // windows[0].size)
        for first in range(0, self.size, few):
            some = slice(first, first + few)
            _distances(book[some], windows, part, sum_[some])
        near, next_ = two_smallest(sum_.reshape(self.size, -1))
        near, next_ = near.reshape(shape[1:]), next_.reshape(shape[1:])
        rows = np.flatnonzero(counted.any(axis=1))
        if len(rows):
            uses = lane.whole(f"{self.name}_uses")
            for row in rows.tolist():
                hits = sum_[:, row] == near[row]
                if not counted[row].all():
                    hits &= counted[row]
                uses[..., lane.where] += hits.view(np.int8)
        return (near.astype(np.float32) + next_) * np.float32(0.5)

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
        far, find = lane[f"{self.name}_far"], lane[f"{self.name}_find"]
        for b in np.flatnonzero(novel.any(axis=1)).tolist():
            some = novel[b].nonzero()[0]
            which = (ages[b, some] - 1) % EPOCH * self.finds // EPOCH
            better = distance[b, some] > far[which, some]
            some, which = some[better], which[better]
            far[which, some] = distance[b, some]
            find[which, :, some] = windows[:, b, some].T

    def learn(self, lane: Lane) -> None:
        """An epoch is over."""
        far, find = lane[f"{self.name}_far"], lane[f"{self.name}_find"]
        for which in np.flatnonzero(far.any(axis=1)).tolist():
            some = (far[which] > 0).nonzero()[0]
            book, uses = lane.whole(f"{self.name}_book"), lane.whole(f"{self.name}_uses")
            at = lane.places(some)
            old = uses[:, at].argmin(0)
            book[old, :, at] = find[which][:, some].T
            uses[old, at] = 1
            far[which] = 0
        fading = np.flatnonzero(lane["age"] % FADES == 0)
        if len(fading):
            lane.whole(f"{self.name}_uses")[:, lane.places(fading)] >>= 1

    def rescale(self, lane: Lane, some: NDArray[np.intp], power: NDArray[np.int32]) -> None:
        """The code's unit grew by 2**power."""
        book, at = lane.whole(f"{self.name}_book"), lane.places(some)
        moved = np.ldexp(book[..., at].astype(np.float32), -power)
        book[..., at] = np.clip(np.rint(moved), -LIMIT, LIMIT).astype(np.int16)


def _distances(book: Codes, windows: Codes, part: Codes, sum_: NDArray[np.uint16]) -> None:
    """L1, into ``sum_``; ``part`` is work space."""
    part = part[: len(book)]
    np.subtract(book[:, 0, None], windows[0], out=part)
    np.abs(part, out=sum_.view(np.int16))
    for j in range(1, WIDTH):
        np.subtract(book[:, j, None], windows[j], out=part)
        np.abs(part, out=part)
        np.add(sum_, part.view(np.uint16), out=sum_)


def two_smallest(d: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Smallest and second smallest along axis 0, by a tournament of whole rows."""
    low, high = d, None
    while len(low) > 1:
        half = len(low) // 2
        a, b = low[:half], low[half : 2 * half]
        least, most = np.minimum(a, b), np.maximum(a, b)
        if high is not None:
            most = np.minimum(most, np.minimum(high[:half], high[half : 2 * half]))
        if len(low) % 2:  # the odd one out meets row 0
            extra = low[-1]
            most[0] = np.minimum(most[0], np.maximum(least[0], extra))
            if high is not None:
                most[0] = np.minimum(most[0], high[-1])
            least[0] = np.minimum(least[0], extra)
        low, high = least, most
    assert high is not None  # noqa: S101 - a book has at least two prototypes
    return low[0], high[0]


_spaces: dict[tuple[int, ...], tuple[Any, Any]] = {}


def _space(shape: tuple[int, ...]) -> tuple[Codes, NDArray[np.uint16]]:
    """Work space: fresh large arrays would cost page faults. Holds nothing between calls."""
    if shape not in _spaces:
        if len(_spaces) > 64:
            _spaces.clear()
        _spaces[shape] = np.empty(shape, np.int16), np.empty(shape, np.uint16)
    return _spaces[shape]
