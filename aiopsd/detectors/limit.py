"""Scores to anomalies: over the limit for long enough, once, until it is over.

A score of 0.5 or more is over. What is over for ``for_secs`` opens; what is below for
``clear_secs`` (and two samples) recovers. No data is not fine: an open anomaly stays open without
samples, and ends as unknown when they stay away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.heard import Heard
from aiopsd.model import Indexes, Scores, Tier
from aiopsd.rows import At, Column, Rows, pack, unpack

OVER: Final = 0.5
UPDATE_SECS: Final = 30.0, 300.0  # how often an open anomaly speaks: at first, and when it is old
UPDATE_AGE: Final = 0.1  # of its age; each time it is written to the journal
CLEAR_SAMPLES: Final = 2
SHOWN: Final = ("score", "observed", "expected", "low", "high", "samples")

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one series; the numbers are those of its worst sample."""

    series: int
    state: Literal["opened", "updated", "recovered"]
    onset_s: float  # first sample of the stretch that opened it
    seen_s: float  # newest sample over the limit
    ended_s: float | None
    tier: Tier
    score: float
    observed: float
    expected: float
    low: float
    high: float
    samples: int
    no_data: bool = False  # it ended because samples stayed away


class Limit:
    """One rule's limit, for all its series; a row is a series that is, or may become, anomalous."""

    def __init__(
        self, for_secs: float, clear_secs: float | None = None, stale_secs: float = 600.0
    ) -> None:
        self.for_secs = for_secs
        self.clear_secs = for_secs if clear_secs is None else clear_secs
        self.stale_secs = stale_secs
        self._heard = Heard(stale_secs / 2)
        self._rows = Rows(
            over_since=Column(np.nan),  # of the stretch over the limit that lasts
            fine_since=Column(np.nan),
            fine=Column(),  # samples below in a row
            onset=Column(np.nan),  # of the open anomaly
            seen=Column(np.nan),
            heard=Column(),  # when it last had a sample
            told=Column(-np.inf),  # data time of the last word about it; -inf: none yet
            told_certain=Column(0.0, np.bool_),
            certain=Column(0.0, np.bool_),
            **{name: Column() for name in SHOWN},
        )

    def observe(self, scores: Scores) -> list[Verdict]:
        """What is to be said after these scores; nothing while they are history."""
        now, heard = scores.time_s, self._heard.hear(scores.time_s)
        ok = np.isfinite(scores.observed) & np.isfinite(scores.score)
        over = ok & (scores.score >= OVER)
        self._over(scores, over, now)
        fine = self._rows.find(scores.series[ok & ~over])
        fine = fine[fine >= 0]
        here = self._rows.find(scores.series[ok])
        self._rows["heard"][here[here >= 0]] = heard
        recovered, silent = self._fine(fine, now), self._silent(heard)
        told = self._end(recovered, no_data=False, quiet=scores.history, now=now)
        told += self._end(silent, no_data=True, quiet=scores.history, now=now)
        return told if scores.history else told + self._news(now)

    def _over(self, scores: Scores, over: Flags, now: float) -> None:
        """A row begins with the first sample over the limit."""
        rows, at = self._rows, self._rows.of(scores.series[over])
        since = rows["over_since"][at]
        rows["over_since"][at] = since = np.where(np.isnan(since) | (since > now), now, since)
        rows["fine_since"][at], rows["fine"][at] = np.nan, 0
        rows["certain"][at] |= scores.certain[over]
        rows["seen"][at] = now
        worse = scores.score[over] >= rows["score"][at]
        for name in SHOWN:
            rows[name][at[worse]] = getattr(scores, name)[over][worse]
        opens = at[np.isnan(rows["onset"][at]) & (now - since >= self.for_secs)]
        rows["onset"][opens] = rows["over_since"][opens]

    def _fine(self, at: At, now: float) -> At:
        """Samples below the limit: a row that is not open ends; returns those that recovered."""
        rows = self._rows
        is_open = ~np.isnan(rows["onset"][at])
        rows.forget(rows.series(at[~is_open]))
        at = at[is_open]
        since = rows["fine_since"][at]
        rows["fine_since"][at] = since = np.where(np.isnan(since) | (since > now), now, since)
        rows["fine"][at] += 1
        rows["over_since"][at] = np.nan
        over: At = at[(now - since >= self.clear_secs) & (rows["fine"][at] >= CLEAR_SAMPLES)]
        return over

    def _silent(self, heard: float) -> At:
        """Open rows without a sample for long; others that are silent as long end."""
        series, at = self._rows.known()
        old = heard - self._rows["heard"][at] > self.stale_secs
        is_open = ~np.isnan(self._rows["onset"][at])
        self._rows.forget(series[old & ~is_open])
        return self._in_order(at[old & is_open])

    def _in_order(self, at: At) -> At:
        """By series: a restart gives them other rows, and must say the same in the same order."""
        by_series: At = at[np.argsort(self._rows.series(at), kind="stable")]
        return by_series

    def _news(self, now: float) -> list[Verdict]:
        """Rows that opened, rose to certain, or were not spoken of for a while."""
        rows = self._rows
        at = self._in_order(np.flatnonzero(~np.isnan(rows["onset"])))
        first = np.isneginf(rows["told"][at])
        risen = rows["certain"][at] & ~rows["told_certain"][at]
        rest = np.clip(UPDATE_AGE * (now - rows["onset"][at]), *UPDATE_SECS)
        again = (np.abs(now - rows["told"][at]) >= rest) & (rows["seen"][at] > rows["told"][at])
        said = first | risen | again
        at, first = at[said], first[said]
        rows["told"][at], rows["told_certain"][at] = now, rows["certain"][at]
        return [
            self._verdict(int(row), "opened" if new else "updated")
            for row, new in zip(at, first, strict=True)
        ]

    def _end(self, at: At, *, no_data: bool, quiet: bool, now: float) -> list[Verdict]:
        """What was spoken of ends aloud: in history it waits for the first live batch."""
        rows = self._rows
        known = np.isfinite(rows["told"][at])
        told = []
        for row in [] if quiet else at[known].tolist():
            ended = now if no_data else float(rows["fine_since"][row])
            told.append(self._verdict(row, "recovered", ended, no_data))
        rows.forget(rows.series(at if not quiet else at[~known]))
        return told

    def _verdict(
        self,
        row: int,
        state: Literal["opened", "updated", "recovered"],
        ended_s: float | None = None,
        no_data: bool = False,
    ) -> Verdict:
        rows = self._rows
        return Verdict(
            series=int(rows.series(np.array([row]))[0]),
            state=state,
            onset_s=float(rows["onset"][row]),
            seen_s=float(rows["seen"][row]),
            ended_s=ended_s,
            tier="certain" if rows["certain"][row] else "suspicious",
            score=float(rows["score"][row]),
            observed=float(rows["observed"][row]),
            expected=float(rows["expected"][row]),
            low=float(rows["low"][row]),
            high=float(rows["high"][row]),
            samples=int(rows["samples"][row]),
            no_data=no_data,
        )

    def adopt(
        self, series: int, onset_s: float, seen_s: float, *, certain: bool, shown: Sequence[float]
    ) -> None:
        """What the journal says is open, though the last checkpoint does not know it yet.

        ``shown``: the numbers of its worst sample, in the order of SHOWN.
        """
        rows, at = self._rows, self._rows.of(np.array([series], np.int32))
        rows["onset"][at] = rows["over_since"][at] = onset_s
        rows["seen"][at] = rows["told"][at] = seen_s
        rows["heard"][at] = self._heard.now
        rows["certain"][at] = rows["told_certain"][at] = certain
        for name, number in zip(SHOWN, shown, strict=True):
            rows[name][at] = number

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)

    def save(self) -> bytes:
        return pack(
            "limit", 1, self._rows.save(by_series=True), self._heard.now, self._heard.last_s
        )

    def load(self, saved: bytes) -> None:
        rows, now, last_s = unpack("limit", 1, saved, tuple[bytes, float, float | None])
        self._rows.load(rows)
        self._heard.now, self._heard.last_s = now, last_s
