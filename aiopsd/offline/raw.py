"""What a rule selects, out of Prometheus' history: the samples that were scraped, and no others.

They are asked for as a range vector (``errors_total[900s]``). A range query would repeat a sample
at steps of its own, for five minutes after its series ended: counters would be read at other
moments than they were scraped at, and silence would be found where a stream has none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import numpy as np

from aiopsd.contracts import Series
from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Batch, Floats, Indexes, Labels
from aiopsd.offline.natives import histogram
from aiopsd.offline.questions import Question
from aiopsd.sources.native_histogram import Bounds
from aiopsd.sources.prometheus_api import Matrix, PrometheusApi, whole_labels_of
from aiopsd.sources.remote_write_intake import Counts, Written
from aiopsd.sources.remote_write_series import Times
from aiopsd.sources.remote_write_ticks import Ticks

FIRST_SECS: Final = 900  # of the first page, before it is known how many samples it has
LEAST_SECS: Final = 60
POINTS: Final = 200_000  # that one page should hold
_NONE: Final = np.zeros(0, np.int32)


class RawHistory:
    """The raw samples of some questions, as ticks of a stream. Series that Prometheus has are
    interned in ``table`` under no rule, as those of a stream are."""

    def __init__(self, api: PrometheusApi, table: Series, resolution_ms: int) -> None:
        self._api, self._table = api, table
        self._ticks = Ticks(resolution_ms)
        self._known: dict[bytes, int] = {}  # a series as the answer names it
        self._classic: dict[tuple[bytes, str], int] = {}  # what is made of a native histogram
        self._bounds = Bounds()

    async def pages(
        self, questions: Sequence[Question], begin_s: int, end_s: int
    ) -> AsyncIterator[tuple[int, list[Batch]]]:
        """Up to when it has read, and the ticks since the page before. Asks for less at a time
        where the server finds it too much. Raises Refused or Unreachable where even a minute
        cannot be had."""
        at_s, span_secs = begin_s, FIRST_SECS
        while at_s < end_s:
            span_secs = min(span_secs, end_s - at_s)
            upto_s = at_s + span_secs
            try:
                found = [await self._api.samples(one, upto_s, span_secs) for one in questions]
            except (Refused, Unreachable):
                if span_secs <= LEAST_SECS:
                    raise
                span_secs = max(LEAST_SECS, span_secs // 4)
                continue
            written = [self._written(one, at_s) for one in found]
            yield upto_s, self._ticks.batches(written, 1000 * end_s)
            at_s = upto_s
            points = sum(len(one.series) for one in written)
            room = POINTS / max(points, 1)
            span_secs = int(min(max(span_secs * room, LEAST_SECS), 4 * span_secs))

    def _written(self, matrix: Matrix, after_s: int) -> Written:
        series = self._indexes(matrix.names)[matrix.series]
        times_ms = np.rint(1000 * matrix.times_s).astype(np.int64)
        values = matrix.values
        if matrix.natives:
            made, made_ms, counts = self._made(matrix)
            series = np.concatenate((series, made))
            times_ms = np.concatenate((times_ms, made_ms))
            values = np.concatenate((values, counts))
        kept = (series >= 0) & (times_ms > 1000 * after_s)  # the table may be full
        return Written(series[kept], times_ms[kept], values[kept], _NONE, Counts())

    def _indexes(self, names: Sequence[bytes]) -> Indexes:
        new = [name for name in names if name not in self._known]
        for name, labels in zip(new, whole_labels_of(new), strict=True):
            self._known[name] = self._table.intern("", labels)
        return np.array([self._known[name] for name in names], np.int32)

    def _made(self, matrix: Matrix) -> tuple[Indexes, Times, Floats]:
        """The classic series of native histograms, as ``remote_write`` makes them."""
        labels = whole_labels_of(matrix.names)
        found = []
        for at, said in matrix.natives:
            key, one = matrix.names[at], histogram(said)
            points = self._bounds.points(key, one)
            parts = {f"_bucket{le}": value for le, value in points.buckets.items()}
            parts |= {"_count": points.observed, "_sum": points.total}
            for part, value in parts.items():
                found.append((self._part(key, labels[at], part), one.time_ms, value))
        series, times_ms, values = zip(*found, strict=True)
        return np.array(series, np.int32), np.array(times_ms, np.int64), np.array(values)

    def _part(self, key: bytes, labels: Labels, part: str) -> int:
        if (key, part) not in self._classic:
            self._classic[key, part] = self._table.intern("", _classic(labels, part))
        return self._classic[key, part]


def _classic(labels: Labels, part: str) -> Labels:
    name = labels.get("__name__", "")
    if part.startswith("_bucket"):
        return labels | {"__name__": f"{name}_bucket", "le": part.removeprefix("_bucket")}
    return labels | {"__name__": name + part}
