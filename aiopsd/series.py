"""Labels to indexes and back: the one table that knows what each series is called."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiopsd.keys import REFUSED, UNKNOWN, Codes, Keys
from aiopsd.model import MOST_LABEL_BYTES, Batch, Floats, Indexes, Labels
from aiopsd.names import ODD, cut, joined, labels_of, name_of, pair_of, unpacked
from aiopsd.shares import Owner, Shares

SPARED = 20  # expiries; the daemon has one with each checkpoint
_VERSION = 2  # of what is saved
_AT_ONCE = 16_384  # keys in one part, so that a part without a new series stays as it was
_LOW = 0xFFFF_FFFF
T = TypeVar("T", bound=np.generic)


class SeriesTable:
    """Bounded. An index is stable while its series lives; a freed one is used again.

    ``limit`` is what one source alone may have (``Shares``). ``oversize`` is told of a (source,
    series) whose labels are more than MOST_LABEL_BYTES; it is dropped. ``clean``: what of labels
    may be kept; the same labels where all may.

    Sources intern on the loop while detection records in a thread: every method holds the lock.
    """

    def __init__(
        self,
        limit: int = 200_000,
        oversize: Callable[[str, Labels], None] = lambda source, labels: None,  # noqa: ARG005
        clean: Callable[[Labels], Labels] = lambda labels: labels,
    ) -> None:
        self.shares = Shares(limit)
        self._clean = clean
        self._oversize = oversize
        self.late = 0  # samples that were not newer than what the table already has
        self._lock = threading.RLock()
        self._expiries = 0
        self._begin(64)

    def _begin(self, capacity: int) -> None:
        self._index: dict[bytes, int] = {}
        self._keys: list[bytes] = []  # by index; empty where it is free
        self._free: list[int] = []
        self._time: Floats = np.full(capacity, -np.inf)
        self._value: Floats = np.full(capacity, np.nan)
        self._touched: Indexes = np.zeros(capacity, np.int32)  # the expiry after which it was used
        self._owner: Indexes = np.full(capacity, -1, np.int32)  # number; -1: the index is free
        self._generation: Indexes = np.zeros(capacity, np.int32)  # grows when an index is freed
        self._place: Indexes = np.zeros(capacity, np.int32)  # scratch of record()

    def __len__(self) -> int:
        return len(self._index)

    @property
    def limit(self) -> int:
        return self.shares.limit

    @property
    def refused(self) -> int:
        """Series that found no room."""
        return self.shares.refused

    @property
    def capacity(self) -> int:
        return len(self._keys)

    def seen_by(self, source: str) -> SourceSeries:
        """The same table; what is interned through this counts as that source's."""
        return SourceSeries(self, source)

    def keys(self, rule: str = "", source: str = "") -> Keys:
        """Raw label bytes of one source, for series interned under ``rule``."""
        return Keys(self, rule, source)

    # --- names --------------------------------------------------------------------------

    def intern(self, rule: str, labels: Labels, source: str = "", *, clean: bool = False) -> int:
        """Index of this series, new or known; -1 where there is no room for it. ``clean``: its
        labels are those of series that are here."""
        key = name_of(rule, labels)
        if len(key) > MOST_LABEL_BYTES:
            self._oversize(source, labels)
            return UNKNOWN
        with self._lock:
            found = self._index.get(key)
            if found is None and not clean and (kept := self._clean(labels)) is not labels:
                key = name_of(rule, kept)
                found = self._index.get(key)
            if found is not None:
                self._touched[found] = self._expiries
                return found
            number = self.shares.number((source, rule))
            if not self.shares.take(number):
                self.shares.refuse((source, rule), 1)
                return UNKNOWN
            return self._add(key, number)

    def room(self, rule: str, many: int, source: str = "") -> int:
        """For how many more of this rule's series there is room, of so many that were refused
        before; the others are counted as refused again."""
        with self._lock:
            room = min(self.shares.room(self.shares.number((source, rule))), many)
            if room < many:
                self.shares.refuse((source, rule), many - room)
            return room

    def _add(self, key: bytes, number: int) -> int:
        if self._free:
            index = self._free.pop()
            self._keys[index] = key
        else:
            index = len(self._keys)
            self._keys.append(key)
            if index >= len(self._time):
                self._grow(2 * index)
        self._index[key] = index
        self._owner[index] = number
        self._touched[index] = self._expiries
        self._time[index], self._value[index] = -np.inf, np.nan
        return index

    def _grow(self, capacity: int) -> None:
        self._time = _longer(self._time, capacity, -np.inf)
        self._value = _longer(self._value, capacity, np.nan)
        self._touched = _longer(self._touched, capacity, 0)
        self._owner = _longer(self._owner, capacity, -1)
        self._generation = _longer(self._generation, capacity, int(self._generation.max()))
        self._place = _longer(self._place, capacity, 0)

    def labels(self, index: int) -> Labels:
        key = self._keys[index]
        if not key:
            raise KeyError(index)
        return labels_of(key)

    def of(self, rule: str) -> list[int]:
        """Indexes of this rule's series."""
        with self._lock:
            found: list[int] = self._of(rule).tolist()
            return found

    def _of(self, rule: str) -> NDArray[np.intp]:
        owner = self._owner[: len(self._keys)]
        numbers = [n for n, (_, name) in enumerate(self.shares.owners) if name == rule]
        if len(numbers) == 1:
            return np.flatnonzero(owner == numbers[0])
        return np.flatnonzero(np.isin(owner, numbers))

    def counts(self) -> dict[Owner, int]:
        """How many series each (source, rule) has."""
        with self._lock:
            return self.shares.counts()

    def crowd(self) -> str:
        """Who has most of the table, and who was refused most."""
        with self._lock:
            return self.shares.crowd()

    # --- codes: an index that can be kept -----------------------------------------------

    def codes(self, indexes: Sequence[int] | Indexes) -> Codes:
        """What finds these series again later (see ``held``), or that they were refused."""
        with self._lock:
            at = np.asarray(indexes, np.int64)
            known: Codes = (self._generation[at].astype(np.int64) << 32) | at
            return np.where(at >= 0, known, REFUSED)

    def held(self, codes: Codes, rule: str = "", source: str = "") -> Indexes:
        """The index of each; UNKNOWN where it means another series by now. Of those that were
        refused as many are UNKNOWN as there is room now, the others REFUSED and counted. Spares
        what it finds from expiry, as ``intern`` does."""
        with self._lock:
            at = codes & _LOW
            at[codes < 0] = 0
            known = (codes >= 0) & (self._generation[at] == codes >> 32)
            self._touched[at[known]] = self._expiries
            found = np.where(known, at, UNKNOWN).astype(np.int32)
            room = self.shares.room(self.shares.number((source, rule)))
            refused = np.flatnonzero(codes == REFUSED)[room:]
            if len(refused):
                self.shares.refuse((source, rule), len(refused))
                found[refused] = REFUSED
            return found

    def lives(self, codes: Codes) -> NDArray[np.bool_]:
        """Whether each still means its series; changes nothing."""
        with self._lock:
            at = np.where(codes >= 0, codes & _LOW, 0)
            living: NDArray[np.bool_] = (codes >= 0) & (self._generation[at] == codes >> 32)
            return living

    def touch(self, indexes: Indexes) -> None:
        """Spares these series from expiry for a while: their samples are on their way."""
        with self._lock:
            self._touched[indexes[indexes >= 0]] = self._expiries

    # --- values -------------------------------------------------------------------------

    def record(self, batch: Batch) -> Batch:
        """Notes the newest values; returns the batch without samples that are not newer.

        A clock that went back, a duplicate and a late sample are all the same thing here.
        """
        with self._lock:
            series = batch.series
            fresh = (series >= 0) & (batch.time_s > self._time[series])
            order = np.arange(len(series), dtype=np.int32)
            self._place[series[::-1]] = order[::-1]  # the last one written is the first
            fresh &= self._place[series] == order  # a series twice in one batch: the first wins
            self.late += int(len(fresh) - fresh.sum())
            if not fresh.all():
                series, values = series[fresh], batch.values[fresh]
                batch = Batch(batch.rule, batch.time_s, series, values, batch.history)
            self._touched[series] = self._expiries
            self._time[series] = batch.time_s
            self._value[series] = batch.values
            return batch

    def latest(self, rule: str, where: Labels, since_s: float) -> list[tuple[Labels, float]]:
        """Newest finite values of this rule's series that match, not older than ``since_s``."""
        with self._lock:
            at, keys = self._of(rule), self._keys
            at = at[(self._time[at] >= since_s) & np.isfinite(self._value[at])]
            found: list[int] = at.tolist()
            for pair in (pair_of(*pair) for pair in where.items()):  # most are not meant at all
                needle = b"\x1e" + pair.encode(errors="replace")
                found = [i for i in found if needle in keys[i] or keys[i].startswith(ODD)]
            matches = [(labels_of(keys[i]), float(self._value[i])) for i in found]
        return [one for one in matches if where.items() <= one[0].items()]

    def expire(self, before_s: float) -> Indexes:
        """Frees series not seen since ``before_s``; who keeps rows by index must forget them.

        What was interned or recorded before the last few expiries only: its samples may still
        be on their way here, or be history, older than that and just being read.
        """
        with self._lock:
            self._expiries += 1
            n = len(self._keys)
            old = (self._owner[:n] >= 0) & (self._time[:n] < before_s)
            old &= self._touched[:n] < self._expiries - SPARED
            gone = np.flatnonzero(old)
            for index in gone.tolist():
                del self._index[self._keys[index]]
                self._keys[index] = b""
            self._free += gone.tolist()
            self._free.sort(reverse=True)  # lowest first: few parts of what is saved change
            self._generation[gone] += 1
            many = len(self.shares.owners)
            self.shares.leave(np.bincount(self._owner[gone], minlength=many).tolist())
            self._owner[gone] = -1
            return gone.astype(np.int32)

    def rewind(self, now_s: float) -> None:
        """The clock was ahead when these samples came: none of them is newer than now."""
        with self._lock:
            np.minimum(self._time, now_s, out=self._time)

    # --- keeping ------------------------------------------------------------------------

    def save(self) -> dict[str, bytes]:
        """Many parts: of a part in which no series came or went, all bytes stay the same."""
        with self._lock:
            n = len(self._keys)
            keys = [self._keys[at : at + _AT_ONCE] for at in range(0, n, _AT_ONCE)]
            columns = [one[:n].tobytes() for one in (self._time, self._value, self._owner)]
            owners = self.shares.owners
        parts = {f"keys/{number}": joined(some) for number, some in enumerate(keys)}
        return parts | {"columns": msgspec.msgpack.encode((_VERSION, n, owners, columns))}

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Raises ValueError or KeyError on garbage, and stays as it was. No code that was given
        out before finds anything after it."""
        shape = tuple[int, int, list[tuple[str, str]], tuple[bytes, bytes, bytes]]
        version, n, owners, columns = unpacked(parts["columns"], shape)
        if version != _VERSION:
            raise ValueError(f"the saved series are of version {version}, not {_VERSION}")
        keys = [key for at in range(0, n, _AT_ONCE) for key in cut(parts[f"keys/{at // _AT_ONCE}"])]
        time, value = (np.frombuffer(one) for one in columns[:2])
        owner = np.frombuffer(columns[2], np.int32)
        if not len(keys) == len(time) == len(value) == len(owner):
            raise ValueError("the saved series contradict themselves")
        with self._lock:
            generation = int(self._generation.max()) + 1
            self._begin(max(64, n))
            self._generation += generation
            self._touched[:] = self._expiries
            self._keys, self._index = keys, dict(zip(keys, range(n), strict=True))
            self._index.pop(b"", None)
            self._free = np.flatnonzero(owner < 0)[::-1].tolist()
            sizes = np.bincount(owner[owner >= 0], minlength=len(owners)).tolist()
            self.shares.begin(owners, sizes)
            self._time[:n], self._value[:n], self._owner[:n] = time, value, owner


class SourceSeries:
    """The table as one source sees it."""

    def __init__(self, table: SeriesTable, source: str) -> None:
        self._table = table
        self._source = source

    def seen_by(self, part: str) -> SourceSeries:
        return SourceSeries(self._table, f"{self._source}/{part}")

    def intern(self, rule: str, labels: Labels, *, clean: bool = False) -> int:
        return self._table.intern(rule, labels, self._source, clean=clean)

    def room(self, rule: str, many: int) -> int:
        return self._table.room(rule, many, self._source)

    def labels(self, index: int) -> Labels:
        return self._table.labels(index)

    def keys(self, rule: str = "") -> Keys:
        return self._table.keys(rule, self._source)


def _longer(column: NDArray[T], capacity: int, fill: float) -> NDArray[T]:
    more = np.full(capacity - len(column), fill, column.dtype)
    return np.concatenate((column, more))
