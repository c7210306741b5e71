"""A level that changed and stays: from X to Y, since when.

What the hour adds is taken out (``season``), and the rest made white noise of its own usual spread
(``white``); then a test looks for a change of its mean: Page-Hinkley for any number of series, or
river's ADWIN, until there is ``evidence`` enough. It speaks once: the step is
strange for ``hold`` samples while the series stays there, and then where the series is, is normal.
Every step makes the next one of this series a little harder: what keeps happening is not news.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.steps import evidence, page_hinkley, season, white
from aiopsd.detectors.steps.adaptive_windows import AdaptiveWindows
from aiopsd.detectors.steps.evidence import CERTAIN_DAYS, DAY_SECS, SUSPICIOUS_DAYS, bar
from aiopsd.detectors.steps.sentences import sentences
from aiopsd.detectors.steps.white import FEW, WARM
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Settings

RELATIVE_FLOOR: Final = 0.05  # of the level, where no floor is given
CERTAIN_FLOORS: Final = 2.0  # certain is a step of at least this many floors
UNSURE: Final = 0.1  # how much a sample teaches while a test is half convinced
VISIBLE: Final = 0.75  # of the usual spread: no smaller step is one
LARGE: Final = 3.0  # times that: a step that the last few samples show
BACK: Final = 0.25  # of the way that is left, and a series has returned
INSIDE: Final = 0.49  # highest score of a series that has not stepped
HUGE: Final = 1e150  # squares still fit; anything larger is no measurement

WEEK_SECS: Final = 7 * DAY_SECS  # before a season makes certain: a weekend is in it

Flags = NDArray[np.bool_]


class StepSettings(Settings, frozen=True, kw_only=True, tag="step"):
    """``adwin`` needs the extra ``river`` and judges at most 2,000 series; others go on with
    ``page-hinkley``."""

    method: Literal["page-hinkley", "adwin"] = "page-hinkley"
    direction: Literal["up", "down", "both"] = "both"
    floor: float = 0.0  # smallest step that counts, in units of the series; 0: derived
    hold: int = 30

    def __post_init__(self) -> None:
        if not 0 <= self.floor < HUGE:
            raise ValueError(f"`floor: {self.floor:g}` must be 0 or more")
        if self.hold < 2:
            raise ValueError(f"`hold: {self.hold}` must be at least 2 samples")

    def extra(self) -> str:
        return "river" if self.method == "adwin" else ""

    def build(self, labels: Callable[[int], Labels]) -> Step:  # noqa: ARG002 - as all members
        return Step(self)


_COLUMNS: Final = (
    {
        "n": Column(),  # samples at this level
        "last": Column(np.nan),
        "born": Column(np.nan),
        "whole": Column(1.0, np.bool_),  # only whole numbers so far
        "hold": Column(),  # samples for which the step is still strange; 0: there is none
        "sign": Column(),
        "proof": Column(),  # evidence for the step
        "to": Column(np.nan),  # the new level ...
        "since": Column(np.nan),  # ... and when it began
        "swing": Column(),  # what the season added to the newest sample
    }
    | evidence.COLUMNS
    | season.COLUMNS
    | white.COLUMNS
    | page_hinkley.COLUMNS
)


class Step:
    """See the module."""

    def __init__(self, settings: StepSettings) -> None:
        self.settings = settings
        self._rows = Rows(**_COLUMNS)
        self._windows = AdaptiveWindows() if settings.method == "adwin" else None

    @property
    def beyond(self) -> int:
        """Samples of series that were too many for ADWIN, and judged by Page-Hinkley."""
        return self._windows.beyond if self._windows else 0

    def observe(self, batch: Batch) -> Scores:
        """``expected`` is the level before the step, until the new one is accepted."""
        with np.errstate(over="ignore", invalid="ignore"):
            rows, ok = self._rows, np.abs(batch.values) < HUGE
            at = rows.of(batch.series[ok])
            raw, now = batch.values[ok], batch.time_s
            found = self._meet(at, raw, now)
            x = raw - rows["swing"][at]
            white.write(rows, at, x)
            floor = self._floor(at)
            step = np.nan_to_num(np.abs(x - rows["last"][at]))
            y = white.whiten(rows, at, x, floor)
            known = rows["n"][at] >= WARM
            self._test(at[known], y[known], floor[known], now)
            scores = self._scores(batch, ok, at, floor)
            self._learn(at, x, step, y, known)
            self._learn_season(at[known], raw[known], found[known])
        return scores

    # --- before the judgement -----------------------------------------------------------

    def _meet(self, at: At, x: Floats, now: float) -> Floats:
        """Returns what the profiles say; a series begins anew when its season is another."""
        rows = self._rows
        rows["whole"][at] &= x == np.rint(x)
        rows["born"][at] = np.where(np.isnan(rows["born"][at]), now, rows["born"][at])
        evidence.hear(rows, at, now)
        other = season.turn(rows, at, now)
        if len(other):
            white.restart(rows, other, season.level(rows, other), rows["usual"][other])
            rows["n"][other], rows["hold"][other], rows["born"][other] = WARM, 0, now + WEEK_SECS
            self._anew(other)
        found = season.profiles(rows, at, now, evidence.every_secs(rows, at))
        rows["swing"][at] = season.swing(rows, at, found)
        return found

    def _floor(self, at: At) -> Floats:
        """Given, or derived: 5 % of the level, and 1 for what is counted."""
        if self.settings.floor:
            return np.full(len(at), self.settings.floor)
        least = np.maximum(self._rows["whole"][at], 1e-12)
        return np.asarray(np.maximum(RELATIVE_FLOOR * np.abs(self._rows["level"][at]), least))

    def _test(self, at: At, y: Floats, floor: Floats, now: float) -> None:
        """Opens steps, and gathers evidence for those that are open."""
        rows = self._rows
        rise, fall = page_hinkley.update(rows, at, y)
        rose = rise > fall
        proof, sign = np.where(rose, rise, fall), np.where(rose, 1.0, -1.0)
        count = np.where(rose, rows["up_count"][at], rows["down_count"][at])
        found = proof >= bar(rows, at, SUSPICIOUS_DAYS)
        if self._windows:
            proof, sign, count, found = self._ask_adwin(at, y, (proof, sign, count, found))
        held = rows["hold"][at] > 0
        rows["proof"][at] = np.where(held, np.maximum(rows["proof"][at], proof), proof)
        found &= ~held & (rows["n"][at] >= WARM) & (count > 0)
        least = np.maximum(floor, VISIBLE * white.noise(rows, at, floor))
        for place in np.flatnonzero(found).tolist():
            row, many = int(at[place]), int(count[place])
            self._open(row, float(sign[place]), many, float(least[place]), now)

    def _ask_adwin(
        self, at: At, y: Floats, other: tuple[Floats, Floats, Floats, Flags]
    ) -> tuple[Floats, Floats, Floats, Flags]:
        """Its word takes the place of the ``other`` test's, for series that have a window."""
        assert self._windows is not None  # noqa: S101
        rows, (proof, sign, count, found) = self._rows, other
        series = rows.series(at)
        asked = self._windows.room(series)
        since, change = self._windows.update(series[asked], y[asked])
        sign[asked], count[asked] = np.sign(change), since
        held = rows["hold"][at[asked]] > 0
        size = np.maximum(np.abs(change) - page_hinkley.DELTA, 0.0) * since
        more = rows["sign"][at[asked]] * y[asked] - page_hinkley.DELTA
        proof[asked] = np.where(held, rows["proof"][at[asked]] + more, size)
        found[asked] = since > 0
        return proof, sign, count, found

    def _open(self, row: int, sign: float, count: int, least: float, now: float) -> None:
        """A step large enough; on a side that nobody asked for, it is only accepted."""
        rows, wanted = self._rows, self.settings.direction
        after = float(np.median(white.newest(rows, row, count)))
        if (after - rows["level"][row]) * sign < least:
            after = float(np.median(white.newest(rows, row, FEW)))
            count = FEW // 2 + 1
            if (after - rows["level"][row]) * sign < LARGE * least:
                return  # not yet, or never: it may go on
        asked = wanted == "both" or (sign > 0) == (wanted == "up")
        rows["hold"][row] = self.settings.hold
        rows["sign"][row], rows["to"][row] = sign, after if asked else np.nan
        secs = rows["every"][row] if rows["every"][row] > 0 else 0.0
        rows["since"][row] = now - (count - 1) * secs

    def _anew(self, at: At) -> None:
        """The tests begin again, from where these series are."""
        page_hinkley.reset(self._rows, at)
        self._rows["proof"][at] = 0.0
        if self._windows:
            self._windows.reset(self._rows.series(at))

    # --- the judgement ------------------------------------------------------------------

    def _scores(self, batch: Batch, ok: Flags, at: At, floor: Floats) -> Scores:
        rows = self._rows
        found = rows.find(batch.series)
        level, n = np.full(len(ok), np.nan), np.where(found >= 0, rows["n"][found], 0)
        width, score = np.full(len(ok), np.nan), np.zeros(len(ok))
        certain = np.zeros(len(ok), bool)
        level[ok] = rows["level"][at] + rows["swing"][at]
        width[ok] = np.maximum(floor, white.spread(rows, at, floor))
        score[ok], certain[ok] = self._judge(at, floor)
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=batch.series,
            score=score,
            observed=np.where(ok, batch.values, np.nan),
            expected=level,
            low=level - width,
            high=level + width,
            samples=n.astype(np.int32),
            certain=certain,
            history=batch.history,
        )

    def _judge(self, at: At, floor: Floats) -> tuple[Floats, Flags]:
        """A step is strange until the series is most of the way back, or it is accepted."""
        rows = self._rows
        since = self.settings.hold - rows["hold"][at]
        self._return(at[(rows["hold"][at] > 0) & np.isfinite(rows["to"][at]) & (since >= FEW)])
        level, to, proof = rows["level"][at], rows["to"][at], np.maximum(rows["proof"][at], 0.0)
        there = (rows["hold"][at] > 0) & np.isfinite(to)
        share = proof / (proof + bar(rows, at, SUSPICIOUS_DAYS))
        large = np.abs(to - level) >= CERTAIN_FLOORS * floor
        grown = rows["last_s"][at] - rows["born"][at] >= DAY_SECS  # its day may be all of it
        certain = there & large & grown & (proof >= bar(rows, at, CERTAIN_DAYS))
        score = np.where(there, np.maximum(share, 0.5), np.minimum(share, INSIDE))
        return np.where(rows["n"][at] >= WARM, score, 0.0), certain

    def _return(self, at: At) -> None:
        rows = self._rows
        level = rows["level"][at]
        left, size = white.middle(rows, at) - level, rows["to"][at] - level
        rows["to"][at[left * np.sign(size) < BACK * np.abs(size)]] = np.nan

    # --- after the judgement ------------------------------------------------------------

    def _learn(self, at: At, x: Floats, step: Floats, y: Floats, known: Flags) -> None:
        rows = self._rows
        held = rows["hold"][at] > 0
        calm = known & ~held
        doubt = rows["proof"][at] >= bar(rows, at, SUSPICIOUS_DAYS) / 2
        weight = np.where(doubt, UNSURE, 1.0)[calm]
        some = at[calm]
        every = evidence.every_secs(rows, some)
        white.learn(rows, some, x[calm], step[calm], y[calm], weight, rows["n"][some], every)
        rows["n"][at] += ~held
        rows["last"][at] = x
        first = at[~known & (rows["n"][at] == WARM)]
        if len(first):
            white.begin(rows, first)
        rows["hold"][at] -= held
        over = np.unique(at[held & (rows["hold"][at] <= 0)])
        if len(over):
            self._accept(over)

    def _learn_season(self, at: At, x: Floats, found: Floats) -> None:
        rows = self._rows
        calm = rows["hold"][at] <= 0
        at, x = at[calm], x[calm]
        gain = white.gain(rows["n"][at], evidence.every_secs(rows, at))
        season.learn(rows, at, x, np.abs(x - rows["level"][at]), found[calm], gain)

    def _accept(self, at: At) -> None:
        """Where the series is now is normal; it is no quieter there than it was."""
        rows = self._rows
        rows["tired"][at] += 1
        before = rows["level"][at]
        white.begin(rows, at, rows["variance"][at])
        season.move(rows, at, rows["level"][at] - before)
        rows["n"][at], rows["hold"][at] = WARM, 0
        self._anew(at)

    # --- explaining, keeping ------------------------------------------------------------

    def explain(self, series: int) -> Sequence[str]:
        """Of a step that is strange."""
        rows = self._rows
        at = rows.find(np.array([series], np.int32))
        row = int(at[0])
        if row < 0 or not (rows["hold"][row] > 0 and np.isfinite(rows["to"][row])):
            return ()
        return sentences(rows, at, "ADWIN" if self._windows else "Page-Hinkley")

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)
        if self._windows:
            self._windows.forget(series)

    def save(self) -> bytes:
        windows = self._windows.save() if self._windows else None
        return pack("step", 1, self._rows.save(), windows, self.beyond)

    def load(self, saved: bytes) -> None:
        """Another method than before goes on with the levels, and tests anew."""
        shape = tuple[bytes, dict[int, bytes] | None, int]
        rows, windows, beyond = unpack("step", 1, saved, shape)
        fresh = Rows(**_COLUMNS)
        fresh.load(rows)
        if self._windows:
            self._windows.load(windows or {})
            self._windows.beyond = beyond
        self._rows = fresh
