"""What every member of the bank promises (contracts.Detector, model.Scores)."""

from typing import Any, get_args

import numpy as np
import pytest

from aiopsd.contracts import Detector
from aiopsd.detectors import DetectorSettings
from aiopsd.model import Batch, Scores

EXAMPLES: dict[str, dict[str, Any]] = {
    "band": {},
    "threshold": {"above": 150.0},
    "absent": {},
    "novel": {},
    "forecast": {"limit": 1000.0},
    "drift": {"category": "service"},
    "burn": {"objective": 0.999, "label": "service"},
    "peer": {},
    "halfspace": {},
    "step": {},
    "stopped": {},
    "share": {},
    "flood": {},
}
"""Settings without which a member cannot be built; every member of the union has an entry."""

OF_ALL = {"share", "flood"}  # members that judge what a series is among the others of its batch

MEMBERS = [
    pytest.param(one, id=str(one.__struct_config__.tag)) for one in get_args(DetectorSettings)
]
WIDE = 40


def build(member: Any) -> Detector:
    tag = member.__struct_config__.tag
    return member(**EXAMPLES[tag]).build(lambda index: {"service": f"s{index % 3}"})


def batch(time_s: float, values: Any, series: Any = None, **more: Any) -> Batch:
    values = np.asarray(values, float)
    ids = np.arange(len(values)) if series is None else series
    return Batch("rule", time_s, np.asarray(ids, np.int32), values, **more)


def learned(member: Any, ticks: int = 60) -> Detector:
    random = np.random.default_rng(1)
    one = build(member)
    for n in range(ticks):
        one.observe(batch(1000.0 + 15 * n, 100 + random.standard_normal(WIDE)))
    return one


def check(scores: Scores, one: Batch) -> None:
    n = len(scores.series)
    columns = ("score", "observed", "expected", "low", "high", "samples", "certain")
    for name in columns:
        assert getattr(scores, name).shape == (n,), name
    assert scores.series.dtype == np.int32
    assert scores.certain.dtype == np.bool_
    assert ((scores.score >= 0) & (scores.score <= 1)).all()
    assert (scores.score[scores.certain] >= 0.5).all(), "what is certain is strange"
    assert (scores.samples >= 0).all()
    assert np.isfinite(scores.observed[scores.score >= 0.5]).all(), (
        "a missing sample is not strange"
    )
    assert (scores.low <= scores.high)[np.isfinite(scores.observed)].all()
    assert (scores.rule, scores.time_s, scores.history) == (one.rule, one.time_s, one.history)
    present = set(one.series[np.isfinite(one.values)].tolist())
    assert present <= set(scores.series.tolist()), "every sample is scored"


@pytest.mark.parametrize("member", MEMBERS)
def test_scores_keep_their_promises(member: Any) -> None:
    random = np.random.default_rng(2)
    one = build(member)
    for n in range(80):
        values = 100 + random.standard_normal(WIDE) * (1 if n < 70 else 50)
        values[random.random(WIDE) < 0.1] = np.nan
        tick = batch(1000.0 + 15 * n, values, history=n < 10)
        check(one.observe(tick), tick)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize(
    "strange",
    [
        batch(2000.0, []),
        batch(2000.0, [np.nan, np.inf, -np.inf]),
        batch(2000.0, [1e308, -1e308, 5e-324]),
        batch(-5.0, [100.0, 100.0]),
        batch(0.0, [100.0]),
        batch(1e15, [100.0]),
        batch(1901.0, [100.0, 100.0, 1e6], [5, 5, 5]),
        batch(1901.0, [100.0], [199_999]),
        batch(1900.0, [1e9] * 3, history=True),
    ],
    ids=["empty", "not finite", "huge", "backward", "zero", "far", "twice", "far index", "history"],
)
def test_strange_batches_do_not_raise_and_do_not_poison(member: Any, strange: Batch) -> None:
    one, calm = learned(member), learned(member)
    check(one.observe(strange), strange)
    random = np.random.default_rng(3)
    for n in range(61, 200):
        tick = batch(1000.0 + 15 * n, 100 + random.standard_normal(WIDE))
        scores, wanted = one.observe(tick), calm.observe(tick)
        check(scores, tick)
    untouched = np.isin(scores.series, np.setdiff1d(np.arange(WIDE), strange.series))
    assert scores.score[untouched] == pytest.approx(
        wanted.score[np.isin(wanted.series, scores.series[untouched])]
    )
    assert not scores.certain.any()
    assert scores.score.max() < 0.6


