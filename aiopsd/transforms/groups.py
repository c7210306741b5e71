"""The groups of one rule: the series that it makes of raw ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiopsd.contracts import Series
from aiopsd.model import Indexes, Labels

Groups_ = NDArray[np.intp]
_Key = tuple[tuple[str, str], ...]


class Groups:
    """Labels to group numbers; a number is used again when its group has no members left."""

    def __init__(self, rule: str, table: Series) -> None:
        self._rule, self._table = rule, table
        self._number: dict[_Key, int] = {}
        self._keys: list[_Key | None] = []
        self._members: list[int] = []
        self._free: list[int] = []
        self._series: Indexes = np.full(0, -1, np.int32)  # by group; -1: not interned

    def __len__(self) -> int:
        """One more than the largest number."""
        return len(self._keys)

    def join(self, labels: Labels) -> int:
        """The group of a new member."""
        key = tuple(sorted(labels.items()))
        number = self._number.get(key)
        if number is None:
            number = self._number[key] = self._new(key)
        self._members[number] += 1
        return number

    def leave(self, number: int) -> None:
        """A member is gone."""
        self._members[number] -= 1
        if self._members[number] == 0:
            key, self._keys[number] = self._keys[number], None
            if key is not None:
                del self._number[key]
            self._series[number] = -1
            self._free.append(number)

    def series(self, numbers: Groups_) -> Indexes:
        """What the table calls these groups; -1 where the table is full."""
        for number in numbers[self._series[numbers] < 0].tolist():
            self._series[number] = self._table.intern(self._rule, dict(self._keys[number] or ()))
        return self._series[numbers]

    def forget(self, series: Indexes) -> None:
        """The table calls other series by these indexes now."""
        self._series[np.isin(self._series, series)] = -1

    def _new(self, key: _Key) -> int:
        if self._free:
            number = self._free.pop()
            self._keys[number] = key
            return number
        self._keys.append(key)
        self._members.append(0)
        if len(self._keys) > len(self._series):
            more = np.full(max(16, len(self._series)), -1, np.int32)
            self._series = np.concatenate((self._series, more))
        return len(self._keys) - 1

    def state(self) -> list[_Key | None]:
        return self._keys

    def restore(self, keys: list[_Key | None], members: NDArray[np.intp]) -> None:
        """``members``: how many each has. Table indexes are looked up again."""
        self._keys = keys
        self._members = members.tolist()
        self._number = {key: i for i, key in enumerate(keys) if key is not None}
        self._free = [i for i, key in enumerate(keys) if key is None]
        self._series = np.full(max(16, len(keys)), -1, np.int32)
