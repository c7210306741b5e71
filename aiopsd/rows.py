"""What is learned of each series: rows of numbers, and how they become bytes.

A part that remembers something of many series keeps one ``Rows``: named columns with one row a
series, found by the series' index in the table. State is saved with a kind and a version, so that
bytes of another part, an older form or garbage are refused and never half-loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

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
            self._add(new[np.sort(first)])
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

    def save(self, *, by_series: bool = False) -> bytes:
        """Every number of every row, bit for bit, in the order of rows.

        ``by_series``: in that order, so that the same numbers are the same bytes whatever rows the
        series came to have. Not for who keeps more by row beside it.
        """
        series, at = self.known()
        if by_series:
            order = np.argsort(series, kind="stable")
            series, at = series[order], at[order]
        where = slice(len(at)) if (at == np.arange(len(at))).all() else at  # without holes
        return packed((series, {name: column[where] for name, column in self._data.items()}))

    def load(self, saved: bytes) -> None:
        """Takes the place of what is here. Raises ValueError, and leaves it, on garbage.

        A column that was not saved starts with its fill; one that is not known here is dropped.
        """
        series_bytes, blocks = decode(saved, tuple[memoryview, dict[str, memoryview]])
        series = np.frombuffer(series_bytes, np.int32)
        if not _are_series(series):
            raise ValueError("the saved rows contradict themselves")
        data = {n: _column(c, blocks.get(n), len(series)) for n, c in self._columns.items()}
        self._begin(max(16, len(series)))
        at = self.of(series)
        for name, column in data.items():
            self._data[name][at] = column

    def _add(self, new: Indexes) -> None:
        while len(self._free) < len(new):
            self._resize(2 * len(self._series))
        rows = self._free[: -len(new) - 1 : -1]
        del self._free[-len(new) :]
        self._row[new], self._series[rows] = rows, new

    def _resize(self, capacity: int) -> None:
        before = len(self._series)
        self._series = np.concatenate((self._series, np.full(capacity - before, -1, np.int32)))
        self._free = [*range(capacity - 1, before - 1, -1), *self._free]  # low rows first
        for name, (fill, dtype, width) in self._columns.items():
            more = np.full((capacity - before, width) if width else capacity - before, fill, dtype)
            old = self._data.get(name)
            self._data[name] = more if old is None else np.concatenate((old, more))


def _are_series(series: Indexes) -> bool:
    """Each once, and none of them negative."""
    ordered = np.sort(series)
    return int(ordered[:1].min(initial=0)) >= 0 and not (ordered[1:] == ordered[:-1]).any()


def _column(column: Column, block: memoryview | None, rows: int) -> NDArray[Any]:
    shape = (rows, column.width) if column.width else (rows,)
    if block is None:
        return np.full(shape, column.fill, column.dtype)
    return np.frombuffer(block, column.dtype).reshape(shape)


class Cell(NamedTuple):
    """A column of a ``Sheet``: numbers of this shape for each series."""

    fill: float = 0.0
    dtype: DTypeLike = np.float32
    shape: tuple[int, ...] = ()


CHUNK: Final = 8192  # series a chunk: its temporaries stay in cache, a call is shared by many


class Lane(dict[str, NDArray[Any]]):
    """Some series of one chunk: columns ``[..., series]``, to be changed in place.

    Where the series lie side by side these are views; elsewhere they are copies, which ``close``
    puts back. ``lane["level"] += step`` is in place in both cases. What was read once is found
    again as in any dict: nothing is asked for as often.
    """

    __slots__ = ("_data", "n", "where")

    def __init__(self, data: dict[str, NDArray[Any]], where: slice | At) -> None:
        super().__init__()
        self._data, self.where = data, where
        self.n: int = where.stop - where.start if isinstance(where, slice) else len(where)

    def __missing__(self, name: str) -> NDArray[Any]:
        found = self._data[name][..., self.where]
        super().__setitem__(name, found)
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        here = self[name]
        if value is not here:
            here[...] = value

    def whole(self, name: str) -> NDArray[Any]:
        """The chunk's own array of a wide column; index it with ``places``, do not copy it."""
        return self._data[name]

    def places(self, some: NDArray[np.intp] | None = None) -> At:
        """Where in the chunk these series (numbers in this lane) are."""
        if isinstance(self.where, slice):
            return np.asarray(self.where.start + (np.arange(self.n) if some is None else some))
        return self.where if some is None else np.asarray(self.where[some])

    def only(self, some: NDArray[np.bool_]) -> Lane:
        """The lane of these alone. Close it before this one is used again."""
        if some.all():
            return self
        self.close()
        return Lane(self._data, self.places(np.flatnonzero(some)))

    def close(self) -> None:
        """Puts copies back; what was read before is read again."""
        if not isinstance(self.where, slice):
            for name, values in self.items():
                self._data[name][..., self.where] = values
            self.clear()


