"""A step is said once, with where from, where to and since when; river tells whether it is one."""

import re
import sys
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import ADWIN, PageHinkley

from aiopsd.detectors.step import Step, StepSettings
from aiopsd.detectors.steps import adaptive_windows, page_hinkley
from aiopsd.detectors.steps.adaptive_windows import LONGEST, AdaptiveWindows
from aiopsd.errors import MissingExtra
from aiopsd.model import Batch, Scores
from aiopsd.rows import Rows

START_S = 1.7e9
METHODS: tuple[Literal["page-hinkley", "adwin"], ...] = ("page-hinkley", "adwin")


def step(**more: Any) -> Step:
    return StepSettings(**more).build(lambda _: {})


def batch(tick: int, values: Any, series: Any = None) -> Batch:
    values = np.asarray(values, float)
    ids = np.arange(len(values)) if series is None else series
    return Batch("r", START_S + 60 * tick, np.asarray(ids, np.int32), values)


def feed(one: Step, values: np.ndarray, begin: int = 0) -> list[Scores]:
    return [one.observe(batch(begin + n, row)) for n, row in enumerate(values)]


def quiet(ticks: int, n: int = 1, seed: int = 1) -> np.ndarray:
    return 100 + 10 * np.random.default_rng(seed).standard_normal((ticks, n))


def spells(scores: list[Scores], series: int = 0) -> list[tuple[int, int]]:
    """First and last tick of each stretch at or above 0.5."""
    over = [bool(one.score[series] >= 0.5) for one in scores]
    edges = np.flatnonzero(np.diff([False, *over, False]))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_said_once_and_then_the_new_level_is_normal(method: Any) -> None:
    one, values = step(method=method, hold=30), quiet(1000)
    values[500:] += 50
    found = []
    for n, row in enumerate(values):
        found += feed(one, row[None], n)
        if found[-1].score[0] >= 0.5 and found[-2].score[0] < 0.5:
            assert found[-1].expected[0] == pytest.approx(100, abs=3)
            assert one.explain(0)[0].startswith("went from ")
    ((begin, last),) = spells(found)
    assert 500 < begin <= 532
    assert last - begin == 29
    assert found[-1].expected[0] == pytest.approx(150, abs=5)
    assert one.explain(0) == ()


def test_it_says_from_where_to_where_and_since_when() -> None:
    one, values = step(), quiet(510)
    values[500:] += 50
    feed(one, values)
    went, proof = one.explain(0)
    assert re.fullmatch(r"went from 9\d\.\d+ to 1[345]\d\.\d+ at 2023-11-15 06:3\d:20Z, "
                        r"after 50\d samples there", went)  # fmt: skip
    assert proof.startswith("Page-Hinkley evidence ")


@pytest.mark.parametrize("size", [15, 50, 120, 1000])
def test_hardly_a_step_is_missed(size: float) -> None:
    values = quiet(600, 40)
    values[500:] += size
    found = feed(step(), values)
    assert sum(bool(spells(found, series)) for series in range(40)) >= 39


def test_a_large_step_is_certain() -> None:
    one, values = step(), quiet(1530, 50)
    values[1500:] += 40
    certain = np.any([scores.certain for scores in feed(one, values)], axis=0)
    assert certain.mean() > 0.7
    values[1000:] += 40
    early = np.any([scores.certain for scores in feed(step(), values[:1400])], axis=0)
    assert not early.any(), "in its first day it may be a day"


@pytest.mark.parametrize("method", METHODS)
def test_a_burst_is_over_when_it_is_over(method: Any) -> None:
    one, values = step(method=method), quiet(600)
    values[500:508] += 200
    found = spells(feed(one, values))
    assert all(last <= 520 for _, last in found)


