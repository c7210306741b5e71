"""One selection at work: rounds of raw samples in, batches of its rule out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiopsd.contracts import Series
from aiopsd.model import Batch, Floats, Indexes, Labels
from aiopsd.transforms.groups import Groups, Groups_
from aiopsd.transforms.members import Members
from aiopsd.transforms.quantile import quantiles
from aiopsd.transforms.selection import Selection

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tick:
    """One rule's part of a round: raw samples, each series once, in any order."""

    series: Indexes
    values: Floats
    times: Floats
    late: Flags  # of an earlier tick: judged at their own time
    now_s: float  # the newest sample of the round
    since_s: float  # the first one
    history: bool

    def batches(
        self, rule: str, series: Indexes, values: Floats, stamps: Floats | None
    ) -> list[Batch]:
        """``stamps``: when each was; None: now. Empty is a tick without any."""
        if stamps is None:
            return [Batch(rule, self.now_s, series, values, self.history)]
        found = []
        for stamp in np.unique(np.append(stamps, self.now_s)).tolist():
            mine = stamps == stamp
            found.append(Batch(rule, stamp, series[mine], values[mine], self.history))
        return found


class Flow:
    """The live state of one rule's selection."""

    def __init__(self, rule: str, selection: Selection, table: Series) -> None:
        self.rule, self.selection = rule, selection
        self._table = table
        self._begin()

    def _begin(self) -> None:
        one = self.selection
        counted = "delta" if one.as_ == "mean" or one.quantile is not None else one.as_
        self._groups = Groups(self.rule, self._table)
        self._sides = [Members(counted, one.window_secs) for _ in range(one.sides)]

    def admit(self, name: str, found: Sequence[tuple[int, Labels]]) -> None:
        """Raw series of this name, not seen before; a restored flow knows some of them."""
        roles = self.selection.roles(name)
        new: list[list[tuple[int, int, float]]] = [[] for _ in self._sides]
        indexes = np.array([series for series, _ in found], np.int32)
        known = [side.knows(indexes).tolist() for side in self._sides]
        for n, (series, labels) in enumerate(found):
            for part in self.selection.parts(labels, roles):
                if not known[part.side][n]:
                    group = self._groups.join(part.group)
                    new[part.side].append((series, group, part.bound))
        for side, members in zip(self._sides, new, strict=True):
            if members:
                series_, groups, bounds = zip(*members, strict=True)
                side.add(np.array(series_, np.int32), np.array(groups), np.array(bounds))

    @property
    def selected(self) -> tuple[int, ...]:
        """How many raw series each side has."""
        return tuple(len(side.rows) for side in self._sides)

    def knows(self, series: Indexes) -> NDArray[np.bool_]:
        """Which of these are members, on whichever side."""
        return np.asarray(np.any([side.knows(series) for side in self._sides], axis=0))

    def feed(self, tick: Tick) -> list[Batch]:
        """Values of the groups that have members in this round; empty is one without any."""
        hits = [side.rows.find(tick.series) for side in self._sides]
        here = [at >= 0 for at in hits]
        rows = [at[hit] for at, hit in zip(hits, here, strict=True)]
        for side, at, hit in zip(self._sides, rows, here, strict=True):
            side.update(at, tick.values[hit], tick.times[hit], tick.now_s)
        owners = [side.rows["group"][at] for side, at in zip(self._sides, rows, strict=True)]
        stamps: Floats | None = None
        if self.selection.alone:
            groups, values = owners[0], self._sides[0].rows["value"][rows[0]]
            if tick.late.any():
                stamps = np.where(tick.late, tick.times, tick.now_s)[here[0]]
        else:
            groups = self._touched(owners)
            if tick.late.any():
                stamps = self._stamps(groups, owners, here, tick)
            values = self._grouped(groups, stamps, tick)
        found = np.isfinite(values)
        series = self._groups.named(groups[found])
        kept = series >= 0  # the table may be full
        stamps = None if stamps is None else stamps[found][kept]
        return tick.batches(self.rule, series[kept], values[found][kept], stamps)

    def _touched(self, owners: list[Groups_]) -> Groups_:
        touched = np.zeros(len(self._groups), bool)
        for owner in owners:
            touched[owner] = True
        return np.flatnonzero(touched)

    def _stamps(
        self, groups: Groups_, owners: list[Groups_], here: list[Flags], tick: Tick
    ) -> Floats:
        """A group whose members are all late is of an earlier tick as well."""
        newest = np.full(len(self._groups), -np.inf)
        for owner, hit in zip(owners, here, strict=True):
            np.maximum.at(newest, owner, np.where(tick.late, tick.times, tick.now_s)[hit])
        return newest[groups]

    def _grouped(self, groups: Groups_, stamps: Floats | None, tick: Tick) -> Floats:
        """All members count with their newest values, as long as these are not older than the
        window, or came in this very round."""
        window_secs, agg = self.selection.window_secs, self.selection.agg
        oldest: Floats | float = min(tick.now_s - window_secs, tick.since_s)
        if stamps is not None:
            oldest = np.full(len(self._groups), oldest)
            oldest[groups] = np.minimum(stamps - window_secs, tick.since_s)
        size = len(self._groups)
        return self._combine([side.cells(size, agg, oldest)[groups] for side in self._sides])

    def _combine(self, cells: list[Floats]) -> Floats:
        q = self.selection.quantile
        if q is not None:
            return quantiles(q, self._sides[0].bounds, cells[0])
        if len(cells) == 1:
            return cells[0][:, 0]
        top, bottom = cells[0][:, 0], cells[1][:, 0]
        if self.selection.as_ != "mean":
            top = np.where(np.isnan(top), 0.0, top)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(top / np.where(bottom == 0, np.nan, bottom))

    def forget(self, series: Indexes) -> None:
        for side in self._sides:
            for group in side.forget(series):
                self._groups.leave(group)
        self._groups.forget(series)

    def rewind(self, now_s: float) -> None:
        for side in self._sides:
            side.rewind(now_s)

    def state(self) -> tuple[Any, ...]:
        return self._groups.state(), [side.state() for side in self._sides]

    def restore(self, keys: list[Any], sides: list[tuple[bytes, list[Any]]]) -> None:
        """Raises ValueError, and begins anew, when they do not belong together."""
        self._begin()
        try:
            self._restore(keys, sides)
        except ValueError:
            self._begin()
            raise

    def _restore(self, keys: list[Any], sides: list[tuple[bytes, list[Any]]]) -> None:
        members = np.zeros(len(keys), np.intp)
        for side, saved in zip(self._sides, sides, strict=True):
            side.restore(*saved)
            _, at = side.rows.known()
            owners = side.rows["group"][at]
            if len(owners) and not 0 <= owners.min() <= owners.max() < len(keys):
                raise ValueError("saved members belong to no group")
            members += np.bincount(owners, minlength=len(keys))
        self._groups.restore(keys, members)
