"""What comes of some groups, in slots: of the bad ones of each, and of each series by itself.

Keeps what ``record`` knows of them. A slot is learned when it leaves the window, if it was calm
until then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors import former, record
from aiopsd.detectors.former import Former
from aiopsd.detectors.record import SLOT_SECS, SLOTS
from aiopsd.model import Batch, Floats, Indexes
from aiopsd.rows import At, Column, Rows

LONGEST_TICK_SECS: Final = 60.0  # what nobody listened to was no calm
MOST: Final = 1e12  # of one series in one tick; more is a mistake
NEWEST: Final = 2  # slots: what it is now, for people
REST_SECS: Final = 3600.0  # floods nearer to each other are one
HABIT_SECS: Final = 86400.0  # what lasts for so long is how things are

Group = tuple[str, ...]
Flags = NDArray[np.bool_]
Saved = tuple[bytes, bytes, list[tuple[Group, int]], former.Saved, former.Saved]
_USUAL: Final = {"mean": Column(), "record": Column()}  # what is taken back; not for how long
_USUAL_WHOLE: Final = _USUAL | {"usual": Column()}


class Tally:
    """``each`` has a row a series, ``whole`` a row a group."""

    def __init__(self, name: Callable[[int], Group], is_bad: Callable[[int], bool]) -> None:
        self._name, self._is_bad = name, is_bad
        self.each = Rows(
            **record.COLUMNS, group=Column(-1, np.int64), bad=Column(0, np.bool_)
        )  # by series
        self.whole = Rows(  # by group: its bad ones together
            **record.COLUMNS,
            last=Column(np.nan),
            secs=Column(),  # of the slot that goes on
            first=Column(np.nan),  # when its first bad one came
            firsts=Column(np.nan, width=SLOTS),
            widths=Column(width=SLOTS),
            place=Column(0, np.int64),  # of the oldest slot
            every=Column(width=SLOTS),  # events, bad or not
            usual=Column(),  # events a second, bad or not
            seen=Column(),  # events of this epoch, bad or not
            epoch=Column(),  # seconds
            heard=Column(),  # calm seconds that were learned
            settle=Column(),  # slots until it is calm again
            tired=Column(),
            lasts=Column(),  # seconds of this flood
            since=Column(np.inf),  # seconds since the flood before
            now=Column(),  # events a second of the newest slots
            pace=Column(),
            bar=Column(),
            speaker=Column(-1, np.int64),  # series; -1: there is no flood
        )
        self._groups: dict[Group, int] = {}
        self._troubled: frozenset[str] = frozenset()
        self._former_each = Former(lambda: Rows(**_USUAL))
        self._former_whole = Former(lambda: Rows(**_USUAL_WHOLE))

    def troubled(self, services: Collection[str]) -> None:
        """Nothing that comes there now is a lesson, nor what came while nobody knew yet; of a young
        group all is left: it learned from what was calm for a minute after it."""
        new, self._troubled = frozenset(services) - self._troubled, frozenset(services)
        groups = self._within(new)
        groups = groups[self._former_whole.older.find(self.whole.series(groups)) >= 0]
        if not len(groups):
            return
        pairs = (
            (self.whole, groups, self._former_whole.older),
            (self.each, self._members(groups), self._former_each.older),
        )
        for rows, at, before in pairs:
            then = before.of(rows.series(at))
            for name in _USUAL_WHOLE if rows is self.whole else _USUAL:
                rows[name][at] = before[name][then]

    def count(self, batch: Batch) -> At:
        """Returns the groups of what was in the batch."""
        self._former_each.keep(batch.time_s, self.each)
        self._former_whole.keep(batch.time_s, self.whole)
        ok, rows = np.isfinite(batch.values), self.whole
        self._meet(batch.series)
        at = self.each.of(batch.series)
        of = self.of(at)
        groups = np.unique(of)
        last = rows["last"][groups]
        first = np.isnan(last)
        gone = np.clip(batch.time_s - np.where(first, batch.time_s, last), 0, LONGEST_TICK_SECS)
        rows["secs"][groups] += gone
        rows["last"][groups] = batch.time_s
        # Nobody knows since when the first ones of a group were gathered.
        ok &= ~np.isin(of, groups[first])
        np.add.at(self.each["open"], at[ok], np.clip(batch.values[ok], 0, MOST))
        hit = np.unique(of[ok & (batch.values > 0) & self.each["bad"][at]])
        rows["first"][hit[np.isnan(rows["first"][hit])]] = batch.time_s
        return groups

    def _meet(self, series: Indexes) -> None:
        new = np.unique(series[self.each.find(series) < 0])
        if not len(new):
            return
        at, indexes = self.each.of(new), new.tolist()
        names = [self._name(index) for index in indexes]
        self._number(names)
        self.each["group"][at] = [self._groups[name] for name in names]
        self.each["bad"][at] = [self._is_bad(index) for index in indexes]

    def _number(self, names: Sequence[Group]) -> None:
        """Gives rows to groups that are new; numbers are used again."""
        new = [name for name in dict.fromkeys(names) if name not in self._groups]
        if not new:
            return
        used = set(self._groups.values())
        free = (n for n in range(len(used) + len(new)) if n not in used)
        self._groups.update(zip(new, free, strict=False))
        self.whole.of(np.array([self._groups[name] for name in new], np.int32))

    def of(self, at: At) -> At:
        """The rows of the groups of these rows."""
        return self.whole.find(self.each["group"][at].astype(np.int32))

    def bad(self, groups: At) -> At:
        """The rows of the bad series of these groups."""
        at = self._members(groups)
        found: At = at[self.each["bad"][at]]
        return found

    @property
    def newest(self) -> At:
        """By group: the place of the slot that was closed last."""
        return (self.whole["place"] - 1) % SLOTS

    def close(self, groups: At) -> None:
        """The open slots of these groups are over."""
        each, whole = self.each, self.whole
        at = self._members(groups)
        of, bad, size = self.of(at), each["bad"][at], len(whole["open"])
        self._learn(groups, at[bad])
        opened: Floats = each["open"][at]
        place = whole["place"]
        whole["open"][groups] = np.bincount(of, opened * bad, size)[groups]
        whole["every"][groups, place[groups]] = np.bincount(of, opened, size)[groups]
        whole["widths"][groups, place[groups]] = whole["secs"][groups]
        whole["firsts"][groups, place[groups]] = whole["first"][groups]
        whole["first"][groups] = np.nan
        for rows, some, its in ((whole, groups, groups), (each, at, of)):
            rows["slots"][some, place[its]] = rows["open"][some]
            rows["paces"][some, place[its]] = record.pace(rows["slots"][some], whole["widths"][its])
            rows["open"][some] = 0.0
        whole["place"][groups] = (place[groups] + 1) % SLOTS
        whole["secs"][groups] = 0.0
        newest = (whole["place"][groups, None] - 1 - np.arange(NEWEST)) % SLOTS
        told, secs = (
            whole[name][groups[:, None], newest].sum(axis=1) for name in ("slots", "widths")
        )
        whole["now"][groups] = told / np.maximum(secs, SLOT_SECS)

    def _members(self, groups: At) -> At:
        at = self.each.known()[1]
        found: At = at[np.isin(self.of(at), groups)]
        return found

    def _learn(self, groups: At, at: At) -> None:
        """From the oldest slot, when its epoch is over and nothing came of it."""
        each, whole = self.each, self.whole
        place = whole["place"]
        calm = (whole["settle"][groups] == 0) & ~self._in_trouble(groups)
        for name, what in (("epoch", "widths"), ("seen", "every")):
            new = whole[name][groups] + whole[what][groups, place[groups]]
            whole[name][groups] = np.where(calm, new, 0.0)
        for rows, some, its in ((whole, groups, groups), (each, at, self.of(at))):
            fine = np.isin(its, groups[calm])
            record.note(rows, some[fine], place[its[fine]])
            record.drop(rows, some[~fine])
        long = np.clip(whole["heard"][groups] / 4, *record.EPOCH_SECS)
        done = groups[whole["epoch"][groups] >= long]
        if len(done):
            self._keep(done, at[np.isin(self.of(at), done)])

    def _keep(self, groups: At, at: At) -> None:
        """The epochs of these groups are over."""
        each, whole = self.each, self.whole
        epoch = whole["epoch"]
        whole["heard"][groups] += epoch[groups]
        heard, of = whole["heard"], self.of(at)
        record.learn(whole, groups, epoch[groups], heard[groups])
        record.learn(each, at, epoch[of], heard[of])
        weight = np.minimum(epoch[groups] / np.minimum(heard[groups], record.DAY_SECS), 1.0)
        lines = whole["seen"][groups] / epoch[groups]
        whole["usual"][groups] += weight * (lines - whole["usual"][groups])
        whole["seen"][groups] = whole["epoch"][groups] = 0.0

    def settle(self, groups: At) -> None:
        """Who cries often is believed less; what lasts for a day is no flood any more."""
        whole = self.whole
        over, secs = whole["speaker"][groups] >= 0, whole["widths"][groups, self.newest[groups]]
        held = over | self._in_trouble(groups)
        whole["settle"][groups] = np.where(held, SLOTS, np.maximum(whole["settle"][groups] - 1, 0))
        whole["tired"][groups] *= 0.5 ** (secs / record.WEEK_SECS)
        ended = groups[~over & (whole["lasts"][groups] > 0)]
        whole["tired"][ended] += whole["since"][ended] >= REST_SECS
        whole["since"][groups] += secs
        whole["since"][ended] = 0.0
        whole["lasts"][groups] = np.where(over, whole["lasts"][groups] + secs, 0.0)
        for group in groups[whole["lasts"][groups] >= HABIT_SECS].tolist():
            self._accept(np.array([group]))

    def _accept(self, group: At) -> None:
        each, whole = self.each, self.whole
        at, place = self._members(group), self.newest
        record.accept(each, at, each["paces"][at, place[self.of(at)]])
        record.accept(whole, group, whole["paces"][group, place[group]])
        whole["speaker"][group], whole["lasts"][group] = -1, 0.0

    def _in_trouble(self, groups: At) -> Flags:
        return np.isin(groups, self._within(self._troubled))

    def _within(self, services: frozenset[str]) -> At:
        """The rows of the groups that are named so."""
        named = self._groups.items() if services else ()
        sick = [n for name, n in named if not services.isdisjoint(name)]
        return self.whole.find(np.array(sick, np.int32))

    def forget(self, series: Indexes) -> None:
        """A group is forgotten with its last series."""
        self.each.forget(series)
        alive = set(self.each["group"][self.each.known()[1]].tolist())
        gone = [name for name, number in self._groups.items() if number not in alive]
        numbers = [self._groups.pop(name) for name in gone]
        self.whole.forget(np.array(numbers, np.int32))
        self._former_each.forget(series)
        self._former_whole.forget(np.array(numbers, np.int32))
        lost = np.isin(self.whole["speaker"], series)
        self.whole["speaker"][lost] = -1

    def save(self) -> Saved:
        former = self._former_each.save(), self._former_whole.save()
        return self.each.save(), self.whole.save(), list(self._groups.items()), *former

    def load(
        self,
        each: bytes,
        whole: bytes,
        groups: list[tuple[Group, int]],
        former_each: former.Saved,
        former_whole: former.Saved,
    ) -> None:
        self.each.load(each)
        self.whole.load(whole)
        self._groups = dict(groups)
        self._former_each.load(*former_each)
        self._former_whole.load(*former_whole)
