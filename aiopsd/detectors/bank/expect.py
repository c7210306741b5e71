"""The forecasting half: what is expected now, how far away is strange, and for how long it lasts.

Expected is a level, or a profile of the day or the week where that predicts better. A deviation is
judged by how rare it was so far (``tail``), and never counts for less than a floor. Outside the
band samples teach next to nothing, so that a broken service does not become normal in five
minutes. Once such a stretch is over, its peak joins the tail: what keeps happening is not news. A
level that stays is accepted in the end (``stretch``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from aiopsd.detectors.bank import level, stretch, tail
from aiopsd.detectors.bank.clock import Flags, Singles, Ticks, running, total, where
from aiopsd.detectors.bank.season import BY_DAY, BY_WEEK, DAY, WEEK, Profile
from aiopsd.rows import Cell, Lane

Direction = Literal["up", "down", "both"]
Bases = dict[str, Singles | None]
WARM: Final = 20  # samples before the first judgement
YOUNG, YOUNG_CERTAIN = 20.0, 60.0  # a surprise counts half at so many samples: guesses as yet
EDGE, CERTAIN = 3.0, 7.0  # surprise, in decades, of the band's edge and of certainty
CERTAIN_FLOORS: Final = 3.0  # certain is at least this many floors away from expected
RELATIVE_FLOOR: Final = np.float32(0.02)  # of the level, where no floor is given
CHOOSE_TICKS: Final = 16  # how often the predictors are compared
SEASON_MEMORY: Final = 128.0  # samples, of a profile's offset and error
TINY: Final = np.float32(1e-12)


def cells(profiles: tuple[Profile, ...]) -> dict[str, Cell]:
    found = {
        "calm": Cell(),  # of this epoch, not learned yet
        "warm": Cell(0, np.float32, (WARM,)),
        "least": Cell(np.inf),  # smallest value so far, less the origin
        "grain": Cell(np.inf),  # smallest step between two values so far
        "whole": Cell(1, np.bool_),  # only whole numbers so far
        "seasonal": Cell(0, np.int8),
        "step_floor": Cell(float(TINY)),  # one step of a series that moves in steps, and
        "positive": Cell(0, np.bool_),  # was it never negative? As the epoch holds on to it
        "told": Cell(),  # decades of the newest deviation, where it was outside the band
    }
    for profile in profiles:
        found |= profile.cells | {
            f"{profile.name}_offset": Cell(),  # the last hours against the profile
            f"{profile.name}_error": Cell(np.nan),  # mean |y - prediction| with the profile
            f"{profile.name}_new": Cell(0, np.float32, (3,)),  # this epoch: moves, errors, weight
        }
    return found | level.CELLS | stretch.CELLS | tail.CELLS


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of some ticks, ``[T, n]``; levels are less the origin."""

    expected: Singles
    away: Singles  # in the direction that counts, 0 the other way
    floor: Singles  # what is too small to matter
    width: Singles  # of the band
    known: Flags  # [n]: enough samples to judge
    samples: Singles
    out: Flags
    jump: Singles  # away, less what a young series may yet show to be wandering

    def rare(self, lane: Lane, away: Singles) -> Singles:
        """Decades."""
        return tail.surprise(away, lane["u"], lane["excess"])


