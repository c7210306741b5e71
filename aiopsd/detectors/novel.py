"""A series that was never there before: a new log template, a new error code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Settings

SAME_TICK_SECS: Final = 0.5  # batches of several targets, this near, are one tick
AT_MOST: Final = 5  # times ``learn_samples``; then learning ends even in a group that is all new

Flags = NDArray[np.bool_]
_Group: TypeAlias = tuple[str, ...]


class NovelSettings(Settings, frozen=True, kw_only=True, tag="novel"):
    """Speaks at the first sight of a series, and for ``hold`` ticks.

    First it learns: ``learn_samples`` ticks of the rule, and as long as its group (the labels in
    ``group_by``) had something new within half as many.
    """

    group_by: tuple[str, ...] = ("service",)
    learn_samples: int = 20
    hold: int = 30

    def __post_init__(self) -> None:
        if self.learn_samples < 2:
            raise ValueError(f"`learn_samples: {self.learn_samples}` must be at least 2")
        if self.hold < 1:
            raise ValueError(f"`hold: {self.hold}` must be at least 1 tick")

    def build(self, labels: Callable[[int], Labels]) -> Novel:
        return Novel(self, labels)


class Novel:
    """Every tick of the rule counts, an empty one too: no error lines is something learned."""

    def __init__(self, settings: NovelSettings, labels: Callable[[int], Labels]) -> None:
        self.settings = settings
        self._labels = labels
        self._ticks = 0
        self._last_s: float | None = None
        self._newest: dict[_Group, int] = {}  # groups with something new lately: at which tick
        self._rows = Rows(n=Column(), value=Column(np.nan), until=Column())

    def observe(self, batch: Batch) -> Scores:
        """Scores the series of the batch, and those that are still spoken of or just no more."""
        self._tick(batch.time_s)
        ok = np.isfinite(batch.values)
        series, values = batch.series[ok], batch.values[ok]
        self._meet(series)
        at = self._rows.of(series)
        self._rows["value"][at] = values
        self._rows["n"][at] += 1
        _, all_at = self._rows.known()
        speaking = all_at[self._rows["until"][all_at] > 0]
        at = np.concatenate((at, np.setdiff1d(speaking, at)))
        scores = self._scores(batch, at, self._rows["until"][at] > self._ticks)
        self._rows["until"][speaking[self._rows["until"][speaking] <= self._ticks]] = 0
        return scores

    def _tick(self, time_s: float) -> None:
        if self._last_s is None or abs(time_s - self._last_s) >= SAME_TICK_SECS:
            self._ticks += 1
            self._last_s = time_s
            lately = self._ticks - self.settings.learn_samples / 2
            self._newest = {g: tick for g, tick in self._newest.items() if tick > lately}

    def _meet(self, series: Indexes) -> None:
        """Gives rows to the new ones; judges them by what their groups were like before."""
        new = np.unique(series[self._rows.find(series) < 0])
        if not len(new):
            return
        groups = [self._group(int(index)) for index in new]
        learn = self.settings.learn_samples
        ready, sure = self._ticks > learn, self._ticks > AT_MOST * learn
        speaks = [ready and (sure or group not in self._newest) for group in groups]
        at = self._rows.of(new)
        self._rows["until"][at] = np.where(speaks, self._ticks + self.settings.hold, 0)
        self._newest |= dict.fromkeys(groups, self._ticks)

    def _group(self, index: int) -> _Group:
        labels = self._labels(index)
        return tuple(labels.get(name, "") for name in self.settings.group_by)

    def _scores(self, batch: Batch, at: At, speaks: Flags) -> Scores:
        zero: Floats = np.zeros(len(at))
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=self._rows.series(at),
            score=speaks.astype(np.float64),
            observed=self._rows["value"][at],
            expected=zero,
            low=zero,
            high=zero,
            samples=np.full(len(at), self._ticks, np.int32),
            certain=speaks,
            history=batch.history,
        )

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)

    def save(self) -> bytes:
        state = (self._ticks, self._last_s, list(self._newest.items()))
        return pack("novel", 1, self._rows.save(), *state)

    def load(self, saved: bytes) -> None:
        shape = tuple[bytes, int, float | None, list[tuple[_Group, int]]]
        rows, ticks, last_s, newest = unpack("novel", 1, saved, shape)
        self._rows.load(rows)
        self._ticks, self._last_s, self._newest = ticks, last_s, dict(newest)
