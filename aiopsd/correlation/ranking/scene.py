"""The window made ready to be worked on: services by number, series as rows, gaps added."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiopsd.correlation.ranking.kinds import Family
from aiopsd.correlation.ranking.robust import median
from aiopsd.correlation.ranking.window import Column, Window
from aiopsd.model import Floats

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
BEYOND = 1e150  # nothing that is measured is as large; and squares of smaller ones do not overflow
GAP_SHARE = 0.3  # of the usual latency seen by the client: a gap below that is no news


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """``x`` ``[series, rows]``, NaN where missing; arrays by series unless said otherwise."""

    window: Window
    columns: tuple[Column, ...]
    x: Floats
    services: tuple[str, ...]  # sorted
    number: dict[str, int]
    own: Ints  # number of the service that each series is measured at
    pools: tuple[str, ...]  # what each series is comparable with, over the services
    least: Floats  # smallest change worth a thought that the series itself says; else 0
    callees: tuple[tuple[int, ...], ...]  # by service

    def is_family(self, *families: Family) -> Flags:
        wanted = set(families)
        return np.array([c.kind.family in wanted for c in self.columns], dtype=bool)

    def flag(self, name: str) -> Flags:
        """A yes-or-no of its ``Kind``, such as ``is_stock``."""
        return np.array([getattr(c.kind, name) for c in self.columns], dtype=bool)


def scene_of(window: Window) -> Scene:
    x = np.array(window.values.T, dtype=np.float64, order="C")
    x[~(np.abs(x) < BEYOND)] = np.nan
    gaps = _gaps(window.columns, x)
    columns = (*window.columns, *(column for column, _, _ in gaps))
    least = np.zeros(len(columns))
    if gaps:
        x = np.vstack([x, *(values for _, values, _ in gaps)])
        least[len(window.columns) :] = np.nan_to_num([smallest for _, _, smallest in gaps])
    services = tuple(sorted({c.service for c in columns}))
    number = {name: at for at, name in enumerate(services)}
    return Scene(
        window, columns, x, services, number,
        own=np.array([number[c.service] for c in columns], dtype=np.int64),
        pools=tuple(c.pool or c.metric for c in columns),
        least=least,
        callees=_callees(window, number),
    )  # fmt: skip


def _callees(window: Window, number: dict[str, int]) -> tuple[tuple[int, ...], ...]:
    found: list[dict[int, None]] = [{} for _ in number]
    for caller, callee in window.edges:
        if caller in number and callee in number and caller != callee:
            found[number[caller]][number[callee]] = None
    return tuple(tuple(sorted(each)) for each in found)


def _gaps(columns: tuple[Column, ...], x: Floats) -> list[tuple[Column, Floats, float]]:
    """An edge's latency at the client minus that at the server is the network between them: one
    more series of the callee."""
    served: dict[Any, int] = {}
    for at, one in enumerate(columns):
        if one.caller and one.kind.family is Family.LATENCY:
            served.setdefault((one.caller, one.service, _digits(one)), at)
    found = []
    for at, one in enumerate(columns):
        other = served.get((one.service, one.callee, _digits(one))) if one.callee else None
        if other is not None and one.kind.family is Family.LATENCY:
            column = Column(one.callee, f"{one.pool}-gap", one.kind, pool=f"{one.pool}-gap")
            usual = float(median(x[at : at + 1])[0])
            found.append((column, x[at] - x[other], GAP_SHARE * usual))
    return found


def _digits(column: Column) -> str:
    """Which quantile it is."""
    return "".join(re.findall(r"\d+", column.pool))
