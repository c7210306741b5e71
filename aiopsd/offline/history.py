"""A rule's history out of Prometheus, in portions that fit into memory, on the daemon's ticks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Floats, Labels
from aiopsd.sources.prometheus_api import Matrix, PrometheusApi
from aiopsd.sources.prometheus_rule import MAX_POINTS, Grid

FIRST_TICKS: Final = 240  # of the first question, before it is known how many series answer
POINTS: Final = 200_000  # that one answer should hold

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Portion:
    """Some ticks of a rule: ``values`` ``[ticks, series]``, NaN also where ``there`` is not."""

    times_s: Floats
    labels: list[Labels]
    values: Floats
    there: Flags

    @property
    def filled(self) -> Flags:
        """Ticks at which some series has a sample."""
        return np.asarray(self.there.any(axis=1))


async def portions(
    api: PrometheusApi, promql: str, grid: Grid, begin_s: float, end_s: float
) -> AsyncIterator[Portion]:
    """Every tick from ``begin_s`` to ``end_s``, in order, those without a sample too.

    Asks for less at a time where the server finds it too much. Raises Refused or Unreachable where
    even one tick cannot be had.
    """
    first_ms = grid.at_or_before(begin_s) + grid.every_ms
    last_ms = grid.at_or_before(end_s)
    ticks = FIRST_TICKS
    while first_ms <= last_ms:
        ticks = min(ticks, (last_ms - first_ms) // grid.every_ms + 1)
        upto_ms = first_ms + (ticks - 1) * grid.every_ms
        try:
            matrix = await api.range(promql, first_ms / 1000, upto_ms / 1000, grid.every_ms / 1000)
        except (Refused, Unreachable):
            if ticks == 1:
                raise
            ticks = max(1, ticks // 4)
            continue
        portion = _portion(matrix, first_ms, ticks, grid.every_ms)
        yield portion
        first_ms = upto_ms + grid.every_ms
        ticks = min(MAX_POINTS, max(1, POINTS // max(1, len(portion.labels))), 4 * ticks)


def _portion(matrix: Matrix, first_ms: int, ticks: int, every_ms: int) -> Portion:
    labels = matrix.labels
    values = np.full((ticks, len(labels)), np.nan)
    there = np.zeros(values.shape, bool)
    tick = np.rint((matrix.times_s * 1000 - first_ms) / every_ms).astype(np.int64)
    inside = (tick >= 0) & (tick < ticks)
    values[tick[inside], matrix.series[inside]] = matrix.values[inside]
    there[tick[inside], matrix.series[inside]] = True
    times_s = (first_ms + every_ms * np.arange(ticks)) / 1000
    return Portion(times_s, labels, values, there)
