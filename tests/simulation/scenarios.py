"""Runs of each sort, seeded: what is told, and to which fault it belongs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aiopsd.correlation.topology import Layout
from tests.simulation.shop import FAULTS, Fault, Shop, Trouble, shop
from tests.simulation.telling import DAY_SECS, Told, make, noise, tell, words

SERIES_EACH = 20  # of one service
Random = np.random.Generator


@dataclass(frozen=True)
class Run:
    layout: Layout
    told: list[Told]  # in the order of time
    faults: int
    restart_s: float | None = None


def _trouble(
    random: Random, world: Shop, begin_s: float, root: str = "", fault: Fault | None = None
) -> Trouble:
    fault = fault or FAULTS[int(random.integers(len(FAULTS)))]
    if not root:
        root = str(random.choice(world.services[1:]))
    if fault == "host":
        root = world.host[root]
    lasts = float(random.uniform(600, 1800))
    return Trouble(fault, root, begin_s, begin_s + lasts, float(random.uniform(0.7, 1.5)))


def _run(random: Random, world: Shop, troubles: list[Trouble], until_s: float = 7200.0) -> Run:
    told = tell(world, troubles, until_s, random)
    told += noise(world, SERIES_EACH * len(world.services), until_s, random)
    return Run(world.layout, sorted(told, key=lambda t: (t.time_s, t.anomaly.id)), len(troubles))


def _world(random: Random, least: int = 8) -> Shop:
    return shop(random, int(random.integers(least, 40)))


def one_fault(random: Random) -> Run:
    world = _world(random)
    return _run(random, world, [_trouble(random, world, 1800.0)])


def two_apart(random: Random) -> Run:
    """Within two minutes, in different parts: three calls apart or more."""
    while True:
        world = _world(random, 16)
        one, other = (str(x) for x in random.choice(world.services[1:], 2, replace=False))
        if world.distance(one, other) >= 3 and world.host[one] != world.host[other]:
            break
    late = float(random.uniform(0, 120))
    services = [f for f in FAULTS if f not in ("host", "load")]
    kinds = [services[int(random.integers(len(services)))] for _ in range(2)]
    troubles = [_trouble(random, world, 1800.0, one, kinds[0]),
                _trouble(random, world, 1800.0 + late, other, kinds[1])]  # fmt: skip
    return _run(random, world, troubles)


def two_near(random: Random) -> Run:
    """Within ten minutes, one or two calls apart."""
    while True:
        world = _world(random)
        one, other = (str(x) for x in random.choice(world.services[1:], 2, replace=False))
        if world.distance(one, other) <= 2:
            break
    late = float(random.uniform(60, 600))
    return _run(random, world, [_trouble(random, world, 1800.0, one),
                                _trouble(random, world, 1800.0 + late, other)])  # fmt: skip


def cascade(random: Random) -> Run:
    """It takes one to four minutes from one service to its callers."""
    world = _world(random)
    one = _trouble(random, world, 1800.0, world.services[-1 - int(random.integers(4))], "delay")
    spread = float(random.uniform(60, 240))
    one = Trouble(one.fault, one.root, 1800.0, 5400.0, 1.5, spread_secs=spread)
    return _run(random, world, [one])


def flapping(random: Random) -> Run:
    world = _world(random)
    one = _trouble(random, world, 1800.0)
    secs = float(random.uniform(60, 600))
    one = Trouble(one.fault, one.root, 1800.0, 1800.0 + 9000.0, one.strength, on_off_secs=secs)
    return _run(random, world, [one], 14400.0)


def leak(random: Random) -> Run:
    """Hours; memory first, latency and errors at the end."""
    world = _world(random)
    one = _trouble(random, world, 1800.0, fault="leak")
    return _run(random, world, [Trouble("leak", one.root, 1800.0, 16200.0)], 21600.0)


def restart(random: Random) -> Run:
    run = one_fault(random)
    return Run(run.layout, run.told, run.faults, 1800.0 + float(random.uniform(10, 900)))


def monitor(random: Random) -> Run:
    """Half of all services fall silent within half a minute, as their rules see it."""
    world = shop(random, 40)
    told = noise(world, 1000, 7200.0, random)
    gone = random.choice(world.services, 20, replace=False)
    for name in (str(one) for one in gone):
        onset_s = 1800.0 + float(random.uniform(0, 30))
        one = make(name, "up", "certain", onset_s, world.host[name])
        told += words(one, 3000.0, 0, onset_s + 180.0 + float(random.uniform(0, 15)))
    return Run(world.layout, sorted(told, key=lambda t: (t.time_s, t.anomaly.id)), 1)


def no_fault(random: Random, days: float = 21.0) -> Run:
    """1,000 series, three weeks."""
    world = shop(random, 40)
    told = noise(world, 1000, days * DAY_SECS, random)
    return Run(world.layout, sorted(told, key=lambda t: (t.time_s, t.anomaly.id)), 0)


SCENARIOS: dict[str, Callable[[Random], Run]] = {
    "one fault": one_fault, "two at once, apart": two_apart, "two near one another": two_near,
    "cascade": cascade, "flapping": flapping, "slow leak": leak, "restart within": restart,
    "monitor fails": monitor, "no fault": no_fault,
}  # fmt: skip
