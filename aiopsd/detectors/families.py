"""Series that differ by one label only: the classes of a count, the buckets of a histogram.

A family is judged as one, so one of its series speaks for it. Labels are looked at once for each
index. Numbers of families that have died are used again, the smallest first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import numpy as np

from aiopsd.model import Indexes, Labels
from aiopsd.rows import At, Column, Rows

Key = tuple[tuple[str, str], ...]


class Families:
    """``rows`` has one row a member: its ``family`` (-1: it lacks the label) and your columns."""

    def __init__(self, label: str, labels: Callable[[int], Labels], **columns: Column) -> None:
        self._label, self._labels = label, labels
        self.rows = Rows(family=Column(-1, np.int64), **columns)
        self._begin([])

    def _begin(self, keys: list[Key | None]) -> None:
        self._keys = keys
        self._number = {key: n for n, key in enumerate(keys) if key is not None}
        self._free = [n for n, key in enumerate(keys) if key is None]
        _, at = self.rows.known()
        family = self.rows["family"][at]
        self._size = np.bincount(family[family >= 0], minlength=len(keys)).tolist()

    def meet(self, series: Indexes) -> Iterator[tuple[int, int, str]]:
        """Takes in the new ones of these: each one's row, its family and what its label says."""
        found = self.rows.find(series) < 0
        for index in dict.fromkeys(series[found].tolist()) if found.any() else ():
            labels = self._labels(index)
            row = int(self.rows.of(np.array([index], np.int32))[0])
            if self._label in labels:
                rest = (one for one in labels.items() if one[0] != self._label)
                family = self._join(tuple(sorted(rest)))
                self.rows["family"][row] = family
                yield row, family, labels[self._label]

    def _join(self, key: Key) -> int:
        number = self._number.get(key)
        if number is None:
            number = heapq.heappop(self._free) if self._free else len(self._keys)
            if number == len(self._keys):
                self._keys.append(None)
                self._size.append(0)
            self._keys[number], self._number[key] = key, number
        self._size[number] += 1
        return number

    def members(self, family: int) -> At:
        """Rows of all members, by series index."""
        at = np.flatnonzero(self.rows["family"] == family)
        return at[np.argsort(self.rows.series(at))]

    def forget(self, series: Indexes) -> list[int]:
        """Drops these members; returns the families that have none left."""
        at = self.rows.find(series)
        families = self.rows["family"][np.unique(at[at >= 0])]
        self.rows.forget(series)
        died = []
        for number in families[families >= 0].tolist():
            self._size[number] -= 1
            key = self._keys[number]
            if self._size[number] == 0 and key is not None:
                del self._number[key]
                self._keys[number] = None
                heapq.heappush(self._free, number)
                died.append(number)
        return died

    def state(self) -> tuple[list[Key | None], bytes]:
        return self._keys, self.rows.save()

    def restore(self, keys: list[Key | None], rows: bytes) -> None:
        """Raises ValueError when they do not belong together."""
        self.rows.load(rows)
        _, at = self.rows.known()
        family = self.rows["family"][at]
        if int(family.min(initial=-1)) < -1 or int(family.max(initial=-1)) >= len(keys):
            raise ValueError("saved members belong to no family")
        self._begin(list(keys))
