"""Samples of many requests become ticks, whichever way they were cut into requests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.model import Batch
from aiopsd.sources.remote_write_intake import Counts, Written
from aiopsd.sources.remote_write_ticks import Ticks

T = 1_795_422_703_000
END = T + 10**9
Point = tuple[int, int, float]  # series, time in ms, value


def written(*points: Point, fresh: Sequence[int] = ()) -> Written:
    series, times, values = (list(column) for column in zip(*points, strict=True))
    return Written(
        np.array(series, np.int32),
        np.array(times, np.int64),
        np.array(values, np.float64),
        np.array(fresh, np.int32),
        Counts(),
    )


def plain(batches: Sequence[Batch]) -> list[tuple[float, dict[int, float]]]:
    found = []
    for one in batches:
        assert len(set(one.series.tolist())) == len(one.series), "a series twice in a tick"
        found.append((one.time_s, dict(zip(one.series.tolist(), one.values.tolist(), strict=True))))
    return found


def test_targets_scraped_at_about_the_same_time_are_one_tick() -> None:
    ticks = Ticks(100)
    found = ticks.batches([written((1, T + 150, 1.0), (0, T + 7, 2.0), (2, T + 99, 3.0))], END)
    assert plain(found) == [(T / 1000, {0: 2.0, 2: 3.0}), (T / 1000 + 0.1, {1: 1.0})]


def test_two_samples_within_one_step_are_two() -> None:
    ticks = Ticks(100)
    found = ticks.batches([written((0, T + 50, 2.0), (0, T + 10, 1.0), (1, T + 10, 9.0))], END)
    found += ticks.batches([written((0, T + 70, 3.0))], END)
    first, second, third = plain(found)
    assert first == (T / 1000, {0: 1.0, 1: 9.0})
    assert second == ((T + 50) / 1000, {0: 2.0})
    assert third == ((T + 70) / 1000, {0: 3.0})
    assert ticks.late == 0


def test_a_crowd_within_each_step_is_thinned_to_its_last() -> None:
    """Or one request of 16 MiB is minutes of work, in which nobody else is heard."""
    ticks = Ticks(100)
    crowd = [(0, T + ms, float(ms)) for ms in range(100_000)]
    calm = [(1, T + ms, float(ms)) for ms in range(40, 100_000, 60)]  # two in most steps
    found = plain(ticks.batches([written(*crowd, *calm)], END))
    assert len(found) < 2000
    assert [values[0] for _, values in found if 0 in values] == [*range(99, 100_000, 100)]
    assert sum(1 in values for _, values in found) == len(calm), "others lose nothing"
    assert (ticks.thinned, ticks.crowd, ticks.late) == (99_000, 0, 0)
    assert ticks.batches([written(*crowd)], END) == []


def test_who_scrapes_as_fast_as_the_steps_loses_nothing() -> None:
    """Times jitter, so that two are in one step; much may have waited to be sent."""
    ticks = Ticks(100)
    flow = [(0, T + 200 * n + jitter, float(n)) for n in range(5000) for jitter in (1, 98)]
    found = ticks.batches([written(*flow)], END)
    assert (sum(len(one.series) for one in found), ticks.thinned) == (10_000, 0)


def test_a_request_sent_again_gives_nothing() -> None:
    ticks = Ticks(100)
    one = written((0, T + 50, 2.0), (0, T + 10, 1.0), (1, T + 10, 9.0))
    ticks.batches([one], END)
    assert ticks.batches([one, one], END) == []
    assert ticks.late == 6


def test_late_is_by_series() -> None:
    ticks = Ticks(100)
    ticks.batches([written((0, T + 5000, 1.0))], END)
    assert plain(ticks.batches([written((0, T, 1.0), (1, T, 2.0))], END)) == [(T / 1000, {1: 2.0})]
    assert ticks.late == 1


def test_a_time_before_1970_is_none() -> None:
    """Rounded down, the smallest number would be the largest."""
    ticks = Ticks(100)
    assert ticks.batches([written((0, -(2**63) + 1, 1.0), (1, -5, 1.0))], END) == []
    assert ticks.late == 2


def test_of_two_values_at_one_time_the_first_counts() -> None:
    ticks = Ticks(100)
    found = ticks.batches([written((0, T, 1.0), (0, T, 2.0)), written((0, T, 3.0))], END)
    assert plain(found) == [(T / 1000, {0: 1.0})]
    assert ticks.late == 2


def test_what_is_far_in_the_future_is_left_out() -> None:
    """Or a clock that is set right again would make its series late for ever."""
    ticks = Ticks(100)
    found = ticks.batches([written((0, END + 1, 1.0), (1, END, 2.0))], END)
    assert [one.series.tolist() for one in found] == [[1]]
    assert ticks.ahead == 1
    assert plain(ticks.batches([written((0, T, 1.0))], END)) == [(T / 1000, {0: 1.0})]


def test_an_index_that_means_another_series_begins_anew() -> None:
    ticks = Ticks(100)
    ticks.batches([written((7, T + 5000, 1.0))], END)
    assert plain(ticks.batches([written((7, T, 2.0), fresh=[7])], END)) == [(T / 1000, {7: 2.0})]


def test_nothing_is_nothing() -> None:
    none = Written(*(np.zeros(0, kind) for kind in (np.int32, np.int64, np.float64, np.int32)),
                   Counts())  # fmt: skip
    assert Ticks(100).batches([none], END) == []


@pytest.mark.parametrize("resolution", [0, 1, 7, 100, 1000])
@given(data=st.data())
def test_any_cut_into_requests_gives_the_same_ticks(resolution: int, data: st.DataObject) -> None:
    """As long as they are gathered. Each series once a time: which of two is first is chance."""
    place = st.tuples(st.integers(0, 5), st.integers(T - 200, T + 3000))
    places = data.draw(st.lists(place, min_size=1, max_size=40, unique=True))
    points = [(series, time_ms, float(n)) for n, (series, time_ms) in enumerate(places)]
    whole, cut = Ticks(resolution), Ticks(resolution)
    expected = plain(whole.batches([written(*points)], END))
    shuffled = data.draw(st.permutations(points))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(points)), max_size=4)))
    parts = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(points)], strict=True) if a < b]
    assert plain(cut.batches([written(*part) for part in parts], END)) == expected
    assert [t for t, _ in expected] == sorted(t for t, _ in expected)
    assert sum(len(values) for _, values in expected) == len(points), "each sample once"
    assert whole.late == cut.late == 0


@given(data=st.data())
def test_in_any_flow_each_sample_counts_once(data: st.DataObject) -> None:
    """In the order of its series, whatever is sent twice, and whatever came together."""
    ticks = Ticks(100)
    n = data.draw(st.integers(1, 5))
    gaps = st.lists(st.integers(1, 300), min_size=1, max_size=10)
    queues = []
    for series in range(n):
        times = np.cumsum(data.draw(gaps)).tolist()
        queues.append([(series, T + t, float(i)) for i, t in enumerate(times)])
    expected = {series: [v for _, _, v in queue] for series, queue in enumerate(queues)}
    found: dict[int, list[float]] = {series: [] for series in range(n)}
    last: dict[int, float] = {}
    sent: list[Written] = []
    while any(queues):
        at = data.draw(st.sampled_from([s for s in range(n) if queues[s]]))
        size = data.draw(st.integers(1, 3))
        part, queues[at] = queues[at][:size], queues[at][size:]
        sent.append(written(*part))
        again = data.draw(st.lists(st.sampled_from(sent), max_size=1))
        for batch in ticks.batches([sent[-1], *again], END):
            for series, value in zip(batch.series.tolist(), batch.values.tolist(), strict=True):
                assert batch.time_s > last.get(series, 0.0), "the table would call it late"
                last[series] = batch.time_s
                found[series].append(value)
    assert found == expected
