"""When: no cause starts after its effect, and what belongs to the incident moves with the SLI."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiopsd.correlation.ranking.explaining import excess_of
from aiopsd.correlation.ranking.onset import sli_series
from aiopsd.correlation.ranking.scene import Scene
from aiopsd.correlation.ranking.surprise import Surprise
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats

MOVED = 2.0  # scales, from which on the SLI has moved


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    late: Floats  # by series, 0.4 to 1: begins after the SLI
    together: Floats  # by series, 0 to 1: its profile over the window is that of the SLI
    sli_onset: float  # row; inf where there is no SLI, or it has no onset


def timing_of(scene: Scene, strange: Surprise, weights: Weights) -> Timing:
    sli = [j for j in sli_series(scene) if strange.z[j] > MOVED]
    onset = min((float(strange.onset[j]) for j in sli), default=math.inf)
    late = np.ones(len(scene.columns))
    if math.isfinite(onset):
        dated = np.isfinite(strange.onset)
        lag = np.where(dated, np.maximum(0.0, np.where(dated, strange.onset, 0.0) - onset), 0.0)
        fade = np.exp(-lag * scene.window.step_secs / weights.late_secs)
        late = np.where(dated, np.maximum(weights.late_floor, fade), 1.0)
    return Timing(late, _together(scene, strange, sli), onset)


def _together(scene: Scene, strange: Surprise, sli: list[int]) -> Floats:
    """Weighted Jaccard of a series' profile and the SLI's, each as a share of its peak."""
    flat = np.ones(len(scene.columns))
    if not sli:
        return flat
    most = max(sli, key=lambda j: strange.z[j])
    profile = excess_of(scene, strange)[most]
    if not profile.size or profile.max() <= 0:
        return flat
    profile = profile / profile.max()
    excess = np.fmax(strange.up, strange.down)
    peak = excess.max(axis=1)
    share = excess / np.where(peak > 0, peak, 1.0)[:, None]
    both = np.minimum(share, profile).sum(axis=1)
    either = np.maximum(share, profile).sum(axis=1)
    return np.where(peak > 0, both / either, flat)
