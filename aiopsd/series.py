"""Labels to indexes and back: the one table that knows what each series is called."""

from __future__ import annotations

import threading

import msgspec
import numpy as np

from aiopsd.model import Batch, Floats, Indexes, Labels

SPARED = 20  # expiries; the daemon has one with each checkpoint
_Key = tuple[str, tuple[tuple[str, str], ...]]


class SeriesTable:
    """Bounded. An index is stable while its series lives; a freed one is used again.

    Sources intern on the loop while detection records in a thread: every method holds the lock.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self.limit = limit
        self.refused = 0  # series that found the table full
        self.late = 0  # samples that were not newer than what the table already has
        self._lock = threading.RLock()
        self._expiries = 0
        self._index: dict[_Key, int] = {}
        self._keys: list[_Key | None] = []
        self._free: list[int] = []
        self._by_rule: dict[str, dict[int, None]] = {}
        self._time: Floats = np.full(64, -np.inf)
        self._value: Floats = np.full(64, np.nan)
        self._touched: Indexes = np.zeros(64, np.int32)  # the expiry after which it was in use

    def __len__(self) -> int:
        return len(self._index)

    @property
    def capacity(self) -> int:
        return len(self._keys)

    def intern(self, rule: str, labels: Labels) -> int:
        """Index of this series, new or known; -1 when the table is full."""
        key = (rule, tuple(sorted(labels.items())))
        with self._lock:
            found = self._index.get(key)
            if found is not None:
                self._touched[found] = self._expiries
                return found
            if len(self._index) >= self.limit:
                self.refused += 1
                return -1
            return self._add(key)

    def _add(self, key: _Key) -> int:
        if self._free:
            index = self._free.pop()
            self._keys[index] = key
        else:
            index = len(self._keys)
            self._keys.append(key)
            if index >= len(self._time):
                more = len(self._time)
                self._time = np.concatenate((self._time, np.full(more, -np.inf)))
                self._value = np.concatenate((self._value, np.full(more, np.nan)))
                self._touched = np.concatenate((self._touched, np.zeros(more, np.int32)))
        self._index[key] = index
        self._touched[index] = self._expiries
        self._by_rule.setdefault(key[0], {})[index] = None
        self._time[index], self._value[index] = -np.inf, np.nan
        return index

    def labels(self, index: int) -> Labels:
        key = self._keys[index]
        if key is None:
            raise KeyError(index)
        return dict(key[1])

    def of(self, rule: str) -> list[int]:
        """Indexes of this rule's series, in order of arrival."""
        with self._lock:
            return list(self._by_rule.get(rule, {}))

    def record(self, batch: Batch) -> Batch:
        """Notes the newest values; returns the batch without samples that are not newer.

        A clock that went back, a duplicate and a late sample are all the same thing here.
        """
        with self._lock:
            return self._record(batch)

    def _record(self, batch: Batch) -> Batch:
        fresh = (batch.series >= 0) & (batch.time_s > self._time[batch.series])
        if fresh.any():  # a series twice in one batch: the first wins
            first = np.zeros(len(fresh), bool)
            first[np.unique(batch.series, return_index=True)[1]] = True
            fresh &= first
        self.late += int(len(fresh) - fresh.sum())
        if not fresh.all():
            batch = Batch(
                batch.rule, batch.time_s, batch.series[fresh], batch.values[fresh], batch.history
            )
        self._touched[batch.series] = self._expiries
        self._time[batch.series] = batch.time_s
        self._value[batch.series] = batch.values
        return batch

    def latest(self, rule: str, where: Labels, since_s: float) -> list[tuple[Labels, float]]:
        """Newest finite values of this rule's series that match, not older than ``since_s``."""
        found = []
        with self._lock:
            for index in self.of(rule):
                if self._time[index] < since_s or not np.isfinite(self._value[index]):
                    continue
                labels = self.labels(index)
                if all(labels.get(name) == value for name, value in where.items()):
                    found.append((labels, float(self._value[index])))
        return found

    def expire(self, before_s: float) -> Indexes:
        """Frees series not seen since ``before_s``; who keeps rows by index must forget them.

        What was interned or recorded before the last few expiries only: its samples may still
        be on their way here, or be history, older than that and just being read.
        """
        with self._lock:
            self._expiries += 1
            n = len(self._keys)
            old = self._time[:n] < before_s
            old &= self._touched[:n] < self._expiries - SPARED
            gone = [i for i in np.flatnonzero(old).tolist() if self._keys[i] is not None]
            for index in gone:
                key = self._keys[index]
                assert key is not None  # noqa: S101 - seen just now
                del self._index[key], self._by_rule[key[0]][index]
                self._keys[index] = None
                self._free.append(index)
        return np.array(gone, np.int32)

    def rewind(self, now_s: float) -> None:
        """The clock was ahead when these samples came: none of them is newer than now."""
        with self._lock:
            np.minimum(self._time, now_s, out=self._time)

    def save(self) -> bytes:
        with self._lock:
            n = len(self._keys)
            parts = self._keys, self._time[:n].tobytes(), self._value[:n].tobytes()
            return msgspec.msgpack.encode(parts)

    def load(self, saved: bytes) -> None:
        shape = tuple[list[_Key | None], bytes, bytes]
        keys, times, values = msgspec.msgpack.decode(saved, type=shape)
        self.__init__(self.limit)  # type: ignore[misc]
        size = max(64, len(keys))
        self._time, self._value = np.full(size, -np.inf), np.full(size, np.nan)
        self._touched = np.zeros(size, np.int32)
        self._keys = keys
        for index, key in enumerate(keys):
            if key is None:
                self._free.append(index)
            else:
                self._index[key] = index
                self._by_rule.setdefault(key[0], {})[index] = None
        self._time[: len(keys)] = np.frombuffer(times)
        self._value[: len(keys)] = np.frombuffer(values)
