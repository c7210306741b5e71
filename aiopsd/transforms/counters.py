"""Increases of counters over a window, many series at once.

Each row keeps a total that never falls (a counter that fell began anew at 0) and a ring of
snapshots of it, at most sixteen a window. The increase is what was counted between the oldest
snapshot inside the window and now: seen, not extrapolated.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

A_WINDOW: Final = 16  # snapshots
RING: Final = 20  # one and a bit more than a window, so that the oldest is not overwritten
JITTER: Final = 1 / A_WINDOW  # of the window: scrapes are not on the dot
HOLE: Final = 4.0  # windows; what happened in a longer hole is unknown

COLUMNS: Final = {
    "last": Column(np.nan),  # newest raw value
    "total": Column(),
    "ring_times": Column(np.nan, np.float64, RING),
    "ring_totals": Column(np.nan, np.float64, RING),
    "head": Column(-1, np.int64),  # newest snapshot; counts up, modulo RING is its place
    "base": Column(0, np.int64),  # oldest one inside the window
}


def increases(
    rows: Rows, at: At, values: Floats, now: float, window_secs: float, *, changes: bool
) -> tuple[Floats, Floats]:
    """Takes in newer values; returns increases and the seconds they span, NaN where unknown.

    With ``changes`` what is counted is how often the value was another than before.
    """
    last, total = rows["last"][at], rows["total"][at]
    with np.errstate(over="ignore", invalid="ignore"):
        if changes:
            grown = (values != last).astype(np.float64)
        else:
            grown = np.where(values >= last, values - last, values)
        grown = np.where(np.isnan(last), 0.0, grown)
        total = total + grown
        # One absurd sample must not drown what comes after it: such a row begins anew.
        drowned = ~np.isfinite(total) | ((grown > 0) & (grown < np.spacing(total)))
    head = rows["head"][at]
    newest = rows["ring_times"][at, head % RING]
    anew = (head < 0) | (now - newest > HOLE * window_secs) | (now < newest) | drowned
    total = np.where(anew, 0.0, total)
    base = _advance(rows, at, np.where(anew, head, rows["base"][at]), head, now, window_secs)
    spans = np.where(anew, np.nan, now - rows["ring_times"][at, base % RING])
    found = np.where(anew, np.nan, total - rows["ring_totals"][at, base % RING])
    due = anew | (now - newest >= window_secs / A_WINDOW)
    head = head + due
    place = at[due], head[due] % RING
    rows["ring_times"][place], rows["ring_totals"][place] = now, total[due]
    rows["base"][at] = np.where(anew, head, base)
    rows["head"][at], rows["last"][at], rows["total"][at] = head, values, total
    return found, np.where(spans > 0, spans, np.nan)


def _advance(rows: Rows, at: At, base: At, head: At, now: float, window_secs: float) -> At:
    """Moves to the oldest snapshot inside the window, or to the newest there is."""
    oldest = now - window_secs * (1 + JITTER)
    while True:
        left = (base < head) & (rows["ring_times"][at, base % RING] < oldest)
        if not left.any():
            return base
        base = base + left