class Forecaster:
    """The rule's settings; what is learned is in the lanes."""

    def __init__(
        self,
        direction: Direction,
        floor: float,
        weight: float,
        profiles: tuple[Profile, ...],
        always: str,
    ) -> None:
        self._direction, self._given, self._weight = direction, floor, weight
        self._profiles, self._always = profiles, always

    def observe(self, lane: Lane, ticks: Ticks, bases: Bases) -> Forecast:
        """``bases``: the profiles' values by name, NaN where nobody knows."""
        known = np.asarray(lane["n"] >= WARM)
        _meet(lane, ticks)
        fast = level.follow(lane, ticks)
        expected = self._expect(lane, fast, bases)
        ahead = ticks.y - expected
        away, floor = np.abs(ahead), self._floor(lane, expected)
        width, given = np.maximum(lane["edge"], floor), known & ticks.ok
        out = given & (away > width)
        weight, jump = given.astype(np.float32), away
        if lane["run"].max() > 0 or np.count_nonzero(out):
            away, jump, out, weight = stretch.walk(lane, ticks, away, width, floor, given)
        else:
            stretch.lead(lane, ticks.ages, away, given, floor)
        week = bases.get(WEEK.name)
        if week is not None and out.any():  # as it was a week ago is not certain
            jump = np.fmin(jump, np.abs(ticks.y - week))
        good = self._good(ahead)
        if np.count_nonzero(good):  # it has taught as any other: what is back is no news
            away, jump, out = (np.where(good, np.zeros((), k.dtype), k) for k in (away, jump, out))
        samples = lane["n"] + lane["calm"]
        if len(weight) > 1:
            samples = lane["n"] + running(np.add, lane["calm"], weight[:-1] > 0)
        total(lane["calm"], weight > 0)
        self._note(lane, ticks, fast, bases, weight)
        if not known.all():
            self._warm_up(lane, ticks, ticks.ok[0] & ~known)
        return Forecast(expected, away, floor, width, known, samples, out, jump)

    def edge(self, lane: Lane) -> Singles:
        """Surprise at the band's edge: wider while few samples are known."""
        return np.asarray(np.float32(EDGE * self._weight) * (1 + YOUNG / (lane["n"] + 1)))

    def certain(self, lane: Lane, found: Forecast) -> Flags:
        """Rare enough to be certain, if anything is at all."""
        lane["told"], sure = 0, np.zeros(found.out.shape, np.bool_)
        if np.count_nonzero(found.out):
            row, at = where(found.out)
            jump, floor = found.jump[row, at], found.floor[row, at]
            rare = tail.surprise(np.maximum(jump, 0), lane["u"][at], lane["excess"][at])
            newest = row == len(sure) - 1
            lane["told"][at[newest]] = rare[newest]
            # Where people said what is too small to matter, fewer samples make it certain.
            young = 1 + (YOUNG if self._given else YOUNG_CERTAIN) / (lane["n"][at] + 1)
            sure[row, at] = (rare >= CERTAIN * self._weight * young) & (
                jump >= CERTAIN_FLOORS * floor
            )
        return sure

    def _expect(self, lane: Lane, fast: Singles, bases: Bases) -> Singles:
        expected = np.where(lane["wanders"], fast, lane["level"])
        for which, profile in enumerate(self._profiles, BY_DAY):
            base, use = bases[profile.name], lane["seasonal"] == which
            if base is not None and np.count_nonzero(use):
                base = base + lane[f"{profile.name}_offset"]
                expected = np.where(use & np.isfinite(base), base, expected)
        return expected

    def _good(self, ahead: Singles) -> Flags:
        """Away in the direction that nobody minds."""
        match self._direction:
            case "up":
                return np.asarray(ahead < 0)
            case "down":
                return np.asarray(ahead > 0)
        return np.zeros(1, np.bool_)

    def _floor(self, lane: Lane, expected: Singles) -> Singles:
        """Given, or derived: 2 % of the level, and one step of a series that moves in steps."""
        if self._given:
            return np.full(expected.shape, self._given, np.float32)
        level = np.abs(expected + lane["origin"].astype(np.float32))
        return np.asarray(np.maximum(RELATIVE_FLOOR * level, lane["step_floor"]))

    def _note(self, lane: Lane, ticks: Ticks, fast: Singles, bases: Bases, weight: Singles) -> None:
        """Level and profiles: from calm samples, hardly so while a strange stretch lasts."""
        level.note(lane, ticks, fast, weight)
        for profile in self._profiles:
            base = bases[profile.name]
            if base is not None:
                miss = ticks.y - base - lane[f"{profile.name}_offset"]
                here, new = np.isfinite(miss), lane[f"{profile.name}_new"]
                rows = np.empty((len(miss), *new.shape), np.float32)
                part = np.multiply(weight, here, out=rows[:, 2])
                moves = np.multiply(part, np.where(here, miss, 0), out=rows[:, 0])
                np.abs(moves, out=rows[:, 1])
                total(new, rows)

    def _warm_up(self, lane: Lane, ticks: Ticks, warm: Flags) -> None:
        """Keeps the first samples; the last of them gives a robust level and a first tail."""
        some = warm.nonzero()[0]
        n, y = lane["n"][some], ticks.y[0, some]
        lane["warm"][n.astype(np.intp), some] = y
        lane["level"][some] += (y - lane["level"][some]) / (n + 1)
        lane["calm"][some] += 1
        full = warm & (lane["n"] == WARM - 1)
        if np.count_nonzero(full):
            part = lane.only(full)
            tail.begin(part, np.abs(level.begin(part, part["warm"].copy())))
            part.close()

    # --- an epoch is over ---------------------------------------------------------------

    def learn(self, lane: Lane) -> None:
        n = lane["n"]
        tail.learn(lane, n - WARM)
        level.learn(lane, n)
        for profile in self._profiles:
            new, error = lane[f"{profile.name}_new"], lane[f"{profile.name}_error"]
            lane[f"{profile.name}_offset"] += new[0] / np.float32(SEASON_MEMORY)
            error += (new[1] - new[2] * error) / np.float32(SEASON_MEMORY)  # NaN: not asked yet
            lane[f"{profile.name}_new"] = 0
        lane["n"] += lane["calm"]
        lane["calm"] = 0
        due = (lane["age"] & CHOOSE_TICKS - 1 == 0) & (lane["n"] > WARM)
        if np.count_nonzero(due):
            part = lane.only(due)
            self._choose(part)
            part.close()
        stays = stretch.stays(lane)
        if np.count_nonzero(stays):
            self._accept(lane, stays)
        self.hold(lane)

    def hold(self, lane: Lane) -> None:
        """What an epoch holds on to. Counts move in steps: their tail is no finer than these."""
        whole = lane["whole"]
        grain = np.where(lane["seen"] < WARM, np.inf, lane["grain"])  # few: not known
        lane["excess"] = np.maximum(tail.mean_excess(lane), np.float32(0.4) * whole)
        lane["edge"] = tail.deviation(self.edge(lane), lane["u"], lane["excess"])
        step = np.where(whole, np.minimum(grain, 1), grain)
        lane["step_floor"] = np.maximum(np.where(np.isfinite(step), step, 0), TINY)
        lane["positive"] = (lane["least"] + lane["origin"] >= 0) & np.isfinite(lane["least"])

    def _choose(self, lane: Lane) -> None:
        """The predictor that misses least; the tail is told when its deviations change."""
        before = self._error(lane)
        was = lane["wanders"] * np.int8(4) + lane["seasonal"]
        level.choose(lane)
        plain, best = lane["miss"], level.error(lane)
        use = np.zeros(lane.n, np.int8)
        for which, profile in enumerate(self._profiles, BY_DAY):
            on, error = lane["seasonal"] == which, lane[f"{profile.name}_error"]
            lane[f"{profile.name}_error"] = error = np.where(np.isnan(error), plain, error)
            good = (error < np.where(on, 1.0, 0.7) * plain) & (
                error < np.where(on, 1.5, 1.2) * best
            )
            if which == BY_WEEK:  # has to be better than the day, if that is good
                rival = np.where(use == BY_DAY, lane[f"{DAY.name}_error"], np.inf)
                good &= error < np.where(on, 1.2, 0.8) * rival
            old = lane["time"] - lane["born"] >= 2 * profile.period_secs
            ready = old & np.isfinite(lane[f"{profile.name}_begin"])
            use = np.where(ready & (good | (self._always == profile.name)), which, use)
        lane["seasonal"] = use
        changed = was != lane["wanders"] * np.int8(4) + use
        if np.count_nonzero(changed):
            ratio = np.clip(self._error(lane) / np.maximum(before, 1e-30), 0.05, 20)
            tail.scale(lane, np.where(changed, ratio, 1).astype(np.float32))

    def _error(self, lane: Lane) -> Singles:
        """The mean error of the predictor in use."""
        found = level.error(lane)
        for which, profile in enumerate(self._profiles, BY_DAY):
            found = np.where(lane["seasonal"] == which, lane[f"{profile.name}_error"], found)
        return found

    def _accept(self, lane: Lane, some: Flags) -> None:
        """The series is now here: profiles keep their shape."""
        shift, miss = lane["shift"], lane["shift_miss"]
        lane["run"] = np.where(some, 0, lane["run"])
        level.move(lane, some, shift, miss)
        for profile in self._profiles:
            begin = lane[f"{profile.name}_begin"]
            moved = some & np.isfinite(begin)
            name = f"{profile.name}_offset"
            lane[name] = np.where(moved, shift - begin, lane[name])
        u, excess = (np.asarray(k * miss, np.float32) for k in (2.9, 0.46))
        tail.reset(lane, some, u, excess)  # 98 % and mean excess of a Gaussian


def _meet(lane: Lane, ticks: Ticks) -> None:
    """What the samples say of the series' nature."""
    finer = (ticks.moved < lane["grain"]) & (ticks.moved > 0)
    if lane["seen"].min() == 0:
        finer &= ticks.seen > 0
    if np.count_nonzero(finer):
        moved = np.where(finer, ticks.moved, np.float32(np.inf)).min(axis=0)
        np.minimum(lane["grain"], moved, out=lane["grain"])
    np.minimum(lane["least"], ticks.y.min(axis=0), out=lane["least"])
    whole = lane["whole"].nonzero()[0]
    if len(whole):
        values = ticks.values[:, whole]
        whole_now = (values == np.rint(values)) | ~ticks.ok[:, whole]
        lane["whole"][whole] = whole_now.all(axis=0)
