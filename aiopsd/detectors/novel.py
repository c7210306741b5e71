"""A series that was never there before: a new log template, a new error code.

What begins in the midst of trouble is no habit: it stays news until it was there for a day. A new
template that is a known one but for one word is a value that nobody had seen; it is evidence only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiopsd.failure_words import fails
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Settings

SAME_TICK_SECS: Final = 0.5  # batches of several targets, this near, are one tick
AT_MOST: Final = 5  # times ``learn_samples``; then learning ends even in a group that is all new
HABIT_SECS: Final = 86400.0  # what comes for so long is how things are, trouble or not
MIN_WORDS: Final = 4  # of a template, of which one may differ
MAX_ALIKE: Final = 200_000  # templates less a word that are known, of all groups
INSIDE: Final = 0.49  # score of what is new by a word only

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
        self._troubled: frozenset[str] = frozenset()
        self._alike: dict[int, None] = {}  # hashes of templates less a word
        self._rows = Rows(
            n=Column(),
            value=Column(np.nan),
            until=Column(),
            near=Column(0.0, np.bool_),  # new by a word only
            since=Column(np.nan),  # first seen in the midst of trouble, and since then
            seen=Column(),  # tick
            again=Column(0.0, np.bool_),  # it would be news again
        )

    def observe(self, batch: Batch) -> Scores:
        """Scores the series of the batch, and those that are still spoken of or just no more."""
        self._tick(batch.time_s)
        ok = np.isfinite(batch.values)
        series, values = batch.series[ok], batch.values[ok]
        self._meet(series)
        at = self._rows.of(series)
        self._rows["value"][at] = values
        self._rows["n"][at] += 1
        self._doubt(at[values > 0], batch.time_s)
        _, all_at = self._rows.known()
        speaking = all_at[self._rows["until"][all_at] > 0]
        at = np.concatenate((at, np.setdiff1d(speaking, at)))
        scores = self._scores(batch, at, self._rows["until"][at] > self._ticks)
        self._rows["until"][speaking[self._rows["until"][speaking] <= self._ticks]] = 0
        self._unlearn()
        return scores

    def troubled(self, services: Collection[str]) -> None:
        """Those with an open incident. What is new there teaches nothing for now."""
        self._troubled = frozenset(services)

    def _doubt(self, at: At, now_s: float) -> None:
        """What came now; a doubtful one goes on being news while it comes in trouble."""
        rows = self._rows
        rows["seen"][at] = self._ticks
        news = at[rows["again"][at]]
        rows["until"][news], rows["again"][news] = self._ticks + self.settings.hold, False
        spoken = at[(rows["until"][at] > 0) | ~np.isnan(rows["since"][at])]
        if self._troubled:
            in_trouble = [self._is_troubled(int(one)) for one in rows.series(spoken)]
            spoken = spoken[np.array(in_trouble, bool)]
            fresh = spoken[np.isnan(rows["since"][spoken])]
            rows["since"][fresh] = now_s
            rows["until"][spoken] = self._ticks + self.settings.hold
        habit = at[now_s - rows["since"][at] >= HABIT_SECS]
        rows["since"][habit], rows["until"][habit] = np.nan, 0

    def _is_troubled(self, index: int) -> bool:
        labels = self._labels(index)
        return any(labels.get(name) in self._troubled for name in self.settings.group_by)

    def _unlearn(self) -> None:
        """Doubtful ones that came no more while they were news would be news again."""
        rows, (_, at) = self._rows, self._rows.known()
        quiet = rows["seen"][at] <= self._ticks - self.settings.hold
        gone = at[~np.isnan(rows["since"][at]) & (rows["until"][at] == 0) & quiet]
        rows["again"][gone], rows["since"][gone] = True, np.nan

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
        near = [self._is_near(int(index)) for index in new]
        at = self._rows.of(new)
        self._rows["until"][at] = np.where(speaks, self._ticks + self.settings.hold, 0)
        self._rows["near"][at] = near
        self._newest |= dict.fromkeys(groups, self._ticks)

    def _is_near(self, index: int) -> bool:
        """Is it a known template of its group, but for one word that says nothing of failure?"""
        keys = dict(self._less_a_word(index))
        near = any(key in self._alike and not fails(word) for key, word in keys.items())
        self._alike |= dict.fromkeys(keys)
        while len(self._alike) > MAX_ALIKE:
            del self._alike[next(iter(self._alike))]
        return near

    def _less_a_word(self, index: int) -> Iterator[tuple[int, str]]:
        words = self._labels(index).get("template", "").split()
        if len(words) >= MIN_WORDS:
            level = self._labels(index).get("level", "")
            for place, word in enumerate(words):
                rest = (*words[:place], "", *words[place + 1 :])
                yield hash((self._group(index), level, rest)), word

    def _group(self, index: int) -> _Group:
        labels = self._labels(index)
        return tuple(labels.get(name, "") for name in self.settings.group_by)

    def _scores(self, batch: Batch, at: At, speaks: Flags) -> Scores:
        zero: Floats = np.zeros(len(at))
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=self._rows.series(at),
            score=np.where(self._rows["near"][at], INSIDE, 1.0) * speaks,
            observed=self._rows["value"][at],
            expected=zero,
            low=zero,
            high=zero,
            samples=np.full(len(at), self._ticks, np.int32),
            certain=speaks & ~self._rows["near"][at],
            history=batch.history,
        )

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)

    def save(self) -> bytes:
        state = (self._ticks, self._last_s, list(self._newest.items()))
        return pack("novel", 2, self._rows.save(), *state)

    def load(self, saved: bytes) -> None:
        shape = tuple[bytes, int, float | None, list[tuple[_Group, int]]]
        rows, ticks, last_s, newest = unpack("novel", 2, saved, shape)
        self._rows.load(rows)
        self._alike = {}
        for index in self._rows.known()[0].tolist():
            self._alike |= dict.fromkeys(key for key, _ in self._less_a_word(index))
        self._ticks, self._last_s, self._newest = ticks, last_s, dict(newest)
