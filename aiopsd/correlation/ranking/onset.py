"""Where in the window does the incident begin?"""

from __future__ import annotations

import numpy as np

from aiopsd.correlation.ranking.kinds import SYMPTOMS
from aiopsd.correlation.ranking.robust import Sorted, level_and_scale
from aiopsd.correlation.ranking.scene import Ints, Scene
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats

BEFORE = 3  # rows of past at the least


def sli_series(scene: Scene) -> Ints:
    """The series that the alarm was about; without a metric, the target's symptoms."""
    window = scene.window
    mine = scene.number.get(window.target, -1)
    metric = _plain(window.target_metric)
    named = [j for j, c in enumerate(scene.columns)
             if scene.own[j] == mine and metric and _plain(c.metric) == metric]  # fmt: skip
    symptoms = [j for j, c in enumerate(scene.columns)
                if scene.own[j] == mine and c.kind.family in SYMPTOMS]  # fmt: skip
    return np.array(named or symptoms, dtype=np.int64)


def first_row(scene: Scene, weights: Weights) -> int:
    """Detection lags onset: rows right before it in which the SLI is already as odd as later
    belong to the incident."""
    window = scene.window
    rows = len(window.times_s)
    detected = int(np.searchsorted(window.times_s, window.detected_s))
    detected = min(max(detected, min(BEFORE, rows - 1)), rows - 1)
    first = max(min(detected, BEFORE), detected - 1)  # a row spans what happened before its stamp
    most = int(min(max(1, round(weights.lag_secs / window.step_secs)), first // 3))
    if most < 1:
        return first
    odd = _oddness(scene, first - most)
    peak, usual = odd[first:].max(), np.sort(odd[: first - most])[int(0.9 * (first - most - 1))]
    if peak < 2 * usual + 0.5:
        return first
    at = first
    while at > first - most and odd[at - 1] > max(1.5 * usual, weights.walk * peak):
        at -= 1
    return at


def _oddness(scene: Scene, past_rows: int) -> Floats:
    """By row, 0 to 10: how far the SLI is from its past; without an SLI, all series together."""
    sli = sli_series(scene)
    x = scene.x[sli] if len(sli) else scene.x
    past = Sorted(x[:, :past_rows])
    level, scale = level_and_scale(past)
    wide = past.quantile(1.0) - past.quantile(0.0)
    scale = np.maximum(np.maximum(scale, 0.1 * np.abs(level)), 0.08 * wide)
    tiny = 1e-12 * np.max(np.abs(np.nan_to_num(x)), axis=1, initial=0.0) + 1e-300
    far = np.abs(x - level[:, None]) / (scale + tiny)[:, None] - 2
    odd: Floats = np.nan_to_num(np.clip(far, 0, 10)).mean(axis=0)
    return odd


def _plain(metric: str) -> str:
    return metric.replace("_", "-").lower()
