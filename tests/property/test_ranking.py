"""A ranking is a pure function of what is known, not of how it is written down."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aiopsd.correlation.ranking import Column, Ranking, Window, rank
from aiopsd.model import Floats
from tests.unit.correlation.ranking.worlds import FAULT, ROWS, slow_ledger, window

SEEDS = st.integers(0, 50)
ODD = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e308, -1e308, 1e-308, 5.0, 7.0])


def scores(ranking: Ranking) -> dict[str, float]:
    return {one.service: one.score for one in ranking.suspects}


@given(SEEDS, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_columns_and_edges_changes_nothing(seed: int, random: object) -> None:
    made = window(slow_ledger(seed))
    order = list(range(len(made.columns)))
    random.shuffle(order)  # type: ignore[attr-defined]
    turned = replace(
        made, values=made.values[:, order], columns=tuple(made.columns[j] for j in order),
        edges=made.edges[::-1],
    )  # fmt: skip
    assert rank(turned) == rank(made)


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_names_of_services_carry_no_weight(seed: int) -> None:
    names = {"web": "z-front", "shop": "middle", "stock": "a-side", "ledger": "m-deep"}
    made = window(slow_ledger(seed))
    renamed = replace(
        made, columns=tuple(c._replace(service=names[c.service]) for c in made.columns),
        edges=tuple((names[a], names[b]) for a, b in made.edges), target=names["web"],
    )  # fmt: skip
    before, after = scores(rank(made)), scores(rank(renamed))
    assert {names[s]: pytest.approx(score) for s, score in before.items()} == after


@given(SEEDS, st.sampled_from([1e-3, 1e3, 1024.0**2]))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_a_metric_changes_nothing(seed: int, factor: float) -> None:
    made = window(slow_ledger(seed))
    scaled = [c.metric in ("latency-p95-ms", "memory-mb") for c in made.columns]
    other = replace(made, values=np.where(scaled, made.values * factor, made.values))
    before, after = scores(rank(made)), scores(rank(other))
    assert after == pytest.approx(before, abs=1e-3)


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_an_unrelated_quiet_service_changes_little(seed: int) -> None:
    series = slow_ledger(seed)
    before = scores(rank(window(series)))
    random = np.random.default_rng(seed + 1000)
    for metric, level in (("latency-p95-ms", 30.0), ("cpu-percent", 12.0), ("memory-mb", 99.0)):
        series["mail", metric] = level * np.exp(random.normal(0, 0.04, ROWS))
    after = scores(rank(window(series)))
    assert after.pop("mail") < 0.1
    assert max(after, key=after.__getitem__) == max(before, key=before.__getitem__)
    assert after == pytest.approx(before, abs=0.1)


@given(
    st.integers(0, 12).flatmap(
        lambda rows: st.integers(0, 6).flatmap(
            lambda columns: arrays(np.float64, (rows, columns), elements=ODD)
        )
    ),
    st.floats(-1e9, 1e9),
)
@settings(max_examples=200, deadline=None)
def test_no_numbers_break_it(values: Floats, detected_s: float) -> None:
    metrics = ["latency", "errors", "cpu", "memory", "up", "rps"]
    columns = tuple(
        Column.named(f"s{j % 3}", metrics[j % len(metrics)]) for j in range(values.shape[1])
    )
    made = Window(
        np.arange(len(values)) * 60.0, values, columns, detected_s, 60.0, (("s0", "s1"),), "s0"
    )
    ranking = rank(made)
    assert ranking == rank(made)
    for one in ranking.suspects:
        assert 0.0 <= one.score <= 1.0
        assert all(math.isfinite(v) for r in one.reasons for v in r.numbers.values())


@given(SEEDS, st.floats(0.0, 0.4))
@settings(max_examples=20, deadline=None)
def test_holes_in_the_data_lose_no_clear_cause(seed: int, share: float) -> None:
    made = window(slow_ledger(seed))
    random = np.random.default_rng(seed)
    values = np.where(random.random(made.values.shape) < share, np.nan, made.values)
    values[FAULT:] = made.values[FAULT:]
    assert rank(replace(made, values=values)).suspects[0].service == "ledger"
