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
from aiopsd.detectors.bank.clock import Flags, Singles, Ticks, running, total
from aiopsd.detectors.bank.season import DAY, WEEK, Profile
from aiopsd.rows import Cell, Lane

Direction = Literal["up", "down", "both"]
WARM: Final = 20  # samples before the first judgement
YOUNG, YOUNG_CERTAIN = 20.0, 60.0  # a surprise counts half at so many samples: guesses as yet
LEAD: Final = 8  # deviations teach so many samples later, if nothing strange came of them
EDGE, CERTAIN = 3.0, 7.0  # surprise, in decades, of the band's edge and of certainty
CERTAIN_FLOORS: Final = 3.0  # certain is at least this many floors away from expected
RELATIVE_FLOOR: Final = np.float32(0.02)  # of the level, where no floor is given
REACH: Final = np.float32(2)  # steps times sqrt(samples): how far a wandering series goes unseen
GROWN: Final = 256  # samples; a younger series may turn out to be one that wanders
CHOOSE_TICKS: Final = 16  # how often the predictors are compared
SEASON_MEMORY: Final = 128.0  # samples, of a profile's offset and error
TINY: Final = np.float32(1e-12)

NONE, BY_DAY, BY_WEEK = 0, 1, 2


def cells(profiles: tuple[Profile, ...]) -> dict[str, Cell]:
    found = {
        "n": Cell(),  # samples learned
        "calm": Cell(),  # of this epoch, not learned yet
        "warm": Cell(0, np.float32, (WARM,)),
        "lead": Cell(np.nan, np.float32, (LEAD,)),  # deviations that did not teach yet
        "least": Cell(np.inf),  # smallest value so far, less the origin
        "grain": Cell(np.inf),  # smallest step between two values so far
        "whole": Cell(1, np.bool_),  # only whole numbers so far
        "seasonal": Cell(0, np.int8),
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
        return tail.surprise(away, lane["u"], _excess(lane))


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

    def observe(self, lane: Lane, ticks: Ticks, bases: dict[str, Singles]) -> Forecast:
        """``bases``: the profiles' values by name, NaN where nobody knows."""
        known, excess = np.asarray(lane["n"] >= WARM), _excess(lane)
        _meet(lane, ticks)
        edge = tail.deviation(self.edge(lane), lane["u"], excess)
        fast = level.follow(lane, ticks, edge)
        expected = self._expect(lane, fast, bases)
        away, floor = self._away(ticks.y - expected), self._floor(lane, expected)
        width, given = np.maximum(edge, floor), known & ticks.ok
        out = given & (away > width)
        weight, jump = given.astype(np.float32), away
        if np.count_nonzero(out) or np.count_nonzero(lane["run"]):
            away, jump, out, weight = _walk(lane, ticks, away, width, floor, given, excess)
        else:
            _lead(lane, away, given, floor, excess)
        if WEEK.name in bases and out.any():  # as it was a week ago is not certain
            jump = np.fmin(jump, np.abs(ticks.y - bases[WEEK.name]))
        count = running(np.add, lane["calm"], weight > 0)
        samples = lane["n"] + count[:-1]
        lane["calm"] = count[-1]
        self._note(lane, ticks, fast, bases, weight)
        if not known.all():
            self._warm_up(lane, ticks, ticks.ok[0] & ~known)
        return Forecast(expected, away, floor, width, known, samples, out, jump)

    def edge(self, lane: Lane) -> Singles:
        """Surprise at the band's edge: wider while few samples are known."""
        return np.asarray(np.float32(EDGE * self._weight) * (1 + YOUNG / (lane["n"] + 1)))

    def certain(self, lane: Lane, found: Forecast) -> Flags:
        """Rare enough to be certain, if anything is at all."""
        lane["told"] = 0
        if not found.out.any():
            return np.zeros(found.out.shape, np.bool_)
        # Where people said what is too small to matter, fewer samples make it certain.
        young = 1 + (YOUNG if self._given else YOUNG_CERTAIN) / (lane["n"] + 1)
        rare = found.rare(lane, np.maximum(found.jump, 0))
        lane["told"] = rare[-1] * found.out[-1]
        sure = rare >= CERTAIN * self._weight * young
        return np.asarray(found.out & sure & (found.jump >= CERTAIN_FLOORS * found.floor))

    def _expect(self, lane: Lane, fast: Singles, bases: dict[str, Singles]) -> Singles:
        expected = np.where(lane["wanders"], fast, lane["level"])
        for which, profile in enumerate(self._profiles, BY_DAY):
            use = lane["seasonal"] == which
            if np.count_nonzero(use):
                base = bases[profile.name] + lane[f"{profile.name}_offset"]
                expected = np.where(use & np.isfinite(base), base, expected)
        return expected

    def _away(self, d: Singles) -> Singles:
        match self._direction:
            case "up":
                return np.maximum(d, 0)
            case "down":
                return np.maximum(-d, 0)
        return np.abs(d)

    def _floor(self, lane: Lane, expected: Singles) -> Singles:
        """Given, or derived: 2 % of the level, and one step of a series that moves in steps."""
        if self._given:
            return np.full(expected.shape, self._given, np.float32)
        grain = np.where(lane["whole"], np.minimum(lane["grain"], 1), lane["grain"])
        least = np.maximum(np.where(np.isfinite(grain), grain, 0), TINY)
        origin = lane["origin"].astype(np.float32)
        return np.asarray(np.maximum(RELATIVE_FLOOR * np.abs(expected + origin), least))

    def _note(
        self, lane: Lane, ticks: Ticks, fast: Singles, bases: dict[str, Singles], weight: Singles
    ) -> None:
        """Level and profiles: from calm samples, hardly so while a strange stretch lasts."""
        level.note(lane, ticks, fast, weight)
        for profile in self._profiles:
            miss = ticks.y - bases[profile.name] - lane[f"{profile.name}_offset"]
            here = np.isfinite(miss)
            if np.count_nonzero(here):
                new, part = lane[f"{profile.name}_new"], weight * here
                miss = np.where(here, miss, 0)
                total(new, np.stack((part * miss, part * np.abs(miss), part), axis=1))

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
            tail.begin(part, self._away(level.begin(part, part["warm"].copy())))
            part.close()

    # --- an epoch is over ---------------------------------------------------------------

    def learn(self, lane: Lane) -> None:
        n = lane["n"]
        tail.learn(lane, n - WARM, _excess(lane))
        level.learn(lane, n)
        for profile in self._profiles:
            new, error = lane[f"{profile.name}_new"], lane[f"{profile.name}_error"]
            lane[f"{profile.name}_offset"] += new[0] / np.float32(SEASON_MEMORY)
            error += (new[1] - new[2] * error) / np.float32(SEASON_MEMORY)  # NaN: not asked yet
            lane[f"{profile.name}_new"] = 0
        lane["n"] += lane["calm"]
        lane["calm"] = 0
        due = (lane["age"] % CHOOSE_TICKS == 0) & (lane["n"] > WARM)
        if np.count_nonzero(due):
            part = lane.only(due)
            self._choose(part)
            part.close()
        stays = stretch.stays(lane)
        if np.count_nonzero(stays):
            self._accept(lane, stays)

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


def _excess(lane: Lane) -> Singles:
    """Counts move in steps: their tail is no finer than these."""
    return np.maximum(tail.mean_excess(lane), np.float32(0.4) * lane["whole"])


def _meet(lane: Lane, ticks: Ticks) -> None:
    """What the samples say of the series' nature."""
    step = np.abs(ticks.y - ticks.before)
    moved = np.where((step > 0) & (ticks.seen > 0), step, np.float32(np.inf))
    np.minimum(lane["grain"], moved.min(axis=0), out=lane["grain"])
    np.minimum(lane["least"], ticks.y.min(axis=0), out=lane["least"])
    lane["whole"] &= ((ticks.values == np.rint(ticks.values)) | ~ticks.ok).all(axis=0)


def _walk(
    lane: Lane,
    ticks: Ticks,
    away: Singles,
    width: Singles,
    floor: Singles,
    given: Flags,
    excess: Singles,
) -> tuple[Singles, Singles, Flags, Singles]:
    """Tick by tick through a strange stretch: away, jump, outside the band, what it teaches."""
    away, jump = away.copy(), away.copy()
    out, weight = np.zeros(away.shape, np.bool_), np.zeros_like(away)
    wanders = lane["wanders"] & (lane["seasonal"] == NONE)
    grown = lane["n"] >= GROWN
    for i, now in enumerate(ticks.times.tolist()):
        run = lane["run"]
        walk = REACH * lane["step"] * np.sqrt(run)
        far = np.maximum(away[i] - walk * wanders, 0)
        jump[i] = far - np.where(grown, 0, walk * ~wanders)
        away[i], out[i] = far, given[i] & (far > width[i])
        weight[i] = (given[i] & ~out[i]) * np.where(run > 0, np.float32(level.UNSURE), 1)
        some = np.flatnonzero(out[i] | (given[i] & (run > 0)))
        if np.count_nonzero(out[i]):
            lane["lead"][:, out[i]] = np.nan
        row = slice(i, i + 1)
        _lead(lane, away[row], given[row] & ~out[row], floor[row], excess)
        if len(some):
            y = ticks.y[i, some]
            over = stretch.follow(lane, some, y, out[i, some], away[i, some], now)
            if len(over):
                passed = np.zeros((1, lane.n), np.bool_)
                passed[0, over] = True
                tail.note(lane, lane["peak_away"][None], passed, floor[row], excess)
    return away, jump, out, weight


def _lead(lane: Lane, away: Singles, calm: Flags, floor: Singles, excess: Singles) -> None:
    """Calm deviations teach later; what led to something strange does not."""
    line = np.concatenate((lane["lead"], np.where(calm, away, np.float32(np.nan))))
    due, lane["lead"] = line[: len(away)], line[len(away) :]
    tail.note(lane, due, np.isfinite(due), floor, excess)
