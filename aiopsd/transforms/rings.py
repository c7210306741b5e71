"""The recent past of counters: what grew within a window, whatever resets lie in it.

Vectorised: rows are series, a fixed number of points each. A point is kept only every 48th of the
longest window, so that memory does not depend on how often a source is read.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats, Indexes

POINTS = 64
SPACING = 48  # points a window; the rest is room for jitter


class Rings:
    """Accumulated growth of each series, and points of it to look back at."""

    def __init__(self, longest_window_secs: float, *, changes: bool = False) -> None:
        self._spacing_secs = longest_window_secs / SPACING
        self._changes = changes  # counts changes of value instead of growth
        self._row: Indexes = np.full(0, -1, np.int32)  # by series index
        self._size = 0
        self._last, self._sum, self._newest = np.zeros((3, 0))
        self._head: NDArray[np.int64] = np.zeros(0, np.int64)
        self._times, self._sums = np.zeros((2, 0, POINTS))

    def push(self, series: Indexes, time_s: float, values: Floats) -> None:
        """One tick. Values that are not finite are missing, and series appear at most once."""
        finite = np.isfinite(values)
        series, values = series[finite], values[finite]
        rows = self._rows_of(series)
        before = self._last[rows]
        known = np.isfinite(before)
        if self._changes:
            growth = (values != before).astype(float)
        else:  # a counter that fell was reset: it counts from nothing again
            growth = np.where(values >= before, values - before, values)
        self._sum[rows] += np.where(known, growth, 0.0)
        self._last[rows], self._newest[rows] = values, time_s
        head = self._head[rows]
        due = ~(time_s - self._times[rows, head] < self._spacing_secs)
        rows, head = rows[due], (head[due] + 1) % POINTS
        self._head[rows] = head
        self._times[rows, head], self._sums[rows, head] = time_s, self._sum[rows]

    def growth(self, series: Indexes, now_s: float, window_secs: float) -> tuple[Floats, Floats]:
        """(growth, over how many seconds), NaN where the window holds no two samples."""
        rows = self._rows_of(series)
        times = self._times[rows]
        oldest = now_s - window_secs * (1 + 1e-9)
        inside = np.where(times >= oldest, times, np.inf)
        at = inside.argmin(axis=1)
        begun = inside[np.arange(len(rows)), at]
        secs = self._newest[rows] - begun
        with np.errstate(invalid="ignore"):
            grown = self._sum[rows] - self._sums[rows, at]
        good = np.isfinite(begun) & (secs > 0) & (self._newest[rows] >= oldest)
        return np.where(good, grown, np.nan), np.where(good, secs, np.nan)

    def forget(self, series: Indexes) -> None:
        series = series[series < len(self._row)]
        rows = self._row[series]
        self._blank(rows[rows >= 0])

    def _rows_of(self, series: Indexes) -> NDArray[np.int64]:
        top = int(series.max(initial=-1)) + 1
        if top > len(self._row):
            self._row = np.concatenate((self._row, np.full(2 * top - len(self._row), -1, np.int32)))
        new = series[self._row[series] < 0]
        if len(new):
            self._grow(self._size + len(new))
            rows = np.arange(self._size, self._size + len(new))
            self._row[new] = rows
            self._blank(rows)
            self._size += len(new)
        return self._row[series].astype(np.int64)

    def _blank(self, rows: NDArray[np.int64] | Indexes) -> None:
        self._last[rows], self._sum[rows], self._newest[rows] = np.nan, 0.0, -np.inf
        self._head[rows] = 0
        self._times[rows], self._sums[rows] = np.nan, 0.0

    def _grow(self, size: int) -> None:
        more = max(0, max(size, 64) - len(self._last))
        if not more:
            return
        more = max(more, len(self._last))
        for name in ("_last", "_sum", "_newest"):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more))))
        self._head = np.concatenate((self._head, np.zeros(more, np.int64)))
        for name in ("_times", "_sums"):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros((more, POINTS)))))

    def save(self) -> bytes:
        n = self._size
        arrays = (self._last[:n], self._sum[:n], self._newest[:n], self._times[:n], self._sums[:n])
        parts = (self._row.tobytes(), self._head[:n].tobytes(), *(a.tobytes() for a in arrays))
        return msgspec.msgpack.encode(parts)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state."""
        parts = msgspec.msgpack.decode(saved, type=list[bytes])
        if len(parts) != 7:
            raise ValueError("not the saved state of rings")
        self._row = np.frombuffer(parts[0], np.int32).copy()
        self._head = np.frombuffer(parts[1], np.int64).copy()
        n = self._size = len(self._head)
        self._last, self._sum, self._newest = (np.frombuffer(p).copy() for p in parts[2:5])
        self._times, self._sums = (np.frombuffer(p).reshape(n, POINTS).copy() for p in parts[5:])
