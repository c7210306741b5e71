"""Many at once of what was seldom, whatever a tick is; and what is none."""

from __future__ import annotations

from random import Random
from time import process_time

import numpy as np
import pytest

from aiopsd.detectors.flood import Flood, FloodSettings
from aiopsd.model import Batch, Scores

SHOP = {"service": "shop"}
LABELS = {
    1: SHOP | {"level": "info"},
    2: SHOP | {"level": "error", "template": "rare"},
    3: SHOP | {"level": "error", "template": "new"},
    4: {"service": "db", "level": "info"},
    5: {"service": "db", "level": "error"},
}
Counts = dict[int, float]
"""By series: how many came since the tick before; who is not there was never seen."""


def flood(**settings: float) -> Flood:
    given = FloodSettings(bad={"level": ("error",)}, **settings)  # type: ignore[arg-type]
    return given.build(LABELS.__getitem__)


class Run:
    """A detector and its time."""

    def __init__(self, one: Flood, every: float = 1.0) -> None:
        self.one, self.every, self.now, self.last = one, every, 1000.0, None
        self.draw = Random(1)

    def tick(self, counts: Counts) -> Scores:
        self.now += self.every
        series = np.array(sorted(counts), np.int32)
        values = np.array([counts[n] for n in sorted(counts)], float)
        return self.one.observe(Batch("r", self.now, series, values))

    def secs(self, secs: float, a_second: Counts) -> list[float]:
        """After how many seconds a flood was told of."""
        found = []
        for n in range(round(secs / self.every)):
            scores = self.tick({one: self.some(rate) for one, rate in a_second.items()})
            if scores.certain.any():
                found.append((n + 1) * self.every)
                self.last = scores
        return found

    def some(self, rate: float) -> float:
        """Poisson, near enough."""
        mean = rate * self.every
        return (
            float(sum(self.draw.random() < mean / 100 for _ in range(100))) if mean < 50 else mean
        )


@pytest.mark.parametrize("every", [0.5, 1.0, 5.0, 15.0])
@pytest.mark.parametrize("errors", [2.0, 30.0])
def test_two_calm_minutes_are_enough_to_know_a_flood(every: float, errors: float) -> None:
    run = Run(flood(), every)
    assert run.secs(150, {1: 20}) == []  # not one error line: the series is not even there
    found = run.secs(180, {1: 20, 3: errors})
    assert found[0] <= (50 if every < 15 else 75)
    assert found[-1] == 180
    assert run.last is not None
    at = run.last.series == 3
    assert run.last.observed[at][0] == pytest.approx(errors, rel=0.5)
    assert run.last.high[at][0] == 0
    over = run.secs(180, {1: 20, 3: 0})
    assert over[-1] <= 60


def test_without_calm_nothing_is_known() -> None:
    run = Run(flood())
    assert run.secs(20, {1: 20}) == []
    assert run.secs(600, {1: 20, 3: 30}) == []


def test_what_is_usual_is_no_flood_and_ten_times_that_is() -> None:
    run = Run(flood())
    assert run.secs(1800, {1: 50, 2: 0.5}) == []
    assert run.secs(300, {1: 50, 2: 1.0}) == []
    assert run.secs(120, {1: 50, 2: 5})[0] <= 60


def test_a_burst_is_no_flood() -> None:
    run = Run(flood())
    run.secs(600, {1: 20})
    for _ in range(10):
        assert run.secs(19, {1: 20, 2: 40}) == []
        assert run.secs(300, {1: 20, 2: 0.01}) == []


def test_more_traffic_with_its_share_of_errors_is_no_flood() -> None:
    run = Run(flood())
    run.secs(3600, {1: 20, 2: 0.5})
    assert run.secs(600, {1: 400, 2: 10}) == []
    run = Run(flood())
    run.secs(3600, {1: 20, 2: 0.5})
    assert run.secs(600, {1: 20, 2: 10})


def test_a_new_line_that_comes_again_and_again_is_one_among_many_others() -> None:
    run = Run(flood())
    run.secs(86400 / 8, {1: 20, 2: 3})
    found = run.secs(120, {1: 20, 2: 3, 3: 1.2})
    assert found[0] <= 90
    assert run.last is not None
    assert run.last.series[run.last.certain].tolist() == [3]


