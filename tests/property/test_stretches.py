"""A stretch of ticks is the ticks one by one: the same numbers, bit for bit, and the same state."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.detectors.band import Band, BandSettings
from aiopsd.detectors.bank.judged import Judged
from aiopsd.model import Batch

MONDAY_S = 1_704_067_200.0
STEPS = st.sampled_from([15.0, 300.0, 3600.0])
KINDS: list[dict[str, Any]] = [
    {}, {"tier": "light"}, {"season": "none"}, {"direction": "up", "floor": 3.0},
]  # fmt: skip


def build(kind: dict[str, Any]) -> Band:
    return BandSettings(**kind).build(lambda _: {})


def messy(seed: int, ticks: int, step_secs: float) -> tuple[np.ndarray, np.ndarray]:
    """A day, a walk, counts, a constant and noise: with holes, a shift, a spike, a silent start."""
    random = np.random.default_rng(seed)
    times_s = MONDAY_S + np.arange(ticks) * step_secs
    day = 10 * np.sin(2 * np.pi * times_s / 86400)
    noise = random.standard_normal((ticks, 5))
    values = 50 + noise * np.array([1.0, 0.1, 0.0, 0.0, 5.0])
    values[:, 0] += day
    values[:, 1] = np.cumsum(noise[:, 1])
    values[:, 2] = random.poisson(0.3, ticks)
    values[ticks // 2 :, 4] += random.choice([0, 40])
    values[random.integers(ticks), random.integers(5)] = 1e9
    values[random.random(values.shape) < 0.02] = np.nan
    values[: ticks // 3, 4] = np.nan
    return times_s, values


def joined(parts: list[Judged]) -> dict[str, np.ndarray]:
    names = [one.name for one in fields(Judged)]
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}


def check(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10**6), step_secs=STEPS, cuts=st.integers(0, 10**6))
def test_any_cut_gives_the_same(
    kind: dict[str, Any], seed: int, step_secs: float, cuts: int
) -> None:
    times_s, values = messy(seed, 400, step_secs)
    whole, pieces = build(kind), build(kind)
    wanted = joined([whole.observe_stretch(times_s, values)])
    ends = np.unique(np.random.default_rng(cuts).integers(0, 400, 25))
    parts = np.split(np.arange(400), ends)
    found = [pieces.observe_stretch(times_s[at], values[at]) for at in parts if len(at)]
    check(joined(found), wanted)
    assert pieces.save() == whole.save()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_neighbours_do_not_matter(kind: dict[str, Any]) -> None:
    """Each column alone, as one of five, and as one of scattered series with other ages."""
    times_s, values = messy(1, 400, 600.0)
    wanted = build(kind).observe_stretch(times_s, values)
    crowd = build(kind)
    crowd.observe_stretch(times_s[:7] - 1e5, np.ones((7, 40)))
    ids = np.array([45, 3, 77, 41, 60], np.int32)
    crowd.forget(ids)
    scattered = crowd.observe_stretch(times_s, values, ids)
    for column in range(5):
        alone = build(kind).observe_stretch(times_s, values[:, [column]])
        for one in fields(Judged):
            want = getattr(wanted, one.name)[:, column]
            np.testing.assert_array_equal(getattr(alone, one.name)[:, 0], want, err_msg=one.name)
            np.testing.assert_array_equal(
                getattr(scattered, one.name)[:, column], want, err_msg=one.name
            )


def test_a_tick_is_a_stretch_of_one() -> None:
    times_s, values = messy(2, 300, 60.0)
    ticks, whole = build({}), build({})
    wanted = whole.observe_stretch(times_s, values)
    ids = np.arange(5, dtype=np.int32)
    for row, now in enumerate(times_s.tolist()):
        scores = ticks.observe(Batch("r", now, ids, values[row]))
        for name in ("score", "observed", "expected", "low", "high", "certain", "samples"):
            np.testing.assert_array_equal(getattr(scores, name), getattr(wanted, name)[row])
    assert ticks.save() == whole.save()


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e35, 1e300])
def test_no_scale_breaks_a_series_or_its_neighbours(scale: float) -> None:
    times_s, values = messy(3, 200, 300.0)
    wanted = build({}).observe_stretch(times_s, values)
    with np.errstate(over="ignore"):
        scaled = np.concatenate((values, values[:, :1] * scale), axis=1)
    found = build({}).observe_stretch(times_s, scaled)
    np.testing.assert_array_equal(found.score[:, :5], wanted.score)
    assert np.isfinite(found.score).all()
    assert not found.certain[:, 5].all()


@pytest.mark.parametrize("behind", [1, 4, 7, 16])
def test_series_that_are_not_in_step_are_cut_alike(behind: int) -> None:
    """Blocks and epochs are counted from each series' own first tick."""
    times_s, values = messy(4, 300, 60.0)
    whole, ticks = build({}), build({})
    for band in (whole, ticks):
        band.observe_stretch(times_s[:behind], values[:behind, :2])
    wanted = whole.observe_stretch(times_s[behind:], values[behind:])
    parts = [slice(n, n + 1) for n in range(behind, 300)]
    found = joined([ticks.observe_stretch(times_s[at], values[at]) for at in parts])
    check(found, {one.name: getattr(wanted, one.name) for one in fields(Judged)})
    assert ticks.save() == whole.save()


@pytest.mark.parametrize("turn", [-80.0, 0.25])
def test_what_a_sample_shows_does_not_count_for_those_before_it(turn: float) -> None:
    """The first value below zero, the first fraction: in the middle of an epoch."""
    times_s = MONDAY_S + np.arange(200) * 60.0
    values = np.random.default_rng(5).poisson([0.02, 1], (200, 2)).astype(float)
    values[150] += turn
    whole, ticks = build({}), build({})
    wanted = whole.observe_stretch(times_s, values)
    rows = [slice(n, n + 1) for n in range(200)]
    found = joined([ticks.observe_stretch(times_s[at], values[at]) for at in rows])
    check(found, {one.name: getattr(wanted, one.name) for one in fields(Judged)})
    assert ticks.save() == whole.save()
