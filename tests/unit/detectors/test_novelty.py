"""The full band: sees shapes that no level shows, says why, and keeps to what people said."""

from dataclasses import replace

import numpy as np
import pytest

from aiopsd.contracts import Explaining, Lesson, Teachable
from aiopsd.detectors.band import Band, BandSettings
from aiopsd.detectors.bank.judged import Judged
from aiopsd.detectors.bank.nearest import most, nearest
from aiopsd.detectors.entity import Entity

MONDAY_S = 1_704_067_200.0
FIVE_MIN = 300.0


def band(**settings: object) -> Band:
    return BandSettings(**settings).build(lambda _: {})  # type: ignore[arg-type]


def times(ticks: int, first: int = 0) -> np.ndarray:
    return MONDAY_S + (first + np.arange(ticks)) * FIVE_MIN


def daily(ticks: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((ticks, 1))
    return 50 + 10 * np.sin(2 * np.pi * times(ticks)[:, None] / 86400) + noise


def test_a_spike_is_certain_and_explains_itself() -> None:
    one, values = band(), np.concatenate((daily(9 * 288), [[120.0]]))
    judged = one.observe_stretch(times(len(values)), values)
    assert judged.certain[-1, 0]
    assert judged.suspicious[-1, 0]
    assert not judged.certain[:-1].any()
    said = one.explain(0)
    assert any("beyond all that was seen before" in sentence for sentence in said)
    assert said[-1].startswith("expected from 2,59")
    assert said[-1].endswith("by the time of day")
    assert isinstance(one, Explaining)
    assert isinstance(one, Teachable)
    assert one.explain(77) == []


def test_more_restless_than_ever_inside_the_range_is_seen() -> None:
    random = np.random.default_rng(1)
    slow = 50 + 10 * np.sin(np.arange(2000) / 40) + 0.3 * random.standard_normal(2000)
    slow[1900:1930] = 50 + random.uniform(-9, 9, 30)
    judged = band().observe_stretch(times(2000), slow[:, None])
    assert (judged.score[1900:1930] >= 0.5).any()
    assert judged.suspicious[1000:].sum() <= 3


def test_one_event_is_told_once() -> None:
    values = daily(2000, 3)
    values[1500:1520] += 60
    judged = band().observe_stretch(times(2000), values)
    assert 1 <= judged.suspicious[1490:1560].sum() <= 2
    assert (judged.alert[judged.suspicious] > 0).all()


def test_what_is_suspicious_is_told_with_its_severity() -> None:
    random = np.random.default_rng(11)
    values = np.cumsum(random.standard_normal((6 * 288, 40)), axis=0)
    values[::97] += random.standard_t(3, values[::97].shape) * 8
    judged = band().observe_stretch(times(len(values)), values)
    assert judged.suspicious.sum() > 40
    assert (judged.alert[judged.suspicious] >= 0.5).all()


def test_the_stranger_is_the_higher_on_either_side_of_the_limit() -> None:
    values = np.random.default_rng(12).standard_normal((1000, 2))
    values[900] = -9, -40
    for settings, low, high in (({"direction": "up"}, 0.4, 0.4999), ({}, 0.5, 1.0)):
        score = band(**settings).observe_stretch(times(1000), values).score
        assert low <= score[900, 0] < score[900, 1] < high


def test_samples_where_the_ones_before_did_not_seem_to_lead() -> None:
    values = np.random.default_rng(13).standard_normal((1314, 1))
    values[1300:] += 2.5
    one = band()
    one.observe_stretch(times(1314), values)
    assert any("the one before seemed to lead" in sentence for sentence in one.explain(0))


def test_squares_of_what_is_huge_break_nothing() -> None:
    values = np.random.default_rng(14).standard_normal((700, 1)) * 1e25
    values[600:603] = 30e25
    score = band().observe_stretch(times(700), values).score
    assert np.isfinite(score).all()
    assert score[600:603].max() >= 0.5


@pytest.mark.parametrize(
    ("settings", "step"), [({"direction": "up"}, -30.0), ({"floor": 40.0}, 30.0)]
)
def test_what_people_said_does_not_matter_never_is_an_anomaly(
    settings: dict[str, object], step: float
) -> None:
    values = np.random.default_rng(4).standard_normal((1500, 1)) + 100
    values[1200:] += step
    judged = band(**settings).observe_stretch(times(1500), values)
    assert not judged.suspicious[1200:1290].any()
    assert not judged.certain.any()
    assert (judged.score[1200:1290] < 0.5).all()


def test_stuck_is_seen_and_a_constant_is_not() -> None:
    values = np.random.default_rng(5).standard_normal((1500, 2))
    values[1400:, 0] = values[1400, 0]
    values[:, 1] = 3.0
    judged = band().observe_stretch(times(1500), values)
    assert (judged.score[1400:1430, 0] >= 0.5).any()
    assert (judged.score[:, 1] < 0.5).all()


def test_a_weekend_is_learned() -> None:
    random, at = np.random.default_rng(6), times(28 * 288)
    works = ((at - MONDAY_S) // 86400) % 7 < 5
    wave = 100 + 30 * np.sin(2 * np.pi * at / 86400)
    values = wave * np.where(works, 1, 0.6) + 4 * random.standard_normal(len(at))
    one = band()
    judged = one.observe_stretch(at, values[:, None])
    assert not judged.certain.any()
    assert one.season(0) == "week"
    last = slice(26 * 288, 28 * 288)  # a Saturday and a Sunday
    assert np.abs(judged.expected[last, 0] - values[last]).mean() < 8


def test_a_lesson_is_a_head_start() -> None:
    halves = 10 * np.sin(2 * np.pi * (np.arange(336) * 1800 + 900) / 86400)
    one, at = band(), times(100)
    one.teach([Lesson(0, 50.0, 0.67, halves, "day", 2000)])
    judged = one.observe_stretch(at, daily(100))
    assert one.season(0) == "day"
    assert np.abs(judged.expected - daily(100)).mean() < 2
    assert judged.samples[0, 0] == 2000
    assert not judged.certain.any()
    assert one.observe_stretch(at[-1:] + FIVE_MIN, np.array([[120.0]])).certain.all()


@pytest.mark.parametrize("tier", ["full", "light"])
@pytest.mark.parametrize("silent", [0, 3])
def test_the_first_sample_is_judged_at_the_taught_level(tier: str, silent: int) -> None:
    """Also after ticks without one. As a rule the fit is there before the first sample is."""
    seen = np.array([*[np.nan] * silent, 80.0, 50.1, 49.8])[:, None]
    at = times(len(seen))
    judged = {}
    for taught in (50.0, 80.0, 0.0):
        one = band(tier=tier)
        one.teach([Lesson(0, taught, 0.67, np.zeros(336), "none", 2000)])
        judged[taught] = one.observe_stretch(at, seen)
        np.testing.assert_allclose(judged[taught].expected[: silent + 1, 0], taught)
    assert judged[50.0].certain[:, 0].tolist() == [False] * silent + [True, False, False]
    assert judged[80.0].certain[:, 0].tolist() == [False] * (silent + 1) + [True, True]
    assert judged[0.0].certain[silent:].all()


def test_the_first_sample_after_a_lesson_is_no_step() -> None:
    """What it moved by is not known, however far from the taught level it is."""
    one = band()
    one.teach([Lesson(0, 50.0, 0.67, np.zeros(336), "none", 2000)])
    one.observe_stretch(times(16), np.full((16, 1), 51.0))
    lane = one._sheet.one(0)
    assert lane is not None
    assert lane["step"][0] == 0
    assert np.isinf(lane["grain"][0])


def test_a_second_lesson_makes_no_series_older() -> None:
    one = band()
    one.observe_stretch(times(10), daily(10))
    for samples in (2000, 3000):
        one.teach([Lesson(0, 50.0, 0.67, np.zeros(336), "day", samples)])
    lane = one._sheet.one(0)
    assert lane is not None
    assert lane["born"][0] + lane["head_secs"][0] == MONDAY_S


def test_who_has_learned_more_takes_no_lesson() -> None:
    one, other = band(), band()
    for each in (one, other):
        each.observe_stretch(times(500), daily(500))
    one.teach([Lesson(0, 9.0, 1.0, np.zeros(336), "none", 499)])
    assert one.save() == other.save()
    one.teach([Lesson(0, float("nan"), 1.0, np.zeros(336), "none", 9999)])
    assert one.save() == other.save()


def test_columns_of_one_thing_are_judged_together() -> None:
    values = np.random.default_rng(7).standard_normal((1500, 12))
    values[1300:1310] += 8
    at = times(1500)
    one, whole = band(), Entity()
    judged = one.observe_stretch(at, values)
    together = whole.observe(at, judged)
    assert together.suspicious[1300:1312].any()
    assert together.suspicious[:1300].sum() <= 2
    pieces, again = band(), Entity()
    halves = [
        again.observe(at[part], pieces.observe_stretch(at[part], values[part]))
        for part in (slice(0, 777), slice(777, None))
    ]
    np.testing.assert_array_equal(np.concatenate([h.alert for h in halves]), together.alert)
    alone = band().observe_stretch(at, values[:, :1])
    np.testing.assert_array_equal(Entity().observe(at, alone).score, alone.score[:, 0])


@pytest.mark.parametrize(("columns", "ticks"), [(2, 280), (5, 280), (5, 1152)])
def test_what_one_column_is_certain_of_is_told_once_however_calm_the_others(
    columns: int, ticks: int
) -> None:
    values = 50 + np.random.default_rng(1).standard_normal((ticks, columns))
    values[-36:-24, 1] += 30
    at, event = times(ticks), slice(ticks - 36, None)
    found = Entity().observe(at, band().observe_stretch(at, values))
    certain, told = found.certain.nonzero()[0], found.suspicious.nonzero()[0]
    assert len(certain)
    assert certain[0] >= event.start
    assert found.suspicious[event].sum() == 1
    assert event.start <= told[-1] <= certain[0]
    assert found.alert[told[-1]] > 0


def test_a_young_thing_is_judged_with_a_higher_bar() -> None:
    high = np.zeros((10 * 288, 4))
    for at in (1.5, 8.5):
        high[int(at * 288)] = 3.0
    zeros = np.zeros(high.shape)
    judged = replace(Judged.empty(*high.shape), capped=high, plain=high, score=zeros, alert=zeros)
    judged.certain[...] = False
    found = Entity().observe(times(len(high)), judged)
    young, old = found.alert[found.suspicious]
    assert 0.5 < young < old


@pytest.mark.parametrize(("ticks", "series"), [(1, 1), (16, 1), (1, most(1)), (5, 900), (16, 70)])
@pytest.mark.parametrize("size", [16, 20, 31, 64])
def test_the_two_nearest_are_the_two_smallest(size: int, ticks: int, series: int) -> None:
    """Few at once or many in groups: each way is the plain one."""
    random = np.random.default_rng(8)
    book = random.integers(-8191, 8192, (size, 4, series))
    windows = random.integers(-8191, 8192, (4, ticks, series))
    book[: size // 2] = windows[:, 0] + random.integers(0, 3, (size // 2, 4, series))  # equals
    book = book.clip(-8191, 8191)
    near = np.empty((2, ticks, series), np.uint16)
    found = nearest(book.astype(np.int16), windows.astype(np.int16), near)
    plain = np.abs(book[:, :, None] - windows).sum(axis=1)
    np.testing.assert_array_equal(found, plain)
    np.testing.assert_array_equal(near, np.sort(plain, axis=0)[:2])


def test_the_light_tier_is_small() -> None:
    ids = np.arange(1000, dtype=np.int32)
    sizes = {}
    for tier in ("light", "full"):
        one = band(tier=tier)
        one.observe_stretch(times(2), np.ones((2, 1000)), ids)
        sizes[tier] = len(one.save()) / 1000
    assert sizes["light"] <= 700
    assert sizes["full"] <= 3200
