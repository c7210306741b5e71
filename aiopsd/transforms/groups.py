"""The groups of one rule: the series that it makes of raw ones."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.contracts import Series
from aiopsd.model import Indexes, Labels

Groups_ = NDArray[np.intp]
Key = tuple[tuple[str, str], ...]
_REFUSED: Final = -2  # the table had no room for it


class Numbers:
    """Labels to group numbers; a number is used again when its group has no members left."""

    def __init__(self) -> None:
        self._number: dict[Key, int] = {}
        self._keys: list[Key | None] = []
        self._members: list[int] = []
        self._free: list[int] = []
        self.series: Indexes = np.full(0, -1, np.int32)  # by group: its name in the table, or < 0

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
            self.series[number] = -1
            self._free.append(number)

    def forget(self, series: Indexes) -> None:
        """The table calls other series by these indexes now."""
        if len(series):
            self.series[np.isin(self.series, series)] = -1

    def _new(self, key: Key) -> int:
        if self._free:
            number = self._free.pop()
            self._keys[number] = key
            return number
        self._keys.append(key)
        self._members.append(0)
        if len(self._keys) > len(self.series):
            more = np.full(max(16, len(self.series)), -1, np.int32)
            self.series = np.concatenate((self.series, more))
        return len(self._keys) - 1

    def state(self) -> list[Key | None]:
        return self._keys

    def restore(self, keys: list[Key | None], members: NDArray[np.intp]) -> None:
        """``members``: how many each has. Table indexes are looked up again."""
        self._keys = keys
        self._members = members.tolist()
        self._number = {key: i for i, key in enumerate(keys) if key is not None}
        self._free = [i for i, key in enumerate(keys) if key is None]
        self.series = np.full(max(16, len(keys)), -1, np.int32)


class Groups(Numbers):
    """Groups that are series of their own in the table, under their rule."""

    def __init__(self, rule: str, table: Series) -> None:
        super().__init__()
        self._rule, self._table = rule, table

    def named(self, numbers: Groups_) -> Indexes:
        """What the table calls these groups; less than 0 where it is full. What it refused is asked
        for again only when there is room, or a full table would cost more than a good one."""
        series = self.series
        for number in numbers[series[numbers] == -1].tolist():
            series[number] = self._interned(number)
        refused = numbers[series[numbers] == _REFUSED]
        if len(refused):
            room = self._table.room(self._rule, len(refused))
            for number in refused.tolist() if room else ():
                series[number] = self._interned(number)
                room -= int(series[number] >= 0)
                if room <= 0:
                    break
        return series[numbers]

    def _interned(self, number: int) -> int:
        found = self._table.intern(self._rule, dict(self._keys[number] or ()), clean=True)
        return found if found >= 0 else _REFUSED
