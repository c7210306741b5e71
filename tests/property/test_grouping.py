"""A restart at any moment, of any run, changes nothing about incidents."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aiopsd.correlation.versions import MAX_MEMBERS
from tests.simulation.scenarios import SCENARIOS, Run
from tests.simulation.scoring import live

NAMES = ["one fault", "two at once, apart", "two near one another", "flapping"]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 50), st.floats(0.0, 1.0))
def test_any_prefix_a_restart_and_the_same_incidents(name: str, seed: int, share: float) -> None:
    run = SCENARIOS[name](np.random.default_rng([77, seed]))
    cut = run.told[int(share * (len(run.told) - 1))].time_s
    calm, shaken = live(run), live(Run(run.layout, run.told, run.faults, cut + 1e-6))
    # Which places of a story are quiet is told a little later by whom it is asked anew; who is in
    # which incident is not.
    assert calm.keys() == shaken.keys()
    for one in calm:
        assert {a.id for a in calm[one].anomalies} == {a.id for a in shaken[one].anomalies}
        assert calm[one].fingerprint == shaken[one].fingerprint
        names = [(a.rule, sorted(a.labels.items())) for a in shaken[one].anomalies]
        assert len(names) == len({repr(n) for n in names}) <= MAX_MEMBERS
        assert replace(calm[one], moments=()).opened_s == shaken[one].opened_s
