"""Other rankings, short and in the same run: what ours is held against. Each gives services.

BARO: a robust scorer after a change point (Pham and others, FSE 2024): the largest deviation from
the median in IQRs. N-Sigma: the same by mean and deviation. PageRank: a personalised walk from the
target along calls, weighted by how strange each service is (as in MicroRCA, NOMS 2020).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aiopsd.correlation.ranking import Window
from aiopsd.model import Floats


def _parts(window: Window) -> tuple[Floats, Floats]:
    values = np.where(np.isfinite(window.values), window.values, np.nan)
    values = np.array([_filled(column) for column in values.T]).T
    at = int(np.searchsorted(window.times_s, window.detected_s))
    at = min(max(at, 2), len(values) - 1)
    return values[:at], values[at:]


def _filled(column: Floats) -> Floats:
    known = np.flatnonzero(~np.isnan(column))
    if not len(known):
        return np.zeros_like(column)
    return column[known[np.maximum(0, np.searchsorted(known, np.arange(len(column)), "right") - 1)]]


def _baro(window: Window) -> Floats:
    past, now = _parts(window)
    low, level, high = np.quantile(past, [0.25, 0.5, 0.75], axis=0)
    iqr = np.where(high > low, high - low, np.inf)  # a constant past has no scale: left out
    return np.asarray(((now - level) / iqr).max(axis=0))


def _n_sigma(window: Window) -> Floats:
    past, now = _parts(window)
    deviation = past.std(axis=0)
    scale = np.where(deviation > 0, deviation, np.inf)
    return np.asarray(((now - past.mean(axis=0)) / scale).max(axis=0))


def _best(window: Window, scores: Floats) -> list[tuple[str, str]]:
    order = np.argsort(-scores, kind="stable").tolist()
    first: dict[str, str] = {}
    for j in order:
        first.setdefault(window.columns[j].service, window.columns[j].metric)
    return list(first.items())


def baro(window: Window) -> list[tuple[str, str]]:
    return _best(window, _baro(window))


def n_sigma(window: Window) -> list[tuple[str, str]]:
    return _best(window, _n_sigma(window))


def pagerank(window: Window) -> list[tuple[str, str]]:
    strange = dict[str, float]()
    metric = dict(n_sigma(window))
    for column, score in zip(window.columns, _n_sigma(window).tolist(), strict=True):
        strange[column.service] = max(strange.get(column.service, 0.0), min(score, 100.0))
    names = sorted(strange)
    at = {name: i for i, name in enumerate(names)}
    weight = np.array([strange[name] for name in names]) + 1e-6
    walk = np.diag(weight * 0.1)
    for caller, callee in window.edges:
        if caller in at and callee in at:
            walk[at[caller], at[callee]] = weight[at[callee]]
            walk[at[callee], at[caller]] = max(walk[at[callee], at[caller]], weight[at[caller]] / 3)
    walk /= walk.sum(axis=1, keepdims=True)
    start = weight / weight.sum()
    rank = start.copy()
    for _ in range(100):
        rank = 0.85 * rank @ walk + 0.15 * start
    return [(names[i], metric[names[i]]) for i in np.argsort(-rank, kind="stable").tolist()]


PEERS: dict[str, Callable[[Window], list[tuple[str, str]]]] = {
    "BARO": baro,
    "N-Sigma": n_sigma,
    "PageRank": pagerank,
}
