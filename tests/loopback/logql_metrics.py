"""The part of LogQL that counts lines: `sum by (app) (rate({env="prod"} |= "error" [1m]))`.

Also `topk(n, ...)` of it, and sums of two numbers. No sample stands where no line was, as with a
real Loki (tests/recordings/loki/metric_matrix_gap).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import logql
from .loki_streams import Labels, Stream, canonical

NS = 10**9
_RANGED = (
    r"(?P<of>rate|count_over_time|bytes_rate|bytes_over_time)\s*"
    r"\((?P<lines>\{.*)\[(?P<range>\w+)\]\s*\)"
)
_QUERY = re.compile(
    r"\s*(?:topk\s*\(\s*(?P<top>\d+)\s*,\s*)?"
    r"(?:(?P<agg>sum)\s*(?:by\s*\((?P<by>[^)]*)\)\s*)?\(\s*)?" + _RANGED + r"[\s)]*",
    re.DOTALL,
)
_NUMBERS = re.compile(r"\s*(\d+)\s*(?:\+\s*(\d+)\s*)?")
_UNIT_NS = {"s": NS, "m": 60 * NS, "h": 3600 * NS}

Sample = tuple[dict[str, str], float]


@dataclass(frozen=True)
class MetricQuery:
    lines: logql.LogQuery
    range_ns: int
    rate: bool
    bytes: bool
    summed: bool
    by: tuple[str, ...]
    top: int

    def at(self, streams: Iterable[Stream], time_ns: int) -> list[Sample]:
        """Of the lines after `time_ns - range_ns`, up to `time_ns`."""
        counts: Counter[Labels] = Counter()
        for stream in streams:
            if self.lines.selects(stream.labels):
                for entry in stream.between(time_ns - self.range_ns + 1, time_ns + 1):
                    if self.lines.keeps(entry.line):
                        key = self._key(stream.labels | dict(entry.metadata))
                        counts[key] += len(entry.line.encode()) if self.bytes else 1
        secs = self.range_ns / NS if self.rate else 1
        found = sorted(counts.items(), key=lambda one: -one[1] if self.top else 0)
        shown = found[: self.top] if self.top else sorted(found)
        return [(dict(labels), count / secs) for labels, count in shown]

    def _key(self, labels: dict[str, str]) -> Labels:
        if not self.summed:
            return canonical(labels)
        return tuple((name, labels[name]) for name in self.by if name in labels)


def parse(query: str) -> MetricQuery | None:
    """None where it is no metric query of this kind."""
    found = _QUERY.fullmatch(query)
    if not found:
        return None
    number, unit = found["range"][:-1], found["range"][-1]
    return MetricQuery(
        lines=logql.parse(found["lines"].strip()),
        range_ns=int(number) * _UNIT_NS[unit],
        rate=found["of"].endswith("rate"),
        bytes=found["of"].startswith("bytes"),
        summed=found["agg"] is not None,
        by=tuple(sorted(name.strip() for name in (found["by"] or "").split(",") if name.strip())),
        top=int(found["top"] or 0),
    )


def number(query: str) -> int | None:
    found = _NUMBERS.fullmatch(query)
    return int(found[1]) + int(found[2] or 0) if found else None


def steps(start_ns: int, end_ns: int, step_ns: int) -> Sequence[int]:
    """Loki moves both ends of a range outwards to whole steps."""
    return range(start_ns // step_ns * step_ns, -(-end_ns // step_ns) * step_ns + 1, step_ns)


def shown(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(value)
