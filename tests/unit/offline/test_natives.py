"""Native histograms of the query API become what ``remote_write`` would have sent."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest

from aiopsd.errors import Unreachable
from aiopsd.offline.natives import histogram
from aiopsd.sources.native_histogram import Bounds, Histogram, _exponential
from tests.loopback.recording import Recording


def said(buckets: list[tuple[float, float, float]], count: float = 5) -> msgspec.Raw:
    rows = [[0, str(low), str(high), str(n)] for low, high, n in buckets]
    return msgspec.Raw(
        json.dumps([1.5, {"count": str(count), "sum": "2", "buckets": rows}]).encode()
    )


def recorded() -> list[Any]:
    reply = Recording.load("prometheus/query_range_native_histogram").reply.body
    return [one for row in reply["data"]["result"] for one in row["histograms"]]


def test_recorded_histograms() -> None:
    """The bounds of a real Prometheus' answer fall onto the house's own."""
    for one in recorded():
        found = histogram(msgspec.Raw(json.dumps(one).encode()))
        assert found.observed == float(one[1]["count"])
        assert found.observed == sum(n for _, _, n in found.buckets)
        assert not found.bounds
        for low, high, _ in found.buckets:
            assert low < high or low == high == 0
            for bound in filter(None, (low, high)):
                assert math.log2(abs(bound)) * 4 == pytest.approx(round(math.log2(abs(bound)) * 4))


@pytest.mark.parametrize("schema", [-2, 0, 2, 3, 8])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_as_the_wire_would_have_it(schema: int, sign: float) -> None:
    """The API says the ends of each bucket, the wire its number in a schema."""
    numbers = [(-31, 1.0), (-7, 2.0), (0, 1.0), (1, 3.0), (12, 4.0)]
    ends = [(2.0 ** ((i - 1) / 2**schema), 2.0 ** (i / 2**schema), n) for i, n in numbers]
    shown = [(min(sign * a, sign * b), max(sign * a, sign * b), n) for a, b, n in ends]
    wire = Histogram(1500, 11, 2.0, tuple(_exponential(numbers, schema, sign)))
    assert Bounds().points(b"", histogram(said(shown, 11))) == Bounds().points(b"", wire)


def test_around_zero_and_bounds_of_its_own() -> None:
    zero = histogram(said([(-0.001, 0.001, 2), (1, 2, 3)]))
    assert zero.buckets == ((0.0, 0.0, 2.0), (1.0, 2.0, 3.0))
    own = histogram(said([(-math.inf, 0.3, 2), (0.3, 0.7, 3)]))
    assert own.bounds == (0.3, 0.7)
    assert Bounds().points(b"", own).buckets == {"0.3": 2, "0.7": 5, "+Inf": 5}


@pytest.mark.parametrize("wrong", ["[]", '[1, {"count": "x", "sum": "1"}]', '[1, {"sum": "1"}]'])
def test_nonsense(wrong: str) -> None:
    with pytest.raises(Unreachable, match="histogram that is none"):
        histogram(msgspec.Raw(wrong.encode()))
