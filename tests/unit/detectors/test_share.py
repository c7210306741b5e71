"""A share changes where a count does not, and the other way round."""

from random import Random

import numpy as np
import pytest

from aiopsd.detectors.share import Share, ShareSettings
from aiopsd.model import Batch, Scores

LABELS = {1: {"service": "api"}, 2: {"service": "api"}, 3: {"service": "db"}}


def share(least: float = 100.0) -> Share:
    return ShareSettings(least=least).build(LABELS.__getitem__)


def tick(one: Share, n: int, *counts: float) -> Scores:
    series = np.arange(1, len(counts) + 1, dtype=np.int32)
    return one.observe(Batch("r", 15.0 * n, series, np.array(counts)))


def strange(scores: Scores) -> set[int]:
    return set(scores.series[scores.score >= 0.5].tolist())


def taught(least: float = 100.0, ticks: int = 300) -> Share:
    one, draw = share(least), Random(1)
    for n in range(ticks):
        tick(one, n, 100 + draw.randrange(10), 900 + draw.randrange(50), 500.0)
    return one


def test_ten_times_the_traffic_is_the_same_share() -> None:
    assert strange(tick(taught(), 300, 1000, 9000, 500)) == set()


def test_other_lines_are_another_share_though_they_are_no_more() -> None:
    found = tick(taught(), 300, 600, 400, 500)
    assert strange(found) == {1, 2}
    assert found.observed.tolist() == [0.6, 0.4, 1.0]


def test_what_comes_during_an_incident_is_no_lesson_though_it_lasts() -> None:
    """Of the group in trouble alone: another one goes on to learn."""
    one, draw = taught(ticks=60), Random(2)
    one.troubled({"api"})
    for n in range(60, 430):
        found = tick(one, n, 700 + draw.randrange(50), 300, 500)
        assert strange(found) == {1, 2}
    assert "so far from what was expected" in " ".join(one.explain(1))
    one.troubled(())
    found = tick(one, 430, 100, 900, 500)
    assert strange(found) == set()
    assert found.expected[0] < 0.15
    assert found.samples.tolist() == [48, 48, 430]  # the last two or three minutes are in doubt


@pytest.mark.parametrize("known", [12, 40])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_came_while_nobody_saw_the_trouble_yet_is_taken_back(
    known: int, restarted: bool
) -> None:
    """A young one knows nothing strange, and learns from each tick; another group keeps it."""
    one, draw = taught(ticks=known), Random(2)
    for n in range(known, known + 7):
        tick(one, n, 700 + draw.randrange(50), 300, 500)
    if restarted:
        saved, one = one.save(), share()
        one.load(saved)
    one.troubled({"api"})
    found = tick(one, known + 7, 710, 300, 500)
    assert found.samples[0] <= known
    assert found.samples[2] == known + 7
    for n in range(known + 8, known + 20):
        tick(one, n, 710, 300, 500)
    one.troubled(())
    for n in range(known + 20, known + 60):
        tick(one, n, 100 + draw.randrange(10), 900 + draw.randrange(50), 500)
    assert strange(tick(one, known + 60, 710, 300, 500)) == {1, 2}


def test_nothing_is_taken_back_of_a_line_that_was_forgotten() -> None:
    one = taught(ticks=40)
    one.forget(np.array([1], np.int32))
    tick(one, 40, 100, 900, 500)
    one.troubled({"api"})
    assert tick(one, 41, 100, 900, 500).samples.tolist()[0] == 0


def test_a_line_that_is_new_in_an_incident_is_learned_after_it() -> None:
    one = share()
    one.troubled({"api"})
    for n in range(60):
        tick(one, n, 700, 300, 500)
    one.troubled(())
    for n in range(60, 90):
        assert strange(tick(one, n, 100, 900, 500)) == set()
    assert strange(tick(one, 90, 700, 300, 500)) == {1, 2}


def test_too_little_to_tell_waits_for_more() -> None:
    one = share(least=100.0)
    found = [tick(one, n, 10, 20).observed for n in range(8)]
    assert np.isnan(found[:3]).all()
    assert found[3].tolist() == [1 / 3, 2 / 3]
    assert np.isnan(found[4:7]).all()


def test_a_change_began_when_the_first_strange_share_was_begun_to_be_gathered() -> None:
    one = taught(2500.0)
    found = [tick(one, n, 600, 400, 500) for n in range(300, 312)]
    first = next(n for n, scores in enumerate(found) if 1 in strange(scores))
    assert first > 0
    assert one.begun(1, 15.0 * (300 + first)) == 15.0 * 299
    for n in range(312, 316):
        tick(one, n, 600, 400, 500)
    assert one.begun(1, 15.0 * (300 + first)) == 15.0 * 299
    assert one.begun(3, 15.0 * 310) == 15.0 * 310


def test_saved_and_loaded_it_says_the_same() -> None:
    one, other = taught(2500.0), share(2500.0)
    other.load(one.save())
    for n in range(300, 320):
        first, second = tick(one, n, 100, 900, 400), tick(other, n, 100, 900, 400)
        assert np.array_equal(first.observed, second.observed, equal_nan=True)
        assert np.array_equal(first.score, second.score)
