"""A table of numbers through the daemon's engine: one judgement a row.

Several columns are one thing with several sides, such as the metrics of a server: its strangeness
is that of the strangest quarter of its columns, for one column alone is often noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.band import BandSettings
from aiopsd.model import Batch, Floats

PORTION: Final = 4096  # rows between two words about progress
QUARTER: Final = 4
REARM_SECS: Final = 43_200.0
STRONGER: Final = 3.0  # times the strength of what was said last is news
TIRED, REST_SECS = 0.2, 14 * 86_400.0
CERTAIN_ODDS: Final = 5.0

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """All shapes ``[rows]``; ``score`` is of every row, ``alert_score`` only where news is."""

    score: Floats
    is_anomaly: Flags
    is_certain: Flags
    alert_score: Floats
    expected: Floats  # of the first column, as are the two limits
    low: Floats
    high: Floats


def judge(
    times_s: Floats, values: Floats, told: Callable[[int], None] = lambda _rows: None
) -> Judgement:
    """``times_s`` ``[rows]`` in the order to be judged, ``values`` ``[rows, columns]``."""
    rows, columns = values.shape
    band = BandSettings().build(lambda _: {})
    series = np.arange(columns, dtype=np.int32)
    score, certain = np.zeros((rows, columns)), np.zeros((rows, columns), bool)
    seen = np.full((3, rows), np.nan)
    for row in range(rows):
        scores = band.observe(Batch("", float(times_s[row]), series, values[row]))
        score[row], certain[row] = scores.score, scores.certain
        seen[:, row] = scores.expected[0], scores.low[0], scores.high[0]
        if row % PORTION == 0:
            told(row)
    told(rows)
    odds = _entity(score / np.maximum(1 - score, 1e-9))
    alert = _news(times_s, odds)
    sure = (alert >= 1) & certain.any(axis=1)
    return Judgement(odds / (1 + odds), alert >= 1, sure, alert / (1 + alert), *seen)


def _entity(odds: Floats) -> Floats:
    """Mean of the strangest quarter of the columns."""
    most = -(-odds.shape[1] // QUARTER)
    return np.asarray(np.sort(odds, axis=1)[:, -most:].mean(axis=1))


def _news(times_s: Floats, odds: Floats) -> Floats:
    """Each event once: 0 where nothing is new."""
    news = np.zeros(len(odds))
    said_s, seen_s, peak, tired = -np.inf, -np.inf, 0.0, 0.0
    for row in np.flatnonzero(odds >= 0.7).tolist():
        now = times_s[row]
        tired *= float(np.exp(-max(now - seen_s, 0.0) / REST_SECS))
        seen_s = now
        strength = odds[row] / (1 + TIRED * tired)
        new = now - said_s > REARM_SECS
        if strength < 0.7 or not (new or strength > STRONGER * peak):
            continue
        news[row] = peak = strength
        said_s = now
        tired += 1.0 if new else 0.5
    return news
