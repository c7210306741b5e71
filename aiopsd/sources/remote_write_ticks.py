"""Samples of many requests become ticks: one batch a time, in the order of time.

Every target of a sender has times of its own, to the millisecond. Times are rounded down, so that
what was scraped at about the same time is judged together; a series that has two samples within
one step keeps the true time of the second. Each time is a tick, and costs like one: where a request
crowds its steps with many, the last sample of each stands for the others, which are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Batch, Indexes
from aiopsd.sources.remote_write_intake import Written
from aiopsd.sources.remote_write_series import Times

Flags = NDArray[np.bool_]
_NEVER = -1  # nothing was measured before 1970; what says so has no time
_MOST_BETWEEN = 1_000  # ticks between the steps of what was gathered; about half a second of work
_USUAL = 2  # of one series in a step: nobody who scrapes once in a step, more or less, has more


class Ticks:
    """Pure, but for what it has seen: a sample that is not newer than the last is left out."""

    def __init__(self, resolution_ms: int) -> None:
        self.late = 0  # out of order by more than was gathered, or there already
        self.ahead = 0  # from a clock that is not ours
        self.thinned = 0  # too many within a step
        self.crowd = -1  # the series of which one was thinned last
        self._step_ms = max(resolution_ms, 1)
        self._seen_ms: Times = np.full(1024, _NEVER)  # by series
        self._place: Indexes = np.zeros(1024, np.int32)  # by series, scratch

    def batches(self, gathered: Sequence[Written], until_ms: int) -> list[Batch]:
        """The samples of these requests, whichever of them came first.

        One after ``until_ms`` is left out: all that its series says later would seem late.
        """
        for one in gathered:
            self._resize(one.fresh)
            self._seen_ms[one.fresh] = _NEVER
        series = np.concatenate([one.series for one in gathered])
        times_ms = np.concatenate([one.times_ms for one in gathered])
        values = np.concatenate([one.values for one in gathered])
        known = times_ms <= until_ms
        self.ahead += len(known) - int(known.sum())
        series, times_ms, values = series[known], times_ms[known], values[known]
        self._resize(series)
        before_ms, order = self._before(series, times_ms)
        if order is not None:
            series, times_ms, values = series[order], times_ms[order], values[order]
        new = times_ms > before_ms
        self.late += len(new) - int(new.sum())
        if not new.all():
            series, times_ms, values = series[new], times_ms[new], values[new]
            before_ms = before_ms[new]
        kept = self._kept(series, times_ms, before_ms)
        if kept is not None:
            series, times_ms, values = series[kept], times_ms[kept], values[kept]
            before_ms, _ = self._before(series, times_ms)
        self._seen_ms[series] = times_ms  # of a series that comes twice, the last one stays
        steps_ms = times_ms - times_ms % self._step_ms
        at_ms = np.where(before_ms < steps_ms, steps_ms, times_ms)
        order = np.argsort(at_ms, kind="stable")
        cuts = np.flatnonzero(np.diff(at_ms[order])) + 1
        return [
            Batch("", float(at_ms[part[0]]) / 1000, series[part], values[part])
            for part in np.split(order, cuts)
            if len(part)  # there is an empty one where there is no sample at all
        ]

    def _kept(self, series: Indexes, times_ms: Times, before_ms: Times) -> Flags | None:
        """Those to keep, where the steps are crowded; of each crowd, the last. In order."""
        steps_ms = times_ms - times_ms % self._step_ms
        between = times_ms[before_ms >= steps_ms]
        if len(between) <= _MOST_BETWEEN or len(np.unique(between)) <= _MOST_BETWEEN:
            return None
        last = np.ones(len(series), np.bool_)  # of its series, within its step
        last[:-1] = (series[1:] != series[:-1]) | (steps_ms[1:] != steps_ms[:-1])
        ends = np.flatnonzero(last)
        sizes = np.diff(ends, prepend=-1)
        kept: Flags = last | np.repeat(sizes <= _USUAL, sizes)
        if kept.all():
            return None
        self.thinned += len(kept) - int(kept.sum())
        self.crowd = int(series[~kept][-1])
        return kept

    def _before(self, series: Indexes, times_ms: Times) -> tuple[Times, NDArray[np.intp] | None]:
        """The time of the sample before each, and an order in which each comes after it."""
        before_ms = self._seen_ms[series]
        place = np.arange(len(series), dtype=np.int32)
        self._place[series] = place
        if (self._place[series] == place).all():  # none comes twice
            return before_ms, None
        order = np.lexsort((times_ms, series))  # of two at one time, the first comes first
        series, times_ms, before_ms = series[order], times_ms[order], before_ms[order]
        again = series[1:] == series[:-1]
        before_ms[1:][again] = np.maximum(before_ms[1:], times_ms[:-1])[again]
        return before_ms, order

    def _resize(self, series: Indexes) -> None:
        most = int(series.max(initial=0))
        if most >= len(self._seen_ms):
            more = max(most + 1, 2 * len(self._seen_ms)) - len(self._seen_ms)
            self._seen_ms = np.concatenate((self._seen_ms, np.full(more, _NEVER)))
            self._place = np.zeros(len(self._seen_ms), np.int32)
