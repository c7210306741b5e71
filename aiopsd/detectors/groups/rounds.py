"""What the members of a group were at one time, kept until that time is over.

A group's members come in one batch or in several, and some stay away. A round is handed out once
it is over, with the first sample of the group's next: so the numbers are the same however the
samples were cut into batches, and nobody is judged against peers of a minute ago.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows

PADDED: Final = 3  # times the room that values need, for a table of groups of many sizes
SAME_SECS: Final = 0.5  # samples this near in time are of one round
PACE: Final = 0.05  # how fast the usual length of a round is learned
HUGE: Final = 1e150  # squares still fit; anything larger is no measurement

_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """Members of groups whose round is over, by group and then by series; shapes ``[n]``."""

    at: At  # rows of the members
    x: Floats
    place: At  # which of the groups below: 0, 0, 0, 1, 1 ...
    groups: At  # rows of the groups, one each
    begin: At  # where each group's members begin

    @property
    def sizes(self) -> At:
        return np.diff(np.append(self.begin, len(self.at)))

    def part(self, groups: NDArray[np.bool_]) -> Round:
        """Only these groups."""
        return self.only(groups[self.place])

    def only(self, members: NDArray[np.bool_]) -> Round:
        """Only these members; a group without any is none."""
        place = self.place[members]
        new = np.diff(place, prepend=-1) != 0
        begin = np.flatnonzero(new)
        groups = self.groups[place[begin]]
        return Round(self.at[members], self.x[members], np.cumsum(new) - 1, groups, begin)

    def medians(self, values: Floats) -> Floats:
        """Of each group's values; NaN is nobody, and NaN where there is nobody."""
        if not len(values):
            return np.empty(0)
        count = np.add.reduceat(np.isfinite(values), self.begin)
        ranked, begin = self._ranked(values)
        low, high = begin + np.maximum(count - 1, 0) // 2, begin + count // 2
        middle = ranked[low] / 2 + ranked[np.where(count > 0, high, low)] / 2
        return np.where(count > 0, middle, np.nan)

    def _ranked(self, values: Floats) -> tuple[Floats, At]:
        """Each group's values in order, NaN last, and where they begin."""
        groups, widest = len(self.begin), int(self.sizes.max())
        if groups * widest > PADDED * len(values):
            return values[np.lexsort((values, self.place))], self.begin
        table = np.full((groups, widest), np.nan)  # much faster, where groups are of a size
        table[self.place, np.arange(len(values)) - self.begin[self.place]] = values
        table.sort(axis=1)
        return table.ravel(), np.arange(groups) * widest

    def count(self, flags: NDArray[np.bool_]) -> At:
        """Of each group."""
        return np.add.reduceat(flags, self.begin, dtype=np.intp) if len(flags) else self.begin


