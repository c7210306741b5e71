"""Answers to metric queries in the shape that Loki shares with Prometheus."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .logql_metrics import MetricQuery, shown, steps
from .loki_streams import Labels, Stream, Window, canonical
from .loki_window import Refusal


def vector(
    metric: MetricQuery, streams: Collection[Stream], time_ns: int, most: int
) -> list[dict[str, Any]]:
    found = metric.at(streams, time_ns)
    _refuse_more(len(found), most)
    return [{"metric": name, "value": [_secs(time_ns), shown(value)]} for name, value in found]


def matrix(
    metric: MetricQuery, streams: Collection[Stream], asked: Window, step_ns: int, most: int
) -> list[dict[str, Any]]:
    found: dict[Labels, list[Any]] = {}
    for time_ns in steps(asked.start_ns, asked.end_ns, step_ns):
        for labels, value in metric.at(streams, time_ns):
            found.setdefault(canonical(labels), []).append([_secs(time_ns), shown(value)])
    _refuse_more(len(found), most)
    return [{"metric": dict(name), "values": values} for name, values in sorted(found.items())]


def _refuse_more(series: int, most: int) -> None:
    if series > most:
        raise Refusal(
            400,
            f"maximum number of series ({most}) reached for a single query; "
            "consider reducing query cardinality by adding more specific stream selectors, "
            "reducing the time range, or aggregating results with functions like sum(), "
            "count() or topk()",
        )


def _secs(ns: int) -> float | int:
    """Seconds with milliseconds, whole ones without a point."""
    ms = ns // 10**6
    return ms // 1000 if ms % 1000 == 0 else ms / 1000
