"""A series that was never there before: a new log template, a new error code.

What begins in the midst of trouble, or just before anybody saw it, is no habit: it stays news until
it was there for a day. A new template that is a known one but for one word is a value that nobody
had seen; it is evidence only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.former import LATELY_SECS
from aiopsd.failure_words import fails
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Duration, Settings

SAME_TICK_SECS: Final = 0.5  # batches of several targets, this near, are one tick
AT_MOST: Final = 5  # times as long as learning takes; then it ends even where all is new
FEW_TICKS: Final = 4  # to learn from at least, however long they are
HABIT_SECS: Final = 86400.0  # what comes for so long is how things are, trouble or not
MIN_WORDS: Final = 4  # of a template, of which one may differ
MAX_ALIKE: Final = 200_000  # templates less a word that are known, of all groups
INSIDE: Final = 0.49  # score of what is new by a word only

Flags = NDArray[np.bool_]
_Group: TypeAlias = tuple[str, ...]


class NovelSettings(Settings, frozen=True, kw_only=True, tag="novel"):
    """Speaks at the first sight of a series, and for ``hold`` ticks and ``at_least`` so long.

    First it learns: ``learn_samples`` ticks of the rule, or for ``learn`` if that is over sooner,
    and as long as its group (the labels in ``group_by``) had something new within half of that.
    """

    group_by: tuple[str, ...] = ("service",)
    learn_samples: int = 20
    learn: Duration | None = None
    hold: int = 30
    at_least: Duration = Duration(0)

    def __post_init__(self) -> None:
        if self.learn_samples < 2:
            raise ValueError(f"`learn_samples: {self.learn_samples}` must be at least 2")
        if self.learn is not None and self.learn <= 0:
            raise ValueError(f"`learn: {self.learn}` must be longer than 0s")
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
        self._begun_s = np.inf
        self._newest: dict[_Group, tuple[int, float]] = {}  # groups with something new lately: when
        self._troubled: frozenset[str] = frozenset()
        self._alike: dict[int, None] = {}  # hashes of templates less a word
        self._rows = Rows(
            n=Column(),
            value=Column(np.nan),
            until=Column(),  # tick; 0: it is no news
            until_s=Column(),
            near=Column(0.0, np.bool_),  # new by a word only
            told=Column(np.nan),  # when it was news
            since=Column(np.nan),  # first seen in the midst of trouble, and since then
            seen=Column(),  # tick
            again=Column(0.0, np.bool_),  # it would be news again
        )

    def observe(self, batch: Batch) -> Scores:
        """Scores the series of the batch, and those that are still spoken of or just no more."""
        self._tick(batch.time_s)
        ok = np.isfinite(batch.values)
        series, values = batch.series[ok], batch.values[ok]
        self._meet(series, batch.time_s)
        at = self._rows.of(series)
        self._rows["value"][at] = values
        self._rows["n"][at] += 1
        self._doubt(at[values > 0], batch.time_s)
        _, all_at = self._rows.known()
        speaking = all_at[self._rows["until"][all_at] > 0]
        at = np.concatenate((at, np.setdiff1d(speaking, at)))
        scores = self._scores(batch, at, self._is_news(at, batch.time_s))
        self._rows["until"][speaking[~self._is_news(speaking, batch.time_s)]] = 0
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
        self._tell(news, now_s)
        rows["again"][news] = False
        spoken = (rows["until"][at] > 0) | ~np.isnan(rows["since"][at])
        spoken = at[spoken | (now_s - rows["told"][at] <= LATELY_SECS)]
        if self._troubled:
            in_trouble = [self._is_troubled(int(one)) for one in rows.series(spoken)]
            spoken = spoken[np.array(in_trouble, bool)]
            fresh = spoken[np.isnan(rows["since"][spoken])]
            rows["since"][fresh] = now_s
            self._tell(spoken, now_s)
        habit = at[now_s - rows["since"][at] >= HABIT_SECS]
        rows["since"][habit], rows["told"][habit], rows["until"][habit] = np.nan, np.nan, 0

    def _tell(self, at: At, now_s: float) -> None:
        """These are news for as long as the settings say, from now on."""
        self._rows["until"][at] = self._ticks + self.settings.hold
        self._rows["until_s"][at] = now_s + float(self.settings.at_least)
        self._rows["told"][at] = now_s

    def _is_news(self, at: At, now_s: float) -> Flags:
        until, left = self._rows["until"][at], self._rows["until_s"][at] - now_s
        lasts = (left > 0) & (left <= self.settings.at_least)  # not where the clock went back
        return np.asarray((until > self._ticks) | ((until > 0) & lasts))

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
            self._begun_s = min(self._begun_s, time_s)
            self._newest = {
                group: (tick, then_s)
                for group, (tick, then_s) in self._newest.items()
                if not self._lasted(self._ticks - tick, time_s - then_s, 0.5)
            }

    def _lasted(self, ticks: float, secs: float, times: float) -> bool:
        """So many times as long as learning takes."""
        settings = self.settings
        if settings.learn is not None and ticks >= FEW_TICKS and secs >= times * settings.learn:
            return True
        return ticks >= times * settings.learn_samples

    def _meet(self, series: Indexes, now_s: float) -> None:
        """Gives rows to the new ones; judges them by what their groups were like before."""
        new = np.unique(series[self._rows.find(series) < 0])
        if not len(new):
            return
        groups = [self._group(int(index)) for index in new]
        learned = self._ticks - 1, now_s - self._begun_s
        ready, sure = self._lasted(*learned, 1), self._lasted(*learned, AT_MOST)
        speaks = [ready and (sure or group not in self._newest) for group in groups]
        near = [self._is_near(int(index)) for index in new]
        at = self._rows.of(new)
        self._tell(at[np.array(speaks, bool)], now_s)
        self._rows["near"][at] = near
        self._newest |= dict.fromkeys(groups, (self._ticks, now_s))

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
        state = (self._ticks, self._last_s, self._begun_s, list(self._newest.items()))
        return pack("novel", 3, self._rows.save(), *state)

    def load(self, saved: bytes) -> None:
        newest_shape = list[tuple[_Group, tuple[int, float]]]
        shape = tuple[bytes, int, float | None, float, newest_shape]
        rows, ticks, last_s, begun_s, newest = unpack("novel", 3, saved, shape)
        self._rows.load(rows)
        self._alike = {}
        for index in self._rows.known()[0].tolist():
            self._alike |= dict.fromkeys(key for key, _ in self._less_a_word(index))
        self._ticks, self._last_s, self._begun_s = ticks, last_s, begun_s
        self._newest = dict(newest)
