"""How strange is each series since the incident began, against its own past?

The level to exceed is a high of the past, or the level just before. The scale is the largest of
robust spread, a share of the past's range, and the smallest change worth a thought. Both are
medians over parts of the past, so that one old incident cannot hide the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aiopsd.correlation.ranking.kinds import Family
from aiopsd.correlation.ranking.robust import Sorted, level_and_scale, median
from aiopsd.correlation.ranking.scene import Flags, Scene
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats

COARSE_SECS = 300.0  # from this step on, a single row before counts as a level
MANY_ROWS = 25  # of past, for five parts instead of three
QUIET_MOMENTS = (0.5, 0.65, 0.8)  # of the past, where the same statistic is taken for no reason
ENOUGH = 8  # quiet values of a pool, for a quantile instead of their median
LEVEL_SHARE = 0.15  # of the level: a change below that is nobody's trouble
HELD_SHARE = 0.1  # what is held wanders less than what is done
ODD = 3.0  # scales, from which on a row is odd
FEW_PER_SEC = 50.0  # a load that never comes above this has few calls


@dataclass(frozen=True, slots=True, eq=False)
class Surprise:
    """By series, of the rows ``[begin:]``; ``up``/``down`` ``[series, rows]``."""

    begin: int
    z: Floats  # deviations in the bad direction, in scales, calibrated
    onset: Floats  # first odd row; inf where none is
    up: Floats  # excess over the reference, in the series' own units
    down: Floats
    level: Floats  # median of the past
    scale: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Deviation:
    up: Floats  # mean of the worst rows, in scales
    down: Floats
    ups: Floats  # each row
    downs: Floats
    above: Floats  # references
    below: Floats
    level: Floats
    scale: Floats


def surprise_of(scene: Scene, begin: int, weights: Weights) -> Surprise:
    past, now = scene.x[:, :begin], scene.x[:, begin:]
    least = smallest_changes(scene, median(past), weights)
    found = _deviation(past, now, least, scene, weights)
    z = _bad_way(*_lasting(found, scene.flag("is_stock")), scene, weights)
    odd = np.fmax(found.ups, found.downs) > ODD
    return Surprise(
        begin=begin,
        z=z / _usual(scene, begin, least, weights),
        onset=np.where(odd.any(axis=1), odd.argmax(axis=1), np.inf),
        up=np.nan_to_num(np.clip(now - found.above[:, None], 0, None)),
        down=np.nan_to_num(np.clip(found.below[:, None] - now, 0, None)),
        level=found.level,
        scale=found.scale,
    )


def smallest_changes(scene: Scene, level: Floats, weights: Weights) -> Floats:
    """By kind and unit; stops constant or tiny series from winning."""
    big = np.max(np.abs(np.nan_to_num(scene.x)), axis=1, initial=0.0)
    hundred = big > 1.5  # per cent, else a ratio
    share = np.where(scene.flag("is_stock"), HELD_SHARE, LEVEL_SHARE)
    least = share * np.abs(level)
    errors, load = scene.is_family(Family.ERRORS), scene.is_family(Family.LOAD)
    cpu = scene.flag("is_cpu")
    least = np.where(errors & ~hundred, np.fmax(least, 0.005), least)
    least = np.where(load & (big < FEW_PER_SEC), np.fmax(least, 0.1 * big), least)
    least = np.where(cpu, np.fmax(least, np.where(hundred, 2.0, 0.02)), least)
    least = np.where(scene.is_family(Family.LOSS), np.fmax(least, 0.5), least)
    least = np.where(scene.is_family(Family.RESTARTS), 0.3, least)
    least = np.where(scene.is_family(Family.AVAILABILITY), np.where(hundred, 1.0, 0.01), least)
    held = scene.is_family(Family.RESOURCE, Family.QUEUE) & ~cpu
    for members in _by_pool(scene).values():
        if len(members) >= 5 and held[members[0]]:
            peers = float(median(np.abs(level[members])[None, :])[0])
            least[members] = np.fmax(least[members], weights.peer_share * peers)
    smallest: Floats = np.fmax(np.fmax(least, scene.least), np.fmax(1e-9 * big, 1e-300))
    return smallest


def _deviation(
    past: Floats, now: Floats, least: Floats, scene: Scene, weights: Weights
) -> _Deviation:
    whole = Sorted(past)
    level, scale = level_and_scale(whole)
    high, low, wide = _past_range(past, whole, weights)
    scale = np.fmax(np.fmax(scale, weights.range_share * wide), least)[:, None]
    if scene.window.step_secs >= COARSE_SECS:  # what was there just before the window is no news
        before = past[:, -3:]
        latest_high = np.fmax.reduce(before, axis=1, initial=np.nan)
        latest_low = np.fmin.reduce(before, axis=1, initial=np.nan)
    else:
        latest_high = latest_low = median(past[:, -5:])
    above = np.fmax(level + weights.over_high * (high - level), latest_high)
    below = np.fmin(level - weights.over_high * (level - low), latest_low)
    ups, downs = (now - above[:, None]) / scale, (below[:, None] - now) / scale
    return _Deviation(_worst(ups), _worst(downs), ups, downs, above, below, level, scale[:, 0])


def _past_range(past: Floats, whole: Sorted, weights: Weights) -> tuple[Floats, Floats, Floats]:
    """High, low and range of the past: medians over its parts."""
    rows = past.shape[1]
    parts = 5 if rows >= MANY_ROWS else 3
    each = rows // parts
    pieces = [whole]
    if each >= weights.parts:
        ends = [i * each for i in range(parts)] + [rows]
        pieces = [Sorted(past[:, a:b]) for a, b in pairwise(ends)]
    high = [one.quantile(weights.high) for one in pieces]
    low = [one.quantile(1 - weights.high) for one in pieces]
    wide = [one.quantile(1.0) - one.quantile(0.0) for one in pieces]
    of_parts = [median(np.stack(one, axis=1)) for one in (high, low, wide)]
    return of_parts[0], of_parts[1], of_parts[2]


def _worst(scales: Floats) -> Floats:
    """Mean of the worst rows: one spike is not enough."""
    rows = scales.shape[1]
    if not rows:
        return np.zeros(len(scales))
    count = 1 if rows < 2 else 2 if rows < 5 else 3
    known = np.where(np.isnan(scales), -1.0, scales)
    worst: Floats = np.partition(known, -count, axis=1)[:, -count:].mean(axis=1)
    return worst


def _lasting(found: _Deviation, stock: Flags) -> tuple[Floats, Floats]:
    """What is held must stay changed: its median counts, not its peak."""
    up, down = found.up.copy(), found.down.copy()
    if stock.any():
        up[stock] = np.minimum(up[stock], np.fmax(0, np.nan_to_num(median(found.ups[stock]))))
        down[stock] = np.minimum(down[stock], np.fmax(0, np.nan_to_num(median(found.downs[stock]))))
    return up, down


def _bad_way(up: Floats, down: Floats, scene: Scene, weights: Weights) -> Floats:
    """Which direction is bad depends on the kind of metric."""
    less = weights.good_way * down
    bad = np.select(
        [
            scene.is_family(Family.AVAILABILITY),
            scene.is_family(Family.LATENCY),
            scene.is_family(Family.ERRORS, Family.RESTARTS, Family.LOSS),
            scene.is_family(Family.LOAD),
        ],
        [down, np.maximum(up, 0.5 * less), up, np.maximum(0.6 * up, down)],
        np.maximum(up, less),
    )
    strange: Floats = np.maximum(0.0, np.nan_to_num(bad))
    return strange


def _usual(scene: Scene, begin: int, least: Floats, weights: Weights) -> Floats:
    """How big the same statistic gets for no reason, at quiet moments of the past, pooled over the
    services by metric; at least 1. Noisy kinds of metric calibrate themselves so."""
    rows = scene.x.shape[1] - begin
    moments = sorted({int(begin * share) for share in QUIET_MOMENTS})
    quiet = []
    for at in (at for at in moments if at >= 6 and begin - at >= 2):
        past, then = scene.x[:, :at], scene.x[:, at : min(begin, at + rows)]
        found = _deviation(past, then, least, scene, weights)
        quiet.append(_bad_way(found.up, found.down, scene, weights))
    if not quiet:
        return np.ones(len(scene.columns))
    values = np.stack(quiet, axis=1)
    usual = median(values)  # of a series whose metric nobody else has
    for members in _by_pool(scene).values():
        together = values[members]
        if together.size >= ENOUGH:
            usual[members] = np.quantile(together, weights.quiet)
        elif len(members) > 1:
            usual[members] = np.median(together)
    return np.maximum(1.0, usual)


def _by_pool(scene: Scene) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for at, pool in enumerate(scene.pools):
        found.setdefault(pool, []).append(at)
    return found
