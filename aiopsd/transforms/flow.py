"""One selection at work: raw batches in, batches of its rule out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aiopsd.contracts import Series
from aiopsd.model import Batch, Floats, Indexes, Labels
from aiopsd.transforms.groups import Groups
from aiopsd.transforms.members import Members
from aiopsd.transforms.quantile import quantiles
from aiopsd.transforms.selection import Selection


class Flow:
    """The live state of one rule's selection."""

    def __init__(self, rule: str, selection: Selection, table: Series) -> None:
        self.rule, self.selection = rule, selection
        self._table = table
        self._begin()

    def _begin(self) -> None:
        self._groups = Groups(self.rule, self._table)
        self._sides = [Members(self.selection) for _ in range(self.selection.sides)]

    def admit(self, found: Sequence[tuple[int, Labels]]) -> None:
        """Raw series that were not seen before; a restored flow knows some of them."""
        new: list[list[tuple[int, int, float]]] = [[] for _ in self._sides]
        for series, labels in found:
            for part in self.selection.parts(labels):
                if not self._sides[part.side].knows(series):
                    group = self._groups.join(part.group)
                    new[part.side].append((series, group, part.bound))
        for side, members in zip(self._sides, new, strict=True):
            if members:
                series_, groups, bounds = (
                    np.array(column) for column in zip(*members, strict=True)
                )
                side.add(series_.astype(np.int32), groups, bounds)

    def feed(self, batch: Batch) -> Batch:
        """Values of the groups that have members in this batch; empty is a tick without any."""
        now, rows = batch.time_s, []
        for side in self._sides:
            at = side.rows.find(batch.series)
            side.update(at[at >= 0], batch.values[at >= 0], now)
            rows.append(at[at >= 0])
        owners = [side.rows["group"][at] for side, at in zip(self._sides, rows, strict=True)]
        groups = np.unique(np.concatenate(owners))
        cells = [s.cells(groups, at, now) for s, at in zip(self._sides, rows, strict=True)]
        values = self._combine(cells)
        found = np.isfinite(values)
        series = self._groups.series(groups[found])
        kept = series >= 0  # the table may be full
        return Batch(self.rule, now, series[kept], values[found][kept], batch.history)

    def _combine(self, cells: list[Floats]) -> Floats:
        q = self.selection.quantile
        if q is not None:
            return quantiles(q, self._sides[0].bounds, cells[0])
        if len(cells) == 1:
            return cells[0][:, 0]
        top, bottom = cells[0][:, 0], cells[1][:, 0]
        if self.selection.as_ != "mean":
            top = np.where(np.isnan(top), 0.0, top)
        ratio = top / np.where(bottom == 0, np.nan, bottom)
        return np.asarray(ratio)

    def forget(self, series: Indexes) -> None:
        for side in self._sides:
            for group in side.forget(series):
                self._groups.leave(group)
        self._groups.forget(series)

    def rewind(self, now_s: float) -> None:
        for side in self._sides:
            np.minimum(side.rows["time"], now_s, out=side.rows["time"])

    def state(self) -> tuple[Any, ...]:
        return self._groups.state(), [side.rows.save() for side in self._sides]

    def restore(self, keys: list[Any], sides: list[bytes]) -> None:
        """Raises ValueError, and begins anew, when they do not belong together."""
        self._begin()
        try:
            self._restore(keys, sides)
        except ValueError:
            self._begin()
            raise

    def _restore(self, keys: list[Any], sides: list[bytes]) -> None:
        members = np.zeros(len(keys), np.intp)
        for side, saved in zip(self._sides, sides, strict=True):
            side.rows.load(saved)
            _, at = side.rows.known()
            owners = side.rows["group"][at]
            if len(owners) and not 0 <= owners.min() <= owners.max() < len(keys):
                raise ValueError("saved members belong to no group")
            members += np.bincount(owners, minlength=len(keys))
            side.recount()
        self._groups.restore(keys, members)
