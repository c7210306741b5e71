"""Grouping on simulated runs, by sort of run, against naive peers on the same words.

    make bench ARGS=tests/bench/test_bench_grouping.py       a minute

AIOPSD_BENCH_RUNS (of each sort), AIOPSD_BENCH_SEED.
"""

import os
import time

import numpy as np
import pytest

from aiopsd.correlation.grouping import Grouping
from tests.simulation.scenarios import SCENARIOS, Random, Run
from tests.simulation.scoring import METHODS, Score, score
from tests.simulation.shop import shop
from tests.simulation.telling import make

RUNS = int(os.environ.get("AIOPSD_BENCH_RUNS", "60"))
SEED = int(os.environ.get("AIOPSD_BENCH_SEED", "9"))
WAITS = "faults that opened none | opened after, median and 90 %"


def runs(name: str) -> list[Run]:
    return [SCENARIOS[name](np.random.default_rng([SEED, n])) for n in range(RUNS)]


def test_how_well_incidents_are_faults() -> None:
    print(f"\n{RUNS} runs of each sort: mean pairwise F1, and incidents for one fault")
    print("| | " + " | ".join(METHODS) + f" | {WAITS} |")
    print("|---|" + "---|" * (len(METHODS) + 2))
    means: list[list[float]] = []
    for name in SCENARIOS:
        if name == "no fault":
            continue
        found = [[score(run, method) for method in METHODS.values()] for run in runs(name)]
        f1 = [float(np.mean([one[m].f1 for one in found])) for m in range(len(METHODS))]
        means.append(f1)
        cells = [f"{f1[m]:.3f}, {_each(found, m):.1f}" for m in range(len(METHODS))]
        waits = np.array([secs for one in found for secs in one[0].opened_secs])
        heard = waits[np.isfinite(waits)]
        times = f"{np.median(heard):.0f} s, {np.quantile(heard, 0.9):.0f} s"
        lost = f"{len(waits) - len(heard)} of {len(waits)}"
        print(f"| {name} | " + " | ".join(cells) + f" | {lost} | {times} |")
    overall = np.mean(means, axis=0)
    print("| **mean** | " + " | ".join(f"{x:.3f}" for x in overall) + " | | |")
    assert overall[0] >= 0.9
    assert overall[0] > max(overall[1:]) + 0.1


def _each(found: list[list[Score]], method: int) -> float:
    faults = sum(one[method].faults for one in found)
    return sum(one[method].incidents for one in found) / faults


def test_weeks_without_a_fault() -> None:
    print(f"\n{RUNS} times three weeks of 1,000 series without a fault: incidents")
    for name, method in METHODS.items():
        found = [score(run, method).incidents for run in runs("no fault")]
        print(f"| {name} | {sum(found)} |")
        if name == "**aiopsd**":
            assert sum(found) == 0


@pytest.mark.parametrize("services", [50, 500])
def test_cost(services: int) -> None:
    """A storm: each service has two anomalies within a minute."""
    random: Random = np.random.default_rng(SEED)
    world, grouping = shop(random, services), Grouping()
    layout = world.layout
    begun = time.process_time()
    for number, place in enumerate(world.services):
        onset_s = 60.0 * number / services
        both = [make(place, s, "certain", onset_s) for s in ("latency", "errors")]
        grouping.absorb(both, layout, (), onset_s)
    secs = time.process_time() - begun
    print(f"\n{services} services: {secs / services * 1000:.1f} ms a word, {secs:.2f} s in all")
