"""How many calls a symptom rests on: a latency or a share of two calls says little."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from aiopsd.correlation.ranking.kinds import SYMPTOMS, Family
from aiopsd.correlation.ranking.robust import median
from aiopsd.correlation.ranking.scene import Scene
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats

_A_SECOND: Final = re.compile(r"rps|qps|per.?sec|\bops\b|workload", re.IGNORECASE)


def trust_of(scene: Scene, begin: int, weights: Weights) -> Floats:
    """By series, up to 1: n calls a row are worth n / (n + few), but half at the least, since calls
    may be counted elsewhere. 1 for what is no symptom, and where no calls are counted."""
    loads = np.flatnonzero(scene.is_family(Family.LOAD))
    secs = scene.window.step_secs
    times = [secs if _A_SECOND.search(scene.columns[j].metric) else 1.0 for j in loads.tolist()]
    calls = np.zeros(len(scene.services))
    np.maximum.at(calls, scene.own[loads], np.nan_to_num(median(scene.x[loads, begin:])) * times)
    counted = np.isin(np.arange(len(calls)), scene.own[loads])
    trust = np.where(counted, np.maximum(0.5, calls / (calls + weights.few_calls)), 1.0)
    return np.where(scene.is_family(*SYMPTOMS), trust[scene.own], 1.0)