class Rounds:
    """``members`` and ``groups`` hold what a detector keeps of each, one row each; the groups'
    ``every`` is how many seconds a round usually takes.

    Labels are looked at once, when a series is new.
    """

    SHAPE = tuple[bytes, bytes, list[tuple[_Key, int]]]  # of what ``save`` returns

    def __init__(
        self,
        group_by: Sequence[str],
        labels: Callable[[int], Labels],
        members: dict[str, Column],
        groups: dict[str, Column],
    ) -> None:
        self._group_by, self._labels = tuple(group_by), labels
        self._columns = members, groups
        self._begin()

    def _begin(self) -> None:
        members, groups = self._columns
        self.members = Rows(group=Column(-1, np.int32), value=Column(np.nan), **members)
        self.groups = Rows(start=Column(np.nan), every=Column(np.nan), **groups)
        self._ids: dict[_Key, int] = {}
        self._free: list[int] = []
        self._order: At | None = None  # rows of the members, by group and series

    # --- rounds -------------------------------------------------------------------------

    def take(self, batch: Batch) -> Round:
        """Keeps these samples; returns the rounds that they ended. Missing samples end none."""
        ok = np.abs(batch.values) < HUGE
        at = self.members.of(batch.series[ok])
        self._join(at[self.members["group"][at] < 0])
        mine = self.groups.find(self.members["group"][at])
        start = self.groups["start"][mine]
        late = ~(np.abs(batch.time_s - start) < SAME_SECS)
        over = self._over(self._next(np.flatnonzero(np.bincount(mine[late])), batch.time_s))
        self.members["value"][over.at] = np.nan
        self.members["value"][at] = batch.values[ok]
        return over

    def _next(self, at: At, now: float) -> At:
        """Begins a round of these groups; returns those that end one, with its usual length."""
        secs, every = now - self.groups["start"][at], self.groups["every"][at]
        self.groups["start"][at] = now
        ended, on = np.isfinite(secs), secs > 0  # a clock may go back
        near = np.clip(secs, every / 2, every * 2)
        new = np.where(np.isnan(every), secs, every + PACE * (near - every))
        self.groups["every"][at] = np.where(on, new, every)
        return at[ended]

    def _over(self, ended: At) -> Round:
        rows, order = self.members, self._sorted()
        wanted = np.zeros(int(ended.max(initial=-1)) + 2, bool)
        wanted[ended] = True
        mine = self.groups.find(rows["group"][order])
        there = np.isfinite(rows["value"][order]) & wanted[np.minimum(mine, len(wanted) - 1)]
        at, mine = order[there], mine[there]
        new = np.diff(mine, prepend=-1) != 0
        return Round(at, rows["value"][at], np.cumsum(new) - 1, mine[new], np.flatnonzero(new))

    def _sorted(self) -> At:
        if self._order is None:
            series, at = self.members.known()
            self._order = at[np.lexsort((series, self.members["group"][at]))]
        return self._order

    def _join(self, new: At) -> None:
        for row in np.unique(new).tolist():
            index = int(self.members.series(np.array([row]))[0])
            labels = self._labels(index)
            key = tuple(labels.get(name, "") for name in self._group_by)
            if key not in self._ids:
                self._ids[key] = heapq.heappop(self._free) if self._free else len(self._ids)
                self.groups.of(np.array([self._ids[key]], np.int32))
            self.members["group"][row] = self._ids[key]
            self._order = None

    def lacks(self, who: str, least: int) -> str:
        """What ``who`` needs, where no group has so many members; see ``contracts.Needing``."""
        _, at = self.members.known()
        group = self.members["group"][at]
        largest = int(np.bincount(group[group >= 0]).max(initial=0))
        if not 0 < largest < least:
            return ""
        return (f"{who} needs at least {least} in a group (by {', '.join(self._group_by)}); "
                f"the largest here has {largest}")  # fmt: skip

    # --- what is said of them -----------------------------------------------------------

    def scores(self, batch: Batch, over: Round, said: dict[str, NDArray[np.generic]]) -> Scores:
        """Series of the batch first. A sample whose round is not over yet has no ``observed``:
        nothing is known of it, neither good nor bad."""
        rows = self.members
        place = np.full(len(rows["group"]) + 1, -1)  # the last one is for the unknown
        place[over.at] = np.arange(len(over.at))
        found = place[rows.find(batch.series)]
        others = np.ones(len(over.at) + 1, bool)
        others[found] = False
        rest = np.flatnonzero(others[:-1])
        at = np.concatenate((found, rest))
        series = np.concatenate((batch.series, rows.series(over.at[rest])))

        def column(name: str, missing: float) -> NDArray[np.generic]:
            known = np.append(said[name], np.array([missing], said[name].dtype))
            return np.asarray(known[at])

        numbers = {name: column(name, np.nan) for name in ("observed", "expected", "low", "high")}
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=series,
            score=column("score", 0.0),  # type: ignore[arg-type]
            samples=column("samples", 0).astype(np.int32),
            certain=column("certain", 0).astype(np.bool_),
            history=batch.history,
            **numbers,  # type: ignore[arg-type]
        )

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        """A group without members is forgotten with them."""
        at = self.members.find(series)
        left = np.unique(self.members["group"][at[at >= 0]])
        self.members.forget(series)
        _, at = self.members.known()
        empty = np.setdiff1d(left, self.members["group"][at])
        self.groups.forget(empty.astype(np.int32))
        gone = set(empty.tolist())
        self._ids = {key: one for key, one in self._ids.items() if one not in gone}
        for one in gone:
            heapq.heappush(self._free, one)
        self._order = None

    def save(self) -> tuple[bytes, bytes, list[tuple[_Key, int]]]:
        return self.members.save(), self.groups.save(), list(self._ids.items())

    def load(self, saved: tuple[bytes, bytes, list[tuple[_Key, int]]]) -> None:
        """Raises ValueError, and leaves what is here, on what does not belong together."""
        fresh = Rounds(self._group_by, self._labels, *self._columns)
        fresh.members.load(saved[0])
        fresh.groups.load(saved[1])
        known, _ = fresh.groups.known()
        _, at = fresh.members.known()
        ids = np.unique(np.array([one for _, one in saved[2]], np.int32))
        if len(ids) < len(saved[2]) or not np.array_equal(ids, np.sort(known)):
            raise ValueError("the saved groups contradict themselves")
        if not np.isin(fresh.members["group"][at], ids).all():
            raise ValueError("saved members belong to no group")
        self.members, self.groups, self._order = fresh.members, fresh.groups, None
        self._ids = dict(saved[2])
        self._free = sorted(set(range(max(self._ids.values(), default=-1) + 1)) - set(ids.tolist()))
