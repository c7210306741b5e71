"""All selections of all streamed rules, fed with every raw batch.

Which rules a raw series matters to is found out once, when it is first seen. Samples are gathered
in rounds (``rounds``); a round is handed to the rules that know one of its metric names, and what
no rule selects to the built-in watch (``unruled``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from aiopsd.contracts import Series
from aiopsd.model import Batch, Floats, Indexes, Labels
from aiopsd.rows import pack, unpack
from aiopsd.transforms.flow import Flags, Flow, Tick
from aiopsd.transforms.rounds import NOBODY, Round, Rounds
from aiopsd.transforms.selection import Selection
from aiopsd.transforms.unruled import Unruled

VERSION: Final = 2
_Raw = tuple[Indexes, Floats, Floats, Flags]  # series, values, times, late


class _Kind(NamedTuple):
    """What series of one metric name are to the rules."""

    name: str
    flows: tuple[Flow, ...]
    circle: int


class Transforms:
    """``feed`` takes a raw batch (rule ``""``) and answers with one batch for each rule that
    looks at one of the metrics of a round that has ended: an empty one is a tick in which nothing
    was selected. A batch of a rule in ``unruled`` names raw series."""

    def __init__(
        self, selections: Mapping[str, Selection], table: Series, unruled: Unruled | None = None
    ) -> None:
        self._table = table
        self._flows = {rule: Flow(rule, one, table) for rule, one in selections.items()}
        self._unruled = unruled
        self._begin()

    @property
    def unruled(self) -> frozenset[str]:
        return self._unruled.rules if self._unruled else frozenset()

    def selected(self, rule: str) -> tuple[int, ...]:
        """How many raw series this rule selects, on each side; nothing for one not streamed."""
        return self._flows[rule].selected if rule in self._flows else ()

    def looking_at(self, name: str) -> frozenset[str]:
        """The rules that look at this metric."""
        flows = self._flows.items()
        return frozenset(rule for rule, flow in flows if flow.selection.interested(name))

    def named(self, rule: str, labels: Labels) -> tuple[str, Labels]:
        """Under which rule and labels the table has the series of an anomaly."""
        raw = self._unruled.named(rule, labels) if self._unruled else None
        return (rule, labels) if raw is None else ("", raw)

    def _begin(self) -> None:
        patient = [not flow.selection.alone for flow in self._flows.values()]
        self._rounds = Rounds(len(patient) + 1, np.array([*patient, True]))
        self._circles = list(range(len(patient) + 1))  # by flow: the circle that it is part of
        self._names: dict[str, int] = {}  # metric name -> kind
        self._kinds: list[_Kind] = []
        self._kind: Indexes = np.full(0, -1, np.int32)  # by series; -1: not seen yet

    # --- a batch ------------------------------------------------------------------------

    def feed(self, batch: Batch) -> list[Batch]:
        found = self._admit(batch.series) if len(batch.series) else []
        return found + self._worked(self._rounds.feed(batch))

    def tick(self, now_s: float) -> list[Batch]:
        """What has waited for company for long enough. ``now_s``: of the clock of the samples."""
        return self._worked(self._rounds.tick(now_s))

    def flush(self) -> list[Batch]:
        """What waits, without what it waits for."""
        return self._worked(self._rounds.flush())

    def _worked(self, ended: Iterable[Round]) -> list[Batch]:
        return [batch for one in ended for batch in self._work(one)]

    def _work(self, one: Round) -> list[Batch]:
        kinds, found = self._kind[one.series], []
        order = np.argsort(kinds.astype(np.int16) if len(self._kinds) < 2**15 else kinds,
                           kind="stable")  # fmt: skip
        kinds = kinds[order]
        raw = one.series[order], one.values[order], one.times[order], one.late[order]
        begin = np.flatnonzero(np.diff(kinds, prepend=-1))
        shares: dict[str, list[slice]] = {}
        circles: dict[int, list[slice]] = {}
        for start, end in zip(begin.tolist(), [*begin[1:].tolist(), len(kinds)], strict=True):
            kind = self._kinds[kinds[start]]
            circles.setdefault(kind.circle, []).append(slice(start, end))
            for flow in kind.flows:
                shares.setdefault(flow.rule, []).append(slice(start, end))
        for number, (rule, flow) in enumerate(self._flows.items()):
            if rule in shares:
                now_s, since_s = (float(t[self._circles[number]]) for t in (one.now_s, one.since_s))
                part = _share(raw, shares[rule])
                found += flow.feed(Tick(*part, now_s, since_s, one.history))
        for circle, slices in circles.items() if self._unruled else ():
            now_s, since_s = float(one.now_s[circle]), float(one.since_s[circle])
            tick = Tick(*_share(raw, slices), now_s, since_s, one.history)
            found += self._unruled.feed(tick) if self._unruled else []
        return found

    # --- who is who ---------------------------------------------------------------------

    def _admit(self, series: Indexes) -> list[Batch]:
        """Answers with rounds that end because the circles that they gather for become one."""
        most = int(series.max())
        if most >= len(self._kind):
            more = np.full(max(most + 1, 2 * len(self._kind)) - len(self._kind), -1, np.int32)
            self._kind = np.concatenate((self._kind, more))
        unknown = series[self._kind[series] < 0]
        if not len(unknown):
            return []
        ended: list[Batch] = []
        new: dict[int, list[tuple[int, Labels]]] = {}
        for index in dict.fromkeys(unknown.tolist()):
            labels = self._table.labels(index)
            name = labels.get("__name__", "")
            kind = self._names.get(name)
            if kind is None:
                kind = self._meet(name, ended)
            self._kind[index] = kind
            new.setdefault(kind, []).append((index, labels))
        for kind, found in new.items():
            self._enter(self._kinds[kind], found)
        return ended

    def _enter(self, kind: _Kind, found: list[tuple[int, Labels]]) -> None:
        for flow in kind.flows:
            flow.admit(kind.name, found)
        indexes = np.array([index for index, _ in found], np.int32)
        watched = self._unruled is not None and self._unruled.watches(kind.name)
        if self._unruled is not None and watched:
            ruled = np.zeros(len(indexes), bool)
            for flow in kind.flows:
                ruled |= flow.knows(indexes)
            self._unruled.forget(indexes[ruled])
            if not ruled.all():
                free = [
                    pair for pair, taken in zip(found, ruled.tolist(), strict=True) if not taken
                ]
                self._unruled.admit(free)
        self._rounds.enter(indexes, kind.circle if kind.flows or watched else NOBODY)

    def _meet(self, name: str, ended: list[Batch]) -> int:
        """A metric name that is new; the rules that look at it are one circle from now on."""
        flows = tuple(f for f in self._flows.values() if f.selection.interested(name))
        numbers = {rule: n for n, rule in enumerate(self._flows)}
        circles = sorted({self._circles[numbers[flow.rule]] for flow in flows})
        circle = circles[0] if circles else len(self._flows)
        if len(circles) > 1:
            ended += self.flush()
            for gone in circles[1:]:
                self._rounds.merge(gone, circle)
            self._circles = [circle if c in circles else c for c in self._circles]
            self._kinds = [
                k._replace(circle=circle) if k.circle in circles else k for k in self._kinds
            ]
        kind = self._names[name] = len(self._kinds)
        self._kinds.append(_Kind(name, flows, circle))
        return kind

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        """These indexes now mean other series, raw ones or the rules' own."""
        for flow in self._flows.values():
            flow.forget(series)
        if self._unruled is not None:
            self._unruled.forget(series)
        self._rounds.forget(series)
        self._kind[series[series < len(self._kind)]] = -1

    def rewind(self, now_s: float) -> None:
        """The clock was ahead when these samples came: none of them is newer than now."""
        self._rounds.rewind(now_s)
        for flow in self._flows.values():
            flow.rewind(now_s)
        if self._unruled is not None:
            self._unruled.rewind(now_s)

    def _rules(self) -> list[tuple[str, str]]:
        return [(rule, flow.selection.text) for rule, flow in self._flows.items()]

    def save(self) -> bytes:
        known = self._rounds.known()
        names = [kind.name for kind in self._kinds]
        return pack(
            "transforms",
            VERSION,
            self._rules(),
            {rule: flow.state() for rule, flow in self._flows.items()},
            self._unruled.state() if self._unruled else None,
            self._rounds.state(),
            (names, self._kind[known].tobytes()),
        )

    def load(self, saved: bytes) -> None:
        """Raises ValueError on garbage. A rule that selects something else by now starts cold."""
        keys = list[tuple[tuple[str, str], ...] | None]
        flows = dict[str, tuple[keys, list[tuple[bytes, list[tuple[float, bytes, bytes]]]]]]
        shape = tuple[list[tuple[str, str]], flows, Any, dict[str, Any], tuple[list[str], bytes]]
        rules, state, unruled, rounds, kinds = unpack("transforms", VERSION, saved, shape)
        self._begin()
        texts = dict(rules)
        for rule, flow in self._flows.items():
            if texts.get(rule) == flow.selection.text:
                flow.restore(*state[rule])
        if self._unruled is not None and unruled is not None:
            self._unruled.restore(unruled)
        same = rules == self._rules() and (unruled is None) == (self._unruled is None)
        names, kind_bytes = kinds
        for name in names if same else ():
            self._meet(name, [])
        entering = self._rounds.restore(rounds, same=same)
        if same:
            self._recall(entering, np.frombuffer(kind_bytes, np.int32))
        elif len(entering):
            self._admit(entering)
        self._rounds.settle()

    def _recall(self, series: Indexes, kinds: Indexes) -> None:
        """As they were admitted before; no label is read."""
        self._kind = np.full(int(series.max(initial=-1)) + 1, -1, np.int32)
        self._kind[series] = kinds
        circles = np.array([kind.circle for kind in self._kinds], np.int32)[kinds]
        for circle in np.unique(circles).tolist():
            self._rounds.enter(series[circles == circle], circle)


def _share(raw: _Raw, slices: list[slice]) -> _Raw:
    if len(slices) == 1:
        return tuple(one[slices[0]] for one in raw)  # type: ignore[return-value]
    return tuple(np.concatenate([one[part] for part in slices]) for one in raw)  # type: ignore[return-value]