def test_another_word_for_the_same_is_no_news() -> None:
    run = Run(flood())
    run.secs(86400 / 8, {1: 20, 2: 3})
    assert run.secs(600, {1: 20, 2: 0, 3: 3}) == []


def test_one_group_says_nothing_of_another() -> None:
    run = Run(flood())
    run.secs(300, {1: 20, 4: 20})
    run.secs(120, {1: 20, 2: 20, 4: 20, 5: 0})
    assert run.last is not None
    assert run.last.series[run.last.certain].tolist() == [2]


def test_a_slow_rise_is_not_learned_on_the_way() -> None:
    run = Run(flood())
    run.secs(1800, {1: 20, 2: 0.02})
    rates = [0.02 * 1.2**n for n in range(60)]
    assert any(run.secs(20, {1: 20, 2: rate}) for rate in rates)


def test_nothing_of_it_is_learned_and_nothing_while_there_is_an_incident() -> None:
    run = Run(flood())
    run.secs(600, {1: 20})
    assert run.secs(3600, {1: 20, 2: 20})[-1] == 3600
    run.secs(3600, {1: 20, 2: 0})
    run.one.troubled(["shop"])
    run.secs(1200, {1: 20, 2: 0.4})  # too few to be one
    run.one.troubled([])
    run.secs(600, {1: 20, 2: 0})
    found = run.secs(120, {1: 20, 2: 20})
    assert found[0] <= 60
    assert run.last is not None
    assert run.last.high[run.last.certain][0] < 0.1


@pytest.mark.parametrize("restarted", [False, True])
def test_what_came_while_nobody_saw_the_trouble_yet_is_taken_back(restarted: bool) -> None:
    run = Run(flood())
    run.secs(1230, {1: 20, 2: 0})
    for _ in range(400):
        if run.tick({1: 20, 2: 0.2}).expected[1] > 0:  # an epoch was learned just now
            break
    else:
        pytest.fail("nothing was learned")
    if restarted:
        saved, run.one = run.one.save(), flood()
        run.one.load(saved)
    run.one.troubled(["shop"])
    found = run.tick({1: 20, 2: 0.2})
    assert (found.expected[1], found.high[1]) == (0, 0)
    assert found.expected[0] == 0


def test_what_lasts_for_a_day_is_how_things_are() -> None:
    run = Run(flood(), 15.0)
    run.secs(1800, {1: 20})
    found = run.secs(1.2 * 86400, {1: 20, 2: 4})
    assert found[-1] == pytest.approx(86400, abs=120)


def test_what_comes_every_night_is_silent_by_and_by() -> None:
    run = Run(flood(), 15.0)
    run.secs(7200, {1: 20})
    told = []
    for _ in range(6):
        told.append(bool(run.secs(300, {1: 20, 2: 1.5})))
        run.secs(7200, {1: 20, 2: 0})
    assert told[0]
    assert not told[-1]
    assert run.secs(300, {1: 20, 2: 40})


def test_it_says_why() -> None:
    run = Run(flood())
    run.secs(600, {1: 20})
    run.secs(120, {1: 20, 3: 20})
    first, second, third = run.one.explain(3)
    assert first.endswith("in 1 min, " + first.split(" in ")[0] + " of them this one, never before")
    assert second.endswith("% of all, before 0 %")
    assert third.startswith("after ")


def test_a_forgotten_speaker_leaves_the_flood_to_another() -> None:
    run = Run(flood())
    run.secs(600, {1: 20})
    run.secs(120, {1: 20, 2: 1, 3: 20})
    run.one.forget(np.array([3], np.int32))
    assert run.secs(30, {1: 20, 2: 20})
    run.one.forget(np.array([2], np.int32))
    run.secs(30, {1: 20})


@pytest.mark.parametrize(
    "wrong", [{"floor": 0.0}, {"floor": -1.0}, {"learn": 5.0}], ids=lambda one: str(one)
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="`"):
        flood(**wrong)


def test_many_groups_at_once_take_no_longer_each() -> None:
    """Sixteen times as many; a search for a free number each was 256 times as long."""

    def secs(groups: int) -> float:
        one = FloodSettings().build(lambda n: {"service": f"s{n}"})
        batch = Batch("r", 1.0, np.arange(groups, dtype=np.int32), np.ones(groups))
        begun = process_time()
        one.observe(batch)
        return process_time() - begun

    secs(10)
    assert secs(8000) < 48 * max(secs(500), 1e-3)
