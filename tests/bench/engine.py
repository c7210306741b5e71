"""The engine over a stretch of ticks."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from aiopsd.model import Batch, Floats
from tests.bench.peers import told_once


def stretch(band: Any, times_s: Floats, values: Floats) -> Any:
    if hasattr(band, "observe_stretch"):
        return band.observe_stretch(times_s, values)
    series = np.arange(values.shape[1], dtype=np.int32)
    score, certain = np.zeros(values.shape), np.zeros(values.shape, bool)
    for row, t in enumerate(times_s):
        s = band.observe(Batch("", float(t), series, values[row]))
        score[row], certain[row] = s.score, s.certain
    odds = score / np.maximum(1 - score, 1e-9)
    suspicious = np.zeros(values.shape, bool)
    for n in np.flatnonzero((odds >= 1).any(axis=0)):
        suspicious[:, n] = told_once(times_s, odds[:, n], 1.0) > 0
    return SimpleNamespace(score=score, certain=certain, suspicious=suspicious)
