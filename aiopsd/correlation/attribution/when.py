"""When the suspect turned strange, and whether anything steps at the moment of a change."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from aiopsd.correlation.ranking.scene import Scene

_ODD: Final = 4.0  # scales
_ROLLOUT_SECS: Final = 600.0  # a roll-out takes minutes: within them the order says little
_TAIL_SECS: Final = 3600.0  # leaks and caches take their time
_WINDOW_SECS: Final = 7200.0  # in which changes are candidates at all
_BEFORE: Final = -4.0  # no change breaks what was broken before it


def onset_of(scene: Scene, services: frozenset[str], detected_s: float) -> tuple[float, set[str]]:
    """Since when a series of these has been odd until the detection; and which are."""
    onset_s, odd = detected_s, set()
    end = max(3, int(np.searchsorted(scene.window.times_s, detected_s)))
    for j, column in enumerate(scene.columns):
        x = scene.x[j, :end]
        past = x[: max(4, len(x) // 3)]
        past = past[~np.isnan(past)]
        if column.service not in services or not len(past):
            continue
        level = float(np.median(past))
        scale = max(1.4826 * float(np.median(np.abs(past - level))), 0.2 * abs(level), 1e-9)
        calm = np.flatnonzero(~(np.abs(x - level) / scale > _ODD))
        since = int(calm[-1]) + 1 if len(calm) else 0
        if since < len(x):
            odd.add(column.metric)
            onset_s = min(onset_s, float(scene.window.times_s[since]))
    return onset_s, odd


def time_nats(lag_secs: float, step_secs: float) -> float:
    """Of a change that long before the onset: flat for a roll-out, then a tail."""
    if lag_secs < -1.5 * step_secs:
        return _BEFORE
    soon = 0.6 / _ROLLOUT_SECS / (1 + math.exp(min(50.0, (lag_secs - _ROLLOUT_SECS) / 90)))
    later = 0.4 / _TAIL_SECS * math.exp(-max(0.0, lag_secs) / _TAIL_SECS)
    return max(-3.0, math.log((soon + later) * _WINDOW_SECS))


def step_at(scene: Scene, service: str, time_s: float) -> tuple[float, str]:
    """Largest step of any series of the service at that moment, in scales; and its metric."""
    at = int(np.searchsorted(scene.window.times_s, time_s))
    best, metric = 0.0, ""
    if not 4 <= at <= len(scene.window.times_s) - 3:
        return best, metric
    for j in np.flatnonzero(scene.own == scene.number.get(service, -1)).tolist():
        past, now = scene.x[j, max(0, at - 20) : at], scene.x[j, at : at + 2]
        past, now = past[~np.isnan(past)], now[~np.isnan(now)]
        if len(past) < 4 or not len(now):
            continue
        level = float(np.median(past))
        mad = 1.4826 * float(np.median(np.abs(past - level)))
        scale = max(mad, 0.15 * abs(level), 0.1 * float(np.ptp(past)), 1e-9)
        far = abs(float(now.mean()) - level) / scale
        if far > best:
            best, metric = far, scene.columns[j].metric
    return best, metric
