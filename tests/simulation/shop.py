"""Graphs of services on hosts, and what faults do to them: load, queues, latency, errors.

``Shop`` is a call graph in layers; ``Trouble`` is one fault; ``effects`` works out, tick by tick of
virtual time, how far latency, errors, load and queue of each service are from usual: load from the
top down, latency and errors from the bottom up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from aiopsd.correlation.topology import Layout
from aiopsd.model import Floats, Kind

TICK_SECS = 15.0
Fault = Literal["cpu", "memory", "disk", "delay", "crash", "deploy", "load", "host", "leak"]
FAULTS: tuple[Fault, ...] = ("cpu", "memory", "disk", "delay", "crash", "deploy", "load", "host")
SIGNALS: dict[str, Kind] = {
    "latency": "latency", "errors": "error-rate", "load": "traffic", "queue": "saturation",
    "cpu": "saturation", "memory": "memory-leak", "disk": "disk-full", "down": "crash",
    "host_cpu": "saturation",
}  # fmt: skip


@dataclass(frozen=True)
class Shop:
    services: tuple[str, ...]  # callers before callees
    calls: dict[str, tuple[str, ...]]
    host: dict[str, str]
    weight: dict[tuple[str, str], float] = field(default_factory=dict)  # share that waits for it

    @property
    def layout(self) -> Layout:
        edges = frozenset((a, b) for a, callees in self.calls.items() for b in callees)
        return Layout(edges, homes=frozenset(self.host.items()))

    def distance(self, one: str, other: str) -> int:
        """Calls between two services, in either direction."""
        near, steps = {one}, 0
        while other not in near:
            more = {b for a in near for b in self.calls[a]}
            more |= {a for a, callees in self.calls.items() if near & set(callees)}
            if more <= near:
                return 99
            near |= more
            steps += 1
        return steps


@dataclass(frozen=True)
class Trouble:
    fault: Fault
    root: str  # a service, or a host
    begin_s: float
    end_s: float
    strength: float = 1.0
    on_off_secs: float = 0.0  # flapping: on for so long, then off
    spread_secs: float = 0.0  # a cascade: each hop follows so much later


def shop(random: np.random.Generator, size: int) -> Shop:
    """A gateway, layers of services, stores at the bottom."""
    names = ["gateway", *(f"svc-{n}" for n in range(1, size))]
    depth = max(2, round(np.log2(size)))
    layer = {
        name: 0 if n == 0 else 1 + (n - 1) * depth // (size - 1) for n, name in enumerate(names)
    }
    calls: dict[str, tuple[str, ...]] = {}
    for name in names:
        below = [other for other in names if layer[other] == layer[name] + 1]
        few = min(len(below), int(random.integers(1, 4)))
        calls[name] = tuple(sorted(random.choice(below, few, replace=False))) if below else ()
    for name in names[1:]:  # everybody is called by somebody
        if not any(name in callees for callees in calls.values()):
            above = [other for other in names if layer[other] == layer[name] - 1]
            caller = str(random.choice(above))
            calls[caller] = (*calls[caller], name)
    hosts = {name: f"host-{int(random.integers(0, max(2, size // 4)))}" for name in names}
    weight = {(a, b): float(random.uniform(0.3, 1.0)) for a in names for b in calls[a]}
    return Shop(tuple(names), calls, hosts, weight)


def effects(world: Shop, one: Trouble, times_s: Floats) -> dict[tuple[str, str], Floats]:
    """(place, signal) -> how far from usual at each time; 1 is what a good detector just sees."""
    on = (times_s >= one.begin_s) & (times_s < one.end_s)
    if one.on_off_secs:
        on &= ((times_s - one.begin_s) // one.on_off_secs) % 2 == 0
    size = 6.0 * one.strength * on
    if one.fault == "leak":
        size = 8.0 * np.clip((times_s - one.begin_s) / (one.end_s - one.begin_s), 0, 1) * on
    found: dict[tuple[str, str], Floats] = {}
    _at_the_root(world, one, size, found)
    _downwards(world, one, found)
    _upwards(world, one, found)
    return found


def _add(found: dict[tuple[str, str], Floats], place: str, signal: str, size: Floats) -> None:
    found[place, signal] = found.get((place, signal), np.zeros(len(size))) + size


def _at_the_root(
    world: Shop, one: Trouble, size: Floats, found: dict[tuple[str, str], Floats]
) -> None:
    own = {
        "cpu": {"cpu": 1.0, "latency": 0.8}, "memory": {"memory": 1.0, "latency": 0.5},
        "disk": {"disk": 1.0, "latency": 0.7, "errors": 0.4}, "delay": {"latency": 1.0},
        "crash": {"down": 1.0, "errors": 1.0}, "deploy": {"errors": 1.0, "latency": 0.4},
        "load": {"load": 0.8}, "leak": {"memory": 1.0},
    }  # fmt: skip
    if one.fault == "host":
        _add(found, one.root, "host_cpu", size)
        for name in (s for s, host in world.host.items() if host == one.root):
            _add(found, name, "latency", 0.7 * size)
        return
    for signal, share in own[one.fault].items():
        _add(found, one.root, signal, share * size)
    if one.fault == "leak":  # it hurts when memory is nearly gone
        _add(found, one.root, "latency", np.clip(size - 5.0, 0, None) * 2)
        _add(found, one.root, "errors", np.clip(size - 6.5, 0, None) * 3)


def _downwards(world: Shop, one: Trouble, found: dict[tuple[str, str], Floats]) -> None:
    """More load below; less below what has crashed."""
    for name in world.services:
        load = found.get((name, "load"))
        if load is not None:
            _add(found, name, "queue", np.clip(load - 2.0, 0, None))
            _add(found, name, "latency", np.clip(load - 1.5, 0, None))
        down = found.get((name, "down"))
        for callee in world.calls[name]:
            share = world.weight[name, callee]
            if load is not None:
                _add(found, callee, "load", 0.8 * share * load)
            if down is not None:
                _add(found, callee, "load", 0.4 * share * down)


def _upwards(world: Shop, one: Trouble, found: dict[tuple[str, str], Floats]) -> None:
    """Whoever waits for a slow one is slow; a full queue fails."""
    for name in reversed(world.services):
        for callee in world.calls[name]:
            share = world.weight[name, callee] * 0.75
            for signal in ("latency", "errors"):
                size = found.get((callee, signal))
                if size is not None and one.fault != "load":
                    _add(found, name, signal, share * _later(size, one.spread_secs))
        slow = found.get((name, "latency"))
        if slow is not None:
            _add(found, name, "queue", 0.4 * np.clip(slow - 2.0, 0, None))


def _later(size: Floats, secs: float) -> Floats:
    steps = round(secs / TICK_SECS)
    return np.concatenate((np.zeros(steps), size[: len(size) - steps])) if steps else size
