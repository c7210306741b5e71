"""A sample of what tests/bench/test_bench_grouping.py measures in full."""

import numpy as np
import pytest

from tests.simulation.scenarios import SCENARIOS
from tests.simulation.scoring import Score, by_time, by_topology, live, score

SEED, RUNS = 404, 8
# What each sort reaches at least, as a mean of a small sample; the bench says what it is in full.
LEAST = {
    "one fault": 0.9, "two at once, apart": 0.7, "two near one another": 0.5, "cascade": 0.9,
    "flapping": 0.85, "slow leak": 0.75, "restart within": 0.9, "monitor fails": 0.9,
}  # fmt: skip


def scores(name: str, runs: int = RUNS) -> list[Score]:
    return [score(SCENARIOS[name](np.random.default_rng([SEED, n]))) for n in range(runs)]


def test_incidents_are_what_faults_are() -> None:
    means = {}
    for name, least in LEAST.items():
        means[name] = float(np.mean([one.f1 for one in scores(name)]))
        assert means[name] >= least, name
    assert np.mean(list(means.values())) >= 0.88  # of a sample; 0.9 in full


@pytest.mark.parametrize("seed", range(8))
def test_weeks_without_a_fault_are_weeks_without_an_incident(seed: int) -> None:
    """1,000 series, three weeks: a thousand suspicious anomalies, twenty certain ones."""
    run = SCENARIOS["no fault"](np.random.default_rng([SEED, seed]))
    assert len({one.anomaly.id for one in run.told}) > 500
    assert live(run) == {}


def test_nearly_every_fault_opens_an_incident_and_soon() -> None:
    waits = [s for name in ("one fault", "cascade", "flapping") for one in scores(name)
             for s in one.opened_secs]  # fmt: skip
    assert np.mean(np.array(waits) < 600) >= 0.9
    assert np.median(waits) < 60


def test_peers_that_join_by_time_make_less_of_it() -> None:
    runs = [SCENARIOS["two at once, apart"](np.random.default_rng([SEED, n])) for n in range(RUNS)]
    ours, time, topology = (
        np.mean([score(run, *method).f1 for run in runs])
        for method in ((), (by_time,), (by_topology,))
    )
    assert ours > time + 0.05
    assert ours > topology + 0.05