@pytest.mark.parametrize("member", MEMBERS)
def test_a_sample_is_scored_before_it_is_learned(member: Any) -> None:
    """The same batch on the same state gives the same scores, whatever was observed between."""
    one = learned(member)
    state = one.save()
    tick = batch(1900.0, np.linspace(0, 300, WIDE))
    first = one.observe(tick)
    one.load(state)
    again = one.observe(tick)
    assert (first.score == again.score).all()
    twin = build(member)
    twin.load(state)
    some = batch(1900.0, np.linspace(0, 300, WIDE)[:5])
    alone = twin.observe(some)
    if member.__struct_config__.tag in OF_ALL:
        return
    assert (alone.score[:5] == first.score[:5]).all(), "the others do not matter"


@pytest.mark.parametrize("member", MEMBERS)
def test_what_is_strange_is_not_learned_at_once(member: Any) -> None:
    one = learned(member)
    odd = batch(1900.0, [1e6])
    before = one.observe(odd)
    for n in range(100):
        after = one.observe(batch(1901.0 + n, [1e6]))
    place = after.series == 0
    assert (after.score[place] >= 0.5) == (before.score[before.series == 0] >= 0.5)


@pytest.mark.parametrize("member", MEMBERS)
def test_saved_and_loaded_it_goes_on_the_same(member: Any) -> None:
    one, other = learned(member), build(member)
    other.load(one.save())
    random = np.random.default_rng(4)
    for n in range(60, 100):
        tick = batch(1000.0 + 15 * n, 100 + 20 * random.standard_normal(WIDE))
        a, b = one.observe(tick), other.observe(tick)
        for name in ("series", "score", "expected", "low", "high", "certain"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert one.save() == other.save()


@pytest.mark.parametrize("member", MEMBERS)
def test_garbage_is_refused_and_the_state_stays(member: Any) -> None:
    one = learned(member)
    state = one.save()
    others = [build(m.values[0]).save() for m in MEMBERS if m.values[0] is not member]
    for garbage in (b"", b"garbage", state[:-1], state[: len(state) // 2], *others):
        with pytest.raises(ValueError, match=r"."):
            one.load(garbage)
    assert one.save() == state


@pytest.mark.parametrize("member", MEMBERS)
def test_a_forgotten_index_is_another_series(member: Any) -> None:
    one = learned(member)
    one.forget(np.array([0, 3, 12345], np.int32))
    fresh = build(member)
    for n in range(61, 64):
        tick = batch(1000.0 + 15 * n, [7.0], [0])
        a, b = one.observe(tick), fresh.observe(tick)
        assert a.samples[a.series == 0].tolist() in (
            b.samples[b.series == 0].tolist(),
            [n],  # ``novel`` counts its rule's ticks
        )
    others = one.observe(batch(2000.0, [100.0], [1]))
    assert others.samples[others.series == 1][0] > 50
    one.forget(np.array([], np.int32))


@pytest.mark.parametrize("member", MEMBERS)
def test_history_teaches_as_the_present_does(member: Any) -> None:
    live, past = build(member), build(member)
    random = np.random.default_rng(5)
    for n in range(60):
        values = 100 + random.standard_normal(WIDE)
        live.observe(batch(15.0 * n, values))
        past.observe(batch(15.0 * n, values, history=True))
    assert live.save() == past.save()


def test_every_member_is_held_to_this() -> None:
    assert {m.id for m in MEMBERS} == EXAMPLES.keys()
