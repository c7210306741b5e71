"""Samples that belong together, gathered: a rule is worked out once a round, not once a batch.

Series whose rules share metrics form a *circle*. A round of it begins with a sample and ends when
all that is due has come. Due are the series of the circle that come steadily and are expected
before the first of them comes again. What does not come is not waited for longer than that: a
series that comes a second time ends the round without the missing. So the targets of a scrape, or
the requests that Prometheus splits a scrape into, are one evaluation of whole groups, and what
comes by itself (an event, a lone device) waits for nobody.

Pure: time is that of the samples, and of whoever calls ``tick``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Batch, Floats, Indexes

Flags = NDArray[np.bool_]
_Part = tuple[Indexes, Floats, Floats]  # series, values, times

LONGEST_SECS: Final = 60.0  # nobody waits longer for company
STEADY: Final = 0.3  # a gap this much longer or shorter than the one before is another
_SLOTS: Final = 64  # of a round, to look for a pause in
_PAUSE, _LONGER = 8, 1.5  # slots; times as long as the pause at its end
IDLE, DUE, HERE = 0, 1, 2  # states of a series: outside, awaited in, or part of an open round
NOBODY: Final = -1  # the circle of series that no rule looks at
_WHOLE: Final = 1 << 62  # waits for: a first round does not know for whom


@dataclass(frozen=True, slots=True)
class Round:
    """What came of some circles; each series once. ``now_s`` and ``since_s`` are by circle."""

    series: Indexes
    values: Floats
    times: Floats
    late: Flags  # not of this tick: older than the last one, or than the series' next sample
    now_s: Floats  # the newest sample
    since_s: Floats  # the sample that began it
    history: bool


class Rounds:
    """``feed`` answers with the rounds that a batch has ended, mostly none or one."""

    def __init__(self, circles: int, patient: Flags) -> None:
        """``patient``: circles whose first round waits for a second sample of some series; the
        others know no groups that could be half there."""
        self._patient = patient
        self._circle: Indexes = np.full(0, NOBODY, np.int32)  # by series, as the next four
        self._state: NDArray[np.int8] = np.zeros(0, np.int8)
        self._seen: Floats = np.full(0, -np.inf)
        self._gap: Floats = np.full(0, np.nan)  # seconds between its last two samples
        self._steady: Flags = np.zeros(0, bool)
        self._open: Flags = np.zeros(circles, bool)  # by circle, as the rest
        self._begun = np.zeros(circles)
        self._until = np.full(circles, np.inf)
        self._newest = np.full(circles, -np.inf)
        self._idle = np.zeros(circles)  # seconds in which the whole circle was silent
        self._waiting = np.zeros(circles, np.int64)
        self._members: dict[int, Indexes] = {}
        self._parts: list[_Part] = []
        self._history = False
        self._soonest = np.inf  # the smallest ``until`` of an open round

    # --- membership ---------------------------------------------------------------------

    def enter(self, series: Indexes, circle: int) -> None:
        """These new series belong there."""
        self._reach(int(series.max(initial=-1)))
        self._circle[series] = circle
        self._members.pop(circle, None)

    def merge(self, gone: int, into: int) -> None:
        """Two circles turn out to be one; both must be closed."""
        self._circle[self._circle == gone] = into
        self._newest[into] = max(self._newest[gone], self._newest[into])
        self._members.clear()

    def forget(self, series: Indexes) -> None:
        """These indexes mean other series from now on."""
        series = series[series < len(self._circle)]
        awaited = series[self._state[series] == DUE]
        self._waiting -= np.bincount(self._circle[awaited], minlength=len(self._waiting))
        if (self._state[series] == HERE).any():
            kept = [~np.isin(part[0], series) for part in self._parts]
            self._parts = [_chosen(p, k) for p, k in zip(self._parts, kept, strict=True)]
        self._circle[series], self._state[series] = NOBODY, IDLE
        self._seen[series], self._gap[series], self._steady[series] = -np.inf, np.nan, False
        self._members.clear()

    # --- gathering ----------------------------------------------------------------------

    def feed(self, batch: Batch) -> list[Round]:
        """A batch whose series are newer than what was there, each once, and have entered."""
        ended = self.flush() if batch.history != self._history else []
        self._history = batch.history
        if batch.time_s > self._soonest:
            ended += self._close(self._open & (self._until < batch.time_s))
        series, values = batch.series, batch.values
        circles = self._circle[series]
        if len(series) and circles.min() < 0:
            kept = circles >= 0
            series, values, circles = series[kept], values[kept], circles[kept]
        if not len(series):
            return ended
        again = series[self._state[series] == HERE]
        if len(again):
            ended += self._close_repeated(again, batch.time_s)
        fresh = ~self._open[circles]
        if fresh.any():
            self._begin(series[fresh], circles[fresh], batch.time_s)
        awaited = circles[self._state[series] == DUE]
        self._waiting -= np.bincount(awaited, minlength=len(self._waiting))
        self._state[series] = HERE
        self._parts.append((series, values, np.full(len(series), batch.time_s)))
        ready = self._open & (self._waiting <= 0)
        return ended + self._close(ready) if ready.any() else ended

    def tick(self, now_s: float) -> list[Round]:
        """Ends what has waited for long enough: nothing may come that would."""
        if self._history:
            return []
        return self._close(self._open & (self._until < now_s))

    def flush(self) -> list[Round]:
        """Ends every round."""
        return self._close(self._open.copy())

    def _begin(self, series: Indexes, circles: Indexes, now_s: float) -> None:
        for circle in np.unique(circles).tolist():
            self._open[circle], self._begun[circle] = True, now_s
            if self._newest[circle] == -np.inf and self._patient[circle]:
                self._waiting[circle], self._until[circle] = _WHOLE, now_s + LONGEST_SECS
            else:
                self._await(circle, series[circles == circle], now_s)
            self._soonest = min(self._soonest, float(self._until[circle]))

    def _await(self, circle: int, first: Indexes, now_s: float) -> None:
        """Marks who is due before the most frequent of them comes again; not who failed to come
        for a while already."""
        members = self._of(circle)
        members = members[self._steady[members]]
        gap = self._gap[members]
        expected = self._seen[members] + gap
        alive = expected > now_s - gap
        idle = 0.0
        if not alive.any():  # an outage of all: they are as late as those that are here now
            known = first[self._steady[first]]
            idle = now_s - float((self._seen[known] + self._gap[known]).max(initial=-np.inf))
            alive = expected + idle > now_s - gap  # nobody, when those here come at odd times
        self._idle[circle] = idle if alive.any() else 0.0
        ahead = min(float(gap[alive].min(initial=np.inf)), LONGEST_SECS) if alive.any() else 0.0
        wait = expected + self._idle[circle] - now_s
        alive &= wait <= ahead
        longest = _until_pause(wait[alive], ahead)
        due = members[alive & (wait <= longest)]
        self._state[due] = DUE
        self._waiting[circle], self._until[circle] = len(due), now_s + longest + ahead * STEADY

    def _close_repeated(self, again: Indexes, now_s: float) -> list[Round]:
        """A sample of these was there already. Who is new is taken to come as often as they."""
        ending = np.zeros(len(self._open), bool)
        ending[self._circle[again]] = True
        ended = self._close(ending)
        for one in ended:
            new = one.series[np.isnan(self._gap[one.series]) & (self._state[one.series] == IDLE)]
            self._gap[new] = now_s - self._seen[again].max()
            self._steady[new] = True
        return ended

    def _close(self, ending: Flags) -> list[Round]:
        if not ending.any():
            return []
        series, values, times = self._take(ending)
        circles = self._circle[series]
        now = np.full(len(self._open), -np.inf)
        np.maximum.at(now, circles, times)
        late = (times <= self._newest[circles]) | (times + self._gap[series] <= now[circles])
        np.maximum(self._newest, now, out=self._newest)
        self._pace(series, times, circles)
        if ending[self._open].all():
            self._state[:] = IDLE
        else:
            for circle in np.flatnonzero(ending).tolist():
                self._state[self._of(circle)] = IDLE
        self._open &= ~ending
        self._soonest = float(self._until[self._open].min(initial=np.inf))
        if not len(series):
            return []
        return [Round(series, values, times, late, now, self._begun.copy(), self._history)]

    def _take(self, ending: Flags) -> _Part:
        """What has come of these circles; what has come of others stays."""
        whole = _joined(self._parts)
        self._parts = []
        if ending[self._open].all():
            return whole
        mine = ending[self._circle[whole[0]]]
        if not mine.all():
            self._parts = [_chosen(whole, ~mine)]
        return _chosen(whole, mine)

    def _pace(self, series: Indexes, times: Floats, circles: Indexes) -> None:
        """How often each comes; a gap of another length is believed when it comes again."""
        before, usual = self._seen[series], self._gap[series]
        known = before > -np.inf
        gap = np.where(known, times - np.where(known, before, 0.0), np.nan)
        idle = self._idle[circles]
        gap = np.where(gap > idle, gap - idle, gap)
        same = np.abs(gap - usual) <= STEADY * usual
        self._steady[series] = known & (same | np.isnan(usual))
        self._gap[series], self._seen[series] = gap, times

    def _of(self, circle: int) -> Indexes:
        found = self._members.get(circle)
        if found is None:
            found = np.flatnonzero(self._circle == circle).astype(np.int32)
            self._members[circle] = found
        return found

    def _reach(self, most: int) -> None:
        more = most + 1 - len(self._circle)
        if more > 0:
            more = max(more, len(self._circle))
            self._circle = np.concatenate((self._circle, np.full(more, NOBODY, np.int32)))
            self._state = np.concatenate((self._state, np.zeros(more, np.int8)))
            self._seen = np.concatenate((self._seen, np.full(more, -np.inf)))
            self._gap = np.concatenate((self._gap, np.full(more, np.nan)))
            self._steady = np.concatenate((self._steady, np.zeros(more, bool)))

    # --- keeping ------------------------------------------------------------------------

    def rewind(self, now_s: float) -> None:
        """The clock was ahead when these samples came: none of them is newer than now."""
        for times in (self._seen, self._newest, self._begun, *(part[2] for part in self._parts)):
            np.minimum(times, now_s, out=times)
        np.minimum(self._until, now_s + LONGEST_SECS, out=self._until)
        self._soonest = min(self._soonest, now_s + LONGEST_SECS)

    def known(self) -> Indexes:
        """The series that it remembers anything of, awaited and present ones among them."""
        return np.flatnonzero((self._seen > -np.inf) | (self._state != IDLE)).astype(np.int32)

    def state(self) -> dict[str, Any]:
        known = self.known()
        by_series = {name: getattr(self, f"_{name}")[known] for name in _BY_SERIES}
        by_circle = {name: getattr(self, f"_{name}") for name in _BY_CIRCLE}
        parts = dict(zip(("series", "values", "times"), _joined(self._parts), strict=True))
        arrays: dict[str, Any] = {"known": known, **by_series, **by_circle, **parts}
        saved: dict[str, Any] = {name: array.tobytes() for name, array in arrays.items()}
        return saved | {"history": self._history}

    def restore(self, saved: dict[str, Any], *, same: bool) -> Indexes:
        """Returns the series that must enter before the next ``feed``; then ``settle``. With
        ``same`` the circles are those of then, otherwise what waited is part of a first round."""
        known = np.frombuffer(saved["known"], np.int32)
        self._reach(int(known.max(initial=-1)))
        self._history = bool(saved["history"])
        for name in _BY_SERIES:
            array = getattr(self, f"_{name}")
            if same or name != "state":
                array[known] = np.frombuffer(saved[name], array.dtype)
        for name in _BY_CIRCLE if same else ():
            array = getattr(self, f"_{name}")
            array[:] = np.frombuffer(saved[name], array.dtype)
        series = np.frombuffer(saved["series"], np.int32)
        self._parts = [(series, _floats(saved["values"]), _floats(saved["times"]))]
        return known if same else series

    def settle(self) -> None:
        """After ``restore``, when all have entered."""
        series, values, times = self._parts.pop()
        kept = self._circle[series] >= 0
        if kept.any():
            self._resume(series, values, times, kept)
        self._soonest = float(self._until[self._open].min(initial=np.inf))

    def _resume(self, series: Indexes, values: Floats, times: Floats, kept: Flags) -> None:
        self._parts = [_chosen((series, values, times), kept)]
        self._state[series[kept]] = HERE
        lost = np.unique(self._circle[series[kept]])
        lost = lost[~self._open[lost]]
        self._open[lost], self._waiting[lost] = True, _WHOLE
        self._begun[lost], self._until[lost] = times.min(), times.min() + LONGEST_SECS


_BY_SERIES: Final = ("seen", "gap", "steady", "state")
_BY_CIRCLE: Final = ("open", "begun", "until", "newest", "idle", "waiting")


def _until_pause(waits: Floats, ahead: float) -> float:
    """A round should end where the circle makes its longest pause, so that what comes at nearly
    the same moment is not in two rounds. As long as it ends at a pause that is about as long as
    the longest, it stays as it is."""
    if not len(waits) or not ahead:
        return 0.0
    slots = np.bincount(np.clip(waits / ahead * _SLOTS, 0, _SLOTS - 1).astype(np.intp))
    slots[0] += 1  # of the one that is here
    taken = np.flatnonzero(slots)
    pauses = np.diff(taken, append=_SLOTS)
    best = int(pauses.argmax())
    if pauses[best] <= max(_LONGER * pauses[-1], _PAUSE):
        return ahead
    return float((taken[best] + 1) / _SLOTS * ahead)


def _joined(parts: Sequence[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.zeros(0, np.int32), np.zeros(0), np.zeros(0)
    series, values, times = zip(*parts, strict=True)
    return np.concatenate(series), np.concatenate(values), np.concatenate(times)


def _chosen(part: _Part, which: Flags) -> _Part:
    return part[0][which], part[1][which], part[2][which]


def _floats(saved: bytes) -> Floats:
    return np.frombuffer(saved).copy()
