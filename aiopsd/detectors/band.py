"""The default detector: a forecast and six kinds of novelty, on the series' own history.

The *forecast* (``expect``) says what is expected and how far away is strange, from 20 samples
on. *Novelty* (``novelty``) says how unlike anything before the last samples are; it needs a day.
Alone, novelty makes suspicious; together with the forecast it makes certain. ``tier: light`` is
the forecast alone.

What is strange is learned slowly, late or not at all; what stays becomes normal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np

from aiopsd.contracts import Lesson
from aiopsd.detectors import words
from aiopsd.detectors.bank import alerts, clock, expect, novelty, stuck, teach
from aiopsd.detectors.bank.alerts import FLAG
from aiopsd.detectors.bank.clock import DAY_SECS, Flags, Singles, Ticks
from aiopsd.detectors.bank.expect import Forecast, Forecaster
from aiopsd.detectors.bank.judged import Judged
from aiopsd.detectors.bank.season import DAY, NONE, WEEK, Profile
from aiopsd.detectors.sensitivity import WEIGHT, Sensitivity
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import Lane, Sheet, pack, unpack
from aiopsd.settings import Settings

TOLD: Final = 2.0  # decades; what is less rare explains nothing
SENTENCES: Final = 3
HUGE: Final = 1e30
SURE: Final = 2.5  # decades of common surprise, over the bar, that agree with the forecast
KNOWN_SECS: Final = 8 * DAY_SECS  # a whole weekend and its Monday


class BandSettings(Settings, frozen=True, kw_only=True, tag="band"):
    """Judged from 20 samples on, with a band that narrows as samples come."""

    direction: Literal["up", "down", "both"] = "both"
    floor: float = 0.0  # smallest deviation that counts, in units of the series; 0: derived
    season: Literal["auto", "none", "day", "week"] = "auto"
    sensitivity: Sensitivity = "normal"
    tier: Literal["full", "light"] = "full"

    def __post_init__(self) -> None:
        if not 0 <= self.floor < HUGE:
            raise ValueError(f"`floor: {self.floor:g}` must be 0 or more")

    def build(self, labels: Callable[[int], Labels]) -> Band:  # noqa: ARG002 - as all members
        return Band(self)


class Band:
    """See the module; ``observe`` is one tick of any of the series."""

    def __init__(self, settings: BandSettings) -> None:
        self.settings = settings
        self._full = settings.tier == "full"
        self._profiles = _profiles(settings)
        self._forecaster = Forecaster(
            settings.direction,
            settings.floor,
            WEIGHT[settings.sensitivity],
            self._profiles,
            settings.season,
        )
        weight = WEIGHT[settings.sensitivity]
        self._flag, self._warn = alerts.flag(weight), alerts.warn(weight)
        self._sheet = self._new_sheet()

    def _new_sheet(self) -> Sheet:
        cells = clock.CELLS | expect.cells(self._profiles)
        if self._full:
            cells = (
                cells
                | novelty.CELLS
                | stuck.CELLS
                | alerts.PEAKS
                | self._flag.cells
                | self._warn.cells
            )
        return Sheet(**cells)

    def observe(self, batch: Batch) -> Scores:
        """Missing (not finite) samples score 0 and teach nothing."""
        times = np.array([batch.time_s])
        found = self.observe_stretch(times, batch.values[None], batch.series)
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=batch.series,
            score=found.score[0],
            observed=found.observed[0],
            expected=found.expected[0],
            low=found.low[0],
            high=found.high[0],
            samples=found.samples[0],
            certain=found.certain[0],
            history=batch.history,
        )

    def observe_doubting(self, batch: Batch, doubted: Indexes) -> Scores:
        """As ``observe``, but these series learn nothing of it."""
        if not len(doubted):
            return self.observe(batch)
        before = self._sheet.copied(doubted)
        scores = self.observe(batch)
        del before["told"]  # ``explain`` is asked after this
        self._sheet.put(doubted, before)
        return scores

    def take_back(self, series: Indexes, former: Band) -> None:
        """These are as this one, of a while ago, knew them; the unknown as new."""
        before = former._sheet.copied(series)
        del before["told"]
        self._sheet.put(series, before)

    def observe_stretch(
        self, times_s: Floats, values: Floats, series: Indexes | None = None
    ) -> Judged:
        """Many ticks in a row, ``values[T, n]``: the same as one ``observe`` a tick, faster.

        ``series`` are the columns' indexes, 0 to n - 1 by default. Missing values are NaN.
        """
        values, times_s = np.asarray(values, float), np.asarray(times_s, float)
        if series is None:
            series = np.arange(values.shape[1], dtype=np.int32)
        found = Judged.empty(*values.shape)
        with np.errstate(all="ignore"):
            for lane, place in self._sheet.lanes(series):
                if isinstance(place, slice):
                    self._follow(lane, times_s, values[:, place], found.at(slice(None), place))
                else:
                    part = Judged.empty(len(times_s), lane.n)
                    self._follow(lane, times_s, values[:, place], part)
                    found.take(place, part)
                lane.close()
        return found

    def _follow(self, lane: Lane, times_s: Floats, values: Floats, found: Judged) -> None:
        """Epoch by epoch."""
        begin, all_ = 0, slice(None)
        while begin < len(times_s):
            rows = slice(begin, begin + clock.room(lane))
            self._observe(lane, times_s[rows], values[rows], found.at(rows, all_))
            begin = rows.stop

    def _observe(self, lane: Lane, times: Floats, values: Floats, found: Judged) -> None:
        """Some ticks of one lane, within an epoch."""
        ticks = clock.meet(lane, times, values)
        scale = lane["pace_dev"] if self._full else lane["miss"]
        bases = {p.name: p.follow(lane, ticks, scale) for p in self._profiles}
        guess = self._forecaster.observe(lane, ticks, bases)
        self._show(lane, ticks, guess, found)
        if self._full:
            self._judge_full(lane, ticks, guess, bases.get(DAY.name), found)
        else:
            self._judge_light(lane, ticks, guess, found)
        ends = clock.finish(lane, ticks)
        if np.count_nonzero(ends):
            part = lane.only(ends)
            self._forecaster.learn(part)
            if self._full:
                novelty.learn(part)
                stuck.learn(part)
            part.close()

    def _show(self, lane: Lane, ticks: Ticks, guess: Forecast, found: Judged) -> None:
        found.observed[...] = ticks.values
        if not ticks.complete:
            found.observed[~ticks.ok] = np.nan
        np.add(guess.expected, lane["origin"], out=found.expected)
        np.add(found.expected, guess.width, out=found.high)
        low = np.subtract(found.expected, guess.width, out=found.low)
        if low.min() < 0:
            np.maximum(low, np.where(lane["positive"], 0.0, -np.inf), out=low)
        found.samples[...] = guess.samples

    def _judge_light(self, lane: Lane, ticks: Ticks, guess: Forecast, found: Judged) -> None:
        rare, judged = guess.rare(lane, guess.away), guess.known & ticks.ok
        score = np.minimum(
            rare / (rare + self._forecaster.edge(lane)), guess.away / (guess.away + guess.floor)
        )
        found.plain[...] = found.capped[...] = rare * judged
        found.score[...] = score = _agree(score * judged, guess.out)
        found.certain[...] = self._forecaster.certain(lane, guess)
        found.suspicious[...] = guess.out
        found.alert[...] = score * guess.out

    def _judge_full(
        self, lane: Lane, ticks: Ticks, guess: Forecast, base: Singles | None, found: Judged
    ) -> None:
        new, still = novelty.observe(lane, ticks, base), stuck.observe(lane, ticks)
        np.multiply(new.plain, ticks.ok, out=found.plain)  # idle columns would drown the others
        plain: Singles = np.maximum(new.plain, still) * ticks.ok
        capped: Singles = np.maximum(new.capped, still) * ticks.ok
        lived = ticks.times[:, None] - lane["born"]
        bar = alerts.own_bar(lane, lived, capped)
        counts = self._counts(guess, ticks)
        grown = lived - lane["head_secs"] >= DAY_SECS
        sure = self._forecaster.certain(lane, guess)
        capped *= counts
        capped /= bar
        high = capped * grown
        forced = guess.out if self.settings.floor else sure & ~grown
        if np.count_nonzero(forced):
            high = np.where(forced, np.maximum(high, np.float32(self._flag.limit)), high)
        np.multiply(new.capped, grown & counts, out=found.capped)
        told, over = self._flag.observe(lane, ticks.times, high)
        alert, _ = self._warn.observe(lane, ticks.times, high)
        over |= forced
        found.score[...] = _agree(plain / (plain + FLAG), over)
        found.suspicious[...] = told > 0
        np.maximum(alert, told, out=alert)  # what is suspicious is told as such, warned of or not
        np.divide(alert, alert + FLAG, out=found.alert)
        found.certain[...] = over & sure
        if np.count_nonzero(found.certain):
            found.certain[...] &= forced | self._agrees(lane, lived, capped)

    def _agrees(self, lane: Lane, lived: Floats, high: Singles) -> Flags:
        """Is the common surprise as sure as the forecast?

        A series with a day may have a week: in its first one a weekend looks like an incident.
        """
        known = (lived >= KNOWN_SECS) | (lane["seasonal"] == NONE)
        return np.asarray((high >= SURE) & known)

    def _counts(self, guess: Forecast, ticks: Ticks) -> Flags:
        """Where people said what counts, only that can be an anomaly."""
        if self.settings.floor:
            return np.asarray((guess.away >= guess.floor) & ticks.ok)
        if self.settings.direction != "both":
            return np.asarray((guess.away > 0) & ticks.ok)
        return ticks.ok

    def teach(self, lessons: Sequence[Lesson]) -> None:
        """Takes no lesson for a series that has learned more by itself."""
        for lesson in lessons:
            with np.errstate(all="ignore"):
                for lane, _ in self._sheet.lanes(np.array([lesson.series], np.int32)):
                    teach.take(lane, lesson, self._profiles)
                    self._forecaster.hold(lane)

    def explain(self, series: int) -> list[str]:
        """Which members speak, how rare that is on the series' own past, and by what season."""
        lane = self._sheet.one(series)
        if lane is None:
            return []
        said = [(float(lane["told"][0]), "so far from what was expected")]
        if self._full:
            said += zip(lane["said"][:, 0].tolist(), novelty.WORDS, strict=True)
        told = sorted((one for one in said if one[0] >= TOLD), reverse=True)[:SENTENCES]
        count = int(lane["n"][0] + lane["calm"][0])
        return [*words.rarities(told, count), words.known(self.season(series), count)]

    def season(self, series: int) -> str:
        """``day`` or ``week`` where the band comes from such a profile."""
        lane = self._sheet.one(series)
        return ("none", "day", "week")[int(lane["seasonal"][0])] if lane is not None else "none"

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        self._sheet.forget(series)

    def save(self) -> bytes:
        return pack("band", 4, self._sheet.save())

    def load(self, saved: bytes) -> None:
        rows = unpack("band", 4, saved, tuple[bytes])[0]
        sheet = self._new_sheet()
        sheet.load(rows)
        self._sheet = sheet


def _profiles(settings: BandSettings) -> tuple[Profile, ...]:
    if settings.season == "none":
        return ()
    weekly = settings.tier == "full" or settings.season == "week"
    return (DAY, WEEK) if weekly and settings.season != "day" else (DAY,)


def _agree(score: Singles, over: Flags) -> Singles:
    """0.5 and more is strange, in every score; on either side the stranger is the higher."""
    hundredth = score * np.float32(0.01)
    agreed = np.minimum(score, np.float32(0.49) + hundredth)
    if np.count_nonzero(over):
        agreed[over] = np.maximum(score[over], np.float32(0.5) + hundredth[over])
    return np.asarray(agreed)
