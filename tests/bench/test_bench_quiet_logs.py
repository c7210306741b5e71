"""How quiet the shipped rules are on logs with which nothing is wrong, and which floods they see.

    make bench ARGS=tests/bench/test_bench_quiet_logs.py               a quarter of an hour

Other sizes: AIOPSD_BENCH_DAYS (5), AIOPSD_BENCH_SERVICES (6), AIOPSD_BENCH_SEED.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from aiopsd.model import Labels, LogBatch
from tests.bench.quiet_logs import DAY, feed, services
from tests.log_world import LogWorld

DAYS = float(os.environ.get("AIOPSD_BENCH_DAYS", 5))
SERVICES = int(os.environ.get("AIOPSD_BENCH_SERVICES", 6))
SEED = int(os.environ.get("AIOPSD_BENCH_SEED", 1))
TICK_SECS = 5.0
SHOP: Labels = {"service": "shop"}
USUAL = 6.0  # lines a second, of which one in 200 is an error
RATES, LENGTHS = (0.2, 0.5, 1.0, 2.0, 5.0, 30.0), (20, 60, 120, 300)


def test_quiet_logs_open_nothing(tmp_path: Path) -> None:
    """At most one incident in 30 service-days."""
    world = LogWorld(tmp_path)
    for now, lines in feed(services(SERVICES, SEED), DAYS * DAY, TICK_SECS):
        world.feed(LogBatch(now, tuple(lines)))
    for one in world.incidents.values():
        print(f"\n{one.severity} {one.title}")
    print(f"\n{len(world.incidents)} incidents in {SERVICES * DAYS:g} service-days")
    assert len(world.incidents) <= max(1, SERVICES * DAYS / 30)


@pytest.mark.parametrize("calm_secs", [180, 1800, DAY], ids=["3 min", "30 min", "1 d"])
def test_floods_by_pace_and_length(tmp_path: Path, calm_secs: float) -> None:
    """After how many seconds an incident opens; what is large and lasts must open one."""
    draw, calm = Random(SEED), LogWorld(tmp_path)
    for _ in range(round(calm_secs / TICK_SECS)):
        calm.tick(TICK_SECS, _lines(draw, 0.0))
    assert not calm.incidents
    learned = calm.house.detection.save()
    print("\n| errors a second | " + " | ".join(f"{secs} s" for secs in LENGTHS) + " |")
    for rate in RATES:
        found = []
        for secs in LENGTHS:
            world = LogWorld(tmp_path)
            world.house.detection.load(learned)
            begun = world.now = calm.now
            for n in range(round((secs + 60) / TICK_SECS)):
                world.tick(TICK_SECS, _lines(draw, rate * (n * TICK_SECS < secs)))
            found.append(min(world.opened.values(), default=0.0) - begun)
            assert len(world.incidents) <= 1
            assert rate < 2 or secs < 60 or 0 < found[-1] <= 60
        print(f"| {rate:g} | " + " | ".join(f"{s:.0f} s" if s > 0 else "" for s in found) + " |")


def _lines(draw: Random, errors: float) -> Iterator[tuple[Labels, str]]:
    for _ in range(_some(draw, USUAL)):
        n = draw.randrange(10**6)
        text = draw.choice((f"INFO order {n} accepted", f"INFO paid {n}", f"INFO cart {n} loaded"))
        yield SHOP, text if draw.random() > 1 / 200 else f"ERROR payment {n} declined"
    for _ in range(_some(draw, errors)):
        yield SHOP, f"ERROR no connection to 10.0.0.{draw.randrange(200)}:5432"


def _some(draw: Random, a_second: float) -> int:
    mean = a_second * TICK_SECS
    return sum(draw.random() < mean / 200 for _ in range(200))
