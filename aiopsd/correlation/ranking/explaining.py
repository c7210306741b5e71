"""How much of a symptom do the callees not explain? The largest term of the ranking.

Slowness and errors travel up the calls: a caller keeps only what is beyond its callees' excess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiopsd.correlation.ranking.kinds import SYMPTOMS, Family
from aiopsd.correlation.ranking.robust import median
from aiopsd.correlation.ranking.scene import Flags, Ints, Scene
from aiopsd.correlation.ranking.surprise import Surprise
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    own: Floats  # by series: share that is the service's own, 1 for what nobody can explain
    slow: Floats  # by service: largest latency deviation that is its own
    more_load: Floats  # by service, 0 to 1: it got more to do than usual


def nats_of(z: Floats, weights: Weights) -> Floats:
    """Deviations have power-law tails: -log P(Z > z) grows like log z."""
    nats: Floats = np.log1p(np.clip(z, 0.0, weights.cap))
    return nats


def excess_of(scene: Scene, strange: Surprise) -> Floats:
    """``[series, rows]`` in the bad direction of a symptom."""
    available = scene.is_family(Family.AVAILABILITY)
    return np.where(available[:, None], strange.down, strange.up)


def explain(
    scene: Scene, strange: Surprise, who: Ints, gone: Floats, weights: Weights
) -> Explained:
    """``gone``: by service, nats of its series having stopped; who calls it fails as well."""
    loads = _Loads(scene, strange)
    mine = who == scene.own  # views measure somebody else
    own = _beyond_callees(scene, strange, mine, loads, weights)
    slow = np.zeros(len(scene.services))
    latency = scene.is_family(Family.LATENCY)
    np.maximum.at(slow, who[latency], (strange.z * own)[latency])
    away = np.maximum(slow, np.where(gone > 0, weights.cap, 0.0))
    slowest_callee = np.array([max((away[v] for v in vs), default=0.0) for vs in scene.callees])
    hanging = np.array([any(gone[v] > 0 for v in vs) for vs in scene.callees], dtype=bool)
    for family in SYMPTOMS:
        members = scene.is_family(family) & mine
        below = np.where(hanging, weights.cap, 0.0) if family is Family.LATENCY else slowest_callee
        own[members] = _shared(scene, strange, own, members, below, weights)
    _queues(scene, strange, own, mine)
    return Explained(own, slow, loads.more)


def _beyond_callees(
    scene: Scene, strange: Surprise, mine: Flags, loads: _Loads, weights: Weights
) -> Floats:
    """Same metric, same unit: subtract the callees' excess times calls for each request."""
    excess = excess_of(scene, strange)
    at = {(scene.own[j], c.metric): j for j, c in enumerate(scene.columns)}
    symptoms = np.flatnonzero(scene.is_family(*SYMPTOMS) & mine & (strange.z > 0))
    explained = np.zeros_like(excess)
    for j in symptoms:
        caller = int(scene.own[j])
        for callee in scene.callees[caller]:
            other = at.get((callee, scene.columns[j].metric))
            if other is not None:
                explained[j] += loads.calls(caller, callee) * excess[other]
    own = np.ones(len(scene.columns))
    hit, theirs = excess[symptoms], np.minimum(excess[symptoms], explained[symptoms])
    rows = _weight_of_rows(hit, strange.scale[symptoms], weights)
    total, shared = (hit * rows).sum(axis=1), (theirs * rows).sum(axis=1)
    beyond = np.maximum(weights.floor, 1 - shared / np.where(total > 0, total, 1.0))
    own[symptoms] = np.where(total > 0, beyond, 1.0)
    return own


def _weight_of_rows(excess: Floats, scale: Floats, weights: Weights) -> Floats:
    """A row counts by the logarithm of its deviation, and the first ones most: what comes later,
    a thousand times as high, is of retries and full queues, which tell nothing of the cause."""
    some = excess > 0
    nats = np.where(some, np.log1p(excess / scale[:, None]) / np.where(some, excess, 1.0), 0.0)
    faded: Floats = nats * np.exp(-np.arange(excess.shape[1]) / weights.soon_rows)
    return faded


def _shared(
    scene: Scene, strange: Surprise, own: Floats, members: Flags, below: Floats, weights: Weights
) -> Floats:
    """One well-measured quantile speaks for its sisters; and failing, or hanging, may be time-outs
    on a callee. ``below``: by service, the deviation of a callee that would explain it."""
    service, z = scene.own[members], strange.z[members]
    most = np.zeros(len(scene.services))
    np.maximum.at(most, service, z)
    best = np.ones(len(scene.services))
    strong = z > 0.5 * most[service]
    np.minimum.at(best, service[strong], own[members][strong])
    hit = nats_of(most, weights)
    share = nats_of(below, weights) / np.where(hit > 0, hit, 1.0)
    best *= np.where(hit > 0, 1 - weights.timeouts * np.minimum(1.0, share), 1.0)
    return np.maximum(weights.floor, np.minimum(own[members], best[service]))


def _queues(scene: Scene, strange: Surprise, own: Floats, mine: Flags) -> None:
    """Queues are as much explained as the latency that fills them (Little's law)."""
    cause = scene.is_family(Family.LATENCY, Family.ERRORS) & mine & (strange.z > 1)
    least = np.ones(len(scene.services))
    np.minimum.at(least, scene.own[cause], own[cause])
    queues = scene.is_family(Family.QUEUE)
    own[queues] = np.minimum(own[queues], least[scene.own[queues]])


class _Loads:
    """Requests of each service, now and usually: calls a request, and who got more to do."""

    def __init__(self, scene: Scene, strange: Surprise) -> None:
        count = len(scene.services)
        self._now, self._usual = np.zeros(count), np.zeros(count)
        loads = np.flatnonzero(scene.is_family(Family.LOAD) & (np.nan_to_num(strange.level) > 0))
        now = np.nan_to_num(median(scene.x[loads, strange.begin :]))
        np.maximum.at(self._now, scene.own[loads], now)
        np.maximum.at(self._usual, scene.own[loads], strange.level[loads])
        known = (self._now > 0) & (self._usual > 0)
        rise = self._now / np.where(known, self._usual, 1.0)
        self.more = np.where(known, np.clip((rise - 1.3) / 0.7, 0.0, 1.0), 0.0)

    def calls(self, caller: int, callee: int) -> float:
        """Calls a request, as far as loads tell; 1 where they do not."""
        if not (self._now[caller] > 0 and self._now[callee] > 0):
            return 1.0
        return float(np.clip(self._now[callee] / self._now[caller], 0.1, 2.0))
