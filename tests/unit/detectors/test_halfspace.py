"""Odd together: each member is where it often is, and yet they never were so at once."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.detectors.halfspace import Halfspace, HalfspaceSettings
from aiopsd.model import Batch, Scores

SIZE = 6
START_S = 1.7e9
LEARN = 600  # rounds


def halfspace(**more: Any) -> Halfspace:
    return HalfspaceSettings(**more).build(lambda index: {"service": f"s{index // SIZE}"})


def batch(tick: int, values: Any, series: Any = None) -> Batch:
    values = np.asarray(values, float)
    ids = np.arange(len(values)) if series is None else series
    return Batch("r", START_S + 300 * tick, np.asarray(ids, np.int32), values)


def feed(one: Halfspace, values: np.ndarray, begin: int = 0) -> list[Scores]:
    return [one.observe(batch(begin + n, row)) for n, row in enumerate(values)]


def load(ticks: int, seed: int = 1, groups: int = 1) -> np.ndarray:
    """Six metrics of one load: requests, CPU, memory ... each with some noise of its own."""
    random = np.random.default_rng(seed)
    traffic = 100 + 30 * np.repeat(random.standard_normal((ticks, groups)), SIZE, axis=1)
    own = random.standard_normal((ticks, groups * SIZE))
    return traffic * np.tile([1, 2, 0.1, 5, 1, 3], groups) * (1 + 0.02 * own)


def strange(scores: list[Scores]) -> set[int]:
    return {int(i) for one in scores for i in one.series[one.score >= 0.5]}


def test_what_never_was_together_is_strange_though_each_alone_is_not() -> None:
    one, values = halfspace(), load(LEARN + 10)
    values[LEARN:, 3] = values[:10, 3].mean()  # CPU stays, the load goes up and down
    traffic = np.where(np.arange(10) % 2, 60, 140)
    others = [0, 1, 2, 4, 5]
    values[LEARN:, others] = (traffic[:, None] * np.array([1, 2, 0.1, 5, 1, 3]))[:, others]
    assert all(values[:LEARN, n].min() < values[LEARN:, n].min() for n in range(SIZE))
    assert all(values[:LEARN, n].max() > values[LEARN:, n].max() for n in range(SIZE))
    found = feed(one, values)
    assert sum(bool((scores.score >= 0.5).any()) for scores in found[:LEARN]) <= 2
    assert 3 in strange(found[LEARN:])
    last = found[-1]
    assert last.score[3] == last.score.max()
    assert last.expected[3] == pytest.approx(5 * traffic[-2], rel=0.2), "what the others say"
    assert last.low[3] <= last.expected[3] <= last.high[3]
    first, second = one.explain(3)
    assert first.startswith(f"its group of {SIZE} is so odd once in ")
    assert second.startswith("it is number 1 of what makes it odd")


def test_a_load_that_all_of_them_carry_is_nothing() -> None:
    one = halfspace()
    feed(one, load(LEARN))
    more = load(60, seed=2) * np.linspace(0.8, 1.4, 60)[:, None]
    found = feed(one, more, LEARN)
    assert not any(scores.certain.any() for scores in found)
    assert sum(bool((scores.score >= 0.5).any()) for scores in found) <= 3


def test_quiet_groups_are_quiet() -> None:
    found = feed(halfspace(), load(1500, seed=3, groups=8))
    assert sum(bool((scores.score >= 0.5).any()) for scores in found) <= 12
    assert not any(scores.certain.any() for scores in found)


def test_a_group_that_is_young_or_small_is_not_judged() -> None:
    one, values = halfspace(min_members=SIZE + 1), load(LEARN + 10)
    values[LEARN:, 3] *= 10
    assert strange(feed(one, values)) == set()
    assert strange(feed(halfspace(), values[LEARN - 60 :])) == set()


def test_a_member_that_is_missing_harms_nobody() -> None:
    one, values = halfspace(), load(LEARN + 40)
    values[LEARN:, 1] = np.nan
    found = feed(one, values)
    assert sum(bool((scores.score >= 0.5).any()) for scores in found[LEARN:]) <= 1
    assert all(np.isnan(scores.observed[1]) for scores in found[LEARN + 1 :])


def test_more_than_32_members_are_counted_and_not_judged() -> None:
    one = HalfspaceSettings().build(lambda _: {"service": "s"})
    random = np.random.default_rng(5)
    for n in range(40):
        scores = one.observe(batch(n, random.standard_normal(40)))
        assert len(scores.series) == 40
    assert one.beyond == 8 * 39
    assert one.explain(0) == () or one.explain(0)
    assert one.explain(39) == ()
    one.forget(np.arange(10, dtype=np.int32))
    one.observe(batch(41, random.standard_normal(30), np.arange(10, 40)))
    one.observe(batch(42, random.standard_normal(30), np.arange(10, 40)))
    assert (one._rounds.members["slot"][one._rounds.members.known()[1]] >= 0).all()


@pytest.mark.parametrize("bad", [1, 33])
def test_settings_that_make_no_sense_are_refused(bad: int) -> None:
    with pytest.raises(ValueError, match="min_members"):
        HalfspaceSettings(min_members=bad)


# --- promises, for whatever comes -----------------------------------------------------------

numbers = st.one_of(
    st.floats(50, 150), st.floats(allow_nan=True, allow_infinity=True), st.just(500.0)
)
stories = st.lists(st.lists(numbers, min_size=2 * SIZE, max_size=2 * SIZE), min_size=1, max_size=12)
CALM = load(130, seed=7, groups=2)


def judged(one: Halfspace, batches: list[Batch]) -> dict[tuple[int, int], tuple[Any, ...]]:
    """What was said of each sample."""
    names = ("score", "observed", "expected", "low", "high", "certain")
    found: dict[tuple[int, int], tuple[Any, ...]] = {}
    for each in batches:
        scores = one.observe(each)
        assert np.isfinite(scores.score).all()
        for n, series in enumerate(scores.series.tolist()):
            if np.isfinite(scores.observed[n]):
                key = series, int(each.time_s)
                assert key not in found, "each round is spoken of once"
                found[key] = tuple(getattr(scores, name)[n].item() for name in names)
    return found


def ticks(story: list[list[float]]) -> list[Batch]:
    return [batch(n, row) for n, row in enumerate([*CALM.tolist(), *story])]


@settings(max_examples=15, deadline=None)
@given(story=stories, random=st.randoms(use_true_random=False))
def test_however_samples_are_cut_into_batches_the_numbers_are_the_same(
    story: list[list[float]], random: Any
) -> None:
    whole, cut, pieces = halfspace(), halfspace(), []
    for each in ticks(story):
        order = np.arange(2 * SIZE)
        at = random.randrange(1, 2 * SIZE)
        if int(each.time_s) > START_S:  # places are given in the order of first sight
            random.shuffle(order)
        pieces += [
            Batch("r", each.time_s, part.astype(np.int32), each.values[part])
            for part in (order[:at], order[at:])
        ]
    assert judged(cut, pieces) == judged(whole, ticks(story))


@settings(max_examples=15, deadline=None)
@given(story=stories, at=st.integers(0, 140))
def test_saved_and_loaded_in_between_it_says_the_same(story: list[list[float]], at: int) -> None:
    whole, first, second = halfspace(), halfspace(), halfspace()
    wanted, found = judged(whole, ticks(story)), judged(first, ticks(story)[:at])
    second.load(first.save())
    assert found | judged(second, ticks(story)[at:]) == wanted
    assert second.save() == whole.save()


@settings(max_examples=15, deadline=None)
@given(story=stories)
def test_hostile_values_harm_no_other_group(story: list[list[float]]) -> None:
    alone, beside = halfspace(), halfspace()
    for n, each in enumerate(ticks(story)):
        mixed = each.values.copy()
        mixed[:SIZE] = load(1, seed=n)[0]
        a, b = alone.observe(batch(n, mixed[:SIZE])), beside.observe(batch(n, mixed))
        assert (a.score == b.score[:SIZE]).all()
        assert np.isfinite(beside._rounds.groups["covariance"]).all()


@pytest.mark.parametrize("scale", [1e-9, 1e9, 1e140])
def test_the_scale_does_not_matter(scale: float) -> None:
    values = load(300)
    plain, scaled = feed(halfspace(), values)[-1], feed(halfspace(), values * scale)[-1]
    assert scaled.score == pytest.approx(plain.score, rel=1e-3, abs=1e-6)


def test_only_who_makes_the_group_odd_is_blamed() -> None:
    """Eight members, five of which share a load; one of these lets go of it."""
    random, wide = np.random.default_rng(6), 8
    one = HalfspaceSettings().build(lambda _: {"service": "web"})
    load = np.where(np.arange(wide) < 5, 0.9, 0.0)
    noise = random.standard_normal((1030, wide))
    values = 100 + 5 * (load * random.standard_normal((1030, 1)) + np.sqrt(1 - load**2) * noise)
    values[1000:, 0] += 50
    blamed = np.zeros(wide)
    for tick, row in enumerate(values):
        scores = one.observe(Batch("r", 1.7e9 + 60 * tick, np.arange(wide, dtype=np.int32), row))
        blamed += (scores.score >= 0.5) & (tick >= 1000)
    assert blamed[0] > 20, "and as long as it lasts"
    assert blamed[1:].sum() == 0
