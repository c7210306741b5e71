"""Distributions that change, and those that only look as if they did."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aiopsd.detectors.distribution import divergence
from aiopsd.detectors.distribution.shape import Plan, Shape
from aiopsd.detectors.drift import Drift, DriftSettings
from aiopsd.model import Batch, Scores
from aiopsd.settings import Duration

HOUR, START = 3600.0, 20_000 * 86400.0
BOUNDS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 5.0, math.inf]
REASONS = ["stop", "length", "tool", "abort"]
WIDE = len(BOUNDS)


def bucket(index: int) -> dict[str, str]:
    bound = BOUNDS[index % WIDE]
    return {"service": f"s{index // WIDE}", "le": "+Inf" if math.isinf(bound) else f"{bound}"}


def reason(index: int) -> dict[str, str]:
    return {"service": f"s{index // 4}", "reason": REASONS[index % 4]}


def histograms(**more: Any) -> Drift:
    return DriftSettings(**more).build(bucket)


def classes(**more: Any) -> Drift:
    return DriftSettings(category="reason", **more).build(reason)


def counts(random: np.random.Generator, n: int, median: float = 0.3) -> np.ndarray:
    """Cumulative."""
    sample = random.lognormal(math.log(median), 0.7, n)
    return np.array([(sample <= bound).sum() for bound in BOUNDS], float)


def batch(hour: float, values: Any, series: Any = None) -> Batch:
    ids = np.arange(len(values)) if series is None else np.asarray(series)
    return Batch("r", START + HOUR * hour, ids.astype(np.int32), np.asarray(values, float))


def verdict(scores: Scores) -> tuple[float, bool]:
    """The highest score, and whether anything is certain."""
    return float(scores.score.max(initial=0.0)), bool(scores.certain.any())


def learned(random: np.random.Generator, hours: int = 80, n: int = 1000, **more: Any) -> Drift:
    one = histograms(**more)
    for hour in range(hours):
        assert verdict(one.observe(batch(hour, counts(random, n))))[0] < 0.5
    return one


def test_a_shift_is_told_in_its_second_window_and_a_single_odd_window_never() -> None:
    random = np.random.default_rng(1)
    one = learned(random)
    assert verdict(one.observe(batch(80, counts(random, 1000, 0.6))))[0] < 0.5
    assert verdict(one.observe(batch(81, counts(random, 1000)))) < (0.5, True)
    found = [verdict(one.observe(batch(82 + n, counts(random, 1000, 0.6)))) for n in range(3)]
    assert found[0][0] < 0.5
    assert found[1][0] > 0.7
    assert found[1][1] is True, "large, and its usual differences are known"
    scores = one.observe(batch(85, counts(random, 1000)))
    assert verdict(scores)[0] < 0.5
    assert np.isfinite(scores.observed).all()


def test_the_series_of_all_buckets_speaks_and_says_what_moved() -> None:
    random = np.random.default_rng(2)
    one = learned(random)
    for hour in range(80, 83):
        scores = one.observe(batch(hour, counts(random, 1000, 0.6)))
    assert scores.series[scores.score >= 0.5].tolist() == [WIDE - 1]
    assert scores.observed[WIDE - 1] == pytest.approx(1, abs=0.3)
    assert scores.high[0] == pytest.approx(0.1)
    moved, changed, counted = one.explain(0)
    assert moved.startswith("moved up: p50 0.")
    assert "to 0.6" in moved
    assert changed.count("(") == 3
    assert counted.startswith("1,000 against 80,000 events, 3 windows running; p ")
    assert one.explain(4000) == ()


def test_what_lasts_becomes_usual() -> None:
    random = np.random.default_rng(3)
    one = learned(random, accept=Duration(6 * HOUR))
    found = [verdict(one.observe(batch(80 + n, counts(random, 1000, 0.6))))[0] for n in range(10)]
    assert [score >= 0.5 for score in found] == [False, *[True] * 4, *[False] * 5]
    back = [verdict(one.observe(batch(90 + n, counts(random, 1000))))[0] for n in range(10)]
    assert max(back) > 0.5, "the old one is the odd one now"


def test_nights_may_differ_from_days_every_day() -> None:
    random = np.random.default_rng(4)
    one = histograms()
    found = []
    for hour in range(24 * 9):
        median = 0.3 if hour % 24 < 10 else 0.6
        found.append(verdict(one.observe(batch(hour, counts(random, 1000, median))))[0])
    assert max(found) < 0.5
    odd = [verdict(one.observe(batch(216 + n, counts(random, 1000, 0.6))))[0] for n in range(4)]
    assert max(odd) > 0.5, "a day's value at night"


def test_too_few_events_say_nothing() -> None:
    random = np.random.default_rng(5)
    one = learned(random)
    scores = one.observe(batch(80, counts(random, 99, 5.0)))
    assert np.isnan(scores.observed).all()
    assert verdict(scores) == (0.0, False)
    assert np.isnan(histograms().observe(batch(0, counts(random, 1000))).observed).all()


def test_what_may_be_chance_is_not_told() -> None:
    random, one = np.random.default_rng(16), histograms(at_least=20.0)
    found = [one.observe(batch(hour, counts(random, 30))) for hour in range(300)]
    observed = np.array([scores.observed[0] for scores in found[24:]])
    far = observed > [scores.high[0] for scores in found[24:]]
    assert (far[1:] & far[:-1]).any(), "far twice running, as it happens with thirty events"
    assert max(verdict(scores)[0] for scores in found) < 0.5


def test_ticks_within_a_window_say_what_the_window_said() -> None:
    random = np.random.default_rng(6)
    often = histograms()
    for hour in range(80):
        values = counts(random, 1000)
        for minute in range(0, 60, 10):
            often.observe(batch(hour + minute / 60, values))
    assert often._shapes[0].seen == pytest.approx(80, abs=4)
    values = counts(random, 1000, 0.6)
    said = [verdict(often.observe(batch(80 + n / 6, values)))[0] for n in range(18)]
    assert sorted({score >= 0.5 for score in said}) == [False, True]


def test_other_buckets_are_a_new_beginning_and_not_drift() -> None:
    random = np.random.default_rng(7)
    one = learned(random)
    fewer = [n for n in range(WIDE) if n not in (2, 5)]
    for hour in range(80, 90):
        scores = one.observe(batch(hour, counts(random, 1000)[fewer], fewer))
        assert verdict(scores)[0] < 0.5
    assert one._shapes[0].seen < 12
    assert one._shapes[0].cells == tuple(BOUNDS[n] for n in fewer)
    assert "its buckets are others than before" in one.explain(0)[0]


def test_one_tick_without_a_bucket_changes_nothing() -> None:
    random = np.random.default_rng(8)
    one = learned(random)
    values = counts(random, 1000)
    values[3] = np.nan
    one.observe(batch(80, values))
    for hour in range(81, 84):
        one.observe(batch(hour, counts(random, 1000)))
    assert one._shapes[0].changed_s is None
    assert one._shapes[0].seen > 80


def test_shares_of_classes() -> None:
    random = np.random.default_rng(9)
    one = classes()
    usual, broken = [0.7, 0.2, 0.1, 0.0], [0.6, 0.2, 0.1, 0.1]
    for hour in range(80):
        assert verdict(one.observe(batch(hour, random.multinomial(2000, usual)[:3])))[0] < 0.5
    for hour in range(80, 83):
        scores = one.observe(batch(hour, random.multinomial(2000, broken)))
    assert scores.series[scores.score >= 0.5].tolist() == [3], "the new class speaks"
    assert scores.observed[3] == pytest.approx(0.1, abs=0.02)
    apart, changed, _ = one.explain(3)
    assert apart.startswith("shares differ by up to 10")
    assert changed.startswith("most changed: abort 0 % to 10")


def test_a_class_that_is_away_counts_nothing_and_stops_nobody() -> None:
    random = np.random.default_rng(10)
    one = classes()
    for hour in range(60):
        here = [0, 1, 2] if hour % 3 else [0, 1]
        one.observe(batch(hour, random.multinomial(500, [0.6, 0.39, 0.01])[: len(here)], here))
    assert one._shapes[0].seen >= 58


def test_a_thousand_classes_are_bounded() -> None:
    many = DriftSettings(category="reason").build(lambda n: {"reason": f"r{n}", "service": "a"})
    for hour in range(3):
        many.observe(batch(hour, np.ones(1000)))
    shape = many._shapes[0]
    assert len(shape.cells) == 256
    assert shape.cells[-1] == "(other)"
    assert shape.now.sum() == 1000


def test_series_without_the_label_or_with_no_bound_are_scored() -> None:
    labels = [{"service": "a"}, {"service": "a", "le": "x"}, {"service": "a", "le": "1"}]
    one = DriftSettings().build(labels.__getitem__)
    for hour in range(3):
        scores = one.observe(batch(hour, [1.0, 2.0, 3.0]))
    assert scores.score.tolist() == [0, 0, 0]
    assert one._shapes[0].cells == (1.0,)
    assert one.explain(0) == ()


def test_all_forgotten_a_family_begins_anew() -> None:
    one = learned(np.random.default_rng(11))
    one.forget(np.arange(WIDE, dtype=np.int32))
    assert one._shapes == {}
    one.observe(batch(90, counts(np.random.default_rng(1), 500)))
    assert one._families.rows["family"][one._families.rows.find(np.array([0]))] == 0


# --- the statistics ---------------------------------------------------------------------


def test_chance_is_what_scipy_says() -> None:
    random = np.random.default_rng(12)
    for _ in range(200):
        both = random.poisson(20, (2, random.integers(2, 40))) + 1.0
        wanted = stats.chi2_contingency(both, correction=False).pvalue
        assert divergence.chance(*both) == pytest.approx(wanted, rel=1e-9, abs=1e-300)
    assert divergence.chi_squared_tail(1e9, 7) == 0
    assert divergence.chi_squared_tail(0, 7) == 1


def test_pools_expect_enough_of_both_and_lose_nothing() -> None:
    random = np.random.default_rng(13)
    for _ in range(200):
        window, reference = random.poisson(2, 30) * 1.0, random.poisson(25, 30) * 1.0
        a, b = divergence.pooled(window, reference)
        assert (a.sum(), b.sum()) == (window.sum(), reference.sum())
        assert ((a + b) * a.sum() / (a + b).sum()).min() >= divergence.EXPECTED - 1e-9
        for one in divergence.rare_together(window, reference):
            assert one.sum() in (window.sum(), reference.sum())


def test_measures_of_the_same_and_of_the_opposite() -> None:
    a, b = np.array([1000.0, 0.0]), np.array([0.0, 1000.0])
    assert divergence.psi(a, a) == divergence.jensen_shannon(a, a) == divergence.largest(a, a) == 0
    assert divergence.jensen_shannon(a, b) == pytest.approx(1, abs=0.01)
    assert divergence.largest(a, b) == 1
    assert divergence.chance(a, a) == divergence.chance(a * 0, a) == 1


def test_quantiles_are_those_of_a_histogram() -> None:
    bounds, cells = np.array([1.0, 2.0, math.inf]), np.array([50.0, 50.0, 0.0])
    assert divergence.quantile(bounds, cells, 0.5) == pytest.approx(1)
    assert divergence.quantile(bounds, cells, 0.75) == pytest.approx(1.5)
    assert divergence.quantile(bounds, np.array([0.0, 0.0, 9.0]), 0.5) == 2
    assert math.isnan(divergence.quantile(bounds, cells * 0, 0.5))


# --- promises ---------------------------------------------------------------------------

amounts = st.one_of(
    st.integers(0, 3000).map(float), st.floats(), st.sampled_from([1e300, 1e-300, -5.0, np.nan])
)
story_steps = st.sampled_from([HOUR, HOUR, 600.0, HOUR + 9, 3 * HOUR, 9e6, -HOUR, -9e5, 1e12])
stories = st.lists(
    st.tuples(story_steps, st.dictionaries(st.integers(0, 7), amounts, max_size=8)), max_size=30
)
WHICH = {"histogram": histograms, "classes": classes}


def ticks(story: list[tuple[float, dict[int, float]]], calm: int = 40) -> list[Batch]:
    random = np.random.default_rng(14)
    found = [
        batch(n, random.multinomial(900, [0.2] * 4 + [0.05] * 4).cumsum()) for n in range(calm)
    ]
    now = found[-1].time_s
    for step, values in story:
        now += step
        found.append(batch((now - START) / HOUR, list(values.values()), list(values)))
    return found


def shown(scores: Scores) -> dict[int, tuple[str, ...]]:
    names = ("score", "observed", "expected", "high", "certain")
    columns = [getattr(scores, name).tolist() for name in names]
    lines = zip(scores.series.tolist(), *columns, strict=True)
    return {series: tuple(map(repr, line)) for series, *line in lines}


@pytest.mark.parametrize("which", WHICH)
@settings(max_examples=30, deadline=None)
@given(story=stories, cut=st.integers(0, 70))
def test_saved_and_loaded_anywhere_it_goes_on_the_same(which: str, story: Any, cut: int) -> None:
    one, first = WHICH[which](), WHICH[which]()
    for n, whole in enumerate(ticks(story)):
        if n == cut:
            second = WHICH[which]()
            second.load(first.save())
            first = second
        assert shown(one.observe(whole)) == shown(first.observe(whole))
        assert one.explain(1) == first.explain(1)
    assert one.save() == first.save()


@pytest.mark.parametrize("which", WHICH)
@settings(max_examples=30, deadline=None)
@given(story=stories, cut=st.integers(0, 8))
def test_a_tick_may_come_in_pieces(which: str, story: Any, cut: int) -> None:
    one, other = WHICH[which](), WHICH[which]()
    for whole in ticks(story):
        wanted, found = shown(one.observe(whole)), {}
        for part in (slice(0, cut), slice(cut, None)):
            piece = Batch("r", whole.time_s, whole.series[part], whole.values[part])
            if len(piece.series):
                found |= shown(other.observe(piece))
        strange = {s: line for s, line in wanted.items() if float(line[0]) >= 0.5}
        assert {s: found[s] for s in strange} == strange
        assert {s for s, line in found.items() if float(line[0]) >= 0.5} == strange.keys()
    assert one.save() == other.save()


@pytest.mark.parametrize("which", WHICH)
@settings(max_examples=30, deadline=None)
@given(story=stories)
def test_whatever_comes_the_neighbours_stay_right(which: str, story: Any) -> None:
    one, alone = WHICH[which](), WHICH[which]()
    mine = np.arange(20, 24, dtype=np.int32)
    for n, whole in enumerate(ticks(story, calm=30)):
        values = np.array([100.0, 250, 500, 900 + 30 * (n > 35)])
        both = Batch("r", whole.time_s, np.append(whole.series, mine).astype(np.int32),
                     np.append(whole.values, values))  # fmt: skip
        found = shown(one.observe(both))
        wanted = shown(alone.observe(Batch("r", whole.time_s, mine, values)))
        assert {s: found[s] for s in wanted} == wanted


def test_garbage_leaves_the_state() -> None:
    one = learned(np.random.default_rng(15), 20)
    state = one.save()
    for garbage in (b"", state[:-3], state[: len(state) // 2], classes().save()[:-1]):
        with pytest.raises(ValueError, match=r"."):
            one.load(garbage)
    assert one.save() == state
    one.load(classes().save())
    assert one.save() == histograms().save(), "of another label: begins anew"


def test_a_plan_is_bounded() -> None:
    for secs in (60.0, 3600.0, 86400.0, 604800.0):
        plan = Plan("histogram", secs, 86400.0, 100.0)
        assert 24 <= plan.windows <= 336
        assert 12 <= plan.first <= plan.windows // 2
        assert len(Shape(plan)._time) == plan.windows


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"window": Duration(5)}, "window"), ({"accept": Duration(0)}, "accept"),
     ({"at_least": 5.0}, "at_least"),
     ({"category": "le"}, "category")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        DriftSettings(**wrong)
