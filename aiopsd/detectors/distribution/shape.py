"""What one distribution was like: its windows of a week, and how much they usually differ.

A window is held against the windows of a week that were as usual: all of them, or those of the
same time of day, whichever has been nearer so far. Counts of windows add exactly, so nothing is
approximated but by the buckets themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.distribution import divergence
from aiopsd.model import Floats

HALF_DAY, DAY, WEEK = 43200.0, 86400.0, 604800.0
MOST_WINDOWS, FEWEST_WINDOWS = 336, 12  # kept; seen before the first judgement
STATISTICS: Final = 48  # of the last windows; how much they usually differ
NEVER: Final = -1e18  # seconds
SPREADS: Final = 3.0
ODD: Final = 2.0  # limits; a statistic teaches no more than that
SAME_TIME: Final = 0.55  # windows; so near to a time of day is the same
CHOICE: Final = 6  # statistics; with fewer, the nearer of both references counts
RARE: Final = 0.001
LIMIT: Final = {"histogram": 0.1, "classes": 0.05}  # of the index; of a share
LARGE: Final = 2.5  # limits: 0.25 and 0.125, or more
RUNNING: Final = 2  # windows
MOST_CELLS: Final = 256

WHOLE, SAME = range(2)  # references: the week, the same time of its days

Form = Literal["histogram", "classes"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rule says of all its distributions."""

    form: Form
    window_secs: float
    accept_secs: float
    at_least: float

    @property
    def windows(self) -> int:
        return int(np.clip(WEEK / self.window_secs, 24, MOST_WINDOWS))

    @property
    def first(self) -> int:
        """Windows before the first judgement: a day, if that is not too many."""
        return int(np.clip(DAY / self.window_secs, FEWEST_WINDOWS, self.windows // 2))

    @property
    def accept(self) -> int:
        """Windows running after which it is how things are now; never more than are kept."""
        return int(np.clip(np.ceil(self.accept_secs / self.window_secs), RUNNING, self.windows - 1))


class Shape:
    """``cells`` is what was last judged: ascending bounds, or names of classes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.cells: tuple[Any, ...] = ()
        self.begin(())
        self.other: tuple[Any, ...] = ()  # another layout, seen in the last window
        self.changed_s: float | None = None  # when the layout changed

    def begin(self, cells: tuple[Any, ...]) -> None:
        """Forgets all windows: these cells are new."""
        self.cells, self.seen, self.run = cells, 0, 0
        ring = self._plan.windows
        self._counts = np.zeros((ring, len(cells)), np.float32)
        self._time = np.full(ring, NEVER)
        self._usual = np.zeros(ring, np.bool_)
        self.statistics: tuple[list[float], list[float]] = [], []  # of WHOLE and of SAME
        self.which = WHOLE
        self.before = np.zeros(len(cells))  # what the last window was held against
        self.now = np.zeros(len(cells))
        self.value = self.limit = np.nan
        self.rare = 1.0

    def widen(self, cells: tuple[Any, ...]) -> None:
        """More classes: so far there were none of these."""
        more = len(cells) - len(self.cells)
        self.cells = cells
        self._counts = np.pad(self._counts, ((0, 0), (0, more)))
        self.before, self.now = np.pad(self.before, (0, more)), np.pad(self.now, (0, more))

    def take(self, counts: Floats, time_s: float) -> None:
        """Judges a window, then learns it: ``value`` is NaN where there is too little to say."""
        plan = self._plan
        self.now, self.value, self.limit = counts, np.nan, LIMIT[plan.form]
        enough = counts.sum() >= plan.at_least
        over = False
        if enough and self.seen >= plan.first:
            over = self._judge(counts, time_s)
        self.run = self.run + 1 if over else (self.run if np.isnan(self.value) else 0)
        at = self.seen % plan.windows
        self._counts[at], self._time[at], self._usual[at] = counts, time_s, not over
        self.seen += 1
        if self.run >= plan.accept:
            self._accept()

    def _judge(self, counts: Floats, time_s: float) -> bool:
        """Is it over its limit?"""
        references = self._references(time_s)
        found = [self._compare(counts, one) for one in references]
        self.which = self._choose(found)
        (self.value, self.rare), self.before = found[self.which], references[self.which]
        self.limit = self._limit(self.which)
        over = self.rare < RARE and self.value >= self.limit
        if not over or self.run == 0:
            # What is odd must not become usual by its size, or by how long it lasts.
            for which, (value, _) in enumerate(found):
                if not np.isnan(value):
                    kept = min(value, ODD * self._limit(which))
                    self.statistics[which][:] = [*self.statistics[which][1 - STATISTICS :], kept]
        return over

    def _choose(self, found: list[tuple[float, float]]) -> int:
        """The reference that has been nearer, over the windows that were held against both."""
        whole, same = self.statistics
        if np.isnan(found[SAME][0]):
            return WHOLE
        if len(same) < CHOICE:
            return SAME if found[SAME][0] < found[WHOLE][0] else WHOLE
        return SAME if np.mean(same) < np.mean(whole[-len(same) :]) else WHOLE

    def _limit(self, which: int) -> float:
        """Fixed; higher where windows usually differ by more."""
        usual, least = self.statistics[which], LIMIT[self._plan.form]
        if len(usual) < STATISTICS // 2:
            return least
        return max(least, float(np.mean(usual) + SPREADS * np.std(usual)))

    @property
    def usual(self) -> list[float]:
        """The last statistics of the reference that counts."""
        return self.statistics[self.which]

    def _references(self, time_s: float) -> list[Floats]:
        """The whole week as usual, and of it the same time of each day."""
        age = time_s - self._time
        fits = (age > 0) & (age <= WEEK + HALF_DAY) & self._usual
        off = np.abs((age + HALF_DAY) % DAY - HALF_DAY)
        same = fits & (age > HALF_DAY) & (off <= SAME_TIME * self._plan.window_secs)
        return [self._counts[some].sum(axis=0, dtype=np.float64) for some in (fits, same)]

    def _compare(self, counts: Floats, reference: Floats) -> tuple[float, float]:
        """How far, and how rare that is by chance; NaN against next to nothing."""
        if not reference.sum() >= self._plan.at_least:
            return np.nan, 1.0
        if self._plan.form == "histogram":
            window, reference = divergence.pooled(counts, reference)
            return divergence.psi(window, reference), divergence.chance(window, reference)
        pools = divergence.rare_together(counts, reference)
        return divergence.largest(counts, reference), divergence.chance(*pools)

    def _accept(self) -> None:
        """It has lasted: what came since is how things are now."""
        windows = self._plan.windows
        since = (self.seen - 1 - np.arange(min(self.run, windows))) % windows
        self._usual[:] = False
        self._usual[since] = True
        self._time[~self._usual] = NEVER
        self.run, self.statistics = 0, ([], [])

    @property
    def strange(self) -> bool:
        return self.run >= RUNNING

    @property
    def large(self) -> bool:
        """Far beyond the limit, and how much windows usually differ is known."""
        return len(self.usual) >= STATISTICS // 2 and self.value >= LARGE * self.limit

    # --- keeping ------------------------------------------------------------------------

    def state(self) -> tuple[Any, ...]:
        arrays = self._counts, self._time, self._usual, self.before, self.now
        return (
            list(self.cells), list(self.other), self.changed_s, self.seen, self.run,
            self.statistics, self.which, float(self.value), float(self.limit), float(self.rare),
            [one.tobytes() for one in arrays],
        )  # fmt: skip

    STATE = tuple[
        list[Any], list[Any], float | None, int, int, tuple[list[float], list[float]], int,
        float, float, float, list[bytes],
    ]  # fmt: skip

    def restore(self, state: tuple[Any, ...]) -> None:
        """Raises ValueError when the numbers do not fit together."""
        cells, other, self.changed_s, seen, run, statistics, which, *numbers, blocks = state
        self.begin(tuple(cells))
        self.which = which
        self.other, self.seen, self.run, self.statistics = tuple(other), seen, run, statistics
        self.value, self.limit, self.rare = numbers
        arrays: tuple[NDArray[Any], ...] = (
            self._counts, self._time, self._usual, self.before, self.now,
        )  # fmt: skip
        for mine, block in zip(arrays, blocks, strict=True):
            mine[...] = np.frombuffer(block, mine.dtype).reshape(mine.shape)
