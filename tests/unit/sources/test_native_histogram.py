"""Native histograms under classic bounds: counts are exact, bounds stay."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.series import SeriesTable
from aiopsd.sources import native_histogram
from aiopsd.sources.native_histogram import MAX_BOUNDS, Bounds, read_histogram
from aiopsd.sources.protobuf import Malformed
from aiopsd.sources.remote_write_ticks import Ticks
from aiopsd.sources.remote_write_v1 import Version1
from aiopsd.transforms import Transforms, compile_selection
from tests.loopback import prompb

T = 1_795_422_703_081


def points(bounds: Bounds, one: prompb.Histogram, key: bytes = b"k") -> dict[str, float]:
    message = prompb.histogram(one)
    return bounds.points(key, read_histogram(message, 0, len(message))).buckets


def spans(counts: dict[int, int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Runs of neighbouring buckets: gaps and lengths."""
    found, last = [], 0
    for _, run in groupby(enumerate(sorted(counts)), lambda pair: pair[1] - pair[0]):
        indexes = [index for _, index in run]
        found.append((indexes[0] - last, len(indexes)))
        last = indexes[-1] + 1
    return found, [counts[index] for index in sorted(counts)]


def observed(values: list[float], schema: int, *, floats: bool = False) -> prompb.Histogram:
    """As a client library counts them: bucket i is (base^(i-1), base^i]."""
    sides: dict[bool, dict[int, int]] = {True: {}, False: {}}
    edges = [2.0 ** (i / 2.0**schema) for i in range(*_reach(schema))]
    for value in filter(None, values):
        index = bisect_left(edges, abs(value)) + _reach(schema)[0]
        side = sides[value > 0]
        side[index] = side.get(index, 0) + 1
    return prompb.Histogram(
        T, len(values), math.fsum(values), schema, zero_count=values.count(0.0),
        positive=spans(sides[True]), negative=spans(sides[False]), floats=floats,
    )  # fmt: skip


def _reach(schema: int) -> tuple[int, int]:
    return math.floor(-24 * 2.0**schema) - 1, math.ceil(24 * 2.0**schema) + 2


VALUES = st.lists(
    st.just(0.0) | st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6), min_size=1, max_size=30
)


@given(values=VALUES, schema=st.integers(-4, 8), floats=st.booleans())
def test_counts_are_exact_at_every_bound(values: list[float], schema: int, floats: bool) -> None:
    one = observed(values, schema, floats=floats)
    buckets = points(Bounds(), one)
    assert buckets.pop("+Inf") == len(values)
    for text, count in buckets.items():
        bound = float(text)
        # Below zero buckets are the mirror: what lies on a bound is counted above it.
        at_most = [v for v in values if v <= bound * (1 + 1e-9)]
        assert count == len(at_most), text
    ordered = [buckets[text] for text in sorted(buckets, key=float)]
    assert ordered == sorted(ordered)


@given(values=VALUES, schema=st.integers(2, 8))
def test_each_value_lies_in_a_narrow_bucket(values: list[float], schema: int) -> None:
    bounds = sorted(float(text) for text in points(Bounds(), observed(values, schema)))
    for value in filter(None, values):
        above = min(bound for bound in bounds if bound >= value * (1 - 1e-9))
        below = max(bound for bound in bounds if bound <= value * (1 - 1e-9) or bound < value)
        assert abs(above - below) <= 0.2 * abs(value) * 1.2


@given(first=VALUES, second=VALUES)
def test_bounds_stay(first: list[float], second: list[float]) -> None:
    bounds = Bounds()
    before = points(bounds, observed(first, 5))
    after = points(bounds, observed(first + second, 3))  # its resolution became coarser
    assert before.keys() <= after.keys()
    assert all(after[text] >= count for text, count in before.items())


def test_series_are_strangers() -> None:
    bounds = Bounds()
    points(bounds, observed([1.5], 3), b"one")
    assert len(points(bounds, observed([1500.0], 3), b"two")) == 3


