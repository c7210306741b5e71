"""A distribution that is not what it was: latencies, lengths, shares of outcomes.

The series of a family, alike but for the label ``le`` or ``category``, are the cells of one
distribution. Once a window it is judged (``shape``): far from its past *and* not by chance *and*
farther than it usually is, two windows running.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from aiopsd.detectors.distribution import shift
from aiopsd.detectors.distribution.shape import LIMIT, MOST_CELLS, Plan, Shape
from aiopsd.detectors.groups.families import INSIDE, VERDICT, Families, Key
from aiopsd.model import Batch, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Duration, Settings

JITTER: Final = 1 / 16  # of a window: ticks are not on the dot
HUGE: Final = 1e15  # no count is larger
REST: Final = "(other)"  # classes beyond the most that are kept


class DriftSettings(Settings, frozen=True, kw_only=True, tag="drift"):
    """Histograms by their label ``le``; with ``category``, classes by that label."""

    category: str = ""
    window: Duration = Duration(3600)  # what one value counts
    accept: Duration = Duration(86400)
    at_least: float = 100.0  # events in a window

    def __post_init__(self) -> None:
        if not 60 <= self.window <= 7 * 86400:
            raise ValueError(f"`window: {self.window}` must be from 1m to 7d")
        if not self.accept > 0:
            raise ValueError(f"`accept: {self.accept}` must be more than 0s")
        if not 20 <= self.at_least < HUGE:
            raise ValueError(f"`at_least: {self.at_least:g}` must be 20 or more: fewer events "
                             "have no distribution")  # fmt: skip
        if self.category == "le":
            raise ValueError("`le` is the label of a histogram: leave `category` out")

    def build(self, labels: Callable[[int], Labels]) -> Drift:
        return Drift(self, labels)


class Drift:
    """The numbers of a tick are those of its last batch, however many it comes in."""

    def __init__(self, settings: DriftSettings, labels: Callable[[int], Labels]) -> None:
        self.settings, self._labels = settings, labels
        self._label = settings.category or "le"
        self._plan = Plan(
            form="classes" if settings.category else "histogram",
            window_secs=float(settings.window),
            accept_secs=float(settings.accept),
            at_least=settings.at_least,
        )
        self._begin()

    def _begin(self) -> None:
        self._families = Families(
            self._label, self._labels,
            value=Column(np.nan), time=Column(np.nan), came=Column(np.nan), bound=Column(np.nan),
        )  # fmt: skip
        self._rows = Rows(
            tick=Column(np.nan), closed=Column(-np.inf), met=Column(np.nan),
            came=Column(0, np.int64), **VERDICT,
        )  # fmt: skip
        self._shapes: dict[int, Shape] = {}

    def observe(self, batch: Batch) -> Scores:
        """Observed is the index (a share, of classes), NaN where the window says too little."""
        members, rows, now = self._families.rows, self._rows, batch.time_s
        self._meet(batch.series, now)
        family = self._families.of(batch.series)
        at = rows.of(np.unique(family[family >= 0]))
        self._close(at[(rows["tick"][at] != now) & ~np.isnan(rows["tick"][at])])
        begins = at[rows["tick"][at] != now]
        rows["tick"][begins], rows["came"][begins] = now, 0
        self._hear(batch, family, members.find(batch.series))
        size = self._families.sizes(rows.series(at))
        whole = (rows["came"][at] == size) & (rows["met"][at] != now)
        closed = self._close(at[whole])
        told = np.union1d(at[rows["score"][at] >= 0.5], closed)
        return self._families.scores(batch, rows, told)

    def _hear(self, batch: Batch, family: Indexes, member: At) -> None:
        """Keeps the newest values, and counts who came in this tick."""
        members, rows, now = self._families.rows, self._rows, batch.time_s
        first = np.unique(batch.series, return_index=True)[1]
        first = first[(family[first] >= 0) & (members["came"][member[first]] != now)]
        members["came"][member[first]] = now
        np.add.at(rows["came"], rows.find(family[first]), 1)
        ok = (family >= 0) & (batch.values >= 0) & (batch.values < HUGE)
        members["n"][member] += np.isfinite(batch.values)
        members["value"][member[ok]], members["time"][member[ok]] = batch.values[ok], now

    def _meet(self, series: Indexes, now: float) -> None:
        members, rows = self._families.rows, self._rows
        for member, family, value in self._families.meet(series):
            at = rows.of(np.array([family], np.int32))
            rows["met"][at] = now
            members["bound"][member] = 0.0 if self.settings.category else _bound(value)

    def _close(self, at: At) -> At:
        """Judges families whose window is over; a tick of each is whole. Returns those."""
        rows = self._rows
        since = rows["tick"][at] - rows["closed"][at]
        at = at[(since >= (1 - JITTER) * self._plan.window_secs) | (since < 0)]
        for row, family in zip(at.tolist(), rows.series(at).tolist(), strict=True):
            self._judge(row, family)
        rows["closed"][at] = rows["tick"][at]
        return at

    # --- judging ------------------------------------------------------------------------

    def _judge(self, row: int, family: int) -> None:
        rows, members = self._rows, self._families.rows
        mine = self._families.members(family)
        here = members["time"][mine] == rows["tick"][row]
        mine = mine[here & ~np.isnan(members["bound"][mine])]
        shape = self._shapes.get(family)
        if shape is None:
            shape = self._shapes[family] = Shape(self._plan)
        take = self._classes if self.settings.category else self._histogram
        if len(mine) and take(shape, mine, float(rows["tick"][row])):
            self._note(row, shape, mine)
        else:
            rows["score"][row], rows["observed"][row] = 0.0, np.nan

    def _histogram(self, shape: Shape, mine: At, time_s: float) -> bool:
        """De-cumulated. A layout that is new twice running is a new beginning, not drift."""
        bound, value = self._families.rows["bound"][mine], self._families.rows["value"][mine]
        order = np.argsort(bound, kind="stable")
        order = order[-1 :: -(1 + (len(order) - 1) // MOST_CELLS)][::-1]
        cells = tuple(bound[order].tolist())
        if shape.cells and cells != shape.cells:
            if cells != shape.other:
                shape.other = cells
                return False
            shape.changed_s = time_s
        if cells != shape.cells:
            shape.begin(cells)
        shape.other = ()
        shape.take(np.maximum(np.diff(value[order], prepend=0.0), 0.0), time_s)
        return True

    def _classes(self, shape: Shape, mine: At, time_s: float) -> bool:
        """A class that was never there before is a cell that was always empty."""
        values = self._families.rows["value"][mine]
        names = self._names(mine)
        known = {name: n for n, name in enumerate(shape.cells)}
        for name in names:
            if name not in known and len(known) < MOST_CELLS - 1:
                known[name] = len(known)
        if any(name not in known for name in names):
            known.setdefault(REST, len(known))
        if len(known) > len(shape.cells):
            shape.widen(tuple(known))
        counts = np.zeros(len(known))
        np.add.at(counts, [known.get(name, known.get(REST, 0)) for name in names], values)
        shape.take(counts, time_s)
        return True

    def _names(self, mine: At) -> list[str]:
        series = self._families.rows.series(mine).tolist()
        return [self._labels(index).get(self._label, "") for index in series]

    def _note(self, row: int, shape: Shape, mine: At) -> None:
        rows, value = self._rows, shape.value
        limit = LIMIT[self._plan.form] if np.isnan(shape.limit) else shape.limit
        score = 0.0 if np.isnan(value) else value / (value + limit)
        strange = shape.strange and not np.isnan(value)
        if strange and (rows["score"][row] < 0.5 or rows["speaker"][row] < 0):
            rows["speaker"][row] = self._speaker(shape, mine)
        rows["score"][row] = max(score, 0.5) if strange else min(score, INSIDE)
        rows["certain"][row] = strange and shape.large
        rows["observed"][row], rows["high"][row] = value, limit
        rows["expected"][row] = np.mean(shape.usual) if shape.usual else 0.0

    def _speaker(self, shape: Shape, mine: At) -> int:
        """The last bucket, which is all of them; or the class that changed most."""
        series, rows = self._families.rows.series(mine), self._families.rows
        if not self.settings.category:
            return int(series[np.argmax(rows["bound"][mine])])
        terms = dict(zip(shape.cells, shift.terms(shape).tolist(), strict=True))
        changed = [terms.get(name, 0.0) for name in self._names(mine)]
        return int(series[int(np.argmax(changed))])

    def explain(self, series: int) -> Sequence[str]:
        """Which way, which cells, and what that means for median and tail."""
        family = int(self._families.of(np.array([series], np.int32))[0])
        shape = self._shapes.get(family)
        return () if shape is None else shift.sentences(shape, self._plan)

    def lacks(self) -> str:
        """A histogram of one bucket has no shape; one class may have company one day."""
        if self._families.strangers():
            return f"drift needs the label {self._label!r}; none of them has it"
        _, at = self._families.rows.known()
        bound, family = (self._families.rows[name][at] for name in ("bound", "family"))
        if not len(at) or self.settings.category:
            return ""
        if np.isnan(bound).all():
            return "drift needs numbers in the label 'le'; none of them is one"
        most = int(np.bincount(family[(family >= 0) & ~np.isnan(bound)]).max(initial=0))
        return "" if most > 1 else "drift needs a histogram of at least 2 buckets; all have 1"

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        for family in self._families.forget(series, self._rows):
            self._shapes.pop(family, None)

    def save(self) -> bytes:
        shapes = [(family, one.state()) for family, one in sorted(self._shapes.items())]
        keys, members = self._families.state()
        return pack("drift", 1, self._meaning(), keys, members, self._rows.save(), shapes)

    def _meaning(self) -> tuple[str, float]:
        return self._label, float(self.settings.window)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on garbage. Windows of another length or label are dropped."""
        shape = tuple[
            tuple[str, float], list[Key | None], bytes, bytes, list[tuple[int, Shape.STATE]]
        ]
        meaning, keys, members, rows, shapes = unpack("drift", 1, saved, shape)
        before = self._families, self._rows, self._shapes
        self._begin()
        if meaning != self._meaning():
            return
        try:
            self._families.restore(keys, members)
            self._rows.load(rows)
            for family, state in shapes:
                self._shapes[family] = one = Shape(self._plan)
                one.restore(state)
        except ValueError:
            self._families, self._rows, self._shapes = before
            raise


def _bound(text: str) -> float:
    """NaN for what is no bound."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
