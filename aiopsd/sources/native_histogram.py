"""Native histograms as classic ones: the same counts under ``le`` bounds that stay.

A native histogram brings its own bucket layout with every sample. Here it becomes cumulative
counts at bounds of one fixed resolution, so that whatever understands classic histograms
understands these. Counts are exact at each bound; only bounds in between are given up.
Source: https://prometheus.io/docs/specs/native_histograms/ , fields as in prompb/types.proto.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate, chain, pairwise
from typing import Final, NamedTuple

from aiopsd.sources.protobuf import (
    Field,
    Malformed,
    double,
    doubles,
    fields,
    number,
    numbers,
    signed,
    zigzag,
)

SCHEMA: Final = 2  # four bounds for each doubling: a bound every 19 %
MAX_BOUNDS: Final = 160  # of one series; what lies between them is counted at the next one
MAX_SERIES: Final = 20_000  # histograms whose bounds are remembered
_CUSTOM: Final = -53
_FINEST, _COARSEST = 8, -4
_MOST_BUCKETS: Final = 10_000
STALE: Final = 0x7FF0_0000_0000_0002  # the NaN of a series that is gone, as a whole number
_STALE: Final = STALE.to_bytes(8, "little")
Bucket = tuple[float, float, float]
"""(lower bound, upper bound, count)."""


class Histogram(NamedTuple):
    """One sample of a native histogram, as far as it is needed."""

    time_ms: int
    observed: float  # how many observations
    total: float  # sum of what was observed
    buckets: tuple[Bucket, ...]  # populated ones
    bounds: tuple[float, ...] = ()  # where the histogram itself says all of them
    stale: bool = False


class Points(NamedTuple):
    """A histogram as values of classic series: ``le`` text to cumulative count."""

    buckets: dict[str, float]
    observed: float  # how many observations
    total: float


def read_histogram(data: bytes, start: int, end: int) -> Histogram:
    """The message ``Histogram`` of remote_write 1.0 and 2.0. Raises Malformed."""
    raw = _Raw()
    for field in fields(data, start, end):
        raw.take(data, field)
    return raw.histogram()


class _Raw:
    """The fields of the message, by their numbers."""

    def __init__(self) -> None:
        self.whole = {1: 0, 4: 0, 6: 0, 15: 0}
        self.real = {2: 0.0, 3: 0.0, 7: 0.0}
        self.spans: dict[int, list[tuple[int, int]]] = {8: [], 11: []}
        self.deltas: dict[int, list[int]] = {9: [], 12: []}
        self.counts: dict[int, list[float]] = {10: [], 13: [], 16: []}
        self.stale = False

    def take(self, data: bytes, field: Field) -> None:
        at = field.number
        if at in self.whole:
            self.whole[at] = number(field)
        elif at in self.real:
            self.real[at] = double(data, field)
            self.stale |= at == 3 and data[field.start : field.end] == _STALE
        elif at in self.spans:
            self.spans[at].append(_span(data, field))
        elif at in self.deltas:
            self.deltas[at] += map(zigzag, numbers(data, field))
        elif at in self.counts:
            self.counts[at] += doubles(data, field)

    def histogram(self) -> Histogram:
        time_ms = signed(self.whole[15])
        if self.stale:
            return Histogram(time_ms, math.nan, math.nan, (), stale=True)
        schema = zigzag(self.whole[4])
        positive = self._indexed(11, 12, 13)
        bounds: tuple[float, ...] = ()
        if schema == _CUSTOM:
            bounds = tuple(self.counts[16])
            buckets = _custom(positive, bounds)
        elif _COARSEST <= schema <= _FINEST:
            buckets = [
                *_exponential(self._indexed(8, 9, 10), schema, -1.0),
                (0.0, 0.0, self.whole[6] or self.real[7]),  # what is nearly 0
                *_exponential(positive, schema, 1.0),
            ]
        else:
            raise Malformed(f"there is no histogram schema {schema}")
        found = tuple(bucket for bucket in buckets if bucket[2])
        return Histogram(time_ms, self.whole[1] or self.real[2], self.real[3], found, bounds)

    def _indexed(self, spans: int, deltas: int, counts: int) -> list[tuple[int, float]]:
        """(bucket index, count) of each bucket that the message speaks of."""
        there = self.counts[counts] or list(accumulate(map(float, self.deltas[deltas])))
        if sum(length for _, length in self.spans[spans]) != len(there):
            raise Malformed("a histogram's spans and buckets do not agree")
        if len(there) > _MOST_BUCKETS:
            raise Malformed(f"a histogram of more than {_MOST_BUCKETS} buckets")
        index, places = 0, []
        for offset, length in self.spans[spans]:
            index += offset
            places.append(range(index, index + length))
            index += length
        return list(zip(chain.from_iterable(places), there, strict=True))


def _span(data: bytes, field: Field) -> tuple[int, int]:
    offset = length = 0
    for one in fields(data, field.start, field.end):
        if one.number == 1:
            offset = zigzag(number(one))
        elif one.number == 2:
            length = number(one)
    return offset, length


def _exponential(buckets: list[tuple[int, float]], schema: int, sign: float) -> list[Bucket]:
    """Bucket i is (2^((i-1)/2^schema), 2^(i/2^schema)]; here in the bounds of ``SCHEMA``."""
    found = []
    for index, count in buckets:
        if schema <= SCHEMA:
            low, high = (index - 1) << (SCHEMA - schema), index << (SCHEMA - schema)
        else:
            high = -(-index >> (schema - SCHEMA))
            low = high - 1
        ends = sign * _bound(low), sign * _bound(high)
        found.append((min(ends), max(ends), count))
    return found


def _bound(index: int) -> float:
    exponent = index / 2**SCHEMA
    if exponent >= 1024:
        return math.inf
    return 2.0**exponent if exponent > -1075 else 0.0


def _custom(buckets: list[tuple[int, float]], bounds: tuple[float, ...]) -> list[Bucket]:
    if any(a >= b for a, b in pairwise(bounds)) or not all(map(math.isfinite, bounds)):
        raise Malformed("a histogram's custom bounds do not rise")
    edges = (-math.inf, *bounds, math.inf)
    if any(not 0 <= index <= len(bounds) for index, _ in buckets):
        raise Malformed("a histogram's bucket lies beyond its custom bounds")
    return [(edges[index], edges[index + 1], count) for index, count in buckets]


class Bounds:
    """Which bounds each series has: they only grow, and never beyond ``MAX_BOUNDS``."""

    def __init__(self) -> None:
        self.crowded = 0  # bounds that found no room
        self._of: dict[bytes, list[float]] = {}

    def points(self, key: bytes, histogram: Histogram) -> Points:
        """Cumulative counts at every bound that this series has by now."""
        if histogram.stale:
            bounds, nan = self._of.get(key, []), math.nan
            return Points(dict.fromkeys([*map(le, bounds), "+Inf"], nan), nan, nan)
        bounds = self._grown(key, histogram)
        ordered = sorted(histogram.buckets, key=lambda bucket: bucket[1])
        uppers = [upper for _, upper, _ in ordered]
        sums = [0.0, *accumulate(count for _, _, count in ordered)]
        found = {le(bound): sums[bisect_right(uppers, bound)] for bound in bounds}
        found["+Inf"] = histogram.observed
        return Points(found, histogram.observed, histogram.total)

    def _grown(self, key: bytes, histogram: Histogram) -> list[float]:
        """Each populated bucket has both its ends, so that quantiles know where it begins."""
        if key not in self._of and len(self._of) >= MAX_SERIES:
            self._of.clear()  # each finds its bounds again with its next sample
        known = self._of.setdefault(key, [])
        ends = {end for low, high, _ in histogram.buckets for end in (low, high)}
        new = sorted(filter(math.isfinite, ends.union(histogram.bounds).difference(known)))
        room = MAX_BOUNDS - len(known)
        self.crowded += max(0, len(new) - room)
        if new and room > 0:
            known += new[:room]
            known.sort()
        return known


def le(bound: float) -> str:
    """A bound as Prometheus writes it, six digits of it where it is a root of two."""
    return f"{bound:.12g}" if math.isfinite(bound) else "+Inf"
