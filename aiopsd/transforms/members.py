"""The raw series on one side of a selection: their newest values, and sums of them by group."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats, Indexes
from aiopsd.rows import At, Column, Rows
from aiopsd.transforms.counters import COLUMNS, Counters, Where
from aiopsd.transforms.groups import Groups_
from aiopsd.transforms.selection import Agg, As

_COLUMNS: Final = {
    "group": Column(-1, np.int64),
    "bound": Column(),
    "time": Column(-np.inf),
    "value": Column(np.nan),  # as the selection wants it: newest, rate or increase
}
_DENSE: Final = 3  # from a third of the rows on, all rows at once are faster than these alone


class Members:
    """One row a series; a group has one cell for each bound (one, without buckets)."""

    def __init__(self, as_: As, window_secs: float) -> None:
        self._as = as_
        self.rows = Rows(**_COLUMNS, **({} if as_ == "value" else COLUMNS))
        self._counters = Counters(self.rows, window_secs, changes=as_ == "changes")
        self._top = 0  # rows in use are below
        self._stale = True  # bounds and cells are to be worked out anew
        self._bounds: Floats = np.zeros(0)
        self._cell: NDArray[np.intp] = np.zeros(0, np.intp)  # by row

    def add(self, series: Indexes, groups: Groups_, bounds: Floats) -> None:
        """New members, each once."""
        at = self.rows.of(series)
        self.rows["group"][at], self.rows["bound"][at] = groups, bounds
        self._top = max(self._top, int(at.max(initial=-1)) + 1)
        self._stale = True

    def knows(self, series: Indexes) -> NDArray[np.bool_]:
        return self.rows.find(series) >= 0

    @property
    def bounds(self) -> Floats:
        """Of all buckets, ascending."""
        self._refresh()
        return self._bounds

    def update(self, at: At, values: Floats, times: Floats, now_s: float) -> None:
        """Newer raw values; one that is not finite is missing, whatever was there before."""
        rows, n = self.rows, self._top
        where: Where = at
        if len(at) * _DENSE >= n:
            where, order = slice(0, n), at
            here = np.zeros(n, bool)
            here[order] = True
            values, raw = np.full(n, np.nan), values
            values[order] = raw
            times, moments = rows["time"][:n].copy(), times
            times[order] = moments
        ok = np.isfinite(values)
        found = np.where(ok, self._judged(where, values, times, ok, now_s), np.nan)
        if isinstance(where, slice):
            found = np.where(here, found, rows["value"][where])
        rows["time"][where], rows["value"][where] = times, found

    def _judged(
        self, at: Where, values: Floats, times: Floats, ok: NDArray[np.bool_], now_s: float
    ) -> Floats:
        if self._as == "value":
            return values
        self._counters.enter(now_s)
        found, spans = self._counters.count(at, values, times, ok)
        self._counters.leave(now_s, self._top)
        if self._as == "rate":
            with np.errstate(over="ignore"):
                return np.asarray(found / spans)
        return np.where(np.isnan(spans), np.nan, found)

    def cells(self, groups: int, agg: Agg, oldest: Floats | float) -> Floats:
        """Aggregates of all groups, shape ``[groups, bounds]``, NaN where there is no member
        with a value that is not older than ``oldest`` (of all, or by group)."""
        self._refresh()
        n, width = self._top, max(len(self._bounds), 1)
        values = self.rows["value"][:n]
        if not isinstance(oldest, float):
            oldest = oldest[self.rows["group"][:n]]  # of a row that is free: any, it has no value
        use = (self.rows["time"][:n] >= oldest) & ~np.isnan(values)
        cell = self._cell
        if not use.all():
            cell, values = cell[use], values[use]
        return _aggregate(agg, cell, values, groups * width).reshape(groups, width)

    def forget(self, series: Indexes) -> list[int]:
        """Drops these series; returns the group of each that was a member."""
        at = self.rows.find(series)
        groups = self.rows["group"][np.unique(at[at >= 0])]
        self.rows.forget(series)
        self._stale = True
        return [int(group) for group in groups]

    def rewind(self, now_s: float) -> None:
        np.minimum(self.rows["time"], now_s, out=self.rows["time"])
        if self._as != "value":
            self._counters.rewind(now_s)

    def state(self) -> tuple[bytes, list[Any]]:
        return self.rows.save(), self._counters.state(self.rows.known()[1])

    def restore(self, rows: bytes, past: list[Any]) -> None:
        """Raises ValueError on garbage."""
        self.rows.load(rows)
        self._counters.restore(past)
        self._top = len(self.rows)
        self._stale = True

    def _refresh(self) -> None:
        """Bounds and cells follow from the rows."""
        if not self._stale:
            return
        _, at = self.rows.known()
        self._top = int(at.max(initial=-1)) + 1
        self._bounds = np.unique(self.rows["bound"][at])
        place = np.searchsorted(self._bounds, self.rows["bound"][at])
        self._cell = np.zeros(self._top, np.intp)
        self._cell[at] = self.rows["group"][at] * max(len(self._bounds), 1) + place
        self._stale = False


def _aggregate(agg: Agg, cell: NDArray[np.intp], values: Floats, size: int) -> Floats:
    count = np.bincount(cell, minlength=size)
    if agg in ("max", "min"):
        pick, start = (np.maximum, -np.inf) if agg == "max" else (np.minimum, np.inf)
        out = np.full(size, start)
        pick.at(out, cell, values)
    else:
        with np.errstate(over="ignore"):
            out = np.bincount(cell, weights=values, minlength=size)
            out = out / np.maximum(count, 1) if agg == "mean" else out
    return np.where(count > 0, out, np.nan)
