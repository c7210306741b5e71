"""Burn rates over pairs of windows: what pages, what is a ticket, what says nothing."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.detectors.budget import BAD, HEARD, TOTAL, WINDOWS, Budget
from aiopsd.detectors.burn import Burn, BurnSettings
from aiopsd.model import Batch, Scores
from aiopsd.settings import Duration

START = 20_000 * 86400.0
CODES = ("200", "404", "500", "503")
LABELS = {n: {"service": f"s{n // 4}", "code": CODES[n % 4]} for n in range(40)}


def counts(**more: Any) -> Burn:
    return BurnSettings(**{"objective": 0.999, "label": "code"} | more).build(LABELS.__getitem__)


def ratios(**more: Any) -> Burn:
    return BurnSettings(**{"objective": 0.999} | more).build(lambda index: {"service": str(index)})


def tick(one: Burn, minute: float, **values: float) -> dict[int, tuple[float, bool]]:
    """``s3=...``: series 3; what was scored, by series."""
    scores = one.observe(batch(minute, {int(name[1:]): v for name, v in values.items()}))
    assert len(set(scores.series.tolist())) == len(scores.series)
    known = np.isfinite(scores.observed)
    return {int(s): (float(x), bool(c)) for s, x, c, k in zip(
        scores.series, scores.score, scores.certain, known, strict=True) if k}  # fmt: skip


def batch(minute: float, values: dict[int, float]) -> Batch:
    series = np.array(list(values), np.int32)
    return Batch("r", START + 60 * minute, series, np.array(list(values.values()), float))


def run(one: Burn, minutes: range, **values: float) -> list[dict[int, tuple[float, bool]]]:
    return [tick(one, n, **values) for n in minutes]


def first_strange(found: list[dict[int, tuple[float, bool]]], series: int) -> int | None:
    return next((n for n, one in enumerate(found) if one.get(series, (0, 0))[0] >= 0.5), None)


@pytest.mark.parametrize(
    ("share", "minutes", "certain"),
    [(1.0, 1, True), (0.1, 9, True), (0.02, 44, True), (0.0125, 174, True), (0.004, 1080, False)],
)
def test_each_pair_speaks_when_its_share_of_the_budget_is_gone(
    share: float, minutes: int, certain: bool
) -> None:
    """As the workbook's table says: detection time = factor * window / burn rate."""
    one = counts()
    run(one, range(4 * 1440), s0=1000)
    found = run(
        one, range(4 * 1440, 4 * 1440 + minutes + 90), s0=1000 - 1000 * share, s2=1000 * share
    )
    after = first_strange(found, 2)
    assert after == pytest.approx(minutes, abs=2, rel=0.06)
    assert found[after][2][1] is certain
    assert first_strange(found, 0) is None, "one series speaks for the family"


def test_errors_within_the_objective_are_never_strange() -> None:
    one = counts()
    found = run(one, range(5000), s0=999.2, s2=0.8)
    assert max(score for tick_ in found for score, _ in tick_.values()) < 0.5


def test_it_is_over_soon_after_the_errors_stop() -> None:
    one = counts()
    run(one, range(300), s0=1000)
    assert run(one, range(300, 330), s0=500, s2=500)[-1][2] == (pytest.approx(1, abs=0.1), True)
    found = run(one, range(330, 400), s0=1000, s2=0)
    assert found[3][2][1], "the last five minutes still burn"
    assert found[8][2][0] >= 0.5, "half an hour against six"
    assert found[40][2][0] < 0.5, "what was certain is not told again as what is not"


def test_a_total_outage_is_certain_soon_after_a_cold_start_and_one_bad_event_is_not() -> None:
    one = counts()
    found = run(one, range(5), s0=0, s2=100)
    assert first_strange(found, 2) == 1
    other = counts()
    found = run(other, range(60), s4=0.5, s6=0.1)  # 6 bad of 36 in an hour
    assert first_strange(found, 6) is None
    assert first_strange(run(other, range(60, 120), s4=0.5, s6=0.1), 6) is not None


