"""A heartbeat that stopped is missed; a burst that ended is not."""

from random import Random

import numpy as np

from aiopsd.detectors.stopped import Stopped, StoppedSettings
from aiopsd.model import Batch
from aiopsd.settings import Duration

EVERY = 15.0


def stopped() -> Stopped:
    return StoppedSettings(learn=Duration(1800)).build(lambda _: {})


def run(one: Stopped, counts: list[float], begin: int = 0) -> list[bool]:
    """Whether series 1 is missed at each tick; series 2 always comes."""
    found = []
    for n, count in enumerate(counts, begin):
        batch = Batch("r", EVERY * n, np.array([1, 2], np.int32), np.array([count, 1.0]))
        scores = one.observe(batch)
        found.append(bool(scores.certain[scores.series == 1][0]))
        assert not scores.certain[scores.series == 2].any()
    return found


def test_what_came_every_tick_is_missed_after_some() -> None:
    found = run(stopped(), [1.0] * 200 + [0.0] * 20)
    assert found.index(True) == 199 + 4
    assert all(found[203:])


def test_what_came_every_fifth_tick_is_missed_after_four_times_that() -> None:
    one = stopped()
    found = run(one, [1.0, 0, 0, 0, 0] * 40 + [0.0] * 40)
    assert found.index(True) == 195 + 20
    assert one.explain(1) == ["came every 75 s, 40 times, never later than 75 s"]


def test_it_is_over_when_it_comes_again_and_then_learned_anew() -> None:
    one = stopped()
    found = run(one, [1.0] * 200 + [0.0] * 10 + [1.0] + [0.0] * 30)
    assert found[209]
    assert not any(found[210:])


def test_a_burst_that_ended_and_what_comes_now_and_then_are_not_missed() -> None:
    draw = Random(1)
    now_and_then = [float(draw.random() < 0.1) for _ in range(1000)] + [0.0] * 60
    for counts in ([1.0] * 100 + [0.0] * 100, ([1.0] * 20 + [0.0] * 50) * 10, now_and_then):
        assert not any(run(stopped(), counts))


def test_what_nobody_listened_to_is_no_pause() -> None:
    one = stopped()
    run(one, [1.0] * 200)
    assert not any(run(one, [1.0] * 50, begin=5000))
    one = stopped()
    run(one, [1.0] * 200)
    assert run(one, [0.0], begin=5000) == [False]


def test_after_long_it_is_how_things_are() -> None:
    found = run(stopped(), [1.0] * 200 + [0.0] * 400)
    assert found[300]
    assert not found[-1]


def test_it_is_missed_too_when_no_sample_speaks_of_it() -> None:
    one = stopped()
    run(one, [1.0] * 200)
    for n in range(200, 210):
        scores = one.observe(Batch("r", EVERY * n, np.array([2], np.int32), np.ones(1)))
    assert scores.series[scores.certain].tolist() == [1]


def test_saved_and_loaded_it_says_the_same() -> None:
    counts = [1.0, 0.0] * 150 + [0.0] * 20
    whole = run(stopped(), counts)
    one, other = stopped(), stopped()
    first = run(one, counts[:290])
    other.load(one.save())
    assert first + run(other, counts[290:], begin=290) == whole
    assert any(whole)


def test_what_comes_by_chance_is_not_missed_however_often_it_came() -> None:
    """Such as a line that a release dropped."""
    for seed in range(4):
        draw = Random(seed)
        counts = [float(draw.random() < 0.02) for _ in range(2000)] + [0.0] * 4000
        assert not any(run(stopped(), counts))


def test_nothing_is_missed_within_a_restart() -> None:
    one = StoppedSettings(learn=Duration(1800), after=Duration(180)).build(lambda _: {})
    found = run(one, [1.0] * 200 + [0.0] * 20)
    assert found.index(True) == 199 + 12
