"""One anomaly while it lasts: opened late enough, ended late enough, and never by silence alone."""

import numpy as np
import pytest

from aiopsd.detectors.limit import Limit, Verdict
from aiopsd.model import Scores


def scores(
    time_s: float, score: float, *, certain: bool = False, observed: float = 1.0,
    series: int = 3, history: bool = False,
) -> Scores:  # fmt: skip
    one = np.ones(1)
    return Scores(
        rule="r", time_s=time_s, series=np.array([series], np.int32), score=one * score,
        observed=one * observed, expected=one * 0.5, low=one * 0, high=one * 0.7,
        samples=np.array([40], np.int32), certain=np.array([certain]), history=history,
    )  # fmt: skip


def run(limit: Limit, *steps: tuple[float, float], **more: bool) -> list[tuple[float, str]]:
    """(time, score) steps in, (time, state) of what was said out."""
    return [
        (time_s, v.state)
        for time_s, score in steps
        for v in limit.observe(scores(time_s, score, **more))
    ]


def only(found: list[Verdict]) -> Verdict:
    assert len(found) == 1
    return found[0]


def test_it_opens_when_it_lasted_and_names_its_onset() -> None:
    limit = Limit(for_secs=60)
    assert run(limit, (0, 0.2), (15, 0.8), (30, 0.8), (45, 0.8), (60, 0.8)) == []
    opened = only(limit.observe(scores(75, 0.9)))
    assert (opened.state, opened.onset_s, opened.seen_s, opened.ended_s) == ("opened", 15, 75, None)


def test_with_no_patience_the_first_sample_opens() -> None:
    assert run(Limit(0), (5, 0.5)) == [(5, "opened")]


def test_one_fine_sample_begins_the_wait_anew() -> None:
    steps = [(0, 0.8), (30, 0.8), (45, 0.1), (50, 0.8), (100, 0.8)]
    limit = Limit(for_secs=60)
    assert run(limit, *steps) == []
    assert only(limit.observe(scores(110, 0.8))).onset_s == 50


def test_it_recovers_when_it_was_fine_for_long_enough() -> None:
    limit = Limit(for_secs=0, clear_secs=30)
    assert run(limit, (0, 0.9), (10, 0.1), (25, 0.1)) == [(0, "opened")]
    assert run(limit, (30, 0.9), (40, 0.1), (55, 0.1), (69, 0.1)) == [(30, "updated")]
    ended = only(limit.observe(scores(70, 0.1)))
    assert (ended.state, ended.onset_s, ended.ended_s, ended.seen_s) == ("recovered", 0, 40, 30)
    assert run(limit, (80, 0.9)) == [(80, "opened")]


def test_without_clear_it_takes_as_long_and_two_samples() -> None:
    assert run(Limit(0), (0, 0.9), (10, 0.1), (20, 0.1)) == [(0, "opened"), (20, "recovered")]
    found = run(Limit(20), (0, 0.9), (20, 0.9), (40, 0.1), (50, 0.1), (60, 0.1))
    assert found == [(20, "opened"), (60, "recovered")]


def test_it_speaks_again_only_when_certain_or_after_half_a_minute() -> None:
    limit = Limit(0)
    assert only(limit.observe(scores(0, 0.6))).tier == "suspicious"
    assert limit.observe(scores(1, 0.9)) == []
    risen = only(limit.observe(scores(2, 0.9, certain=True)))
    assert (risen.state, risen.tier) == ("updated", "certain")
    said = run(limit, *((float(t), 0.9) for t in range(3, 100)))
    assert said == [(32, "updated"), (62, "updated"), (92, "updated")]


def test_the_older_it_is_the_less_often_it_speaks() -> None:
    """But never so seldom that it would be taken for lost, which is 15 minutes."""
    told = [time_s for time_s, _ in run(Limit(0), *((float(t), 0.9) for t in range(0, 36_000, 5)))]
    pauses = np.diff(told)
    assert (pauses.min(), pauses.max()) == (30, 300)
    assert (pauses[:10] == 30).all()
    assert len(told) < 160, "instead of 1,200 in ten hours"


def test_certain_before_it_opens_counts_but_not_from_an_earlier_stretch() -> None:
    limit = Limit(for_secs=10)
    limit.observe(scores(0, 0.9, certain=True))
    limit.observe(scores(5, 0.9))
    assert only(limit.observe(scores(10, 0.9))).tier == "certain"
    limit = Limit(for_secs=10)
    limit.observe(scores(0, 0.9, certain=True))
    limit.observe(scores(1, 0.1))
    limit.observe(scores(2, 0.9))
    assert only(limit.observe(scores(12, 0.9))).tier == "suspicious"