def test_silence_is_neither_good_nor_bad() -> None:
    one = counts()
    run(one, range(600), s0=1000)
    assert run(one, range(600, 640), s0=500, s2=500)[-1][2][1]
    silent = run(one, range(640, 700), s0=0, s2=0)
    assert silent[10][2][1], "the last half hour still burns"
    assert silent[40] == silent[59] == {}, "nobody asked: unknown, not over"
    nan = one.observe(batch(700, {0: np.nan, 2: np.nan}))
    assert np.isnan(nan.observed).all()
    assert nan.score.max() < 0.5
    gap = counts()
    run(gap, range(1440), s0=1000)
    (told,) = run(gap, range(1640, 1641), s0=1000)
    assert told == {0: (0.0, False)}


def test_what_a_value_speaks_of_is_counted_once_however_often_it_is_told() -> None:
    """An increase over a minute, asked four times a minute."""
    often, once = counts(at_least=0), counts(at_least=0)
    for n in range(0, 3600, 15):
        often.observe(batch(n / 60, {0: 970.0, 2: 30.0}))
        if n % 60 == 0:
            once.observe(batch(n / 60, {0: 970.0, 2: 30.0}))
    a, b = (one._budget.sums(np.array([0]))[0, 2] for one in (often, once))
    assert a == pytest.approx(b, rel=0.03)
    assert a[TOTAL] == pytest.approx(59 * 1000, rel=0.03)


def test_the_worst_class_speaks_and_goes_on_even_when_its_series_is_away() -> None:
    one = counts()
    run(one, range(300), s0=1000)
    found = run(one, range(300, 305), s0=500, s2=100, s3=400)
    assert found[-1][3][1]
    assert found[-1][2][0] < 0.5
    assert tick(one, 305, s0=500, s2=500)[3][1], "still the same that speaks"
    one.forget(np.array([3], np.int32))
    assert tick(one, 306, s0=500, s2=500)[2][1]


def test_families_do_not_know_each_other() -> None:
    one, alone = counts(), counts()
    for n in range(400):
        both = one.observe(batch(n, {0: 1000, 2: 3 * (n % 7), 4: n, 6: n * 3.0}))
        own = alone.observe(batch(n, {0: 1000, 2: 3 * (n % 7)}))
        mine = np.isin(both.series, own.series)
        assert (both.score[mine] == own.score).all()


def test_series_without_the_label_are_scored_and_count_for_nothing() -> None:
    one = BurnSettings(objective=0.9, label="code").build(lambda _: {"service": "a"})
    scores = one.observe(batch(0, {0: 5.0}))
    assert (scores.score.tolist(), scores.series.tolist()) == ([0.0], [0])
    assert one.explain(0) == ()


def test_a_series_can_be_its_own_ratio() -> None:
    one = ratios()
    run(one, range(600), s0=0.0005, s1=0.0)
    found = run(one, range(600, 700), s0=0.0005, s1=0.05)
    assert first_strange(found, 0) is None
    assert first_strange(found, 1) == pytest.approx(18, abs=2)
    assert tick(one, 700, s1=50.0)[1][1], "no ratio: missing"


def test_another_period_has_other_factors() -> None:
    one = counts(period=Duration(28 * 86400))
    assert one._factors == pytest.approx([13.44, 5.6, 2.8, 0.9333], rel=1e-3)


def test_it_says_how_fast_how_many_and_what_is_left() -> None:
    one = counts()
    run(one, range(3 * 1440), s0=1000)
    run(one, range(3 * 1440, 3 * 1440 + 60), s0=980, s2=20)
    scores = one.observe(batch(3 * 1440 + 60, {0: 980, 2: 20}))
    at = scores.series == 2
    assert scores.observed[at] == pytest.approx(0.02, rel=0.05)
    assert scores.high[at] == pytest.approx(0.0144)
    burns, bad, left = one.explain(2)
    assert burns == ("burns its error budget 20 times too fast over 1h and 20 times over 5m; "
                     "the limit is 14.4")  # fmt: skip
    assert bad == "1,200 of 60,000 were bad in 1h"
    assert re.fullmatch(r"97.* % of the budget for 30d is left as far as seen \(3 d\), "
                        r"gone in 1.5 d at this rate", left)  # fmt: skip
    assert one.explain(33) == ()


# --- promises ---------------------------------------------------------------------------

amounts = st.one_of(
    st.integers(0, 500).map(float), st.floats(), st.sampled_from([1e-300, 1e300, 0.0, 1e15, np.nan])
)
stories = st.lists(
    st.tuples(
        st.sampled_from([15.0, 60.0, 60.0, 61.0, 400.0, 5000.0, 9e4, 3e6, -30.0, -4000.0, 1e12]),
        st.dictionaries(st.integers(0, 7), amounts, max_size=8),
    ),
    max_size=40,
)


