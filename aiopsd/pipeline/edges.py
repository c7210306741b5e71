"""Which series tell who calls whom or runs where: found out once, said again while they live."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aiopsd.correlation.ties import Tie, ties
from aiopsd.model import Batch, Indexes, Labels

AGAIN_SECS = 600.0  # how often a live edge is said again
_UNSEEN, _NONE = -2, -1
_Told = tuple[Tie, ...]


class Edges:
    """Looks at the labels of a series when it is new; a known one costs one number."""

    def __init__(self, labels: Callable[[int], Labels]) -> None:
        self._labels = labels
        self._edge: Indexes = np.full(0, _UNSEEN, np.int32)  # by series
        self._numbers: dict[_Told, int] = {}
        self._said: NDArray[np.bool_] = np.zeros(0, bool)  # by number
        self._since_s = -np.inf

    def observe(self, batch: Batch) -> list[Tie]:
        """What no series has told lately."""
        if not len(batch.series):
            return []
        if not 0 <= batch.time_s - self._since_s < AGAIN_SECS:
            self._again(batch.time_s)
        self._admit(batch.series)
        edges = self._edge[batch.series]
        edges = edges[edges >= 0]
        fresh = np.unique(edges[~self._said[edges]])
        if not len(fresh):
            return []
        self._said[fresh] = True
        told = list(self._numbers)
        return [tie for number in fresh.tolist() for tie in told[number]]

    def _again(self, now_s: float) -> None:
        """What is said again is what was said since the last time; the others are forgotten."""
        kept = np.flatnonzero(self._said)
        numbers = np.full(len(self._said), _UNSEEN, np.int32)
        numbers[kept] = np.arange(len(kept))
        known = self._edge >= 0
        self._edge[known] = numbers[self._edge[known]]
        told = list(self._numbers)
        self._numbers = {told[number]: place for place, number in enumerate(kept.tolist())}
        self._said = np.zeros(len(kept), bool)
        self._since_s = now_s

    def _admit(self, series: Indexes) -> None:
        most = int(series.max())
        if most >= len(self._edge):
            more = max(most + 1, 2 * len(self._edge)) - len(self._edge)
            self._edge = np.concatenate((self._edge, np.full(more, _UNSEEN, np.int32)))
        new = series[self._edge[series] == _UNSEEN]
        for index in new.tolist():
            self._edge[index] = self._number(self._labels(index))
        if len(self._numbers) > len(self._said):
            unsaid = np.zeros(len(self._numbers) - len(self._said), bool)
            self._said = np.concatenate((self._said, unsaid))

    def _number(self, labels: Labels) -> int:
        told = tuple(ties(labels))
        return self._numbers.setdefault(told, len(self._numbers)) if told else _NONE

    def forget(self, series: Indexes) -> None:
        """These indexes now mean other series."""
        self._edge[series[series < len(self._edge)]] = _UNSEEN
