"""Whom does a series speak of? A client's view of a call speaks of the callee."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from aiopsd.correlation.ranking.kinds import SYMPTOMS, Family
from aiopsd.correlation.ranking.scene import Flags, Ints, Scene
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats

_VIEW: Final = re.compile(
    r"(^|[-.])(client|remote|elb|lb|proxy|endpoint|external)([-.]|$)", re.IGNORECASE
)
_PIECE: Final = re.compile(r"[a-z]{5,}")


def is_view(service: str) -> bool:
    """Only a client's or a proxy's view of something else: no code that one could fix."""
    return bool(_VIEW.search(service))


def stands_for(services: Sequence[str]) -> dict[str, str]:
    """Views whose name holds a piece of exactly one real service's name; the rarest piece wins."""
    real = [name for name in services if not is_view(name)]
    found = {}
    for name in services:
        if not is_view(name):
            continue
        pieces = [[r for r in real if piece in r.lower()] for piece in _PIECE.findall(name.lower())]
        rarest = min((who for who in pieces if who), key=len, default=[])
        if len(rarest) == 1:
            found[name] = rarest[0]
    return found


def seen_of(scene: Scene, weights: Weights) -> tuple[Ints, Floats]:
    """By series: number of the service that it speaks of, and its weight."""
    who, weight = scene.own.copy(), base_weights(scene, weights)
    behind = stands_for(scene.services)
    for at, column in enumerate(scene.columns):
        if column.callee in scene.number:
            who[at], weight[at] = scene.number[column.callee], 1.0
        elif column.service in behind and column.kind.family in SYMPTOMS:
            who[at] = scene.number[behind[column.service]]
            weight[at] *= weights.alias
    return who, weight


def base_weights(scene: Scene, weights: Weights) -> Floats:
    by_family = {
        Family.RESOURCE: weights.resource,
        Family.QUEUE: weights.queue,
        Family.RESTARTS: weights.restarts,
        Family.LOSS: weights.loss,
        Family.LATENCY: weights.latency,
        Family.ERRORS: weights.errors,
        Family.AVAILABILITY: weights.errors,
        Family.LOAD: weights.load,
    }
    return np.array(
        [weights.flow if c.kind.is_flow else by_family[c.kind.family] for c in scene.columns]
    )


def views(scene: Scene) -> Flags:
    """By service."""
    return np.array([is_view(name) for name in scene.services], dtype=bool)
