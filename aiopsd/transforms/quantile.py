"""Quantiles of classic histograms, as Prometheus computes them.

Source: histogram_quantile in prometheus.io/docs/prometheus/latest/querying/functions: linear
interpolation within the bucket, zero as the lowest bound when the first one is positive, the
second highest bound when the quantile falls into +Inf.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats


def quantile(
    q: float, group: NDArray[np.intp], bound: Floats, count: Floats, groups: int
) -> Floats:
    """Shape [groups]. ``group, bound, count``: one entry a cumulative bucket, in any order.

    Buckets of the same bound are added up. NaN for a group without observations or +Inf.
    """
    result = np.full(groups, np.nan)
    order = np.lexsort((bound, group))
    group, bound, count = group[order], bound[order], count[order]
    edges = np.searchsorted(group, np.arange(groups + 1))
    for number in range(groups):
        inside = slice(edges[number], edges[number + 1])
        bounds, place = np.unique(bound[inside], return_inverse=True)
        # Rounding of window edges can make a cumulative count dip: it never may.
        counts = np.maximum.accumulate(np.bincount(place, count[inside])) if len(bounds) else bounds
        result[number] = _one(q, bounds, counts)
    return result


def _one(q: float, bounds: Floats, counts: Floats) -> float:
    if len(bounds) < 2 or not np.isposinf(bounds[-1]) or not counts[-1] > 0:
        return np.nan
    rank = q * counts[-1]
    at = int(np.searchsorted(counts, rank, side="left"))
    if at >= len(bounds) - 1:
        return float(bounds[-2])
    if at == 0 and bounds[0] <= 0:
        return float(bounds[0])
    low, below = (float(bounds[at - 1]), float(counts[at - 1])) if at else (0.0, 0.0)
    share = (rank - below) / (float(counts[at]) - below)
    return low + (float(bounds[at]) - low) * float(share)
