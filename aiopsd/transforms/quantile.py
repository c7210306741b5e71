"""Quantiles of classic histograms, by Prometheus' rule.

https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile : linear
inside a bucket; the lowest begins at 0 when its bound is positive; in the +Inf bucket the answer
is the second highest bound; without a +Inf bucket, or without observations, there is none.
"""

from __future__ import annotations

import numpy as np

from aiopsd.model import Floats


def quantiles(q: float, bounds: Floats, counts: Floats) -> Floats:
    """One quantile a row, NaN for none.

    ``bounds``: ascending upper bounds ``[b]``; ``counts``: cumulative counts ``[n, b]``, NaN
    where a histogram has no such bucket.
    """
    n, width = counts.shape
    if width < 2 or not np.isposinf(bounds[-1]):
        return np.full(n, np.nan)
    there = ~np.isnan(counts)
    rising = np.maximum.accumulate(np.where(there, counts, -np.inf), axis=1)
    below = np.maximum.accumulate(np.where(there, bounds, -np.inf), axis=1)
    lower = np.concatenate((np.full((n, 1), -np.inf), below[:, :-1]), axis=1)
    before = np.concatenate((np.full((n, 1), -np.inf), rising[:, :-1]), axis=1)
    total = rising[:, -1]
    rank = q * total
    hit = np.argmax(there & (rising >= rank[:, None]), axis=1)
    row = np.arange(n)
    first = np.isneginf(lower[row, hit])
    upper = bounds[hit]
    start = np.where(first, 0.0, lower[row, hit])
    counted = np.where(first, 0.0, before[row, hit])
    inside = rising[row, hit] - counted
    with np.errstate(invalid="ignore", divide="ignore"):
        found = start + (upper - start) * (rank - counted) / inside
    found = np.where(first & (upper <= 0), upper, found)
    found = np.where(np.isposinf(upper), lower[row, hit], found)
    several = there.sum(axis=1) >= 2
    return np.where(there[:, -1] & several & (total > 0), found, np.nan)
