"""Native histograms as the query API writes them, and as ``remote_write`` would have sent them.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms . The answer
has the ends of each bucket and not the schema; bounds that are powers of the finest schema's base
are taken to the house's own resolution, others are the histogram's own.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from aiopsd.errors import Unreachable
from aiopsd.sources.native_histogram import SCHEMA, Bucket, Histogram

_FINEST: Final = 2.0**8  # bounds for each doubling
_NEAR: Final = 1e-6  # of a step: how far a bound in decimals may be from the power that it is


class _Said(msgspec.Struct):
    count: str
    sum: str
    buckets: list[tuple[int, str, str, str]] = []  # which ends belong to it, low, high, count


def histogram(said: msgspec.Raw) -> Histogram:
    """Raises Unreachable where it is none."""
    try:
        time_s, one = msgspec.json.decode(said, type=tuple[float, _Said])
        buckets = [(float(low), float(high), float(n)) for _, low, high, n in one.buckets]
        count, total = float(one.count), float(one.sum)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unreachable(f"its answer has a histogram that is none: {error}") from None
    return Histogram(round(1000 * time_s), count, total, *_coarser(buckets))


def _coarser(buckets: list[Bucket]) -> tuple[tuple[Bucket, ...], tuple[float, ...]]:
    """The buckets, and the bounds where these are the histogram's own."""
    around_zero = [(0.0, 0.0, n) for low, high, n in buckets if low == -high]
    others = [one for one in buckets if one[0] != -one[1]]
    ends = {end for low, high, _ in others for end in (low, high)}
    if all(map(_is_power, ends)):
        others = [(_snapped(low, -1), _snapped(high, 1), n) for low, high, n in others]
        return (*around_zero, *others), ()
    return tuple(buckets), tuple(sorted(filter(math.isfinite, ends)))


def _is_power(bound: float) -> bool:
    if not bound or math.isinf(bound):
        return True
    exponent = math.log2(abs(bound)) * _FINEST
    return abs(exponent - round(exponent)) < _NEAR * _FINEST


def _snapped(bound: float, up: int) -> float:
    """The next bound of the house's schema, upward or downward."""
    if not bound or math.isinf(bound):
        return bound
    if bound < 0:
        return -_snapped(-bound, -up)
    exponent = math.log2(bound) * 2**SCHEMA
    if abs(exponent - round(exponent)) < _NEAR:
        exponent = round(exponent)
    return float(2.0 ** ((math.ceil if up > 0 else math.floor)(exponent) / 2**SCHEMA))