class Sheet:
    """Columns ``[..., series]`` of many series, in chunks; for work on all series at once.

    As ``Rows``, but the series are the last axis: each numpy call then runs over many series
    side by side, however wide the column. ``lanes`` hands the work out chunk by chunk.
    """

    def __init__(self, **cells: Cell) -> None:
        self._cells = cells
        self._begin()

    def _begin(self) -> None:
        self._rows = Rows()
        self._chunks: list[dict[str, NDArray[Any]]] = []
        self._capacity = 0
        self._kept: dict[tuple[int, int, int], Lane] = {}  # views: a tick comes again and again
        self._last: tuple[Indexes, list[tuple[Lane, slice | At]]] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def lanes(self, series: Indexes) -> Iterator[tuple[Lane, slice | At]]:
        """The lanes of these series, new ones included, and where each lies in ``series``.

        Close each after use: mostly the same series come again, and then get the same lanes.
        """
        if self._last is None or not np.array_equal(self._last[0], series):
            self._last = None  # also while rows are added
            self._last = series.copy(), list(self._cut(series))
        yield from self._last[1]

    def _cut(self, series: Indexes) -> Iterator[tuple[Lane, slice | At]]:
        at = self._rows.of(series)
        if len(at):
            self._grow(int(at.max()) + 1)
        order = None if (at[1:] > at[:-1]).all() else np.argsort(at, kind="stable")
        ranked = at if order is None else at[order]
        cuts = np.flatnonzero(np.diff(ranked) != 1) + 1
        chunk_cuts = np.flatnonzero(np.diff(ranked // CHUNK)) + 1
        if len(cuts) * 64 > len(at):  # scattered: a copy of each is cheaper than many small steps
            cuts = chunk_cuts
        ends = np.unique(np.concatenate((cuts, chunk_cuts, [0, len(at)])))
        for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            place = slice(begin, end) if order is None else order[begin:end]
            yield self._lane(ranked[begin:end]), place

    def _lane(self, at: At) -> Lane:
        chunk, first = divmod(int(at[0]), CHUNK)
        side_by_side = int(at[-1]) - int(at[0]) == len(at) - 1 and bool((np.diff(at) == 1).all())
        if not side_by_side:
            return Lane(self._chunks[chunk], at - chunk * CHUNK)
        key = chunk, first, first + len(at)
        if key not in self._kept:
            if len(self._kept) > 2 * len(self._chunks):  # series come and go: others by now
                self._kept.clear()
            self._kept[key] = Lane(self._chunks[chunk], slice(*key[1:]))
        return self._kept[key]

    def one(self, series: int) -> Lane | None:
        """The lane of a single known series."""
        at = self._rows.find(np.array([series], np.int32))
        return self._lane(at) if at[0] >= 0 else None

    def copied(self, series: Indexes) -> dict[str, NDArray[Any]]:
        """Every number of these series, ``[..., series]``; the unknown are as new."""
        found = {name: self._new(name, len(series)) for name in self._cells}
        for lane, place in self.lanes(series):
            for name, values in found.items():
                values[..., place] = lane[name]
            lane.close()
        return found

    def put(self, series: Indexes, copied: Mapping[str, NDArray[Any]]) -> None:
        """What was ``copied`` for these same series, here or from such another sheet."""
        for lane, place in self.lanes(series):
            for name, values in copied.items():
                lane[name] = values[..., place]
            lane.close()

    def forget(self, series: Indexes) -> None:
        self._last = None
        for row in self._rows.forget(series).tolist():
            data, place = self._chunks[row // CHUNK], row % CHUNK
            for name, cell in self._cells.items():
                data[name][..., place] = cell.fill

    def save(self) -> bytes:
        """Every number of every series, bit for bit."""
        series, at = self._rows.known()
        ends = np.searchsorted(at, np.arange(len(self._chunks) + 1) * CHUNK)
        places = [at[a:b] % CHUNK for a, b in pairwise(ends.tolist())]
        data = {
            name: np.concatenate(
                [self._new(name, 0)]
                + [c[name][..., where] for c, where in zip(self._chunks, places, strict=True)],
                axis=-1,
            )
            for name in self._cells
        }
        return packed((series, data))

    def load(self, saved: bytes) -> None:
        """Takes the place of what is here. Raises ValueError, and leaves it, on garbage."""
        series_bytes, blocks = decode(saved, tuple[memoryview, dict[str, memoryview]])
        series = np.frombuffer(series_bytes, np.int32)
        alike = _are_series(series)
        if not alike or blocks.keys() != self._cells.keys():
            raise ValueError("the saved series contradict themselves")
        data = {
            name: np.frombuffer(blocks[name], dtype).reshape(*shape, len(series))
            for name, (_, dtype, shape) in self._cells.items()
        }
        self._begin()
        self.put(series, data)

    def _grow(self, rows: int) -> None:
        """The first chunk grows by doubling, as most rules have few series; then whole chunks."""
        while self._capacity < rows:
            self._kept.clear()
            self._last = None
            if 0 < self._capacity < CHUNK:
                size = min(2 * self._capacity, CHUNK)
                self._chunks[0] = {
                    name: np.concatenate((old, self._new(name, size - old.shape[-1])), axis=-1)
                    for name, old in self._chunks[0].items()
                }
                self._capacity = size
            else:
                size = CHUNK if self._capacity else 16
                self._chunks.append({name: self._new(name, size) for name in self._cells})
                self._capacity += size

    def _new(self, name: str, size: int) -> NDArray[Any]:
        fill, dtype, shape = self._cells[name]
        return np.full((*shape, size), fill, dtype)


def pack(kind: str, version: int, *state: Any) -> bytes:
    """State as bytes that only ``unpack`` with the same kind and version takes back."""
    return sealed(kind, version, state)


def unpack(kind: str, version: int, saved: bytes, shape: Any) -> Any:
    """What ``pack`` was given, as this tuple type. Raises ValueError on anything else."""
    found = decode(saved, tuple[str, int, memoryview])  # read in place
    if found[:2] != (kind, version):
        text = f"saved state is {found[0]!r} version {found[1]}, not {kind!r} version {version}"
        raise ValueError(text)
    return decode(found[2], shape)


def decode(saved: bytes | memoryview, shape: Any) -> Any:
    """MessagePack as this type. Raises ValueError on garbage."""
    try:
        return msgspec.msgpack.decode(saved, type=shape)
    except msgspec.DecodeError as error:
        raise ValueError(f"saved state cannot be read: {error}") from None
