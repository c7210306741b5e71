"""Prometheus text exposition, by hand: counters, gauges and histograms of one process.

Format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds in seconds; +Inf is always added."""


class Family(Protocol):
    """One metric name with all its label sets."""

    def lines(self) -> Iterator[str]: ...


class Metric:
    """A counter or a gauge; label values come in the order of ``labels``."""

    def __init__(
        self, kind: Literal["counter", "gauge"], name: str, about: str, labels: Sequence[str]
    ) -> None:
        self._kind, self._name, self._about, self._labels = kind, name, about, tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *values: str, amount: float = 1.0) -> None:
        """Counts; ``amount=0`` makes the series exist, so that its first event is a rise."""
        self._values[values] = self._values.get(values, 0.0) + amount

    def set(self, *values: str, to: float) -> None:
        self._values[values] = to

    def lines(self) -> Iterator[str]:
        yield from _head(self._name, self._about, self._kind)
        for values, value in self._values.items():
            yield f"{self._name}{_braces(self._labels, values)} {_number(value)}"


class Histogram:
    """Cumulative buckets, sum and count; label values come in the order of ``labels``."""

    def __init__(
        self,
        name: str,
        about: str,
        labels: Sequence[str],
        buckets: Sequence[float] = LATENCY_BUCKETS,
    ) -> None:
        self._name, self._about, self._labels = name, about, tuple(labels)
        self._bounds = (*buckets, math.inf)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def declare(self, *values: str) -> None:
        """Makes the series exist before the first observation."""
        self._counts.setdefault(values, [0] * len(self._bounds))
        self._sums.setdefault(values, 0.0)

    def observe(self, *values: str, value: float) -> None:
        self.declare(*values)
        self._counts[values][bisect_left(self._bounds, value)] += 1  # le: the bound is inside
        self._sums[values] += value

    def lines(self) -> Iterator[str]:
        yield from _head(self._name, self._about, "histogram")
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip(self._bounds, counts, strict=True):
                total += count
                braces = _braces((*self._labels, "le"), (*values, _number(bound)))
                yield f"{self._name}_bucket{braces} {total}"
            braces = _braces(self._labels, values)
            yield f"{self._name}_sum{braces} {_number(self._sums[values])}"
            yield f"{self._name}_count{braces} {total}"


def render(families: Sequence[Family]) -> str:
    """The body of an answer to ``GET /metrics``; ends with a line feed, as the format asks."""
    return "".join(f"{line}\n" for family in families for line in family.lines())


def _head(name: str, about: str, kind: str) -> Iterator[str]:
    escaped = about.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {escaped}"
    yield f"# TYPE {name} {kind}"


def _braces(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    inside = ",".join(pairs)
    return f"{{{inside}}}" if inside else ""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)
