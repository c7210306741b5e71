"""Every moment once, in time order, with an identity that stays."""

from aiopsd.notifiers.story import story
from tests.unit.notifiers import stories


def test_moments_of_incident_and_runs_in_time_order() -> None:
    lines = story(stories.resolved(), [stories.healed()])
    assert [line.what for line in lines] == [
        "change", "anomaly", "opened", "suspect", "run", "apply", "verify", "healed", "resolved",
    ]  # fmt: skip


def test_a_line_keeps_its_mark_when_others_come_before_it() -> None:
    before = {line.mark for line in story(stories.opened(), [])}
    after = [line.mark for line in story(stories.resolved(), [stories.healed()])]
    assert before < set(after)
    assert len(after) == len(set(after))


def test_the_same_moment_twice_is_one_line() -> None:
    run = stories.acting()
    assert story(stories.opened(), [run, run]) == story(stories.opened(), [run])