def test_the_numbers_are_those_of_the_worst_sample() -> None:
    limit = Limit(0)
    limit.observe(scores(0, 0.6, observed=6))
    limit.observe(scores(1, 0.9, observed=9))
    limit.observe(scores(2, 0.7, observed=7))
    limit.observe(scores(3, 0.1, observed=1))
    ended = only(limit.observe(scores(4, 0.1, observed=1)))
    assert (ended.score, ended.observed, ended.samples) == (0.9, 9, 40)


def test_no_data_is_not_fine_and_ends_as_unknown() -> None:
    limit = Limit(0, stale_secs=100)
    limit.observe(scores(0, 0.9))
    other = [limit.observe(scores(float(t), 0.1, series=4)) for t in range(10, 101, 10)]
    assert not any(other)
    ended = only(limit.observe(scores(110, 0.1, series=4)))
    assert (ended.series, ended.state, ended.no_data, ended.ended_s) == (3, "recovered", True, 110)


def test_samples_that_are_not_numbers_are_no_samples() -> None:
    limit = Limit(0)
    limit.observe(scores(0, 0.9))
    for t in (1, 2, 3):
        assert limit.observe(scores(t, 0.0, observed=np.nan)) == []
    assert run(limit, (4, 0.9), (31, 0.9)) == [(31, "updated")]


def test_after_our_own_silence_nothing_ends_at_once() -> None:
    limit = Limit(0, stale_secs=600)
    limit.observe(scores(0, 0.9))
    assert limit.observe(scores(7200, 0.1, series=4)) == []
    assert only(limit.observe(scores(7201, 0.9))).state == "updated"


def test_history_teaches_silently_and_what_still_fires_is_told_with_its_onset() -> None:
    limit = Limit(for_secs=10)
    for t in range(0, 60, 5):
        assert limit.observe(scores(t, 0.9, certain=True, history=True)) == []
    assert limit.observe(scores(60, 0.1, series=9, history=True)) == []
    opened = only(limit.observe(scores(61, 0.1, series=9)))
    assert (opened.series, opened.state, opened.onset_s, opened.tier) == (3, "opened", 0, "certain")


def test_what_ended_within_history_is_never_told() -> None:
    limit = Limit(0)
    steps = [(0, 0.9), (10, 0.9), (20, 0.1), (30, 0.1)]
    assert run(limit, *steps, history=True) == []
    assert run(limit, (40, 0.1), (50, 0.1)) == []


def test_what_was_told_before_ends_aloud_though_it_ended_in_history() -> None:
    limit = Limit(0)
    assert run(limit, (0, 0.9)) == [(0, "opened")]
    assert run(limit, (10, 0.1), (20, 0.1), (30, 0.1), history=True) == []
    ended = only(limit.observe(scores(40, 0.1)))
    assert (ended.state, ended.ended_s) == ("recovered", 10)


@pytest.mark.parametrize("wild", [1e15, -1e15])
def test_a_wild_clock_does_not_poison(wild: float) -> None:
    limit = Limit(for_secs=10)
    limit.observe(scores(wild, 0.9))
    run(limit, (0, 0.1), (5, 0.1), (10, 0.1), (15, 0.1))
    said = run(limit, (20, 0.9), (30, 0.9), (40, 0.1), (50, 0.1))
    assert said == [(30, "opened"), (50, "recovered")]


def test_a_forgotten_series_is_not_open() -> None:
    limit = Limit(0)
    limit.observe(scores(0, 0.9))
    limit.forget(np.array([3], np.int32))
    assert run(limit, (1, 0.1), (2, 0.1), (3, 0.9)) == [(3, "opened")]


def test_it_goes_on_where_it_was_saved() -> None:
    one, two = Limit(5), Limit(5)
    for t in range(4):
        one.observe(scores(t, 0.9))
    two.load(one.save())
    assert run(two, (4, 0.9), (5, 0.9)) == [(5, "opened")]
    with pytest.raises(ValueError, match="saved state"):
        two.load(b"garbage")


def test_only_what_is_strange_takes_memory() -> None:
    limit = Limit(60)
    for t in range(3):
        for series in range(100):
            limit.observe(scores(t, 0.1 if series else 0.9, series=series))
    assert len(limit._rows) == 1
