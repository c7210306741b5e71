"""The band: quiet on what is normal, quick on what is not, and not taught by faults."""

import numpy as np
import pytest

from aiopsd.detectors.band import Band, BandSettings
from aiopsd.detectors.bank.expect import WARM
from aiopsd.model import Batch, Scores

MIDNIGHT = 1_699_920_000.0  # divisible by a day


def band(**settings: object) -> Band:
    return BandSettings(**settings).build(lambda _: {})  # type: ignore[arg-type]


def tick(one: Band, time_s: float, *values: float) -> Scores:
    series = np.arange(len(values), dtype=np.int32)
    return one.observe(Batch("r", MIDNIGHT + time_s, series, np.array(values, float)))


def feed(one: Band, values: np.ndarray, every: float = 1.0, start: float = 0.0) -> list[Scores]:
    return [tick(one, start + n * every, *np.atleast_1d(v)) for n, v in enumerate(values)]


def p99(samples: int, seed: int) -> np.ndarray:
    """A healthy service: 15 to 40 ms, and every twentieth twice as much."""
    random = np.random.default_rng(seed)
    spikes = np.where(random.random((samples, 50)) < 0.05, 2, 1)
    return random.uniform(0.015, 0.040, (samples, 50)) * spikes


@pytest.mark.parametrize("warm", [25, 30, 60])
@pytest.mark.parametrize("seed", range(4))
def test_a_demo_learns_in_half_a_minute(warm: int, seed: int) -> None:
    one = band(floor=0.1)
    assert not any(s.certain.any() for s in feed(one, p99(warm, seed)))
    slow = feed(one, np.full((3, 50), 0.4), start=warm)
    assert np.logical_or.reduce([s.certain for s in slow]).all()


def test_the_first_samples_are_not_judged() -> None:
    one = band()
    scores = feed(one, np.array([0.0] * 10 + [1e9] + [0.0] * (WARM - 11)))
    assert [s.score[0] for s in scores] == [0.0] * WARM


def test_a_wild_sample_in_the_warm_up_does_not_blind() -> None:
    one = band(floor=1.0)
    feed(one, np.array([10.0] * 10 + [1e12] + [10.0] * 9))
    assert tick(one, 21, 100.0).certain[0]


def test_a_ramp_below_the_floor_does_not_hide_what_it_leads_to() -> None:
    """A sliding window fills: 1 %, 2 %, ... of errors; the floor is 5 %."""
    one = band(floor=0.05, direction="up")
    feed(one, np.zeros(30))
    ramp = feed(one, np.linspace(0.01, 0.4, 12), start=30)
    assert any(s.certain[0] for s in ramp)


def test_what_led_to_a_fault_is_not_learned_either() -> None:
    """Deviations just inside the band, before a fault, would widen it for the next time."""
    random = np.random.default_rng(13)
    calm = 100 + random.standard_normal(300)
    widths = []
    for lead in (np.full(7, 100.0), np.full(7, 103.2)):
        one = band()
        feed(one, calm)
        feed(one, np.concatenate((lead, np.full(5, 150.0), np.full(30, 100.0))), start=300)
        widths.append(float(tick(one, 342, 100.0).high[0] - tick(one, 342, 100.0).expected[0]))
    assert widths[1] == pytest.approx(widths[0], rel=0.01)


def test_one_giant_peak_does_not_blind() -> None:
    random = np.random.default_rng(14)
    one = band()
    feed(one, 100 + random.standard_normal(300))
    feed(one, np.array([1e9] * 3 + [100.0] * 20), start=300)
    assert tick(one, 323, 150.0).certain[0]


@pytest.mark.parametrize(
    ("direction", "up", "down"), [("up", True, False), ("down", False, True), ("both", True, True)]
)
def test_only_its_direction_counts(direction: str, up: bool, down: bool) -> None:
    random = np.random.default_rng(1)
    for step, wanted in ((50.0, up), (-50.0, down)):
        one = band(direction=direction)
        feed(one, 100 + random.standard_normal(60))
        assert tick(one, 60, 100 + step).certain[0] == wanted


