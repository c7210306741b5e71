"""Many at once of what was seldom: error lines that come by the second.

Of a group, such as all lines of a service, those that are ``bad`` are counted, all together and
each series by itself; a series that was never there while its group was heard has come zero times.
A flood is a pace beyond the bar (``record``) that is not owed to more traffic. One series of the
group speaks for it, the one that came most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np

from aiopsd.detectors import record, words
from aiopsd.detectors.record import SLOT_SECS
from aiopsd.detectors.tally import Flags, Group, Saved, Tally
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Rows, pack, unpack
from aiopsd.settings import Duration, Settings

GROWN: Final = 2.0  # times its usual share of all; less is only more traffic
STILL: Final = 0.5  # of the way to the bar: a flood goes on
LOUDER: Final = 1e15  # than anything that came
RARE: Final = frozenset({"speaks"})  # labels that series have only where they are bad
TIRED: Final = 1.5  # each flood makes the next bar so much higher, for a week


class FloodSettings(Settings, frozen=True, kw_only=True, tag="flood"):
    """``bad``: of labels, the values that count; of none, all. ``floor``: the smallest rise that
    matters, in events a second."""

    group_by: tuple[str, ...] = ("service",)
    bad: dict[str, tuple[str, ...]] = {}
    floor: float = 0.5
    learn: Duration = Duration(60)

    def __post_init__(self) -> None:
        if self.floor <= 0:
            raise ValueError("`floor` must be more than 0: so many a second matter")
        if self.learn < record.MINUTE:
            raise ValueError(
                f"`learn: {self.learn}` is too short to know what is usual; at least 1m"
            )

    def build(self, labels: Callable[[int], Labels]) -> Flood:
        return Flood(self, labels)


class Flood:
    """Values are counts since the tick before; a tick may be short or long."""

    def __init__(self, settings: FloodSettings, labels: Callable[[int], Labels]) -> None:
        self.settings, self._labels = settings, labels
        self._tally = Tally(self._group, self._is_bad)
        self._each, self._whole = self._tally.each, self._tally.whole
        self._ticks = 0
        self._missing = {*settings.bad} - RARE  # labels of the bad that no series had so far

    def _group(self, index: int) -> Group:
        labels = self._labels(index)
        return tuple(labels.get(one, "") for one in self.settings.group_by)

    def _is_bad(self, index: int) -> bool:
        labels = self._labels(index)
        if self._missing:
            self._missing.difference_update(labels)
        return all(labels.get(one, "") in values for one, values in self.settings.bad.items())

    def observe(self, batch: Batch) -> Scores:
        """Scores the series of the batch, and those that speak for their groups."""
        self._ticks += 1
        groups = self._tally.count(batch)
        closing = groups[self._whole["secs"][groups] >= SLOT_SECS]
        if len(closing):
            self._tally.close(closing)
            self._judge(closing)
            self._tally.settle(closing)
        return self._scores(batch, groups)

    def lacks(self) -> str:
        """Of a label that only bad ones have nobody knows whether it will come."""
        if not self._missing or not len(self._each):
            return ""
        return f"flood needs the label {min(self._missing)!r} (`bad`); none of them has it"

    def troubled(self, services: Collection[str]) -> None:
        """Those with an open incident: nothing that comes there now is a lesson."""
        self._tally.troubled(services)

    # --- judging ------------------------------------------------------------------------

    def _judge(self, groups: At) -> None:
        """By slots that were closed just now."""
        each, whole, newest = self._each, self._whole, self._tally.newest
        at = self._tally.bad(groups)
        of = self._tally.of(at)
        paces = each["paces"][at, newest[of]]
        ready = whole["heard"][groups] >= float(self.settings.learn)
        together = whole["paces"][groups, newest[groups]]
        bars = self._mean_to_bar(whole, groups, groups)
        floods = ready & (together >= whole["mean"][groups] + bars)
        floods &= self._grown(whole, groups, groups, together)
        rise = np.zeros(len(whole["pace"]))
        rise[groups] = together - whole["mean"][groups]
        apart = self._mean_to_bar(each, at, of)
        own = (paces >= each["mean"][at] + apart) & self._grown(each, at, of, paces)
        own &= (2 * rise[of] >= paces) & np.isin(of, groups[ready])  # no other word for the same
        whole["pace"][groups], whole["bar"][groups] = together, whole["mean"][groups] + bars
        for n, group in enumerate(groups.tolist()):
            mine = of == group
            self._turn(group, at[mine], paces[mine], own[mine], apart[mine], bool(floods[n]))

    def _turn(
        self, group: int, at: At, paces: Floats, own: Flags, apart: Floats, flood: bool
    ) -> None:
        """Whether one group has a flood, and who speaks for it."""
        each, whole = self._each, self._whole
        speaker = int(whole["speaker"][group])
        mine = at == self._each.find(np.array([max(speaker, 0)], np.int32))[0]
        if speaker >= 0:
            still = whole["mean"][group] + STILL * (whole["bar"][group] - whole["mean"][group])
            flood |= bool(whole["pace"][group] >= still)
            flood |= bool((paces >= each["mean"][at] + STILL * apart)[mine].any())
        if not len(at) or not (flood or own.any()):
            whole["speaker"][group] = -1
        elif speaker < 0 or not mine.any():
            came = each["slots"][at].sum(axis=1)
            loudest = int(np.argmax(np.where(own, came + LOUDER, came)))
            whole["speaker"][group] = each.series(at[loudest : loudest + 1])[0]

    def _mean_to_bar(self, rows: Rows, at: At, groups: At) -> Floats:
        reach = record.reach(self._whole["heard"][groups])
        least = np.maximum(record.beyond(rows, at, reach), self.settings.floor)
        found: Floats = least * TIRED ** self._whole["tired"][groups]
        return found

    def _grown(self, rows: Rows, at: At, groups: At, paces: Floats) -> Flags:
        """Its share of all that came is more than usual; where there is more than the bad."""
        whole = self._whole
        secs = np.maximum(whole["widths"][groups].sum(axis=1), SLOT_SECS)
        others = (whole["every"][groups].sum(axis=1) - rows["slots"][at].sum(axis=1)) / secs
        usual = np.maximum(whole["usual"][groups] - rows["mean"][at], 0.0)
        grown = paces * usual >= GROWN * rows["mean"][at] * np.maximum(others, 0.0)
        return np.asarray(grown | (not self.settings.bad))

    # --- telling ------------------------------------------------------------------------

    def _scores(self, batch: Batch, groups: At) -> Scores:
        each, whole = self._each, self._whole
        speakers = whole["speaker"][groups]
        series = np.union1d(batch.series, speakers[speakers >= 0]).astype(np.int32)
        at = each.of(series)
        of = self._tally.of(at)
        speaks = whole["speaker"][of] == series
        paces, bars = whole["pace"][of], whole["bar"][of]
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=series,
            score=np.where(speaks, np.maximum(paces / np.maximum(paces + bars, 1e-12), 0.5), 0.0),
            observed=np.where(speaks, whole["now"][of], paces),
            expected=whole["mean"][of],
            low=np.zeros(len(at)),
            high=np.maximum(whole["record"][of], whole["mean"][of]),
            samples=np.full(len(at), self._ticks, np.int32),
            certain=speaks,
            history=batch.history,
        )

    def explain(self, series: int) -> Sequence[str]:
        at = self._each.find(np.array([series], np.int32))
        if at[0] < 0:
            return ()
        whole, group = self._whole, self._tally.of(at)
        secs = max(float(whole["widths"][group].sum()), SLOT_SECS)
        bad, lines = float(whole["slots"][group].sum()), float(whole["every"][group].sum())
        own, mean = float(self._each["slots"][at].sum()), float(self._each["mean"][at][0])
        told = [f"{bad:,.0f} in {words.lasting(secs)}, {own:,.0f} of them this one, "
                f"{words.pace(mean) + ' before' if mean else 'never before'}"]  # fmt: skip
        usual = float(whole["usual"][group][0])
        if self.settings.bad and usual > 0:
            was = float(whole["mean"][group][0]) / usual
            now, before = (words.amount(one, "ratio") for one in (bad / max(lines, 1), was))
            told.append(f"{now} of all, before {before}")
        heard = words.lasting(float(whole["heard"][group][0]))
        bar = words.pace(float(whole["bar"][group][0]))
        return [*told, f"after {heard} without a flood {bar} are one"]

    def begun(self, series: int, seen_s: float) -> float:
        """When the first came in the slots until now that were as loud as a flood is while it
        lasts."""
        at = self._each.find(np.array([series], np.int32))
        if at[0] < 0:
            return seen_s
        whole, group = self._whole, self._tally.of(at)
        order = (self._tally.newest[group] - np.arange(record.SLOTS)) % record.SLOTS
        widths, came = whole["widths"][group][0][order], whole["slots"][group][0][order]
        mean, bar = float(whole["mean"][group][0]), float(whole["bar"][group][0])
        loud = came >= (mean + STILL * (bar - mean)) * widths
        lasted = int(np.argmin(np.append(loud & (widths > 0), False)))  # newest first
        firsts = whole["firsts"][group][0][order][:lasted]
        return min(seen_s, float(np.nanmin(firsts, initial=seen_s)))

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        self._tally.forget(series)

    def save(self) -> bytes:
        return pack("flood", 2, self._tally.save(), self._ticks, sorted(self._missing))

    def load(self, saved: bytes) -> None:
        shape = tuple[Saved, int, frozenset[str]]
        tally, self._ticks, missing = unpack("flood", 2, saved, shape)
        self._tally.load(*tally)
        self._missing &= missing
