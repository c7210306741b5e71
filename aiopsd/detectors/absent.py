"""A series that was there and is no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.heard import Heard
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Duration, Settings

KNOWN: Final = 3  # samples; what was seen less often is not missed
INSIDE: Final = 0.49  # highest score of a series that is only late

Flags = NDArray[np.bool_]


class AbsentSettings(Settings, frozen=True, kw_only=True, tag="absent"):
    """Missing for ``after`` is certain; missing for ``forget`` is how things are now."""

    after: Duration = Duration(60)
    forget: Duration = Duration(86400)

    def __post_init__(self) -> None:
        if self.after <= 0:
            raise ValueError(f"`after: {self.after}` must be more than 0")
        if self.forget <= self.after:
            raise ValueError(f"`forget: {self.forget}` must be longer than `after: {self.after}`")

    def build(self, labels: Callable[[int], Labels]) -> Absent:  # noqa: ARG002 - as all members
        return Absent(self)


class Absent:
    """Every tick of the rule, an empty one too, moves its time on."""

    def __init__(self, settings: AbsentSettings) -> None:
        self.settings = settings
        self._heard = Heard(settings.after / 2)  # one long silence makes nobody absent
        self._rows = Rows(n=Column(), value=Column(np.nan), seen=Column())

    def observe(self, batch: Batch) -> Scores:
        """Scores the series of the batch (0), and after them those that are late or missing.

        Observed, expected and band are the last value: there is no other.
        """
        now = self._heard.hear(batch.time_s)
        ok = np.isfinite(batch.values)
        there = self._rows.of(batch.series[ok])
        late = self._late(now, there)
        age, n = now - self._rows["seen"][late], self._rows["n"][late]
        gone = (age >= self.settings.after) & (n >= KNOWN)
        nearly = np.minimum(age / self.settings.after, 1.0) * INSIDE
        scores = self._scores(batch, late, np.where(gone, 1.0, nearly), gone)
        self._rows["n"][there] += 1
        self._rows["value"][there], self._rows["seen"][there] = batch.values[ok], now
        return scores

    def _late(self, now: float, there: At) -> At:
        """Rows missing for half their time; forgets those missing for very long."""
        series, at = self._rows.known()
        away = np.ones(int(at.max(initial=-1)) + 1, bool)
        away[there] = False
        age = now - self._rows["seen"][at]
        over = away[at] & (age >= self.settings.forget)
        self._rows.forget(series[over])
        late: At = at[away[at] & ~over & (age >= self.settings.after / 2)]
        return late

    def _scores(self, batch: Batch, late: At, score: Floats, gone: Flags) -> Scores:
        """Present series first; one that is there as NaN, and late, counts as late only."""
        rows = self._rows
        found = rows.find(batch.series)
        here = np.isfinite(batch.values) | ~np.isin(found, late)
        found, none = found[here], np.zeros(int(here.sum()))
        present = np.where(np.isfinite(batch.values), batch.values, np.nan)[here]
        value = np.concatenate((present, rows["value"][late]))
        n = np.concatenate((np.where(found < 0, 0, rows["n"][found]), rows["n"][late]))
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=np.concatenate((batch.series[here], rows.series(late))),
            score=np.concatenate((none, score)),
            observed=value,
            expected=value,
            low=value,
            high=value,
            samples=n.astype(np.int32),
            certain=np.concatenate((none > 0, gone)),
            history=batch.history,
        )

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)

    def save(self) -> bytes:
        return pack("absent", 1, self._rows.save(), self._heard.now, self._heard.last_s)

    def load(self, saved: bytes) -> None:
        rows, now, last_s = unpack("absent", 1, saved, tuple[bytes, float, float | None])
        self._rows.load(rows)
        self._heard.now, self._heard.last_s = now, last_s
