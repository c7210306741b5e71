"""Quantiles, medians and scales of many series at once; missing values are NaN.

Arrays here are ``[series, rows]``. Sorting once and reading positions is thirty times as fast as
numpy's own nan functions, which also warn where there is nothing at all.
"""

from __future__ import annotations

import numpy as np

from aiopsd.model import Floats


class Sorted:
    """The rows of each series in order, missing ones last."""

    def __init__(self, values: Floats) -> None:
        self.values = np.sort(values, axis=1)
        self.count = values.shape[1] - np.isnan(values).sum(axis=1)

    def quantile(self, q: float) -> Floats:
        """``[series]``; NaN where there is no value."""
        last = np.maximum(self.count - 1, 0)
        place = last * q
        low = np.floor(place).astype(int)
        share = place - low
        each = np.arange(len(self.values))
        high = np.minimum(low + 1, last)
        found: Floats = self.values[each, low] * (1 - share) + self.values[each, high] * share
        return found


def median(values: Floats) -> Floats:
    return Sorted(values).quantile(0.5)


def level_and_scale(values: Sorted) -> tuple[Floats, Floats]:
    """Median, and the larger of MAD and IQR as of a normal distribution."""
    level = values.quantile(0.5)
    mad = median(np.abs(values.values - level[:, None])) * 1.4826
    iqr = (values.quantile(0.75) - values.quantile(0.25)) / 1.35
    return level, np.fmax(mad, iqr)
