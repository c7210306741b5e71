"""Exactly the same value for unusually long: a sensor that is stuck, an exporter that hangs.

A run of k equal samples has the probability p^k, with p the share of equal neighbours so far. It
speaks beside the other members and not as one of them: alone it may make suspicious, and a value
that changes says nothing against them. Idle gauges stand still for long, so it counts little.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.detectors.bank.clock import Singles, Ticks, running, total
from aiopsd.rows import Cell, Lane

USUAL: Final = 3  # equal samples in a row; what is beyond hardly teaches, or a fault would at once
RELUCTANT: Final = np.float32(0.2)
FREE, SHARE, MOST = 4.0, 0.1, 3.0  # decades that say nothing, weight of the rest, and its end

CELLS: Final = {
    "stuck_run": Cell(),  # equal samples in a row by now
    "stuck_equal": Cell(),  # weight of the equal ones
    "stuck_all": Cell(),  # of all
    "stuck_rate": Cell(float(np.log10(2))),  # decades an equal sample is worth
    "stuck_new": Cell(0, np.float32, (2,)),  # this epoch
}


def observe(lane: Lane, ticks: Ticks) -> Singles:
    """What it adds to the common word, in decades, ``[T, n]``."""
    equal = ticks.ok & (ticks.moved == 0)
    if lane["seen"].min() == 0:
        equal &= ticks.seen > 0
    new = lane["stuck_new"]
    if not np.count_nonzero(equal):
        lane["stuck_run"] = 0
        total(new[1], ticks.ok)
        return np.zeros_like(ticks.y)
    at = np.arange(len(equal), dtype=np.float32)[:, None]
    never = np.full(lane.n, -1, np.float32)
    changed = running(np.maximum, never, np.where(equal, never, at))[1:]
    run = np.where(changed < 0, lane["stuck_run"] + at + 1, at - changed)
    lane["stuck_run"] = run[-1]
    weight = np.where(run > USUAL, RELUCTANT, np.float32(1)) * ticks.ok
    total(new[0], weight * equal)
    total(new[1], weight)
    rare = run * lane["stuck_rate"] - np.float32(FREE)
    return np.asarray(np.clip(np.float32(SHARE) * rare, 0, np.float32(MOST)) * ticks.ok)


def learn(lane: Lane) -> None:
    """An epoch is over."""
    new = lane["stuck_new"]
    lane["stuck_equal"] += new[0]
    lane["stuck_all"] += new[1]
    lane["stuck_new"] = 0
    share = (lane["stuck_equal"] + np.float32(0.5)) / (lane["stuck_all"] + 1)
    lane["stuck_rate"] = -np.log10(np.minimum(share, 1))
