"""The two nearest prototypes of many windows at once.

Codes are 16-bit, so that one instruction compares sixteen series. The search is the largest single
part of the bank's work: it goes through a group of prototypes at a time, for as many series as
the cache holds, and keeps the two smallest distances as it goes.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int16]
Distances = NDArray[np.uint16]
WIDTH: Final = 4  # codes a window
LIMIT: Final = 8191  # of a code: four absolute differences still fit uint16
GROUP: Final = 8  # prototypes at a time, at least, for one tick of many series
CACHED: Final = 1 << 16  # distances at a time: with their parts and sums they fill half a cache
SMALL: Final = 1 << 15  # differences: from fewer than these on, fewer calls are worth more


def nearest(book: Codes, windows: Codes, two: Distances) -> Distances:
    """The two smallest L1 distances go into ``two[2, T, n]``; returns all, until the next call.

    ``book[P, WIDTH, n]``, ``windows[WIDTH, T, n]``, ``n`` at most ``most(T)``; answers
    ``[P, T, n]``.
    """
    group = _group(len(book), windows[0].size)
    if windows.size * len(book) <= SMALL:
        parts = np.abs(book[:, :, None] - windows)
        all_ = np.add.reduce(parts, axis=1, dtype=np.uint16)
        two[...] = np.sort(all_, axis=0)[:2]
        return np.asarray(all_)
    all_, part, low, high = _space(len(book), group, windows[0].shape)
    for first in range(0, len(book), group):
        found = all_[first : first + group]
        k = len(found)
        _distances(book[first : first + group], windows, part[:k], found)
        if first == 0:
            continue
        if first == group:
            np.minimum(all_[:k], found, out=low[:k])
            np.maximum(all_[:k], found, out=high[:k])
            continue
        middle = part.view(np.uint16)[:k]
        np.maximum(low[:k], found, out=middle)
        np.minimum(high[:k], middle, out=high[:k])
        np.minimum(low[:k], found, out=low[:k])
    two[0], two[1] = _final(low, high)
    return all_


def most(ticks: int) -> int:
    """Series at a time. Long rows are worth more than many: memory is gone through row by row."""
    return CACHED // max(GROUP, ticks)


def _group(size: int, windows: int) -> int:
    """As many prototypes as the cache holds; a power of two, and two groups at least."""
    return 1 << min(size // 2, CACHED // windows).bit_length() - 1


def _distances(book: Codes, windows: Codes, part: Codes, found: Distances) -> None:
    """L1, into ``found``; ``part`` is work space."""
    np.subtract(book[:, 0, None], windows[0], out=part)
    np.abs(part, out=found.view(np.int16))
    for j in range(1, WIDTH):
        np.subtract(book[:, j, None], windows[j], out=part)
        np.abs(part, out=part)
        np.add(found, part.view(np.uint16), out=found)


def _final(low: Distances, high: Distances) -> tuple[Distances, Distances]:
    """The two smallest of pairs ``low <= high``, along axis 0, by a tournament of whole rows."""
    while len(low) > 1:
        half = len(low) // 2
        np.minimum(high[:half], high[half:], out=high[:half])
        most = np.maximum(low[:half], low[half:], out=high[half:])
        np.minimum(high[:half], most, out=high[:half])
        np.minimum(low[:half], low[half:], out=low[:half])
        low, high = low[:half], high[:half]
    return low[0], high[0]


_spaces: dict[int, list[Any]] = {}


def _space(
    size: int, group: int, shape: tuple[int, ...]
) -> tuple[Distances, Codes, Distances, Distances]:
    """Work space: fresh large arrays would cost page faults. Holds nothing between calls."""
    if size not in _spaces:
        parts = [np.empty(CACHED, dtype) for dtype in (np.int16, np.uint16, np.uint16)]
        _spaces[size] = [np.empty(size * CACHED, np.uint16), *parts]  # grows as far as it is used
    windows = math.prod(shape)
    all_, part, low, high = (
        one[: rows * windows].reshape(rows, *shape)
        for one, rows in zip(_spaces[size], (size, group, group, group), strict=True)
    )
    return all_, part, low, high
