"""An outlier is held against its peers of the same time, and against its own way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.detectors.peer import Peer, PeerSettings
from aiopsd.model import Batch, Scores

SIZE = 6
START_S = 1.7e9


def peer(**more: Any) -> Peer:
    return PeerSettings(**more).build(lambda index: {"service": f"s{index // SIZE}"})


def batch(tick: int, values: Any, series: Any = None) -> Batch:
    values = np.asarray(values, float)
    ids = np.arange(len(values)) if series is None else series
    return Batch("r", START_S + 60 * tick, np.asarray(ids, np.int32), values)


def feed(one: Peer, values: np.ndarray, begin: int = 0) -> list[Scores]:
    return [one.observe(batch(begin + n, row)) for n, row in enumerate(values)]


def quiet(ticks: int, n: int = SIZE, seed: int = 1) -> np.ndarray:
    return 100 + np.random.default_rng(seed).standard_normal((ticks, n))


def strange(scores: list[Scores]) -> set[int]:
    return {int(i) for one in scores for i in one.series[one.score >= 0.5]}


def test_the_one_that_differs_is_strange_with_the_round_after() -> None:
    one = peer()
    assert strange(feed(one, quiet(200))) == set()
    values = quiet(10, seed=2)
    values[:, 3] += 40
    found = feed(one, values, 200)
    assert strange(found[:2]) == set(), "its second round is not over"
    assert strange(found[2:]) == {3}
    last = found[-1]
    assert last.certain[3]
    assert (last.observed[3], last.expected[3]) == (
        values[-2, 3],
        pytest.approx(np.median(values[-2]), abs=2),
    )
    assert last.low[3] < last.expected[3] < last.high[3] < last.observed[3]
    said = one.explain(3)
    assert said[0].startswith("its 5 peers are at ")
    assert "once in a million or more rounds" in said[-1]


def test_a_single_glitch_is_nothing() -> None:
    one = peer()
    values = quiet(220)
    values[210, 2] = 1e6
    assert strange(feed(one, values)) == set()


def test_when_all_move_nobody_is_strange() -> None:
    one = peer()
    values = quiet(400)
    values[200:] += np.linspace(0, 900, 200)[:, None]
    values[300:] -= 500
    assert strange(feed(one, values)) == set()


def test_when_the_group_falls_apart_nobody_is_strange() -> None:
    one = peer()
    values = quiet(260)
    values[200:] = 100 + 50 * np.random.default_rng(3).standard_normal((60, SIZE))
    found = feed(one, values)
    assert not any(scores.certain.any() for scores in found)
    assert sum((scores.score >= 0.5).sum() for scores in found) <= 10


def test_one_that_always_differed_is_normal_and_noticed_when_it_no_longer_does() -> None:
    one = peer()
    values = quiet(230)
    values[:, 4] += 70
    values[220:, 4] -= 70
    assert strange(feed(one, values[:220])) == set()
    assert one.explain(4)[1] == "usually 69.9 more than they"
    assert strange(feed(one, values[220:], 220)) == {4}


def test_a_share_of_the_load_stays_a_share() -> None:
    """A replica with twice the weight has twice the load, at night and by day."""
    load = 100 + 80 * np.sin(np.arange(3000) / 100)[:, None]
    noise = 1 + 0.01 * np.random.default_rng(4).standard_normal((3000, SIZE))
    one = peer()
    assert strange(feed(one, load * np.array([1, 1, 2, 1, 0.5, 1]) * noise)) == set()
    assert "usually 2 times as much as they" in one.explain(2)


def test_one_that_leaves_or_joins_moves_nobody() -> None:
    one = peer()
    usual = np.array([0, 0, 0, 50, 50, 50])
    values = quiet(300) + usual
    values[200:, 0] = values[200:, 1] = np.nan
    assert strange(feed(one, values)) == set()
    assert strange(feed(one, quiet(100, seed=5) + usual, 300)) == set()


def test_a_new_member_is_held_against_how_the_others_differ() -> None:
    one = peer()
    values = quiet(230)
    values[:200, 5] = np.nan
    assert strange(feed(one, values)) == set()
    other, values = peer(), quiet(230)
    values[:200, 5] = np.nan
    values[200:, 5] = 250
    found = feed(other, values)
    assert strange(found) == {5}
    assert not any(scores.certain.any() for scores in found), "it is too new for that"


def test_certain_is_what_is_so_by_difference_and_by_share() -> None:
    """Three times the load, and one has as much more than the others as ever."""
    one, random = peer(), np.random.default_rng(3)
    load = random.uniform(50, 150, (330, 1))
    load[310:] = 400
    values = load * [1, 1, 1, 1, 1, 3] + random.standard_normal((330, SIZE))
    values[310:, 5] = load[310:, 0] + 200
    found = feed(one, values)
    assert strange(found) == {5}
    assert not any(scores.certain.any() for scores in found)
    values[310:, 5] = 0
    assert any(scores.certain.any() for scores in feed(peer(), values))


def test_a_difference_that_stays_becomes_normal() -> None:
    one = peer()
    values = quiet(900)
    values[200:, 1] += 40
    found = feed(one, values)
    assert strange(found[:500]) == {1}
    assert strange(found[600:]) == set()


def test_too_few_are_not_judged() -> None:
    one = peer(min_peers=SIZE + 1)
    values = quiet(220)
    values[200:, 3] += 1000
    assert strange(feed(one, values)) == set()


@pytest.mark.parametrize(("direction", "seen"), [("up", {1}), ("down", {2}), ("both", {1, 2})])
def test_direction(direction: str, seen: set[int]) -> None:
    one = peer(direction=direction)
    values = quiet(210)
    values[200:, 1] += 60
    values[200:, 2] -= 60
    assert strange(feed(one, values)) == seen


def test_floor_is_the_smallest_difference_that_matters() -> None:
    values = quiet(210)
    values[200:, 1] += 30
    assert strange(feed(peer(floor=50.0), values)) == set()
    assert strange(feed(peer(floor=20.0), values)) == {1}


def test_a_round_may_come_in_pieces_and_a_moment_apart() -> None:
    """All rise at once: the first to say so is no outlier."""
    one, values = peer(), quiet(230)
    values[210:] *= 3
    for n, row in enumerate(values):
        for member, value in enumerate(row):
            series, time_s = np.array([member], np.int32), START_S + 60 * n + 0.05 * member
            scores = one.observe(Batch("r", time_s, series, np.array([value])))
            assert (scores.score < 0.5).all()
    assert (one._rounds.members["n"][:SIZE] > 200).all()


def test_groups_are_forgotten_with_their_members() -> None:
    one = peer()
    feed(one, quiet(50, 4 * SIZE))
    empty = peer().save()
    one.forget(np.arange(SIZE, dtype=np.int32))
    assert len(one._rounds.groups) == 3
    one.forget(np.arange(4 * SIZE, dtype=np.int32))
    assert one.save() == empty
    feed(one, quiet(50, 2 * SIZE))
    assert len(one._rounds.groups) == 2


@pytest.mark.parametrize("bad", [{"min_peers": 2}, {"floor": -1.0}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        PeerSettings(**bad)


# --- promises, for whatever comes -----------------------------------------------------------

numbers = st.one_of(
    st.floats(90, 110), st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 3).map(float)
)
ticks = st.lists(st.lists(numbers, min_size=2 * SIZE, max_size=2 * SIZE), min_size=1, max_size=12)


def judged(one: Peer, batches: list[Batch]) -> dict[tuple[int, int], tuple[float, ...]]:
    """What was said of each sample: (series, how many batches' ticks before) -> numbers."""
    found: dict[tuple[int, int], tuple[float, ...]] = {}
    for each in batches:
        scores = one.observe(each)
        for n, series in enumerate(scores.series.tolist()):
            if np.isfinite(scores.observed[n]):
                key = series, int(each.time_s)
                assert key not in found, "each round is spoken of once"
                found[key] = (
                    float(scores.score[n]), float(scores.observed[n]), float(scores.expected[n]),
                    float(scores.low[n]), float(scores.high[n]), bool(scores.certain[n]),
                )  # fmt: skip
    return found


@settings(max_examples=25, deadline=None)
@given(story=ticks, random=st.randoms(use_true_random=False))
def test_however_samples_are_cut_into_batches_the_numbers_are_the_same(
    story: list[list[float]], random: Any
) -> None:
    whole, cut = peer(min_peers=3), peer(min_peers=3)
    rows = [*quiet(40, 2 * SIZE).tolist(), *story]
    batches = [batch(n, row) for n, row in enumerate(rows)]
    pieces = []
    for each in batches:
        order = list(range(2 * SIZE))
        random.shuffle(order)
        at = random.randrange(1, 2 * SIZE)
        for part in (order[:at], order[at:]):
            pieces.append(
                Batch("r", each.time_s, np.array(part, np.int32), each.values[np.array(part)])
            )
    assert judged(cut, pieces) == judged(whole, batches)


@settings(max_examples=25, deadline=None)
@given(story=ticks, at=st.integers(0, 51))
def test_saved_and_loaded_in_between_it_says_the_same(story: list[list[float]], at: int) -> None:
    rows = [*quiet(40, 2 * SIZE).tolist(), *story]
    batches = [batch(n, row) for n, row in enumerate(rows)]
    whole, first, second = peer(min_peers=3), peer(min_peers=3), peer(min_peers=3)
    wanted = judged(whole, batches)
    found = judged(first, batches[:at])
    second.load(first.save())
    assert found | judged(second, batches[at:]) == wanted
    assert second.save() == whole.save()


@settings(max_examples=25, deadline=None)
@given(story=ticks)
def test_hostile_values_harm_no_other_group(story: list[list[float]]) -> None:
    alone, beside = peer(min_peers=3), peer(min_peers=3)
    rows = [*quiet(40, 2 * SIZE).tolist(), *story]
    for n, row in enumerate(rows):
        mixed = [*quiet(1, SIZE, seed=n)[0], *row[SIZE:]]
        a = alone.observe(batch(n, mixed[:SIZE]))
        b = beside.observe(batch(n, mixed))
        assert (a.score == b.score[:SIZE]).all()
        assert np.isfinite(b.score).all()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9, 1e140])
def test_the_scale_does_not_matter(scale: float) -> None:
    one, values = peer(), quiet(210)
    values[200:, 3] += 40
    assert strange(feed(one, values * scale)) == {3}