def by_five_minutes(days: int, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Times, and white noise in a daily swing thirty times as large."""
    times_s = 20_000 * 86400.0 + 300.0 * np.arange(days * 288)
    swing = np.sin(2 * np.pi * (times_s[:, None] / 86400 + np.arange(n) / n))
    noise = np.random.default_rng(4).standard_normal((len(times_s), n))
    return times_s, 200 + 30 * swing + noise


def heard(one: Step, times_s: np.ndarray, values: np.ndarray) -> list[Scores]:
    series = np.arange(values.shape[1], dtype=np.int32)
    return [one.observe(Batch("r", float(t), series, x))
            for t, x in zip(times_s, values, strict=True)]  # fmt: skip


def test_a_step_smaller_than_the_swing_of_the_day_is_seen_once_the_day_is_known() -> None:
    one = step(floor=1.0)
    times_s, values = by_five_minutes(11)
    values[-144:] += 15
    found = heard(one, times_s, values)
    for series in range(4):
        ((begin, _),) = spells(found, series)
        assert len(values) - 144 < begin < len(values) - 120
    first = found[len(values) - 160]
    assert np.abs(first.expected - values[len(values) - 160]).max() < 8, "the swing is in it"


def test_it_says_that_the_swing_is_taken_out() -> None:
    one, (times_s, values) = step(floor=1.0), by_five_minutes(10, n=1)
    values[-20:] += 40
    heard(one, times_s, values)
    assert one.explain(0)[-1] == "both less the swing of the day"


def test_a_first_weekend_is_no_step() -> None:
    """The day is believed when it held on each day of a week; the week after it was seen."""
    one, (times_s, values) = step(), by_five_minutes(20)
    weekend = (times_s // 86400 + 3) % 7 >= 5  # the epoch began on a Thursday
    values[weekend] = values[weekend] * 0.5
    found = heard(one, times_s, values)
    assert not any(scores.certain.any() for scores in found)
    assert sum(len(spells(found, series)) for series in range(4)) <= 1


def test_one_spike_is_no_step() -> None:
    one, values = step(), quiet(600)
    values[[500, 540, 580]] = 1e9
    assert spells(feed(one, values)) == []


@pytest.mark.parametrize(("direction", "seen"), [("up", 1), ("down", 0), ("both", 1)])
def test_a_step_on_the_other_side_is_only_accepted(direction: str, seen: int) -> None:
    one, values = step(direction=direction), quiet(700)
    values[500:] += 50
    found = feed(one, values)
    assert len(spells(found)) == seen
    assert found[-1].expected[0] == pytest.approx(150, abs=5)


def test_floor_is_the_smallest_step_that_matters() -> None:
    values = quiet(600)
    values[500:] += 30
    assert spells(feed(step(floor=45.0), values)) == []
    assert len(spells(feed(step(floor=15.0), values))) == 1


def test_a_constant_series_steps_where_the_floor_says() -> None:
    values = np.full((200, 2), 1000.0)
    values[100:, 0] += 30  # 3 %
    values[100:, 1] += 80
    found = feed(step(), values)
    assert spells(found, 0) == []
    assert len(spells(found, 1)) == 1


def test_steps_that_keep_coming_are_less_and_less_news() -> None:
    one = step()
    values = quiet(8_000)
    for begin in range(500, 8_000, 1000):
        values[begin : begin + 500] += 15
    found = spells(feed(one, values))
    assert found
    assert len([begin for begin, _ in found if begin > 5000]) <= 1


def test_a_slow_queue_is_no_string_of_steps() -> None:
    """Autocorrelation 0.9: taken as white noise, this would step all day."""
    random, values = np.random.default_rng(2), np.zeros((3000, 40))
    for n in range(1, 3000):
        values[n] = 0.9 * values[n - 1] + random.standard_normal(40)
    found = feed(step(), 100 + values)
    assert sum(len(spells(found, series)) for series in range(40)) <= 20


def test_samples_that_are_missing_change_nothing() -> None:
    plain, holes = step(), step()
    for n, row in enumerate(quiet(100)):
        a = plain.observe(batch(n, row))
        holes.observe(Batch("r", START_S + 60 * n, np.array([0], np.int32), np.array([np.nan])))
        b = holes.observe(batch(n, row))
        assert a.score[0] == b.score[0]
    assert plain.save() == holes.save()


@pytest.mark.parametrize("bad", [{"hold": 1}, {"floor": -1.0}, {"floor": float("nan")}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        StepSettings(**bad)


def test_adwin_without_river_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "river.drift", None)
    with pytest.raises(MissingExtra, match=r"aiopsd\[river\]"):
        step(method="adwin")
    step()


# --- river as the oracle --------------------------------------------------------------------

noise = st.lists(
    st.one_of(st.floats(-5, 5), st.sampled_from([0.0, 5.0, -5.0])), min_size=1, max_size=300
)


@settings(max_examples=30, deadline=None)
@given(values=noise)
def test_page_hinkley_is_rivers(values: list[float]) -> None:
    rows, oracle = Rows(**page_hinkley.COLUMNS), _Oracle()
    at = rows.of(np.array([7], np.int32))
    for value in values:
        rise, fall = page_hinkley.update(rows, at, np.array([value]))
        oracle.update(value)
        assert rise[0] == oracle._sum_increase - oracle._min_increase
        assert fall[0] == oracle._max_decrease - oracle._sum_decrease


class _Oracle(PageHinkley):
    """Never begins anew by itself, so that both go on side by side."""

    def __init__(self) -> None:
        super().__init__(min_instances=30, delta=0.25, threshold=float("inf"), alpha=1.0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), jump=st.sampled_from([0.0, 0.5, 3.0]))
def test_adwin_is_rivers_while_the_window_is_short(seed: int, jump: float) -> None:
    values = np.random.default_rng(seed).standard_normal(LONGEST - 1).astype(np.float32)
    values[600:] += np.float32(jump)
    ours, oracle, series = AdaptiveWindows(), ADWIN(delta=0.002), np.array([3], np.int32)
    ours.room(series)
    for value in values:
        count, _ = ours.update(series, np.array([float(value)]))
        oracle.update(float(value))
        assert (count[0] > 0) == oracle.drift_detected
        assert not oracle.drift_detected or count[0] == oracle.width
        if oracle.drift_detected:
            oracle = ADWIN(delta=0.002)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), cut=st.integers(0, 2500))
def test_a_window_fed_from_what_was_saved_is_the_same(seed: int, cut: int) -> None:
    values = np.random.default_rng(seed).standard_normal(2500)
    values[2300:] += 1
    series, first, second = np.array([3], np.int32), AdaptiveWindows(), AdaptiveWindows()
    first.room(series)
    for value in values[:cut]:
        first.update(series, np.array([value]))
    second.load(first.save())
    for value in values[cut:]:
        a, b = (one.update(series, np.array([value])) for one in (first, second))
        assert (a[0] == b[0]).all()
        assert (a[1] == b[1]).all()
    assert first.save() == second.save()
    assert len(first.save()[3]) < 4 * LONGEST


def test_too_many_for_adwin_go_on_with_page_hinkley(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive_windows, "MOST", 3)
    one, plain, values = step(method="adwin"), step(), quiet(560, 5)
    values[500:] += 50
    found, wanted = feed(one, values), feed(plain, values)
    assert [spells(found, n) for n in (3, 4)] == [spells(wanted, n) for n in (3, 4)]
    assert all(len(spells(found, n)) == 1 for n in range(5))
    assert one.beyond == 2 * (560 - 30)
    one.forget(np.array([0], np.int32))
    feed(one, quiet(40, 5), 560)
    assert len(one._windows._windows) == 3  # type: ignore[union-attr]


# --- promises, for whatever comes -----------------------------------------------------------

numbers = st.one_of(
    st.floats(80, 120), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([150.0, 0])
)
stories = st.lists(st.lists(numbers, min_size=4, max_size=4), max_size=40)


def columns(scores: Scores) -> dict[int, tuple[float, ...]]:
    names = ("score", "expected", "low", "high", "samples", "certain")
    return {
        int(series): tuple(repr(getattr(scores, name)[n]) for name in names)
        for n, series in enumerate(scores.series)
    }


def ticks(story: list[list[float]]) -> list[Batch]:
    values = [*quiet(60, 4).tolist(), *story, *(quiet(20, 4) + 60).tolist()]
    return [batch(n, row) for n, row in enumerate(values)]


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20, deadline=None)
@given(story=stories, cut=st.integers(1, 3))
def test_however_samples_are_cut_into_batches_the_numbers_are_the_same(
    method: Any, story: list[list[float]], cut: int
) -> None:
    whole, parts = step(method=method), step(method=method)
    for one in ticks(story):
        wanted, found = columns(whole.observe(one)), {}
        for some in (slice(cut, None), slice(0, cut)):
            piece = Batch("r", one.time_s, one.series[some], one.values[some])
            found |= columns(parts.observe(piece))
        assert found == wanted


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20, deadline=None)
@given(story=stories, at=st.integers(0, 119))
def test_saved_and_loaded_in_between_it_says_the_same(
    method: Any, story: list[list[float]], at: int
) -> None:
    whole, one = step(method=method), step(method=method)
    for n, each in enumerate(ticks(story)):
        if n == at:
            saved, one = one.save(), step(method=method)
            one.load(saved)
        assert columns(one.observe(each)) == columns(whole.observe(each))
    assert one.save() == whole.save()


@settings(max_examples=20, deadline=None)
@given(story=stories)
def test_hostile_values_harm_no_neighbour(story: list[list[float]]) -> None:
    alone, beside = step(), step()
    for n, one in enumerate(ticks(story)):
        mixed = one.values.copy()
        mixed[0] = quiet(1, seed=n)[0, 0]
        a, b = alone.observe(batch(n, mixed[:1])), beside.observe(batch(n, mixed))
        assert columns(a)[0] == columns(b)[0]
        assert np.isfinite(b.score).all()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9, 1e140])
def test_the_scale_does_not_matter(scale: float) -> None:
    values = quiet(560) * scale
    values[500:] += 50 * scale
    assert len(spells(feed(step(), values))) == 1
