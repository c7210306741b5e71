"""What is learned of each series: rows of numbers, and how they become bytes.

A part that remembers something of many series keeps one ``Rows``: named columns with one row a
series, found by the series' index in the table. State is saved with a kind and a version, so that
bytes of another part, an older form or garbage are refused and never half-loaded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import DTypeLike, NDArray

from aiopsd.model import Indexes
from aiopsd.packing import packed, sealed

At = NDArray[np.intp]
"""Row numbers, one for each series of a batch."""


class Column(NamedTuple):
    """One number a row, or ``width`` numbers a row; ``fill`` is what a new row starts with."""

    fill: float = 0.0
    dtype: DTypeLike = np.float64
    width: int = 0


class Rows:
    """Columns of numbers, one row a series; grows by doubling, uses freed rows again.

    ``rows["level"]`` is the whole column, shape ``[capacity]`` or ``[capacity, width]``: index
    it with the row numbers that ``of`` returns. It is a new array after growth; do not keep it.
    """

    def __init__(self, **columns: Column) -> None:
        self._columns = columns
        self._begin(16)

    def _begin(self, capacity: int) -> None:
        self._data: dict[str, NDArray[Any]] = {}
        self._row: NDArray[np.intp] = np.full(0, -1, np.intp)  # by series index
        self._series: Indexes = np.full(0, -1, np.int32)  # by row
        self._free: list[int] = []
        self._resize(capacity)

    def __len__(self) -> int:
        return len(self._series) - len(self._free)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._data[name]

    def find(self, series: Indexes) -> At:
        """Rows of these series, -1 for the unknown."""
        if len(series) and int(series.max()) >= len(self._row):
            more = max(int(series.max()) + 1, 2 * len(self._row)) - len(self._row)
            self._row = np.concatenate((self._row, np.full(more, -1, np.intp)))
        return self._row[series]

    def of(self, series: Indexes) -> At:
        """Rows of these series; the unknown get a new one."""
        at = self.find(series)
        if len(at) and int(at.min()) < 0:
            new = series[at < 0]
            _, first = np.unique(new, return_index=True)
            for index in new[np.sort(first)].tolist():
                self._add(index)
            at = self._row[series]
        return at

    def known(self) -> tuple[Indexes, At]:
        """All series that have a row, and their rows."""
        at = np.flatnonzero(self._series >= 0)
        return self._series[at], at

    def series(self, at: At) -> Indexes:
        return self._series[at]

    def forget(self, series: Indexes) -> At:
        """Frees the rows of these series; returns which rows they were."""
        at = self.find(series)
        at = np.unique(at[at >= 0])
        self._row[self._series[at]] = -1
        self._series[at] = -1
        for name, column in self._columns.items():
            self._data[name][at] = column.fill
        self._free += at[::-1].tolist()
        return at

    def save(self) -> bytes:
        """Every number of every row, bit for bit."""
        series, at = self.known()
        where = slice(len(at)) if len(at) and at[-1] == len(at) - 1 else at  # without holes
        return packed((series, {name: column[where] for name, column in self._data.items()}))

    def load(self, saved: bytes) -> None:
        """Takes the place of what is here. Raises ValueError, and leaves it, on garbage.

        A column that was not saved starts with its fill; one that is not known here is dropped.
        """
        series_bytes, blocks = decode(saved, tuple[bytes, dict[str, bytes]])
        series = np.frombuffer(series_bytes, np.int32)
        if len(np.unique(series)) < len(series) or int(series.min(initial=0)) < 0:
            raise ValueError("the saved rows contradict themselves")
        data = {n: _column(c, blocks.get(n), len(series)) for n, c in self._columns.items()}
        self._begin(max(16, len(series)))
        at = self.of(series)
        for name, column in data.items():
            self._data[name][at] = column

    def _add(self, index: int) -> None:
        if not self._free:
            self._resize(2 * len(self._series))
        row = self._free.pop()
        self._row[index], self._series[row] = row, index

    def _resize(self, capacity: int) -> None:
        before = len(self._series)
        self._series = np.concatenate((self._series, np.full(capacity - before, -1, np.int32)))
        self._free += range(capacity - 1, before - 1, -1)
        for name, (fill, dtype, width) in self._columns.items():
            more = np.full((capacity - before, width) if width else capacity - before, fill, dtype)
            old = self._data.get(name)
            self._data[name] = more if old is None else np.concatenate((old, more))


def _column(column: Column, block: bytes | None, rows: int) -> NDArray[Any]:
    shape = (rows, column.width) if column.width else (rows,)
    if block is None:
        return np.full(shape, column.fill, column.dtype)
    return np.frombuffer(block, column.dtype).reshape(shape)


def pack(kind: str, version: int, *state: Any) -> bytes:
    """State as bytes that only ``unpack`` with the same kind and version takes back."""
    return sealed(kind, version, state)


def unpack(kind: str, version: int, saved: bytes, shape: Any) -> Any:
    """What ``pack`` was given, as this tuple type. Raises ValueError on anything else."""
    found = decode(saved, tuple[str, int, bytes])
    if found[:2] != (kind, version):
        text = f"saved state is {found[0]!r} version {found[1]}, not {kind!r} version {version}"
        raise ValueError(text)
    return decode(found[2], shape)


def decode(saved: bytes, shape: Any) -> Any:
    """MessagePack as this type. Raises ValueError on garbage."""
    try:
        return msgspec.msgpack.decode(saved, type=shape)
    except msgspec.DecodeError as error:
        raise ValueError(f"saved state cannot be read: {error}") from None