def test_custom_bounds_are_all_there() -> None:
    one = prompb.Histogram(T, 6, 9.5, -53, custom=[0.1, 0.5, 2.5], zero_threshold=0,
                           positive=([(1, 1), (1, 1)], [4, 2]))  # fmt: skip
    assert points(Bounds(), one) == {"0.1": 0, "0.5": 4, "2.5": 4, "+Inf": 6}


def test_bounds_are_bounded_and_counts_exact_all_the_same() -> None:
    bounds = Bounds()
    buckets: dict[str, float] = {}
    for n in range(0, 800, 50):
        one = prompb.Histogram(T, 2 * n, 0.0, 2, positive=spans(dict.fromkeys(range(-n, n), 1)))
        buckets = points(bounds, one)
        assert len(buckets) <= MAX_BOUNDS + 1
    assert len(buckets) == MAX_BOUNDS + 1
    assert bounds.crowded > 0
    ordered = [buckets[text] for text in sorted(buckets, key=float)]
    assert ordered == sorted(ordered)


def test_remembered_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_histogram, "MAX_SERIES", 3)
    bounds = Bounds()
    for n in range(20):
        assert points(bounds, observed([1.5], 3), b"%d" % n)["+Inf"] == 1
        assert len(bounds._of) <= 3


def test_extremes_have_bounds_too() -> None:
    huge = prompb.Histogram(T, 2, 1.0, -4, positive=([(64, 2)], [1, 1]))
    assert points(Bounds(), huge)["+Inf"] == 2
    odd = prompb.Histogram(T, 2, 1.0, 8, positive=([(-(2**31), 1), (2**31 - 1, 1)], [1, 1]))
    assert points(Bounds(), odd) == {"0": 1.0, "+Inf": 2.0} | {
        text: value for text, value in points(Bounds(), odd).items() if text not in ("0", "+Inf")
    }


def test_a_stale_histogram_is_missing_everywhere() -> None:
    bounds = Bounds()
    before = points(bounds, observed([1.5, 3.0], 3))
    after = points(bounds, prompb.Histogram(T, 0, prompb.STALE))
    assert after.keys() == before.keys()
    assert all(map(math.isnan, after.values()))


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (prompb.Histogram(T, 1, 1.0, 9), "no histogram schema 9"),
        (prompb.Histogram(T, 1, 1.0, 3, positive=([(0, 2)], [1])), "do not agree"),
        (prompb.Histogram(T, 1, 1.0, 3, positive=([(0, 2**31)], [1])), "do not agree"),
        (prompb.Histogram(T, 1, 1.0, -53, custom=[2.0, 1.0]), "do not rise"),
        (prompb.Histogram(T, 1, 1.0, -53, custom=[math.nan]), "do not rise"),
        (
            prompb.Histogram(T, 1, 1.0, -53, custom=[1.0], positive=([(2, 1)], [1])),
            "beyond its custom bounds",
        ),
        (
            prompb.Histogram(T, 1, 1.0, positive=([(0, 10_001)], [1] * 10_001)),
            "more than 10000 buckets",
        ),
    ],
)
def test_what_cannot_be_is_malformed(one: prompb.Histogram, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        points(Bounds(), one)


@pytest.mark.parametrize("schema", [0, 3, 8])
def test_transforms_find_quantiles_in_them(schema: int) -> None:
    """Latencies of a minute, native on the wire; new buckets appear on the way."""
    table, random = SeriesTable(), np.random.default_rng(4)
    reader, ticks = Version1(table), Ticks(100)
    transforms = Transforms({"slow": compile_selection("latency", as_="p90")}, table)
    values: list[float] = []
    found: list[float] = []
    for tick in range(12):
        values += random.lognormal(-2, 1, 300).tolist()
        one = observed(values, schema)
        one.time_ms = T + 5000 * tick
        body = prompb.version1([prompb.Series([("__name__", "latency")], (), [one])])
        for raw in ticks.batches([reader.read(body)], 2**60):
            batches = transforms.feed(table.record(raw))
            found += [value for batch in batches for value in batch.values.tolist()]
    true = float(np.quantile(values[300:], 0.9))
    assert found[-1] == pytest.approx(true, rel=0.2 if schema > 1 else 0.4)
    assert len(found) >= 10