def ticks(story: list[tuple[float, dict[int, float]]]) -> list[Batch]:
    found = [batch(n, {0: 100.0, 2: n % 5, 4: 1000.0, 7: 3.0}) for n in range(70)]
    now = found[-1].time_s
    for step, values in story:
        now += step
        found.append(batch((now - START) / 60, values))
    return found


def shown(scores: Scores) -> dict[int, tuple[float, ...]]:
    names = ("score", "observed", "high", "certain")
    columns = [getattr(scores, name).tolist() for name in names]
    return {
        s: tuple(map(repr, line)) for s, *line in zip(scores.series.tolist(), *columns, strict=True)
    }


@settings(max_examples=25, deadline=None)
@given(story=stories, cut=st.integers(0, 8))
def test_any_batching_gives_the_same_numbers(story: Any, cut: int) -> None:
    one, other = counts(), counts()
    for whole in ticks(story):
        wanted, found = shown(one.observe(whole)), {}
        for part in (slice(0, cut), slice(cut, None)):
            piece = Batch("r", whole.time_s, whole.series[part], whole.values[part])
            found |= shown(other.observe(piece))
        assert {s: found[s] for s in whole.series.tolist()} == {
            s: wanted[s] for s in whole.series.tolist()
        }


@settings(max_examples=25, deadline=None)
@given(story=stories, cut=st.integers(0, 110), by_label=st.booleans())
def test_saved_and_loaded_anywhere_it_goes_on_the_same(
    story: Any, cut: int, by_label: bool
) -> None:
    make = counts if by_label else ratios
    one, first = make(), make()
    for n, whole in enumerate(ticks(story)):
        if n == cut:
            second = make()
            second.load(first.save())
            first = second
        assert shown(one.observe(whole)) == shown(first.observe(whole))
    assert one.save() == first.save()


@settings(max_examples=25, deadline=None)
@given(story=stories)
def test_whatever_comes_the_neighbours_stay_right(story: Any) -> None:
    one, alone = counts(), counts()
    for whole in ticks(story):
        mine = np.append(whole.series % 4 + 8, [13]).astype(np.int32)
        calm = Batch("r", whole.time_s, mine[-1:], np.array([50.0]))
        both = Batch("r", whole.time_s, np.append(whole.series, 13).astype(np.int32),
                     np.append(whole.values, 50.0))  # fmt: skip
        assert shown(one.observe(both))[13] == shown(alone.observe(calm))[13]


@settings(max_examples=25, deadline=None)
@given(
    gaps=st.lists(
        st.tuples(st.integers(1, 4000), st.integers(0, 9), st.integers(0, 99)), max_size=60
    )
)
def test_rings_hold_what_a_plain_list_holds(gaps: list[tuple[int, int, int]]) -> None:
    budget, row = Budget(30 * 86400.0), np.array([0])
    budget.rows.of(np.array([7], np.int32))
    events: list[tuple[int, int, int]] = []
    minute = int(START // 60)
    for step, bad, total in gaps:
        minute += step
        budget.turn(row, minute * 60.0)
        for w, (secs, (ring, _)) in enumerate(WINDOWS.items()):
            part = (1, 5, 60)[ring]
            since = (minute // part) * part - secs // 60
            wanted = [sum(e[k] for e in events if since <= e[0]) for k in (1, 2)]
            found = budget.sums(row)[0, w]
            assert found[[BAD, TOTAL]].tolist() == wanted
            assert found[HEARD] <= secs + 60 * part
        budget.add(row, BAD, np.array([float(bad)]))
        budget.add(row, TOTAL, np.array([float(total)]))
        budget.hear(row, minute * 60.0, 60.0)
        events.append((minute, bad, total))


def test_state_of_other_classes_is_dropped() -> None:
    one, other = counts(), counts(bad="4..")
    run(one, range(30), s0=0, s2=100)
    other.load(one.save())
    assert other.save() == counts(bad="4..").save()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"objective": 1.0}, "objective"), ({"objective": 99.9}, "objective"), ({"bad": "5("}, "bad"),
     ({"window": Duration(0)}, "window"), ({"period": Duration(3600)}, "period"),
     ({"at_least": -1.0}, "at_least")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        BurnSettings(**{"objective": 0.9} | wrong)
