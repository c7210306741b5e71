"""The Page-Hinkley test, of many series at once, and where a change began.

The same numbers, bit for bit, as ``river.drift.PageHinkley`` with ``alpha=1`` (Page 1954), but for
the threshold: that is the caller's, and so is starting anew after a change. (With river's own
alpha of 0.9999 the sums stop falling after some 10,000 samples, and then it alarms on noise.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

DELTA: Final = 0.25  # changes of the mean smaller than this are none

COLUMNS: Final = {
    "ph_n": Column(),
    "ph_mean": Column(),
    "up": Column(),  # sum of what is above the mean, and its least
    "up_least": Column(np.inf),
    "up_count": Column(),  # samples since that
    "down": Column(),
    "down_most": Column(-1.0),
    "down_count": Column(),
}


def update(rows: Rows, at: At, y: Floats) -> tuple[Floats, Floats]:
    """One value of each of these rows; returns how much speaks for a rise, and for a fall."""
    n = rows["ph_n"][at] + 1
    mean = rows["ph_mean"][at]
    mean = mean + 1 / n * (y - mean)
    up = rows["up"][at] + (y - mean) - DELTA
    down = rows["down"][at] + (y - mean) + DELTA
    least = np.minimum(rows["up_least"][at], up)
    most = np.maximum(rows["down_most"][at], down)
    rows["up_count"][at] = np.where(up > least, rows["up_count"][at] + 1, 0)
    rows["down_count"][at] = np.where(down < most, rows["down_count"][at] + 1, 0)
    rows["ph_n"][at], rows["ph_mean"][at] = n, mean
    rows["up"][at], rows["up_least"][at] = up, least
    rows["down"][at], rows["down_most"][at] = down, most
    return up - least, most - down


def reset(rows: Rows, at: At) -> None:
    for name, column in COLUMNS.items():
        rows[name][at] = column.fill
