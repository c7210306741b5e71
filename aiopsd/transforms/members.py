"""The raw series on one side of a selection: their newest values, and sums of them by group."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats, Indexes
from aiopsd.rows import At, Column, Rows
from aiopsd.transforms import counters
from aiopsd.transforms.groups import Groups_
from aiopsd.transforms.selection import Selection

_COLUMNS: Final = {
    "group": Column(-1, np.int64),
    "bound": Column(),
    "time": Column(-np.inf),
    "value": Column(np.nan),  # as the selection wants it: newest, rate or increase
}


class Members:
    """One row a series; a group has one cell for each bound (one, without buckets)."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        counting = {} if selection.as_ == "value" else counters.COLUMNS
        self.rows = Rows(**_COLUMNS, **counting)
        self.bounds: Floats = np.zeros(0)
        self._sizes: NDArray[np.intp] = np.zeros(0, np.intp)  # members by group

    def add(self, series: Indexes, groups: Groups_, bounds: Floats) -> None:
        """New members, each once."""
        at = self.rows.of(series)
        self.rows["group"][at], self.rows["bound"][at] = groups, bounds
        self.recount()

    def knows(self, series: int) -> bool:
        return bool(self.rows.find(np.array([series], np.int32))[0] >= 0)

    def update(self, at: At, values: Floats, now: float) -> None:
        """Newer raw values; one that is not finite is missing, whatever was there before."""
        rows, ok = self.rows, np.isfinite(values)
        rows["time"][at], rows["value"][at] = now, np.nan
        at, values, selection = at[ok], values[ok], self._selection
        if selection.as_ == "value":
            rows["value"][at] = values
            return
        found, spans = counters.increases(
            rows, at, values, now, selection.window_secs, changes=selection.as_ == "changes"
        )
        rows["value"][at] = found / spans if selection.as_ == "rate" else found

    def cells(self, groups: Groups_, at: At, now: float) -> Floats:
        """Aggregates of these groups, shape ``[groups, bounds]``, NaN where there is no member.

        ``at``: rows of these groups that were just updated. The others count with their newest
        values, as long as these are not older than the window.
        """
        self._resize(int(groups.max(initial=-1)) + 1)
        place = np.full(len(self._sizes), -1, np.intp)
        place[groups] = np.arange(len(groups))
        if int(self._sizes[groups].sum()) != len(at):  # else all members are in ``at``
            owner = self.rows["group"]
            at = np.flatnonzero((owner >= 0) & (place[np.maximum(owner, 0)] >= 0))
        fresh = now - self.rows["time"][at] <= self._selection.window_secs
        values = self.rows["value"][at]
        use = fresh & ~np.isnan(values)
        at, values = at[use], values[use]
        bound = np.searchsorted(self.bounds, self.rows["bound"][at])
        cell = place[self.rows["group"][at]] * len(self.bounds) + bound
        shape = len(groups), max(len(self.bounds), 1)
        return _aggregate(self._selection.agg, cell, values, shape[0] * shape[1]).reshape(shape)

    def forget(self, series: Indexes) -> list[int]:
        """Drops these series; returns the group of each that was a member."""
        at = self.rows.find(series)
        groups = self.rows["group"][np.unique(at[at >= 0])]
        self.rows.forget(series)
        self.recount()
        return [int(group) for group in groups]

    def recount(self) -> None:
        """Sizes and bounds follow from the rows."""
        _, at = self.rows.known()
        self._sizes = np.bincount(self.rows["group"][at], minlength=len(self._sizes))
        self.bounds = np.unique(self.rows["bound"][at])

    def _resize(self, groups: int) -> None:
        if groups > len(self._sizes):
            more = max(groups, 2 * len(self._sizes)) - len(self._sizes)
            self._sizes = np.concatenate((self._sizes, np.zeros(more, np.intp)))


def _aggregate(agg: str, cell: NDArray[np.intp], values: Floats, size: int) -> Floats:
    count = np.bincount(cell, minlength=size)
    if agg in ("max", "min"):
        pick, start = (np.maximum, -np.inf) if agg == "max" else (np.minimum, np.inf)
        out = np.full(size, start)
        pick.at(out, cell, values)
    else:
        out = np.bincount(cell, weights=values, minlength=size)
        out = out / np.maximum(count, 1) if agg == "mean" else out
    return np.where(count > 0, out, np.nan)
