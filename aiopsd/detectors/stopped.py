"""What came steadily and comes no more: a heartbeat, a line that a job writes every minute.

A series is steady where its pauses are alike, and the longest one is not much longer than the
usual one, for long enough. A burst that ended is not missed: it lasted too short, or it has paused
before; nor is what comes by chance, however often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.heard import Heard
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Duration, Settings

STEADY: Final = 3.0  # longest pause, in usual ones
ALIKE: Final = 0.35  # how far pauses are from the usual one, in usual ones; 0.74 by chance
ARRIVALS: Final = 10  # at least, before anybody would miss it
PAUSES: Final = 100.0  # that the usual pause remembers
FADE: Final = 0.5 ** (1 / 1000)  # of the longest one, at each arrival: a day off is forgotten
LONGEST_SILENCE_SECS: Final = 60.0  # between two ticks; what nobody listened to is no pause
INSIDE: Final = 0.49  # highest score of a series that is only late

Flags = NDArray[np.bool_]


class StoppedSettings(Settings, frozen=True, kw_only=True, tag="stopped"):
    """Missed is what came steadily for ``learn``, after ``pauses`` of its longest ones and no
    sooner than ``after``; for ``forget``, then it is how things are now."""

    learn: Duration = Duration(3600)
    pauses: int = 4
    after: Duration = Duration(60)
    forget: Duration = Duration(3600)

    def __post_init__(self) -> None:
        if self.learn < 60:
            raise ValueError(f"`learn: {self.learn}` is too short to call anything steady; 1m")
        if self.pauses < 2:
            raise ValueError(f"`pauses: {self.pauses}` must be at least 2: one may be late")
        if self.forget < 60:
            raise ValueError(f"`forget: {self.forget}` is too short to be heard of; at least 1m")

    def build(self, labels: Callable[[int], Labels]) -> Stopped:  # noqa: ARG002 - as all members
        return Stopped(self)


class Stopped:
    """Comes: is there, and more than 0. Every tick of the rule moves its time on."""

    def __init__(self, settings: StoppedSettings) -> None:
        self.settings = settings
        self._heard = Heard(LONGEST_SILENCE_SECS)
        self._rows = Rows(
            n=Column(),  # arrivals since it began to be steady
            begun=Column(),
            seen=Column(),
            pause=Column(),  # the usual one, seconds
            longest=Column(),
            apart=Column(),  # mean of how far pauses are from the usual one
            tick=Column(),  # of the last arrival
            value=Column(),
        )
        self._ticks = 0.0

    def observe(self, batch: Batch) -> Scores:
        """Scores the series of the batch, and those that are missed though no sample says so."""
        now = self._heard.hear(batch.time_s)
        self._ticks += 1
        ok = np.isfinite(batch.values)
        came = ok & (batch.values > 0)
        self._arrive(batch.series[came], batch.values[came], now)
        at = self._rows.of(np.unique(np.concatenate((batch.series[ok], self._missed(now)))))
        scores = self._scores(batch, at, now)
        over = now - self._rows["seen"][at] >= self._limit(at) + float(self.settings.forget)
        self._rows.forget(self._rows.series(at[over]))
        return scores

    def _arrive(self, series: Indexes, values: Floats, now: float) -> None:
        rows, at = self._rows, self._rows.of(series)
        first = rows["n"][at] == 0
        pause = now - rows["seen"][at]
        # One that stopped, was missed and comes again begins anew.
        first |= self._late(at, now)
        rows["begun"][at[first]] = now
        rows["n"][at[first]] = 0
        for name in ("pause", "longest", "apart"):
            rows[name][at[first]] = 0
        later = at[~first]
        weight = 1 / np.minimum(rows["n"][later], PAUSES)
        rows["pause"][later] += weight * (pause[~first] - rows["pause"][later])
        apart = np.abs(pause[~first] - rows["pause"][later])
        rows["apart"][later] += weight * (apart - rows["apart"][later])
        rows["longest"][later] = np.maximum(rows["longest"][later] * FADE, pause[~first])
        rows["n"][at] += 1
        rows["seen"][at], rows["tick"][at], rows["value"][at] = now, self._ticks, values

    def _limit(self, at: At) -> Floats:
        pauses = self.settings.pauses * self._rows["longest"][at]
        return np.asarray(np.maximum(pauses, float(self.settings.after)))

    def _steady(self, at: At) -> Flags:
        rows = self._rows
        steady = rows["longest"][at] <= STEADY * rows["pause"][at]
        steady &= rows["apart"][at] <= ALIKE * rows["pause"][at]
        lasted = rows["seen"][at] - rows["begun"][at] >= self.settings.learn
        return np.asarray(steady & lasted & (rows["n"][at] >= ARRIVALS))

    def _late(self, at: At, now: float) -> Flags:
        """A long tick alone makes nothing late."""
        age, ticks = now - self._rows["seen"][at], self._ticks - self._rows["tick"][at]
        late = (age >= self._limit(at)) & (ticks >= self.settings.pauses)
        return np.asarray(self._steady(at) & late)

    def _missed(self, now: float) -> Indexes:
        series, at = self._rows.known()
        return series[self._late(at, now)]

    def _scores(self, batch: Batch, at: At, now: float) -> Scores:
        rows, late = self._rows, self._late(at, now)
        age = now - rows["seen"][at]
        nearly = np.minimum(age / np.maximum(self._limit(at), 1e-9), 1.0) * INSIDE
        score = np.where(late, 1.0, np.where(self._steady(at), nearly, 0.0))
        gone = age > 0
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=rows.series(at),
            score=score,
            observed=np.where(gone, 0.0, rows["value"][at]),
            expected=rows["value"][at],
            low=np.zeros(len(at)),
            high=rows["value"][at],
            samples=rows["n"][at].astype(np.int32),
            certain=late,
            history=batch.history,
        )

    def explain(self, series: int) -> list[str]:
        at = self._rows.find(np.array([series], np.int32))
        if at[0] < 0:
            return []
        pause, longest, n = (float(self._rows[name][at[0]]) for name in ("pause", "longest", "n"))
        return [f"came every {pause:.0f} s, {n:,.0f} times, never later than {longest:.0f} s"]

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)

    def save(self) -> bytes:
        heard = self._heard
        return pack("stopped", 1, self._rows.save(), heard.now, heard.last_s, self._ticks)

    def load(self, saved: bytes) -> None:
        shape = tuple[bytes, float, float | None, float]
        rows, now, last_s, self._ticks = unpack("stopped", 1, saved, shape)
        self._rows.load(rows)
        self._heard.now, self._heard.last_s = now, last_s
