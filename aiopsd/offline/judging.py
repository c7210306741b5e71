"""A table of numbers through the daemon's engine: one judgement a row.

Several columns are one thing with several sides, such as the metrics of a server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.entity import Entity
from aiopsd.model import Floats

PORTION: Final = 4096  # rows between two words about progress
UNSORTED: Final = 0.05  # share of backward steps from which on a file has another order than time

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """``[rows]``, and where it says so ``[rows, columns]``; ``alert_score`` only where news is."""

    score: Floats
    is_anomaly: Flags
    is_certain: Flags
    alert_score: Floats
    expected: Floats  # [rows, columns], as are the two limits
    low: Floats
    high: Floats
    strangest: NDArray[np.intp]  # column


def judge(
    times_s: Floats, values: Floats, told: Callable[[int], None] = lambda _rows: None
) -> Judgement:
    """``times_s`` ``[rows]``, NaN where unknown; ``values`` ``[rows, columns]``, NaN where missing.

    Answers in the order of the rows, whatever the order in which they were judged.
    """
    times_s = _filled(times_s)
    order = in_order(times_s)
    engine = _Engine()
    parts = []
    for first in range(0, len(order), PORTION):
        rows = order[first : first + PORTION]
        parts.append(engine.judge(times_s[rows], values[rows]))
        told(min(first + PORTION, len(order)))
    back = np.argsort(order)
    return Judgement(
        **{
            one.name: np.concatenate([getattr(part, one.name) for part in parts])[back]
            for one in fields(Judgement)
        }
    )


def in_order(times_s: Floats) -> NDArray[np.intp]:
    """Rows in the order to be judged: as they stand, unless the file is not in order of time.

    A few steps back, as when summer time ends, are left: who wrote them wrote later. Where newest
    comes first, rows of one moment are turned round as well.
    """
    steps = np.diff(times_s)
    rows = np.arange(len(times_s))
    if (steps < 0).sum() <= UNSORTED * len(times_s):
        return rows
    if (steps < 0).sum() > (steps > 0).sum():
        rows = rows[::-1]
    return rows[np.argsort(times_s[rows], kind="stable")]


def _filled(times_s: Floats) -> Floats:
    """An unknown time is that of the row before; before the first known one, that one's."""
    known = np.isfinite(times_s)
    if known.all():
        return times_s
    at = np.maximum.accumulate(np.where(known, np.arange(len(times_s)), -1))
    return times_s[np.where(at < 0, np.argmax(known), at)]


class _Engine:
    """What it learned goes from portion to portion."""

    def __init__(self) -> None:
        self._band, self._whole = BandSettings().build(lambda _: {}), Entity()

    def judge(self, times_s: Floats, values: Floats) -> Judgement:
        columns = self._band.observe_stretch(times_s, values)
        one = self._whole.observe(times_s, columns)
        return Judgement(
            score=one.score,
            is_anomaly=one.suspicious,
            is_certain=one.certain,
            alert_score=one.alert,
            expected=columns.expected,
            low=columns.low,
            high=columns.high,
            strangest=columns.plain.argmax(axis=1),
        )