@pytest.mark.parametrize("floor", [0.0, 5.0])
@pytest.mark.parametrize(("direction", "way"), [("up", -1), ("down", 1)])
@pytest.mark.parametrize("tier", ["light", "full"])
def test_back_from_the_good_side_is_no_news(
    direction: str, way: int, floor: float, tier: str
) -> None:
    """What nobody minds is no new normal either: at first it teaches as little as a fault."""
    random = np.random.default_rng(15)
    for length in (8, 60):
        values = 200 + 1.4 * random.standard_normal(1500 + length + 100)
        values[1500 : 1500 + length] += 100 * way
        one = band(direction=direction, floor=floor, tier=tier)
        scores = feed(one, values, every=15.0)[1500:]
        assert not any(s.score[0] >= 0.5 or s.certain[0] for s in scores[:length])
        back = scores[length:]
        assert sum(bool(s.score[0] >= 0.5) for s in back) <= 2
        assert not any(s.certain[0] for s in back)
        assert back[-1].expected[0] == pytest.approx(200, abs=3)


def test_a_constant_series_is_quiet_and_a_step_of_it_is_not_certain() -> None:
    one = band()
    assert max(s.score[0] for s in feed(one, np.full(500, 7.0))) == 0
    assert not tick(one, 500, 8.0).certain[0]
    assert tick(one, 501, 70.0).certain[0]


def test_one_restart_among_zeros_is_not_certain() -> None:
    one = band()
    feed(one, np.zeros(300))
    assert not tick(one, 300, 1.0).certain[0]


def test_score_and_band_agree_on_the_edge() -> None:
    random = np.random.default_rng(2)
    for floor, tier in ((0.0, "light"), (0.5, "light"), (0.5, "full"), (20.0, "full")):
        one = band(floor=floor, tier=tier)
        feed(one, 100 + random.standard_normal(400))
        before = one.save()
        high = float(tick(one, 400, 100.0).high[0])
        for value, over in ((high - 1e-4, False), (high + 1e-4, True)):  # seven digits
            one.load(before)
            assert bool(tick(one, 400, value).score[0] >= 0.5) is over


def test_no_floor_needs_several_to_be_certain() -> None:
    one = band(floor=10.0)
    feed(one, np.full(300, 100.0))
    before = one.save()
    for value, strange, certain in ((109, False, False), (111, True, False), (131, True, True)):
        one.load(before)
        scores = tick(one, 300, value)
        assert (scores.score[0] >= 0.5, scores.certain[0]) == (strange, certain)


def test_five_minutes_of_a_fault_are_not_learned() -> None:
    random = np.random.default_rng(3)
    one = band(floor=0.02)
    feed(one, 0.03 + 0.005 * random.standard_normal(120))
    expected = tick(one, 120, 0.03).expected[0]
    broken = feed(one, 0.4 + 0.05 * random.standard_normal(300), start=121)
    assert broken[0].certain[0]
    assert all(s.score[0] >= 0.5 for s in broken)
    healed = tick(one, 421, 0.03)
    assert healed.score[0] < 0.5
    assert healed.expected[0] == pytest.approx(expected, rel=0.01)  # what was calm before


@pytest.mark.parametrize(
    ("every_secs", "at_most_hours"), [(1.0, 0.6), (15.0, 1.5), (60.0, 6.0), (3600.0, 40.0)]
)
def test_a_level_that_stays_is_normal_in_the_end(every_secs: float, at_most_hours: float) -> None:
    random = np.random.default_rng(4)
    one = band()
    feed(one, 100 + random.standard_normal(300), every=every_secs)
    ticks = int(at_most_hours * 3600 / every_secs)
    start = 300 * every_secs
    new = feed(one, 200 + random.standard_normal(ticks + 10), every=every_secs, start=start)
    assert new[0].certain[0]
    assert max(s.score[0] for s in new[-9:]) < 0.5
    assert new[-1].expected[0] == pytest.approx(200, abs=3)


def test_what_keeps_happening_is_not_news() -> None:
    """A nightly job: strange the first times, part of the series' nature after many."""
    random = np.random.default_rng(5)
    one = band()
    peaks = []
    for night in range(40):
        values = 100 + random.standard_normal(200)
        values[150:153] = 160
        scores = feed(one, values, start=night * 200.0)
        peaks.append(max(s.score[0] for s in scores[150:153]))
    assert peaks[0] > peaks[10] > peaks[-1]
    assert peaks[0] >= 0.5


def test_a_slow_drift_is_quiet() -> None:
    random = np.random.default_rng(6)
    values = 100 + np.arange(5000) * 0.01 + random.standard_normal(5000)
    scores = feed(band(), values, every=60.0)
    assert not any(s.certain[0] for s in scores)
    assert sum(s.score[0] >= 0.5 for s in scores) < 15


