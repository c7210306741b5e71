"""Rules that ask Loki for numbers: LogQL metric queries.

Loki answers them as Prometheus does, with one difference: where no line was there is no sample,
not a zero. A rate could never fall then, and the first error of a service would come to a detector
that knows nothing of it. So a count that was there within the last hour, and is not, is zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from yarl import URL

from aiopsd.contracts import Query, SourceContext
from aiopsd.model import Floats
from aiopsd.sources.fetch import Fetcher
from aiopsd.sources.loki_query import words
from aiopsd.sources.merging import Put
from aiopsd.sources.prometheus_api import Matrix, PrometheusApi, Vector, labels_of
from aiopsd.sources.prometheus_rule import Follower, Pace, Server, Ticks

SILENT_SECS = 3600.0  # the miner forgets the series of a log after as long
_COUNTS = frozenset(("rate", "count_over_time", "bytes_rate", "bytes_over_time"))
_NO_COUNTS = frozenset(("unwrap", "topk", "bottomk", "absent_over_time"))


def counts(query: str) -> bool:
    """Whether a series that is missing from its answer means none, and not unknown."""
    said = set(words(query))
    return bool(said & _COUNTS) and not said & _NO_COUNTS


class CountingApi(PrometheusApi):
    """Adds the zeros; ``url`` is that of Loki itself."""

    def __init__(self, fetcher: Fetcher, url: URL) -> None:
        super().__init__(fetcher, url / "loki")
        self._seen: dict[str, dict[bytes, float]] = {}  # query -> name -> when it had lines last

    async def instant(self, promql: str, time_s: float) -> Vector:
        vector = await super().instant(promql, time_s)
        if not counts(promql):
            return vector
        names = _canonical(vector.names)
        seen = self._remembered(promql, dict.fromkeys(names, time_s), time_s)
        silent = sorted(seen.keys() - set(names))
        values = np.concatenate((vector.values, np.zeros(len(silent))))
        return replace(vector, names=names + silent, values=values)

    async def range(self, promql: str, start_s: float, end_s: float, step_secs: float) -> Matrix:
        matrix = await super().range(promql, start_s, end_s, step_secs)
        if not counts(promql):
            return matrix
        names = _canonical(matrix.names)
        before = self._seen.get(promql, {})
        silent = sorted(name for name, last_s in before.items()
                        if name not in set(names) and start_s - last_s <= SILENT_SECS)  # fmt: skip
        names = names + silent
        steps = np.arange(round((end_s - start_s) / step_secs) + 1, dtype=np.float64)
        times_s: Floats = start_s + step_secs * steps
        table = np.full((len(names), len(times_s)), np.nan)
        tick = np.rint((matrix.times_s - start_s) / step_secs).astype(np.int64)
        inside = (tick >= 0) & (tick < len(times_s))
        table[matrix.series[inside], tick[inside]] = matrix.values[inside]
        last_s = _last_s(table, times_s, [before.get(name, -math.inf) for name in names])
        table[np.isnan(table) & (times_s - last_s <= SILENT_SECS)] = 0.0
        self._remembered(promql, dict(zip(names, last_s[:, -1].tolist(), strict=True)), end_s)
        series, at = np.nonzero(~np.isnan(table))
        return replace(
            matrix,
            names=names,
            series=series.astype(np.int32),
            times_s=times_s[at],
            values=table[series, at],
        )

    def _remembered(
        self, query: str, seen: Mapping[bytes, float], now_s: float
    ) -> dict[bytes, float]:
        """All names that had lines within the last hour."""
        known = {**self._seen.get(query, {}), **seen}
        self._seen[query] = {n: s for n, s in known.items() if now_s - s <= SILENT_SECS}
        return self._seen[query]


def _last_s(table: Floats, times_s: Floats, before_s: list[float]) -> Floats:
    """When each series last had a sample, at each time."""
    own = np.where(np.isnan(table), -np.inf, times_s)
    own[:, 0] = np.maximum(own[:, 0], before_s)
    found: Floats = np.maximum.accumulate(own, axis=1)
    return found


def _canonical(names: list[bytes]) -> list[bytes]:
    """Loki gives labels in any order."""
    return [msgspec.json.encode(labels, order="sorted") for labels in labels_of(names)]


Follow = Callable[[Put[Ticks]], Coroutine[Any, Any, None]]


def followers(
    context: SourceContext,
    fetcher: Fetcher,
    url: URL,
    delay_secs: float,
    done: Mapping[str, float],
) -> dict[str, Follow]:
    """By rule, who asks for it; ``done``: the last tick of each rule that is known. Without any
    rule, one who finds out whether the server is there."""
    apart = replace(context, name=f"{context.name}/rules")  # lines may come where numbers do not
    server = Server(apart, CountingApi(fetcher, url), str(url))

    def follow(query: Query) -> Follow:
        pace = Pace(query.every_secs, delay_secs, context.history_secs, aligned=True)
        return Follower(apart, server, query, pace, done.get(query.rule)).run

    return {query.rule: follow(query) for query in context.queries} or {"watch": server.watch}
