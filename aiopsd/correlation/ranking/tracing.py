"""What spans say against a normal time: time spent in a service itself, and links that got slow."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from aiopsd.correlation.ranking.robust import median
from aiopsd.correlation.ranking.scene import Scene
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.correlation.ranking.window import CallSpans, Edge

_FAILED: Final = re.compile(r"error|exception|fail", re.IGNORECASE)
_CALLS = 3  # fewer say nothing
_SECS = 0.02  # a change below this is noise of clocks
_MANY = 5  # services, for what all of them share to be nobody's fault


@dataclass(frozen=True, slots=True)
class Traced:
    """Of one service."""

    nats: float  # before weights
    self_secs: float  # more time spent in itself, a request
    cover: float  # of slow links that share it
    net_share: float  # of the additional time that is the network to its callees
    seen: int  # requests, in the smaller of both times


@dataclass(slots=True)
class _Time:
    """Sums over one time, weighted by calls: [calls, seconds, gap seconds]."""

    links: dict[Edge, list[float]] = field(default_factory=dict)
    received: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0] * 3))
    called: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0] * 3))

    def add(self, one: CallSpans) -> None:
        numbers = (one.count, one.count * one.mean_secs, one.count * one.gap_secs)
        link = self.links.setdefault((one.caller, one.callee), [0.0] * 3)
        for sums in (link, self.received[one.callee], self.called[one.caller]):
            for at, number in enumerate(numbers):
                sums[at] += number


def traced(scene: Scene, weights: Weights) -> dict[int, Traced]:
    """By number of the service; only those that spans saw in both times."""
    traces = scene.window.traces
    normal, since = _Time(), _Time()
    for one in traces.spans:
        if one.caller != one.callee:
            (since if one.since else normal).add(one)
    if not any(not one.since for one in traces.spans):
        return {}
    slow = _slow_links(normal, since)
    found = {}
    for at, name in enumerate(scene.services):
        links = [nats for link, nats in slow.items() if name in link] if slow else []
        said = _of(name, normal, since, links)
        if said is not None:
            found[at] = said
    return _with_errors(scene, _beyond_all(found), weights)


def _slow_links(normal: _Time, since: _Time) -> dict[Edge, float]:
    found = {}
    for link, (calls, _, gap) in since.links.items():
        before = normal.links.get(link)
        if before and link[0] and before[0] >= _CALLS and calls >= _CALLS:
            usual = before[2] / before[0]
            found[link] = _growth(gap / calls - usual, usual)
    return found


def _of(name: str, normal: _Time, since: _Time, links: list[float]) -> Traced | None:
    was, now = normal.received[name], since.received[name]
    if was[0] < _CALLS or now[0] < _CALLS:
        return None
    usual = (was[1] - normal.called[name][1]) / was[0]
    more = (now[1] - since.called[name][1]) / now[0] - usual
    gaps = since.called[name][2] / now[0] - normal.called[name][2] / was[0]
    nats = _growth(more - max(0.0, gaps), usual)
    share = min(1.0, max(0.0, gaps / more)) if more > _SECS else 0.0
    if share > 0.5:  # most of it is the network to its callees
        nats *= 1 - share
    # A slow link is blamed on the node that all slow links share.
    cover = sum(links) / (len(links) + 1.0)
    return Traced(nats + cover, more, cover, share, int(min(was[0], now[0])))


def _growth(more: float, usual: float) -> float:
    return math.log1p(max(0.0, more) / (0.5 * abs(usual) + _SECS))


def _beyond_all(found: dict[int, Traced]) -> dict[int, Traced]:
    """What all services share (another traffic, another time of day) is nobody's fault."""
    if len(found) < _MANY:
        return found
    shared = float(median(np.array([[one.nats for one in found.values()]]))[0])
    return {at: _with(one, max(0.0, one.nats - shared)) for at, one in found.items()}


def _with_errors(scene: Scene, found: dict[int, Traced], weights: Weights) -> dict[int, Traced]:
    """Operations that handle errors, where there are many more of them."""
    windows = scene.window.traces.windows
    calls: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in scene.window.traces.spans:
        if _FAILED.search(one.operation):
            calls[one.callee][one.since] += one.count
    for name, (before, since) in calls.items():
        expected = before * windows
        at = scene.number.get(name)
        if at is not None and since > 2 * expected + 3:
            nats = math.log((since + 1) / (expected + 1)) * min(1.0, math.log1p(since) / 4)
            known = found.get(at, Traced(0.0, 0.0, 0.0, 0.0, 0))
            found[at] = _with(known, known.nats + weights.error_spans * nats)
    return found


def _with(one: Traced, nats: float) -> Traced:
    return Traced(nats, one.self_secs, one.cover, one.net_share, one.seen)