def test_a_day_is_learned_and_what_breaks_it_is_seen() -> None:
    random = np.random.default_rng(7)
    minutes = np.arange(4 * 288) * 300.0
    values = (
        100 + 40 * np.sin(2 * np.pi * minutes / 86400) + 2 * random.standard_normal(len(minutes))
    )
    day, flat = band(tier="light"), band(tier="light", season="none")
    for one in (day, flat):
        feed(one, values, every=300.0)
    assert (day.season(0), flat.season(0)) == ("day", "none")
    noon_like = 100 + 40 * np.sin(2 * np.pi * 0.75) + 30  # fine at another time of day
    scores = [tick(one, 4 * 86400 + 0.75 * 86400, noon_like) for one in (day, flat)]
    assert scores[0].score[0] >= 0.5 > scores[1].score[0]
    assert scores[0].expected[0] == pytest.approx(60, abs=6)


def test_a_day_that_is_busier_than_the_others_is_followed() -> None:
    random = np.random.default_rng(15)
    minutes = np.arange(5 * 288) * 300.0
    values = (
        100 + 40 * np.sin(2 * np.pi * minutes / 86400) + 2 * random.standard_normal(len(minutes))
    )
    values[4 * 288 :] += 5
    one = band()
    scores = feed(one, values, every=300.0)
    misses = np.array([s.expected[0] for s in scores[-48:]]) - values[-48:]
    assert abs(misses.mean()) < 2
    assert one.season(0) == "day"


def test_noise_has_no_day() -> None:
    random = np.random.default_rng(8)
    one = band()
    feed(one, 100 + random.standard_normal((4 * 288, 20)), every=300.0)
    assert [one.season(n) for n in range(20)] == ["none"] * 20


def test_a_series_that_wanders_is_followed_and_its_jump_is_seen() -> None:
    random = np.random.default_rng(9)
    walks = np.cumsum(random.standard_normal((1000, 20)), axis=0)
    one = band()
    scores = feed(one, walks)
    assert np.mean([s.score >= 0.5 for s in scores]) < 0.2
    assert np.mean([s.certain for s in scores]) < 0.06
    assert np.abs(np.median([scores[-1].expected - walks[-1]])) < 3
    assert tick(one, 1000, *(walks[-1] + 60)).certain.mean() > 0.9


def test_smooth_from_the_beginning_is_followed_from_the_beginning() -> None:
    one = band()
    feed(one, np.linspace(0, 10, WARM))
    assert tick(one, WARM, 10.5).expected[0] > 6  # their median is 5


def test_sensitivity_moves_the_band() -> None:
    random = np.random.default_rng(10)
    values = 100 + random.standard_normal(400)
    widths = {}
    for word in ("low", "normal", "high"):
        one = band(sensitivity=word)
        feed(one, values)
        scores = tick(one, 400, 100.0)
        widths[word] = scores.high[0] - scores.low[0]
    assert widths["low"] > widths["normal"] > widths["high"]


def test_the_band_of_what_is_never_negative_is_not_either() -> None:
    random = np.random.default_rng(11)
    values = random.exponential(0.01, 200)
    assert feed(band(floor=0.05), values)[-1].low[0] == 0.0
    assert feed(band(floor=0.05), values - 0.01)[-1].low[0] < 0.0


def test_missing_samples_change_nothing() -> None:
    random = np.random.default_rng(12)
    one = band()
    feed(one, 100 + random.standard_normal(100))
    expected = tick(one, 100, 100.0)
    for value in (np.nan, np.inf, -np.inf, 1e200):
        scores = tick(one, 101, value)
        assert (scores.score[0], scores.certain[0]) == (0.0, False)
        assert np.isnan(scores.observed[0])
    after = tick(one, 102, 100.0)
    assert after.samples[0] == expected.samples[0] + 1
    assert after.expected[0] == pytest.approx(expected.expected[0], abs=0.1)


def test_a_series_that_never_gave_a_number_has_none() -> None:
    one = band()
    feed(one, np.full(50, np.nan))
    scores = tick(one, 50, 5.0)
    assert (scores.score[0], scores.samples[0]) == (0.0, 0)


@pytest.mark.parametrize("floor", [-1.0, float("inf"), float("nan")])
def test_a_floor_that_makes_no_sense_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match="floor"):
        BandSettings(floor=floor)
