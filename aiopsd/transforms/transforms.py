"""All selections of all streamed rules, fed with every raw batch.

Which rules a raw series matters to is found out once, when it is first seen; a batch is then
handed only to the rules that know one of its metric names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aiopsd.contracts import Series
from aiopsd.model import Batch, Indexes, Labels
from aiopsd.rows import pack, unpack
from aiopsd.transforms.flow import Flow
from aiopsd.transforms.selection import Selection


class Transforms:
    """``feed`` takes a raw batch (rule ``""``) and answers with one batch for each rule that
    looks at one of its metrics: an empty one is a tick in which nothing was selected."""

    def __init__(self, selections: Mapping[str, Selection], table: Series) -> None:
        self._table = table
        self._flows = {rule: Flow(rule, one, table) for rule, one in selections.items()}
        self._seen()

    def _seen(self) -> None:
        self._kinds: dict[str, int] = {}  # metric name -> kind
        self._flows_of: list[tuple[Flow, ...]] = []  # by kind
        self._kind: Indexes = np.full(0, -1, np.int32)  # by series; -1: not seen yet

    def feed(self, batch: Batch) -> list[Batch]:
        if not len(batch.series):
            return []
        self._admit(batch.series)
        kinds = np.unique(self._kind[batch.series])
        flows = {flow.rule: flow for kind in kinds.tolist() for flow in self._flows_of[kind]}
        return [flow.feed(batch) for flow in flows.values()]

    def _admit(self, series: Indexes) -> None:
        most = int(series.max())
        if most >= len(self._kind):
            more = np.full(max(most + 1, 2 * len(self._kind)) - len(self._kind), -1, np.int32)
            self._kind = np.concatenate((self._kind, more))
        new: dict[int, list[tuple[int, Labels]]] = {}
        for index in np.unique(series[self._kind[series] < 0]).tolist():
            labels = self._table.labels(index)
            kind = self._kind[index] = self._kind_of(labels.get("__name__", ""))
            new.setdefault(kind, []).append((index, labels))
        for kind, found in new.items():
            for flow in self._flows_of[kind]:
                flow.admit(found)

    def _kind_of(self, name: str) -> int:
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = len(self._flows_of)
            interested = (f for f in self._flows.values() if f.selection.interested(name))
            self._flows_of.append(tuple(interested))
        return kind

    def forget(self, series: Indexes) -> None:
        """These indexes now mean other series, raw ones or the rules' own."""
        for flow in self._flows.values():
            flow.forget(series)
        self._kind[series[series < len(self._kind)]] = -1

    def rewind(self, now_s: float) -> None:
        """The clock was ahead when these samples came: none of them is newer than now."""
        for flow in self._flows.values():
            flow.rewind(now_s)

    def save(self) -> bytes:
        state = {rule: (f.selection.text, *f.state()) for rule, f in self._flows.items()}
        return pack("transforms", 1, state)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on garbage. A rule that selects something else by now starts cold."""
        keys = list[tuple[tuple[str, str], ...] | None]
        shape = tuple[dict[str, tuple[str, keys, list[bytes]]]]
        (state,) = unpack("transforms", 1, saved, shape)
        self._seen()
        for rule, flow in self._flows.items():
            text, groups, sides = state.get(rule, ("", [], []))
            if text == flow.selection.text:
                flow.restore(groups, sides)
