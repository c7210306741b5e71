"""Whatever comes, in whatever order: no exception, no poison, and a restart changes nothing."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.detectors import DetectorSettings
from aiopsd.detectors.limit import Limit
from aiopsd.detectors.watch import RuleInfo, Watch
from aiopsd.model import Anomaly, Batch, Scores
from aiopsd.settings import Duration

SETTINGS: dict[str, Any] = {
    "band": {"floor": 1.0},
    "threshold": {"above": 100.0},
    "absent": {},
    "novel": {"learn_samples": 3, "hold": 2},
    "forecast": {"limit": 100.0},
    "drift": {"category": "service", "at_least": 20.0, "window": Duration(60)},
    "burn": {"objective": 0.9, "label": "service", "bad": "s[12]", "at_least": 0.0},
    "peer": {"group_by": (), "min_peers": 3},
    "halfspace": {"group_by": ()},
    "step": {"hold": 5},
    "stopped": {},
    "share": {},
    "flood": {},
}
MEMBERS = [one(**SETTINGS[str(one.__struct_config__.tag)]) for one in get_args(DetectorSettings)]
SERIES = 4

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(0, 20).map(float),
    st.sampled_from([1e6, 0.0, 50.0]),
)
samples = st.dictionaries(st.integers(0, SERIES - 1), numbers, max_size=SERIES)
steps = st.one_of(
    st.just(1.0), st.sampled_from([0.0, 15.0, 61.0, 4000.0, 90_000.0, -30.0, 1e9, -1e9])
)
stories = st.lists(st.tuples(steps, samples, st.booleans()), max_size=60)


def batches(story: list[tuple[float, dict[int, float], bool]]) -> list[Batch]:
    """25 calm ticks, so that there is something learned, and then the story."""
    calm = [(1.0, dict.fromkeys(range(SERIES), 5.0), False)] * 25
    found, now = [], 1.7e9
    for step, values, history in calm + story:
        now += step
        series = np.array(list(values), np.int32)
        found.append(Batch("r", now, series, np.array(list(values.values()), float), history))
    return found


def info() -> RuleInfo:
    return RuleInfo("r", "saturation", "low", ("service",), for_secs=2.0)


def watch(member: Any) -> Watch:
    return Watch(info(), member, lambda index: {"service": f"s{index}"})


@pytest.mark.parametrize("member", MEMBERS, ids=SETTINGS)
@settings(max_examples=25, deadline=None)
@given(story=stories)
def test_no_story_breaks_a_detector(member: Any, story: Any) -> None:
    one = member.build(lambda index: {"service": f"s{index}"})
    for batch in batches(story):
        scores = one.observe(batch)
        assert ((scores.score >= 0) & (scores.score <= 1)).all()
        assert (scores.score[scores.certain] >= 0.5).all()
        assert len(set(scores.series.tolist())) == len(scores.series)
    if story and type(member).__name__ == "BandSettings":
        assert all(np.isfinite(c["level"]).all() for c in one._sheet._chunks)


@pytest.mark.parametrize("member", MEMBERS, ids=SETTINGS)
@settings(max_examples=20, deadline=None)
@given(story=stories, cut=st.integers(0, 85))
def test_a_restart_at_any_point_changes_nothing(member: Any, story: Any, cut: int) -> None:
    whole, first = watch(member), watch(member)
    ticks = batches(story)
    wanted = [anomaly for batch in ticks for anomaly in whole.observe(batch)]
    found = [anomaly for batch in ticks[:cut] for anomaly in first.observe(batch)]
    second = watch(member)
    second.load(first.save())
    found += [anomaly for batch in ticks[cut:] for anomaly in second.observe(batch)]
    assert found == wanted
    assert second.save() == whole.save()


@pytest.mark.parametrize("member", MEMBERS, ids=SETTINGS)
@settings(max_examples=20, deadline=None)
@given(story=stories)
def test_each_anomaly_opens_once_and_ends_at_most_once(member: Any, story: Any) -> None:
    one = watch(member)
    open_: dict[str, Anomaly] = {}
    for batch in batches(story):
        for anomaly in one.observe(batch):
            assert not batch.history
            if anomaly.closed:
                assert open_.pop(anomaly.id, None) is not None
            elif anomaly.id in open_:
                assert anomaly.onset_s == open_[anomaly.id].onset_s
            if not anomaly.closed:
                open_[anomaly.id] = anomaly
    by_service = [anomaly.service for anomaly in open_.values()]
    assert len(set(by_service)) == len(by_service), "one anomaly a series while it lasts"


@settings(max_examples=40, deadline=None)
@given(
    levels=st.lists(st.sampled_from([0.0, 0.3, 0.6, 0.9]), max_size=80),
    for_secs=st.integers(0, 10),
    clear_secs=st.integers(0, 10),
)
def test_the_limit_is_what_it_says(levels: list[float], for_secs: int, clear_secs: int) -> None:
    """Held against the plainest way to say the same."""
    limit, said, wanted = Limit(for_secs, clear_secs), [], []
    over_since, fine_since, fine, is_open = None, None, 0, False
    for now, level in enumerate(levels):
        said += [(now, v.state) for v in limit.observe(_one(now, level)) if v.state != "updated"]
        if level >= 0.5:
            over_since = now if over_since is None else over_since
            fine_since, fine = None, 0
            if not is_open and now - over_since >= for_secs:
                is_open = True
                wanted.append((now, "opened"))
        else:
            over_since, fine = None, fine + 1
            fine_since = now if fine_since is None else fine_since
            if is_open and fine >= 2 and now - fine_since >= clear_secs:
                is_open = False
                wanted.append((now, "recovered"))
    assert said == wanted


def _one(now: float, level: float) -> Scores:
    one = np.ones(1)
    return Scores(
        "r", now, np.zeros(1, np.int32), one * level, one, one, one, one,
        np.ones(1, np.int32), np.zeros(1, bool),
    )  # fmt: skip
