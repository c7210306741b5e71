"""Many columns of one thing, such as a server's metrics: one judgement of all.

Their common surprise is the mean of the most surprised quarter (five of nineteen; the largest
alone was worse), and alerts of it follow the rules of ``alerts``: at a lower limit and less tired
of those before, as a mean of several is calmer than each, but warier while the entity is young.
What one column alone is certain of is told too, if nothing was for half a day, however calm the
others are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.detectors.bank import alerts, clock
from aiopsd.detectors.bank.alerts import FLAG
from aiopsd.detectors.bank.clock import Flags, Singles
from aiopsd.detectors.bank.judged import Judged
from aiopsd.model import Floats
from aiopsd.rows import Sheet

ALONE: Final = np.zeros(1, np.int32)
CALMER: Final = 0.86  # of a series' limits: a mean of several moves less than each
FATIGUE: Final = 0.1  # half a series' one: what several say again is seldom a habit of one


@dataclass(frozen=True, slots=True)
class Whole:
    """What is thought of the entity at each tick, ``[T]``; see ``judged``."""

    score: Floats
    suspicious: Flags
    alert: Floats
    certain: Flags


class Entity:
    """Keep it from stretch to stretch: it knows what was told."""

    def __init__(self) -> None:
        self._flag, self._warn = alerts.flag(CALMER, FATIGUE), alerts.warn(CALMER, FATIGUE)
        self._sure = alerts.Machine("sure", 1.0, 0.0)  # never tires: it is rare
        machines = self._flag.cells | self._warn.cells | self._sure.cells
        self._sheet = Sheet(**clock.CELLS, **alerts.PEAKS, **machines)

    def observe(self, times_s: Floats, judged: Judged) -> Whole:
        """One column is judged as it was; of many, the most surprised quarter speaks."""
        if judged.score.shape[1] == 1:
            score, alert = judged.score[:, 0], judged.alert[:, 0].astype(float)
            return Whole(score, judged.suspicious[:, 0], alert, judged.certain[:, 0])
        certain = np.asarray(judged.certain.any(axis=1))
        plain, capped = _quarter(judged.plain), _quarter(judged.capped)
        told, alert = np.zeros_like(plain), np.zeros_like(plain)
        with np.errstate(all="ignore"):
            for lane, _ in self._sheet.lanes(ALONE):
                begin = 0
                while begin < len(plain):
                    rows = slice(begin, begin + clock.room(lane))
                    times, high = times_s[rows], capped[rows, None].astype(np.float32)
                    ticks = clock.meet(lane, times, np.zeros(high.shape))
                    lived = times[:, None] - lane["born"]
                    high /= alerts.own_bar(lane, lived, high)
                    high /= 1 + clock.DAY_SECS / np.maximum(lived, 1)  # few half days known yet
                    told[rows] = self._flag.observe(lane, times, high)[0][:, 0]
                    news = (told[rows] > 0) | certain[rows]
                    sure = self._sure.observe(lane, times, news[:, None].astype(np.float32))[0]
                    told[rows] = np.maximum(told[rows], sure[:, 0] * self._flag.limit)
                    alert[rows] = self._warn.observe(lane, times, high)[0][:, 0]
                    clock.finish(lane, ticks)
                    begin += len(times)
        height = np.maximum(alert, told)
        return Whole(
            plain / (plain + FLAG),
            np.asarray(told > 0),
            np.asarray(height / (height + FLAG)),
            certain,
        )


def _quarter(columns: Singles) -> Floats:
    most = max(1, -(-columns.shape[1] // 4))
    return np.asarray(np.sort(columns.astype(float), axis=1)[:, -most:].mean(axis=1))
