"""Who drowns in work that others make? Callers of a slow service retry, and what they then call too
often looks worst of all, later. It is a victim: it got more to do, after one above it was strange.
"""

from __future__ import annotations

import numpy as np

from aiopsd.correlation.ranking.kinds import Family
from aiopsd.correlation.ranking.scene import Flags, Ints, Scene
from aiopsd.correlation.ranking.surprise import Surprise
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats


def drowned(
    scene: Scene, strange: Surprise, who: Ints, more_load: Floats, weights: Weights
) -> Floats:
    """By service: its ``more_load`` (0 to 1) where one above it was strange before it; else 0."""
    first = np.full(len(scene.services), np.inf)
    strong = strange.z > weights.strong
    np.minimum.at(first, who[strong], strange.onset[strong])
    callers: list[list[int]] = [[] for _ in scene.services]
    for caller, callees in enumerate(scene.callees):
        for callee in callees:
            callers[callee].append(caller)
    found = np.zeros(len(scene.services))
    for service in np.flatnonzero(more_load > 0).tolist():
        if any(first[above] < first[service] for above in _above(service, callers)):
            found[service] = more_load[service]
    return found


def follows_load(scene: Scene, strange: Surprise, weights: Weights) -> Flags:
    """By series: a resource or queue that turned strange when its service got more to do, or after.
    One that did so before is a cause."""
    load = scene.is_family(Family.LOAD) & (strange.z > weights.strong)
    risen = np.full(len(scene.services), np.inf)
    np.minimum.at(risen, scene.own[load], strange.onset[load])
    held = scene.is_family(Family.RESOURCE, Family.QUEUE) & np.isfinite(strange.onset)
    follows: Flags = held & (strange.onset >= risen[scene.own])
    return follows


def _above(service: int, callers: list[list[int]]) -> set[int]:
    """All that call it, directly or not."""
    found, rest = set(callers[service]), list(callers[service])
    while rest:
        new = set(callers[rest.pop()]) - found
        found |= new
        rest += new
    return found - {service}
