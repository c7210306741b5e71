"""A series that begins with what a fit over its history has found, instead of cold.

Level, scale and profiles are taken over; windows and tails of the novelty half are learned live,
as no fit can know them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.contracts import Lesson
from aiopsd.detectors.bank import expect, level, tail
from aiopsd.detectors.bank.season import BY_DAY, DAY, NONE, WEEK, Profile
from aiopsd.rows import Lane

MEAN_OF_MEDIAN: Final = 1.183  # mean |residual| of a Gaussian, by its median
MOST_SAMPLES: Final = 2000.0  # believed at most: the fit was of another time
HEAD_SECS: Final = 3 * WEEK.period_secs  # both profiles count at once
HALF_HOURS: Final = (7, 48)


def take(lane: Lane, lesson: Lesson, profiles: tuple[Profile, ...]) -> None:
    """``lane`` is of this one series. It keeps what it has, if that rests on more samples."""
    finite = np.isfinite([lesson.level, lesson.scale]).all()
    if not finite or lane["seen"][0] >= lesson.samples or lesson.samples < expect.WARM:
        return
    if lane["seen"][0] == 0:
        lane["origin"] = lesson.level  # stays: ``clock`` sees that it has learned
    taught = lesson.level - float(lane["origin"][0])
    all_, miss = np.ones(1, np.bool_), np.full(1, lesson.scale * MEAN_OF_MEDIAN, np.float32)
    plain = miss
    lane["seasonal"] = NONE
    if lesson.period != "none" and profiles:
        swing = float(np.nanmean(np.abs(lesson.season))) if len(lesson.season) else 0.0
        plain = np.maximum(miss, np.float32(swing))
        _profiles(lane, lesson, taught, miss, profiles)
    level.move(lane, all_, np.full(1, taught, np.float32), plain)
    lane["n"] = min(float(lesson.samples), MOST_SAMPLES)
    tail.reset(lane, all_, np.float32(2.9) * miss, np.float32(0.46) * miss)


def _profiles(
    lane: Lane,
    lesson: Lesson,
    taught: float,
    miss: np.ndarray,
    profiles: tuple[Profile, ...],
) -> None:
    week = np.asarray(lesson.season, np.float64).reshape(HALF_HOURS) + taught
    known = np.isfinite(week)
    count = known.sum(axis=0)
    day = np.where(count > 0, np.where(known, week, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
    hours = week.reshape(-1, 2).mean(axis=1)
    for which, (profile, values) in enumerate(((DAY, day), (WEEK, hours)), BY_DAY):
        if profile in profiles:
            lane[f"{profile.name}_profile"] = values[:, None]
            lane[f"{profile.name}_error"], lane[f"{profile.name}_offset"] = miss, 0
            lane[f"{profile.name}_slot"] = -1
            if lesson.period == profile.name:
                lane["seasonal"] = which
    lane["born"] -= HEAD_SECS - lane["head_secs"]  # NaN where it is still to be born
    lane["head_secs"] = HEAD_SECS
