"""New is news only where one knows what is old."""

from typing import Any

import numpy as np
import pytest

from aiopsd.detectors.novel import Novel, NovelSettings
from aiopsd.model import Batch
from aiopsd.settings import Duration

LABELS = {
    n: {"service": "api" if n < 50 else "db", "template": f"template {n}"} for n in range(100)
}


def novel(**settings: Any) -> Novel:
    return NovelSettings(**settings).build(LABELS.__getitem__)


def tick(one: Novel, time_s: float, *series: int) -> set[int]:
    """Which series are spoken of."""
    ids = np.array(series, np.int32)
    scores = one.observe(Batch("r", float(time_s), ids, np.ones(len(ids))))
    assert (scores.certain == (scores.score == 1.0)).all()
    return set(scores.series[scores.certain].tolist())


def test_the_first_sight_is_spoken_of_for_a_while() -> None:
    one = novel(hold=5)
    for n in range(25):
        assert tick(one, n, 1) == set()
    assert tick(one, 25, 1, 2) == {2}
    assert [tick(one, 26 + n, 1) for n in range(6)] == [{2}] * 4 + [set()] * 2
    assert tick(one, 40, 2) == set()


def test_the_end_of_the_hold_is_scored_zero_once() -> None:
    one = novel(hold=2)
    for n in range(25):
        tick(one, n)
    seen = []
    for n in range(25, 30):
        ids = np.array([1] if n == 25 else [], np.int32)
        seen.append(one.observe(Batch("r", float(n), ids, np.ones(len(ids)))).score.tolist())
    assert seen == [[1.0], [1.0], [0.0], [], []]


def test_empty_ticks_teach_that_there_is_nothing() -> None:
    one = novel()
    for n in range(21):
        assert tick(one, n) == set()
    assert tick(one, 21, 1) == {1}


def test_learning_goes_on_while_its_group_has_news() -> None:
    one = novel(learn_samples=20)
    for n in range(30):
        assert tick(one, n, *range(n // 3 + 1)) == set()  # api has news every third tick
    assert tick(one, 30, 40) == set()
    assert tick(one, 30.9, 60) == {60}  # db has had none
    for n in range(31, 42):
        tick(one, n)
    assert 41 in tick(one, 42, 41)


def test_learning_ends_at_last_even_where_all_is_news() -> None:
    one = novel(learn_samples=4)
    found = [tick(one, n, n) for n in range(30)]
    assert not any(found[:20])
    assert all(found[21:])


def test_batches_of_several_targets_are_one_tick() -> None:
    one = novel(learn_samples=10)
    for n in range(9):
        for target in range(5):
            assert tick(one, n + target * 0.01, 1, 10 * n + target) == set()
    assert tick(one, 9, 99) == set()
    for n in range(10, 21):
        tick(one, n, 1)
    assert 7 in tick(one, 21, 7)


def test_nan_is_no_sight() -> None:
    one = novel()
    for n in range(25):
        tick(one, n)
    scores = one.observe(Batch("r", 25.0, np.array([1], np.int32), np.array([np.nan])))
    assert len(scores.series) == 0
    assert tick(one, 26, 1) == {1}


def test_a_forgotten_series_is_new_again() -> None:
    one = novel(hold=1)
    for n in range(25):
        tick(one, n, 1)
    one.forget(np.array([1], np.int32))
    assert tick(one, 40, 1) == {1}


def test_where_ticks_are_long_learning_goes_by_time() -> None:
    one = novel(learn=Duration(120))
    for n in range(8):
        assert tick(one, 15 * n, *range(n)) == set()
    assert tick(one, 120, 7) == set()  # its group had something new lately
    assert tick(one, 135, 60) == {60}  # db had not
    for n in range(10, 14):
        tick(one, 15 * n, 1)
    assert 41 in tick(one, 210, 41)


def test_where_ticks_are_short_it_is_told_for_a_time_at_least() -> None:
    one = novel(hold=2, at_least=Duration(10))
    for n in range(25):
        tick(one, n)
    assert tick(one, 25, 1) == {1}
    assert [tick(one, 26 + n) for n in range(10)] == [{1}] * 9 + [set()]
    assert tick(one, 40, 2) == {2}
    assert tick(one, 20) == {2}  # the clock went back: two ticks, and no longer
    assert tick(one, 21) == set()


@pytest.mark.parametrize("settings", [{"learn_samples": 1}, {"hold": 0}, {"learn": Duration(0)}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        NovelSettings(**settings)


# --- templates that are known but for a word, and news in the midst of trouble -----------------

LINES = {
    1: "connection to <id> was opened",
    2: "replica eu-1 has finished its copy",
    3: "replica us-7 has finished its copy",
    4: "replica eu-1 has failed its copy",
    5: "disk is full",
}


def of_lines(**settings: int) -> Novel:
    labels = {n: {"service": "api", "template": text} for n, text in LINES.items()}
    return NovelSettings(**settings).build(labels.__getitem__)  # type: ignore[arg-type]


def spoken(one: Novel, time_s: float, *series: int) -> dict[int, float]:
    scores = one.observe(
        Batch("r", float(time_s), np.array(series, np.int32), np.ones(len(series)))
    )
    return dict(zip(scores.series.tolist(), scores.score.tolist(), strict=True))


@pytest.mark.parametrize("again", [False, True])
def test_a_known_template_but_for_a_word_is_no_news_unless_it_speaks_of_failure(
    again: bool,
) -> None:
    one = of_lines()
    for n in range(25):
        spoken(one, n, 1, 2)
    if again:
        other = of_lines()
        other.load(one.save())
        one = other
    found = spoken(one, 25, 3, 4, 5)
    assert found[3] < 0.5
    assert found[4] == found[5] == 1.0


def test_what_begins_in_trouble_is_news_while_it_comes_and_again_in_the_next_one() -> None:
    one = of_lines(hold=5)
    for n in range(25):
        spoken(one, n, 1)
    assert spoken(one, 25, 1, 5)[5] == 1.0
    one.troubled({"api"})
    assert [spoken(one, n, 1, 5)[5] for n in range(26, 60)] == [1.0] * 34
    one.troubled(())
    for n in range(60, 80):
        spoken(one, n, 1)
    assert spoken(one, 80, 1, 5)[5] == 1.0


@pytest.mark.parametrize(("secs", "again"), [(60, True), (600, False)])
def test_what_was_news_just_before_anybody_saw_the_trouble_is_no_habit(
    secs: int, again: bool
) -> None:
    one = of_lines(hold=5)
    for n in range(25):
        spoken(one, n, 1)
    assert spoken(one, 25, 1, 5)[5] == 1.0
    for n in range(26, 25 + secs):
        found = spoken(one, n, 1, 5)
    assert found[5] == 0.0
    other = of_lines(hold=5)
    other.load(one.save())
    other.troubled({"api"})
    assert [spoken(other, n, 1, 5)[5] for n in range(25 + secs, 60 + secs)] == [again] * 35


def test_without_trouble_it_is_news_once() -> None:
    one = of_lines(hold=5)
    for n in range(25):
        spoken(one, n, 1)
    assert spoken(one, 25, 1, 5)[5] == 1.0
    for n in range(26, 80):
        spoken(one, n, 1)
    assert spoken(one, 80, 1, 5)[5] == 0.0


def test_what_came_for_a_day_is_how_things_are_trouble_or_not() -> None:
    one = of_lines(hold=5)
    for n in range(25):
        spoken(one, 600 * n, 1)
    one.troubled({"api"})
    found = [spoken(one, 600 * n, 1, 5)[5] for n in range(25, 300)]
    assert all(found[:140])
    assert not any(found[160:])
