"""A service that stops telling: rows are missing, more than before and than just before."""

from __future__ import annotations

import numpy as np

from aiopsd.correlation.ranking.scene import Scene
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats

SURE = 2.0  # nats a series, from which on missing rows are no accident


def gone_nats(scene: Scene, begin: int, weights: Weights) -> Floats:
    """By service: weighted mean over its series, 0 where its rows may be missing by accident."""
    each = missing_nats(scene.x, begin)
    count = np.bincount(scene.own, minlength=len(scene.services))
    total = np.bincount(scene.own, each, minlength=len(scene.services))
    mean = total / np.maximum(count, 1)
    gone: Floats = np.where(mean > SURE, np.minimum(weights.missing_cap, weights.missing * mean), 0)
    return gone


def missing_nats(x: Floats, begin: int) -> Floats:
    """By series: log of the Binomial likelihood ratio of missing rows from ``begin`` on."""
    past, now = np.isnan(x[:, :begin]), np.isnan(x[:, begin:])
    share = now.mean(axis=1) if now.shape[1] else np.zeros(len(x))
    ever = (past.sum(axis=1) + 0.5) / (past.shape[1] + 1.0)
    lately = (past[:, -5:].sum(axis=1) + 0.05) / 5.1
    usual = np.fmax(ever, lately)
    m = np.clip(share, 1e-6, 1 - 1e-6)
    ratio = share * np.log(m / usual) + (1 - share) * np.log((1 - m) / (1 - usual))
    nats: Floats = np.where(share > usual, now.shape[1] * ratio, 0.0)
    return nats
