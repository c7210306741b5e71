"""What fills is told before it is full; what has been there and come back is not."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.detectors.forecast import Forecast, ForecastSettings
from aiopsd.detectors.trends import trend
from aiopsd.model import Batch, Scores
from aiopsd.settings import Duration

START, HOUR = 20_000 * 86400.0, 3600.0


def build(**more: Any) -> Forecast:
    return ForecastSettings(**{"limit": 1.0} | more).build(lambda _: {})


def batch(minute: float, *values: float) -> Batch:
    return Batch("r", START + 60 * minute, np.arange(len(values), dtype=np.int32), np.array(values))


def run(one: Forecast, values: Any, since: int = 0) -> list[Scores]:
    """One series, a value a minute."""
    return [one.observe(batch(since + n, float(value))) for n, value in enumerate(values)]


def strange(scores: list[Scores]) -> list[int]:
    return [n for n, one in enumerate(scores) if one.score[0] >= 0.5]


def certain(scores: list[Scores]) -> list[int]:
    return [n for n, one in enumerate(scores) if one.certain[0]]


def ramp(hours: float, low: float = 0.5, high: float = 1.0) -> np.ndarray:
    return np.linspace(low, high, int(60 * hours))


def test_a_slow_ramp_is_told_a_horizon_before_and_a_quick_one_by_the_short_line() -> None:
    slow = run(build(), ramp(60))
    (first,) = strange(slow)[:1]
    assert 60 - first / 60 == pytest.approx(24, abs=1.5)
    assert certain(slow)[0] >= first
    quick = build()
    run(quick, [0.5] * 600)
    told = strange(run(quick, ramp(2), 600))
    assert told[0] < 60, "more than an hour before"
    assert told == list(range(told[0], 120)), "and without a break"


def test_it_says_when_and_how_sure_it_is() -> None:
    one, random = build(limit=100e9), np.random.default_rng(1)
    scores = run(one, 1e9 * (70 + ramp(10, 0, 20) + random.normal(0, 0.3, 600)))
    (said,) = one.explain(0)
    found = re.fullmatch(r"reaches 100 G in (\S+) h \((\S+) to (\S+) h\) at \+(\S+) G/h", said)
    assert found, said
    eta, soonest, latest, rate = map(float, found.groups())
    assert soonest <= eta <= latest
    assert eta == pytest.approx(5, abs=0.6)
    assert rate == pytest.approx(2, abs=0.2)
    assert scores[-1].observed[0] == pytest.approx(90e9, rel=0.02)
    assert scores[-1].expected[0] == pytest.approx(90e9, rel=0.02)
    assert 0 <= scores[-1].low[0] < scores[-1].high[0] < 90e9, "this level is beyond the band"
    assert one.explain(7) == ()


def test_a_limit_below_the_start_is_reached_by_shrinking() -> None:
    one = build(limit=0.0, start=1.0)
    scores = run(one, 1 - ramp(60)[:-60])
    assert 60 - strange(scores)[0] / 60 == pytest.approx(24, abs=1.5)
    assert scores[-1].high[0] == 1.0
    assert scores[-1].low[0] > scores[-1].observed[0]
    assert "at -0.008" in one.explain(0)[0]


def test_at_the_limit_it_is_certain_at_once() -> None:
    one = build(limit=100.0)
    (scores,) = run(one, [100.0])
    assert (scores.score[0], scores.certain[0]) == (1.0, True)
    assert one.explain(0) == ("has reached 100",)


def test_less_than_at_least_says_nothing() -> None:
    assert strange(run(build(), ramp(5, 0.1, 0.59))) == []
    assert strange(run(build(at_least=0.3), ramp(5, 0.1, 0.59))) != []


def test_flat_noisy_falling_and_single_peaks_say_nothing() -> None:
    random = np.random.default_rng(2)
    for values in (
        np.full(2000, 0.97), 0.9 + random.normal(0, 0.01, 2000), 1 - ramp(30, 0.01, 0.4),
        np.where(np.arange(2000) % 100 == 0, 0.99, 0.8), 0.8 + 0.003 * (np.arange(2000) % 3),
    ):  # fmt: skip
        assert strange(run(build(), values)) == []


def test_a_log_that_is_rotated_is_told_of_once_at_most() -> None:
    one, tooth = build(), np.tile(ramp(8, 0.4, 0.85), 6)
    told = strange(run(one, tooth))
    assert all(n < 480 for n in told), "only before it was seen to come back"
    higher = strange(run(one, ramp(9, 0.4, 0.99), len(tooth)))
    assert higher, "higher than ever is news"


def test_after_a_drop_it_is_quiet_for_half_an_hour() -> None:
    one = build()
    run(one, ramp(30, 0.5, 0.95))
    steep = run(one, ramp(1.2, 0.65, 0.99), 1800)
    assert strange(steep)[0] >= 30
    assert strange(steep), "steeper than it ever was, though it has been as high"


def test_who_wanders_is_never_certain_and_who_is_young_neither() -> None:
    random, one = np.random.default_rng(8), build()
    walk = 0.75 + np.cumsum(0.0024 * random.standard_normal(4000))
    scores = run(one, np.clip(walk, 0.3, 0.97))
    assert certain(scores) == []
    assert certain(run(build(), ramp(10))[:-1]) == [], "ten hours old"


def test_a_plateau_ends_it() -> None:
    one = build()
    told = strange(run(one, np.append(ramp(20, 0.5, 0.9), np.full(600, 0.9))))
    assert 1190 < told[-1] < 1200 + 45


def test_it_does_not_flap_around_the_horizon() -> None:
    random = np.random.default_rng(3)
    told = strange(run(build(), ramp(40) + random.normal(0, 0.004, 2400)))
    breaks = np.diff(told) > 1
    assert breaks.sum() <= 3


def test_five_minute_samples_and_holes_are_enough() -> None:
    one, found = build(), []
    for minute in range(0, 40 * 60, 5):
        if minute % 600 < 540:
            found.append((minute, one.observe(batch(minute, 0.5 + 0.5 * minute / 2400))))
    first = next(minute for minute, scores in found if scores.score[0] >= 0.5)
    assert 40 - first / 60 > 15


def test_two_services_with_different_numbers_do_not_matter_to_each_other() -> None:
    both, alone = build(), build()
    for minute, value in enumerate(ramp(20)):
        a = both.observe(batch(minute, float(value), 1e300 * (-1) ** minute))
        b = alone.observe(batch(minute, float(value)))
        assert (a.score[0], a.high[0], a.certain[0]) == (b.score[0], b.high[0], b.certain[0])


# --- the line ---------------------------------------------------------------------------


def blocks(random: np.random.Generator, slope: float, sigma: float, n: int = 400) -> Any:
    noise = random.normal(0, sigma, (n, trend.BLOCKS))
    return (0.5 + slope * np.arange(trend.BLOCKS) + noise).astype(np.float32)


def test_what_wanders_is_told_from_what_is_only_noisy() -> None:
    random = np.random.default_rng(9)
    noisy = trend.fit(blocks(random, 0.01, 0.05)).walk
    steps = 0.05 * random.standard_normal((400, trend.BLOCKS))
    walks = trend.fit(np.cumsum(steps, axis=1).astype(np.float32)).walk
    assert np.median(noisy) < 0.1 * 0.05**2
    assert 0.3 * 0.05**2 < np.median(walks) < 0.05**2, "less what the line takes for its slope"


def test_a_line_is_found_with_a_quarter_of_nonsense() -> None:
    random = np.random.default_rng(4)
    values = blocks(random, 0.01, 0.001)
    values[:, random.choice(trend.BLOCKS, 6, replace=False)] = 5.0
    found = trend.fit(values)
    assert found.known.all()
    assert found.slope == pytest.approx(np.full(400, 0.01), rel=0.15)


def test_its_slope_is_nearly_as_good_as_that_of_all_pairs() -> None:
    values = blocks(np.random.default_rng(5), 0.01, 0.05)
    i, j = np.triu_indices(trend.BLOCKS, 1)
    every = np.median((values[:, j] - values[:, i]) / (j - i), axis=1)
    ours = trend.fit(values)
    assert ours.slope.std() < 1.15 * every.std()
    inside = np.abs(ours.slope - 0.01) < 1.645 * ours.error
    assert 0.8 < inside.mean() <= 0.99, "nine in ten"


def test_short_gaps_are_bridged_and_long_ones_not() -> None:
    values = blocks(np.random.default_rng(6), 0.01, 0.0)
    values[0, 5:9] = values[1, 5:15] = np.nan
    values[2, :21] = values[3, -4:] = np.nan
    values[4, :] = np.nan
    found = trend.fit(values)
    assert found.known[:5].tolist() == [True, True, False, False, False]
    assert found.slope[:2] == pytest.approx([0.01, 0.01], rel=1e-3)
    assert np.isfinite(found.level).all()


# --- promises ---------------------------------------------------------------------------

numbers = st.one_of(st.floats(), st.floats(0, 1), st.sampled_from([1e300, 1e-300, 0.9, -1e308]))
steps = st.sampled_from([15.0, 60.0, 60.0, 300.0, 900.0, HOUR, 9e4, 1e6, -60.0, -HOUR, -1e6, 1e12])
stories = st.lists(
    st.tuples(steps, st.dictionaries(st.integers(0, 2), numbers, max_size=3)), max_size=40
)


def ticks(story: list[tuple[float, dict[int, float]]]) -> list[Batch]:
    found = [batch(3.0 * n, 0.5 + n / 400, 0.9, 0.7 + 0.01 * (n % 9)) for n in range(150)]
    now = found[-1].time_s
    for step, values in story:
        now += step
        found.append(
            Batch("r", now, np.array(list(values), np.int32), np.array([*values.values()], float))
        )
    return found


def shown(scores: Scores) -> dict[int, tuple[str, ...]]:
    names = ("score", "observed", "expected", "low", "high", "certain", "samples")
    columns = [getattr(scores, name).tolist() for name in names]
    lines = zip(scores.series.tolist(), *columns, strict=True)
    return {series: tuple(map(repr, line)) for series, *line in lines}


@settings(max_examples=10, deadline=None)
@given(story=stories, cut=st.integers(0, 190))
def test_batching_saving_and_neighbours_change_nothing(story: Any, cut: int) -> None:
    one, other = build(), build()
    for n, whole in enumerate(ticks(story)):
        if n == cut:
            second = build()
            second.load(other.save())
            other = second
        found: dict[int, tuple[str, ...]] = {}
        for at in range(len(whole.series)):
            piece = Batch("r", whole.time_s, whole.series[at : at + 1], whole.values[at : at + 1])
            found |= shown(other.observe(piece))
        assert found == shown(one.observe(whole))
        assert all(np.isfinite(np.array(line[2:5], float)).all() for line in found.values())
    assert one.save() == other.save()


def test_state_of_another_limit_is_dropped() -> None:
    one, other = build(), build(limit=2.0)
    run(one, ramp(5))
    other.load(one.save())
    assert other.save() == build(limit=2.0).save()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"limit": 0.0}, "start"), ({"limit": float("inf")}, "finite"), ({"limit": 1e-320}, "finite"),
     ({"history": Duration(60)}, "history"), ({"horizon": Duration(0)}, "horizon"),
     ({"horizon": Duration(9e7)}, "horizon"), ({"at_least": 1.0}, "at_least")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        build(**wrong)
