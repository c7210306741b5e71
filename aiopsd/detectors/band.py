"""A robust, seasonal band around what is usual, calibrated on the series' own history.

Expected is a level, or the time-of-day profile where that predicts better. A deviation is judged
by how rare it was so far (``tail``), and never counts for less than a floor. A sample is scored
before it teaches; outside the band it teaches nothing about the level, so that a broken service
does not become normal in five minutes. Once such a stretch is over, its peak joins the tail: what
keeps happening is not news. A level that stays is accepted in the end (``stretch``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors import level, season, stretch, tail
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Settings

WARM: Final = 20  # samples before the first judgement
YOUNG, YOUNG_CERTAIN = 20.0, 60.0  # a surprise counts half at so many samples: guesses as yet
LEAD: Final = 8  # deviations teach so many samples later, if nothing strange came of them
EDGE, CERTAIN = 3.0, 7.0  # surprise, in decades, of the band's edge and of certainty
CERTAIN_FLOORS: Final = 3.0  # certain is at least this many floors away from expected
RELATIVE_FLOOR: Final = 0.02  # of the level, where no floor is given
UNSURE: Final = 0.1  # how much a sample inside the band teaches while a stretch lasts
REACH: Final = 2.0  # steps times sqrt(samples): how far a wandering series goes unseen
GROWN: Final = 256  # samples; a younger series may turn out to be one that wanders
HUGE: Final = 1e150  # squares still fit; anything larger is no measurement
SENSITIVITY: Final = {"low": 1.5, "normal": 1.0, "high": 0.7}
CHOOSE_SAMPLES: Final = 16  # how often slow or fast is asked anew

Flags = NDArray[np.bool_]


class BandSettings(Settings, frozen=True, kw_only=True, tag="band"):
    """Judged from 20 samples on, with a band that narrows as samples come."""

    direction: Literal["up", "down", "both"] = "both"
    floor: float = 0.0  # smallest deviation that counts, in units of the series; 0: derived
    season: Literal["auto", "none", "day"] = "auto"
    sensitivity: Literal["low", "normal", "high"] = "normal"

    def __post_init__(self) -> None:
        if not 0 <= self.floor < HUGE:
            raise ValueError(f"`floor: {self.floor:g}` must be 0 or more")

    def build(self, labels: Callable[[int], Labels]) -> Band:  # noqa: ARG002 - as all members
        return Band(self)


_COLUMNS: Final = {
    "n": Column(),  # samples learned
    "origin": Column(),  # the first value: what is kept as float32 is relative to it
    "warm": Column(0.0, np.float32, WARM),
    "last": Column(),
    "lead": Column(np.nan, np.float32, LEAD),  # deviations that did not teach yet
    "least": Column(np.inf),  # smallest value so far
    "grain": Column(np.inf),  # smallest step between two values so far
    "whole": Column(1.0, np.bool_),  # only whole numbers so far
}


class Band:
    """See the module; ``observe`` is one tick of any of the series."""

    def __init__(self, settings: BandSettings) -> None:
        self.settings = settings
        self._weight = SENSITIVITY[settings.sensitivity]
        self._seasonal = settings.season != "none"
        self._rows = self._new_rows()

    def _new_rows(self) -> Rows:
        parts = _COLUMNS | level.COLUMNS | stretch.COLUMNS | tail.COLUMNS | season.SWITCH
        return Rows(**parts, **(season.COLUMNS if self._seasonal else {}))

    def observe(self, batch: Batch) -> Scores:
        """Missing (not finite) samples score 0 and teach nothing."""
        with np.errstate(over="ignore", invalid="ignore"):
            rows, at, now = self._rows, self._rows.of(batch.series), batch.time_s
            ok = np.abs(batch.values) < HUGE
            x = np.where(ok, batch.values, rows["last"][at])
            step = self._meet(at, x, ok)
            expected, base = self._expect(at, now)
            scores, away, floor = self._judge(batch, at, ok, x, expected)
            known = ok & (rows["n"][at] >= WARM)
            out = known & (scores.score >= 0.5)
            self._warm_up(at, x, ok & ~known)
            self._learn(at, x, step, base, known & ~out, ok & ~known)
            self._remember(at, x, out, known & ~out, away, floor, now)
            rows["n"][at] += ok & ~out
        return scores

    # --- before the judgement -----------------------------------------------------------

    def _meet(self, at: At, x: Floats, ok: Flags) -> Floats:
        """What a sample says of the series' nature; returns how far it is from the last one."""
        rows = self._rows
        new = ok & (rows["n"][at] == 0)
        if new.any():
            for name in ("origin", "last", "level"):
                rows[name][at[new]] = x[new]
        step = np.abs(x - rows["last"][at])
        rows["grain"][at] = np.minimum(rows["grain"][at], np.where(step > 0, step, np.inf))
        rows["whole"][at] &= x == np.rint(x)
        rows["least"][at] = np.minimum(rows["least"][at], np.where(ok, x, np.inf))
        rows["last"][at] = x
        return np.asarray(step)

    def _expect(self, at: At, now: float) -> tuple[Floats, Floats | None]:
        """The expected value, and the profile's word for it, less the origin."""
        rows, n = self._rows, self._rows["n"][at]
        due = at[(n % CHOOSE_SAMPLES == 0) & (n > WARM)]
        if len(due):
            factor = level.choose(rows, due)
            tail.scale(rows, due, np.where(rows["seasonal"][due], 1.0, factor))
        if not self._seasonal:
            return level.predicted(rows, at), None
        moved = season.enter(rows, at, now)
        if len(moved):
            always = self.settings.season == "day"
            plain, best = rows["miss"][moved], level.error(rows, moved)
            tail.scale(rows, moved, season.choose(rows, moved, now, plain, best, always))
        base = season.predicted(rows, at, now)
        use = rows["seasonal"][at] & np.isfinite(base)
        return np.where(use, base + rows["origin"][at], level.predicted(rows, at)), base

    def _judge(
        self, batch: Batch, at: At, ok: Flags, x: Floats, expected: Floats
    ) -> tuple[Scores, Floats, Floats]:
        """Scores, how far away each sample is, and the floor that this was held against."""
        rows, n = self._rows, self._rows["n"][at]
        floor, least, young = self._floor(at, expected), rows["least"][at], 1 + YOUNG / (n + 1)
        # Where people said what is too small to matter, fewer samples make it certain.
        mature = young if self.settings.floor else 1 + YOUNG_CERTAIN / (n + 1)
        walk = REACH * rows["step"][at] * np.sqrt(rows["run"][at])
        reach = walk * (rows["wanders"][at] & ~rows["seasonal"][at])
        away = np.maximum(self._away(x - expected) - reach, 0.0)
        u, excess = rows["u"][at], self._excess(at)
        rare = tail.surprise(away, u, excess)
        edge, known = EDGE * self._weight, ok & (n >= WARM)
        score = known * np.minimum(rare / (rare + edge * young), away / (away + floor))
        width = reach + np.maximum(tail.deviation(edge * young, u, excess), floor)
        jump = away - (walk - reach) * (n < GROWN)
        surely = tail.surprise(np.maximum(jump, 0.0), u, excess) >= CERTAIN * self._weight * mature
        certain = surely & (jump >= CERTAIN_FLOORS * floor)
        scores = Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=batch.series,
            score=score,
            observed=np.where(ok, batch.values, np.nan),
            expected=expected,
            low=np.where(least >= 0, np.maximum(expected - width, 0.0), expected - width),
            high=expected + width,
            samples=n.astype(np.int32),
            certain=known & certain,
            history=batch.history,
        )
        return scores, away, floor

    def _floor(self, at: At, expected: Floats) -> Floats:
        """Given, or derived: 2 % of the level, and one step of a series that moves in steps."""
        if self.settings.floor:
            return np.full(len(at), self.settings.floor)
        rows = self._rows
        grain = np.where(rows["whole"][at], np.minimum(rows["grain"][at], 1.0), rows["grain"][at])
        grain = np.where(np.isfinite(grain), grain, 0.0)
        return np.maximum(np.maximum(RELATIVE_FLOOR * np.abs(expected), grain), 1e-12)

    def _excess(self, at: At) -> Floats:
        """Counts move in steps: their tail is no finer than these."""
        return np.maximum(tail.mean_excess(self._rows, at), 0.4 * self._rows["whole"][at])

    def _away(self, d: Floats) -> Floats:
        match self.settings.direction:
            case "up":
                return np.maximum(d, 0.0)
            case "down":
                return np.maximum(-d, 0.0)
        return np.abs(d)

    # --- after the judgement ------------------------------------------------------------

    def _warm_up(self, at: At, x: Floats, warm: Flags) -> None:
        """Keeps the first samples; the last of them gives a robust level and a first tail."""
        if not warm.any():
            return
        rows, at, x = self._rows, at[warm], x[warm]
        n = rows["n"][at].astype(np.intp)
        rows["warm"][at, n] = x - rows["origin"][at]
        rows["level"][at] += (x - rows["level"][at]) / (n + 1)
        full = at[n == WARM - 1]
        if len(full):
            d = level.begin(rows, full, rows["warm"][full].astype(np.float64))
            rows["level"][full] += rows["origin"][full]
            rows["fast"][full] += rows["origin"][full]
            tail.begin(rows, full, self._away(d))

    def _learn(
        self, at: At, x: Floats, step: Floats, base: Floats | None, calm: Flags, warm: Flags
    ) -> None:
        """Level and profile: from calm samples, hardly so while a strange stretch lasts."""
        rows = self._rows
        weight: Floats = np.where(rows["run"][at] > 0, UNSURE, 1.0) * calm.astype(np.float64)
        level.learn(rows, at, x, step, weight, rows["n"][at])
        if base is not None:
            season.learn(rows, at, x - rows["origin"][at], base, weight + warm)

    def _remember(
        self, at: At, x: Floats, out: Flags, calm: Flags, away: Floats, floor: Floats, now: float
    ) -> None:
        """Deviations teach the tail: calm ones that led to nothing, and the peak of a stretch
        that passed."""
        rows, age = self._rows, self._rows["n"][at] - WARM
        place = rows["n"][at].astype(np.intp) % LEAD
        due = rows["lead"][at, place].astype(np.float64)
        rows["lead"][at, place] = np.where(calm, away, np.nan)
        rows["lead"][at[out]] = np.nan
        learned = calm & np.isfinite(due)
        tail.learn(rows, at[learned], due[learned], floor[learned], age[learned])
        touched = out | (calm & (rows["run"][at] > 0))
        if touched.any():
            at, floor, age = at[touched], floor[touched], age[touched]
            stretch.follow(rows, at, x[touched], out[touched], away[touched], now)
            over = stretch.passed(rows, at)
            tail.learn(rows, at[over], rows["peak"][at[over]], floor[over], age[over])
            self._accept(at[stretch.stays(rows, at, now)])

    def _accept(self, at: At) -> None:
        rows = self._rows
        shift, miss = rows["shift"][at], rows["shift_miss"][at]
        rows["run"][at] = 0
        level.move(rows, at, shift, miss)
        if self._seasonal:
            season.move(rows, at, shift - rows["origin"][at])
        tail.reset(rows, at, 2.9 * miss, 0.46 * miss)  # 98 % and mean excess of a Gaussian

    def season(self, series: int) -> str:
        """``day`` where the band comes from a time-of-day profile."""
        at = self._rows.find(np.array([series], np.int32))
        return "day" if at[0] >= 0 and self._rows["seasonal"][at[0]] else "none"

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)

    def save(self) -> bytes:
        return pack("band", 1, self._rows.save())

    def load(self, saved: bytes) -> None:
        rows = self._new_rows()
        rows.load(unpack("band", 1, saved, tuple[bytes])[0])
        self._rows = rows
