"""How fast an error budget burns, over several windows at once.

burn = bad ratio / (1 - objective): 1 uses the budget up in exactly its period. Windows come in
pairs: the long one says that it matters, the short one that it goes on. Pairs and shares of the
budget are those of *The Site Reliability Workbook*, chapter 5, table 5-8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors import words
from aiopsd.detectors.budget import BAD, HEARD, TOTAL, WINDOWS, Budget
from aiopsd.detectors.groups.families import INSIDE, VERDICT, Families, Key
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.patterns import label_pattern
from aiopsd.rows import At, Column, pack, unpack
from aiopsd.settings import Duration, Settings

KNOWN: Final = 0.5  # of a window; where less was heard, the rest counts as without errors
HUGE: Final = 1e15  # no count is larger
CALM_SECS: Final = 3600.0  # after which another class may speak for its family
RECENT_SECS: Final = 600.0  # half-life of what a class is chosen by

Flags = NDArray[np.bool_]


class Pair(NamedTuple):
    """``share`` of the budget within ``long_secs``, and ``short_secs`` burn as fast."""

    share: float
    long_secs: int
    short_secs: int
    certain: bool


PAIRS: Final = (
    Pair(0.02, 3600, 300, True),
    Pair(0.05, 21600, 1800, True),
    Pair(0.10, 86400, 7200, False),
    Pair(0.10, 259200, 21600, False),
)
_PLACE: Final = {secs: n for n, secs in enumerate(WINDOWS)}
_LONG: Final = [_PLACE[pair.long_secs] for pair in PAIRS]
_SHORT: Final = [_PLACE[pair.short_secs] for pair in PAIRS]


class BurnSettings(Settings, frozen=True, kw_only=True, tag="burn"):
    """Without ``label`` a series is its own bad ratio; with it, the counts of one class."""

    objective: float
    label: str = ""
    bad: str = "5.."  # regular expression; matches the whole value of the label
    window: Duration = Duration(60)  # what one value speaks of
    period: Duration = Duration(30 * 86400)
    at_least: float = 10.0  # bad events

    def __post_init__(self) -> None:
        if not 0 < self.objective < 1:
            raise ValueError(f"`objective: {self.objective:g}` must be between 0 and 1: "
                             "the share that must be good, such as 0.999")  # fmt: skip
        if not 1 <= self.window <= 3600:
            raise ValueError(f"`window: {self.window}` must be from 1s to 1h")
        if not 7 * 86400 <= self.period <= 366 * 86400:
            raise ValueError(f"`period: {self.period}` must be from 7d to 366d")
        if not 0 <= self.at_least < HUGE:
            raise ValueError(f"`at_least: {self.at_least:g}` must be 0 or more")
        try:
            label_pattern(self.bad)
        except ValueError as error:
            raise ValueError(f"`bad: {self.bad}` is no regular expression: {error}") from None

    def build(self, labels: Callable[[int], Labels]) -> Burn:
        return Burn(self, labels)


class Burn:
    """Judges by minutes that are over, so one batch of a tick needs no other to be judged."""

    def __init__(self, settings: BurnSettings, labels: Callable[[int], Labels]) -> None:
        self.settings = settings
        self._allowed = 1.0 - settings.objective
        self._factors = np.array([p.share * settings.period / p.long_secs for p in PAIRS])
        self._bad, self._labels = label_pattern(settings.bad), labels
        self._begin()

    def _begin(self) -> None:
        self._families = Families(
            self.settings.label, self._labels,
            last=Column(-np.inf), bad=Column(0, np.bool_), recent=Column(),
        )  # fmt: skip
        self._budget = Budget(
            self.settings.period, pair=Column(0, np.int64), strange_s=Column(-np.inf),
            certain_s=Column(-np.inf), **VERDICT,
        )  # fmt: skip

    def observe(self, batch: Batch) -> Scores:
        """Observed is the bad ratio of the long window that matters, NaN where none is known."""
        members, rows, now = self._families.rows, self._budget.rows, batch.time_s
        for row, _, value in self._families.meet(batch.series):
            members["bad"][row] = self._bad.fits(value)
        owner = self._families.of(batch.series)
        at = rows.of(np.unique(owner[owner >= 0]))
        self._judge(self._budget.turn(at, now), now)
        scores = self._families.scores(batch, rows, at[rows["score"][at] >= 0.5])
        self._learn(batch, owner, members.find(batch.series))
        return scores

    # --- judging ------------------------------------------------------------------------

    def _judge(self, at: At, now: float) -> None:
        """Rows whose sums are new."""
        if not len(at):
            return
        rows, factors, sums = self._budget.rows, self._factors, self._budget.sums(at)
        long, short = self._burns(sums)
        with np.errstate(invalid="ignore"):
            times = np.minimum(long, short) / factors
            # Still burning when last heard of: that is not over because nobody comes any more.
            unknown = np.isnan(short) & (long >= factors)
        if self.settings.label:
            few = sums[:, _LONG, BAD] < self.settings.at_least
            times = np.where(few & (times >= 1), np.nan, times)
            unknown &= ~few
        worst = self._told(at, np.where(np.isnan(times), -1.0, times), now)
        pair = worst.argmax(axis=1)
        best = worst[np.arange(len(at)), pair]
        score = np.maximum(best, 0.0) / (np.maximum(best, 0.0) + 1.0)
        silent = (best < 1) & ((best < 0) | unknown.any(axis=1))
        ratio = long[np.arange(len(at)), pair] * self._allowed
        rows["pair"][at], rows["score"][at] = pair, np.where(silent, 0.0, score)
        rows["observed"][at] = np.where(silent, np.nan, ratio)
        rows["expected"][at], rows["high"][at] = self._allowed, factors[pair] * self._allowed
        self._speak(at[~silent & (best >= 1)], now)

    def _told(self, at: At, times: Floats, now: float) -> Floats:
        """A pair that is not certain waits until its short window holds nothing that was."""
        rows, certain = self._budget.rows, np.array([pair.certain for pair in PAIRS])
        rows["certain"][at] = (times[:, certain] >= 1).any(axis=1)
        rows["certain_s"][at[rows["certain"][at]]] = now
        age = np.abs(now - rows["certain_s"][at])[:, None]
        waits = ~certain & (age < [pair.short_secs for pair in PAIRS])
        return np.where(waits, np.minimum(times, INSIDE), times)

    def _burns(self, sums: Floats) -> tuple[Floats, Floats]:
        """Of the long and the short window of each pair, NaN where nothing was counted."""
        with np.errstate(invalid="ignore", divide="ignore"):
            burn = sums[:, :, BAD] / sums[:, :, TOTAL] / self._allowed
        burn = np.where(sums[:, :, TOTAL] > 0, burn, np.nan)
        heard = sums[:, _LONG, HEARD] / [pair.long_secs for pair in PAIRS]
        return burn[:, _LONG] * np.where(heard < KNOWN, heard, 1.0), burn[:, _SHORT]

    def _speak(self, at: At, now: float) -> None:
        """A family that becomes strange is spoken for by its worst class, and stays so."""
        rows, members = self._budget.rows, self._families.rows
        ids = rows.series(at)
        if not self.settings.label:
            rows["speaker"][at] = ids
            return
        calm = np.abs(now - rows["strange_s"][at]) >= CALM_SECS
        for row in at[calm | (rows["speaker"][at] < 0)].tolist():
            mine = self._families.members(int(rows.series(np.array([row]))[0]))
            age = np.clip(now - members["last"][mine], 0.0, None)
            recent = members["recent"][mine] * 0.5 ** (age / RECENT_SECS)
            worst = mine[np.argmax(np.where(members["bad"][mine], recent, -1.0))]
            rows["speaker"][row] = members.series(np.array([worst]))[0]
        rows["strange_s"][at] = now

    # --- learning -----------------------------------------------------------------------

    def _learn(self, batch: Batch, owner: Indexes, member: At) -> None:
        """What a value speaks of and was not heard yet: of the last ``window`` at most."""
        members, budget, now, window = (
            self._families.rows, self._budget, batch.time_s, float(self.settings.window),
        )  # fmt: skip
        most = HUGE if self.settings.label else 1.0
        ok = (owner >= 0) & (batch.values >= 0) & (batch.values <= most)
        x, owner, member = batch.values[ok], owner[ok], member[ok]
        new = np.clip(now - members["last"][member], 0.0, window)
        ages = np.clip(now - members["last"][member], 0.0, None)
        members["last"][member], members["n"][member] = now, members["n"][member] + 1
        at = budget.rows.find(owner)
        if self.settings.label:
            x, whole = x * (new / window), x * (new / window)
            bad = members["bad"][member]
            members["recent"][member] = members["recent"][member] * 0.5 ** (ages / RECENT_SECS) + x
        else:
            x, whole, bad = x * new, new, np.ones(len(x), bool)
        budget.add(at[bad], BAD, x[bad])
        budget.add(at, TOTAL, whole)
        budget.hear(np.unique(at), now, window)

    # --- explaining ---------------------------------------------------------------------

    def explain(self, series: int) -> Sequence[str]:
        """Burn rates of the pair that matters, all that bad events say, and what is left."""
        family = self._families.of(np.array([series], np.int32))
        rows, at = self._budget.rows, self._budget.rows.find(np.abs(family))
        if family[0] < 0 or at[0] < 0:
            return ()
        sums, pair = self._budget.sums(at), int(rows["pair"][at[0]])
        long, short = (burn[0] for burn in self._burns(sums))
        if np.isnan(long[pair]) or np.isnan(short[pair]):
            return ()
        spans = Duration(PAIRS[pair].long_secs), Duration(PAIRS[pair].short_secs)
        told = [f"burns its error budget {long[pair]:.3g} times too fast over {spans[0]} and "
                f"{short[pair]:.3g} times over {spans[1]}; the limit is "
                f"{self._factors[pair]:.3g}"]  # fmt: skip
        if self.settings.label:
            bad, total = (words.amount(count, "") for count in sums[0, _LONG[pair], :HEARD])
            told.append(f"{bad} of {total} were bad in {spans[0]}")
        return (*told, self._left(int(at[0]), float(short[pair])))

    def _left(self, row: int, burn: float) -> str:
        period, (bad, total, heard) = self.settings.period, self._budget.period(row)
        left = 1.0 - bad / total / self._allowed * min(heard / period, 1.0)
        seen = "" if heard > 0.9 * period else f" as far as seen ({_days(heard)})"
        text = f"{100 * max(left, 0.0):.3g} % of the budget for {period} is left{seen}"
        if left <= 0 or burn <= 0:
            return text
        return f"{text}, gone in {_days(left / burn * period)} at this rate"

    def lacks(self) -> str:
        if self._families.strangers():
            return f"burn needs the label {self.settings.label!r}; none of them has it"
        rows, at = self._families.rows, self._families.rows.known()[1]
        if self.settings.label or not len(at) or (rows["n"][at] > 0).any():
            return ""
        return "burn without `label` needs ratios from 0 to 1; no value so far was one"

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        self._families.forget(series, self._budget.rows)

    def save(self) -> bytes:
        keys, members = self._families.state()
        return pack("burn", 1, self._meaning(), keys, members, self._budget.rows.save())

    def _meaning(self) -> tuple[str, str, float]:
        return self.settings.label, self.settings.bad, float(self.settings.period)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on garbage. What was counted by another label or class is dropped."""
        shape = tuple[tuple[str, str, float], list[Key | None], bytes, bytes]
        meaning, keys, members, budget = unpack("burn", 1, saved, shape)
        before = self._families, self._budget
        self._begin()
        if meaning != self._meaning():
            return
        try:
            self._families.restore(keys, members)
            self._budget.rows.load(budget)
        except ValueError:
            self._families, self._budget = before
            raise


def _days(secs: float) -> str:
    """Such as ``3.2 d`` or ``5.1 h``."""
    size, name = next((s, n) for s, n in ((86400.0, "d"), (3600.0, "h"), (0.0, "min")) if secs >= s)
    return f"{secs / (size or 60.0):.2g} {name}"
