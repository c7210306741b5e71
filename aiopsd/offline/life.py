"""One rule, from the first tick of a window to its last: the daemon's own watch, tick by tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.config import RuleSettings
from aiopsd.detectors.band import Band
from aiopsd.detectors.bank.judged import Judged
from aiopsd.detectors.watch import Watch
from aiopsd.model import Anomaly, Batch, Floats, Indexes, Scores
from aiopsd.offline.history import Flags, Portion
from aiopsd.offline.tally import Tally
from aiopsd.series import SeriesTable
from aiopsd.transforms import Selection, Transforms

JUDGED: Final = ("score", "observed", "expected", "low", "high", "samples", "certain")
SPEAKS_SECS: Final = 300.0  # a sample stands for what comes after it; as long as in Prometheus


@dataclass(frozen=True, slots=True)
class Window:
    """Learned silently from ``begin_s`` on, judged from ``judged_s`` to ``end_s``."""

    begin_s: float
    judged_s: float
    end_s: float

    @property
    def judged_secs(self) -> float:
        return self.end_s - self.judged_s


class Life:
    """``heard_secs``: of all its series together, for how long their values stand."""

    def __init__(self, rule: RuleSettings, table: SeriesTable, window: Window) -> None:
        assert rule.detector is not None  # noqa: S101 - the caller has looked
        self.rule, self.table, self.window = rule.id, table, window
        self.tally, self.ticks, self.heard_secs = Tally(), 0, 0.0
        self.speaks_secs = SPEAKS_SECS  # one value, at most
        self._last_s: Floats = np.full(64, -np.inf)  # by series
        self._watch = Watch(rule.info(), rule.detector, table.labels)

    def live(self, portion: Portion, awake: Flags) -> None:
        """Ticks of PromQL. ``awake``: those at which the server was there."""
        interned = [self.table.intern(self.rule, labels) for labels in portion.labels]
        series = np.array(interned, np.int32)
        there = portion.there & (series >= 0)
        judged = self._at_once(portion, series, there)
        for row in np.flatnonzero(awake).tolist():
            here = there[row]
            values, time_s = portion.values[row, here], float(portion.times_s[row])
            batch = Batch(self.rule, time_s, series[here], values, time_s < self.window.judged_s)
            self.tick(batch, None if judged is None else (judged, row))

    def tick(self, batch: Batch, judged: tuple[Judged, int] | None = None) -> None:
        """``judged``: what was said of it already, and in which row."""
        batch = self.table.record(batch)
        self.tally.take(batch.time_s, self._watched(batch, judged))
        self.ticks += not batch.history
        self._hear(batch)

    def _hear(self, batch: Batch) -> None:
        most = int(batch.series.max(initial=-1))
        if most >= len(self._last_s):
            more = np.full(max(most + 1, 2 * len(self._last_s)) - len(self._last_s), -np.inf)
            self._last_s = np.concatenate((self._last_s, more))
        if not batch.history:
            secs = batch.time_s - self._last_s[batch.series]
            self.heard_secs += float(np.minimum(secs, self.speaks_secs).sum())
        self._last_s[batch.series] = batch.time_s

    def _at_once(self, portion: Portion, series: Indexes, there: Flags) -> Judged | None:
        """A band takes a stretch many times faster than its ticks, and says the same of it where
        every series has every sample."""
        band, whole = self._watch.detector, there.all() and len(set(series.tolist())) == len(series)
        if not isinstance(band, Band) or not whole or not len(series):
            return None
        return band.observe_stretch(portion.times_s, portion.values, series)

    def _watched(self, batch: Batch, judged: tuple[Judged, int] | None) -> list[Anomaly]:
        if judged is None:
            return self._watch.observe(batch)
        columns = {name: getattr(judged[0], name)[judged[1]] for name in JUDGED}
        scores = Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=batch.series,
            history=batch.history,
            **columns,
        )
        return self._watch.weigh(batch, scores)


class Stream:
    """Raw samples on their way to one rule, as in the daemon."""

    def __init__(self, life: Life, selection: Selection) -> None:
        self._life = life
        self._transforms = Transforms({life.rule: selection}, life.table)

    def feed(self, batch: Batch) -> None:
        """One tick of raw samples."""
        history = batch.time_s < self._life.window.judged_s
        batch = Batch(batch.rule, batch.time_s, batch.series, batch.values, history)
        self._judge(self._transforms.feed(self._life.table.record(batch)))

    def end(self) -> None:
        """What waits for company waits no longer."""
        self._judge(self._transforms.flush())

    def _judge(self, ticks: list[Batch]) -> None:
        for tick in ticks:
            self._life.tick(tick)
