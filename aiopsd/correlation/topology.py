"""Who calls whom, what belongs to what and what runs where: written by people, or learned.

What is learned carries when it was seen first and last, fades when nobody has seen it for a while,
and is bounded. ``Layout`` is how all of it stands at one moment, for grouping and ranking.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from aiopsd.correlation.ties import (
    Tie,
    TieKind,
    host_of,
    ties,
    without_port,
    workload_of,
)
from aiopsd.model import Anomaly, Labels

Edge = tuple[str, str]
"""(caller, callee)"""
Around = Mapping[str, frozenset[str]]

MOST_TIES = 50_000  # some 10 MB; a cluster of 10,000 pods says three of each


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tie as people see it: where it is known from, and since when."""

    kind: TieKind
    one: str
    other: str
    origin: str
    first_s: float | None = None  # written ones have no age
    last_s: float | None = None


@dataclass(frozen=True)
class Layout:
    """All that is known at one moment."""

    calls: frozenset[Edge] = frozenset()
    parts: frozenset[Edge] = frozenset()  # (pod, its workload)
    backs: frozenset[Edge] = frozenset()  # (pod, its service)
    homes: frozenset[Edge] = frozenset()  # (what runs, the host or zone that it runs on)

    @cached_property
    def callees(self) -> Around:
        return _around((self.owner(a), self.owner(b)) for a, b in self.calls)

    @cached_property
    def callers(self) -> Around:
        return _around((b, a) for a, others in self.callees.items() for b in others)

    @cached_property
    def hosts(self) -> Around:
        """Of a place: what it runs on, and what that is in."""
        near = _around((self.owner(a), b) for a, b in self.homes)
        return {
            name: hosts.union(*(near.get(host, frozenset()) for host in hosts))
            for name, hosts in near.items()
        }

    @cached_property
    def guests(self) -> Around:
        """Of a host or zone: all that runs there."""
        return _around((host, name) for name, hosts in self.hosts.items() for host in hosts)

    @cached_property
    def _owners(self) -> dict[str, str]:
        return {a: b for a, b in sorted(self.parts, reverse=True) if a != b}

    @cached_property
    def _services(self) -> Around:
        """Of a workload, or a pod without one."""
        return _around((self._workload(pod), service) for pod, service in self.backs)

    def _workload(self, name: str) -> str:
        for _ in range(2):  # pod, ReplicaSet, Deployment
            name = self._owners.get(name, name)
        return workload_of(name)

    def owner(self, name: str) -> str:
        """The service of a pod or workload where it is of one, else its workload; of what belongs
        to nobody, its own name."""
        workload = self._workload(name)
        services = self._services.get(workload, frozenset())
        return next(iter(services)) if len(services) == 1 else workload

    def place(self, anomaly: Anomaly) -> str:
        """The name under which this anomaly stands in the layout."""
        name = anomaly.service
        if not name:
            return ",".join(f"{k}={v}" for k, v in sorted(anomaly.entity.items())) or anomaly.rule
        if name == anomaly.labels.get("instance"):
            return without_port(name) or name
        return self.owner(name)

    def hosts_of(self, anomaly: Anomaly) -> frozenset[str]:
        place, said = self.place(anomaly), host_of(anomaly.labels)
        known = self.hosts.get(place, frozenset())
        return (known | {said} if said else known) - {place}


class Topology:
    """Ties between places. Learned ones fade when nobody has seen them for a while."""

    def __init__(self, written: Mapping[str, Iterable[str]], fade_secs: float = 3600.0) -> None:
        self._written = frozenset((a, b) for a, callees in written.items() for b in callees)
        self._fade_secs = fade_secs
        self._seen: dict[Tie, tuple[float, float]] = {}  # first, last
        self._layout = Layout(self._written)
        self._stale_s = math.inf  # when the first of them fades, at the earliest

    def learn(self, labels: Labels, now_s: float) -> None:
        self.learn_ties(ties(labels), now_s)

    def learn_ties(self, told: Iterable[Tie], now_s: float) -> None:
        for tie in told:
            known = self._seen.get(tie)
            self._seen[tie] = (min(known[0], now_s) if known else now_s), now_s
            if known is None:
                self._stale_s = -math.inf
        if len(self._seen) > MOST_TIES:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """A tenth, so that it is not done for each."""
        by_age = sorted(self._seen.items(), key=lambda item: item[1][1])
        self._seen = dict(by_age[MOST_TIES // 10 :])

    def layout(self, now_s: float) -> Layout:
        """The same object as long as nothing is new or has faded."""
        if now_s > self._stale_s or self._stale_s == -math.inf:
            oldest = now_s - self._fade_secs
            self._seen = {tie: seen for tie, seen in self._seen.items() if seen[1] >= oldest}
            newest = min((last for _, last in self._seen.values()), default=math.inf)
            self._stale_s = newest + self._fade_secs
            layout = Layout(
                self._written | self._of("calls"),
                self._of("part of"),
                self._of("backs"),
                self._of("runs on"),
            )
            if layout != self._layout:
                self._layout = layout
        return self._layout

    def _of(self, kind: TieKind) -> frozenset[Edge]:
        return frozenset((tie.one, tie.other) for tie in self._seen if tie.kind == kind)

    def edges(self, now_s: float) -> frozenset[Edge]:
        """(caller, callee)"""
        return self.layout(now_s).calls

    def links(self, now_s: float) -> list[Link]:
        """All ties with origin and age, in order of names; each written one is said as written."""
        self.layout(now_s)
        written = [Link(kind="calls", one=a, other=b, origin="written") for a, b in self._written]
        learned = [
            Link(kind=t.kind, one=t.one, other=t.other, origin=t.origin, first_s=a, last_s=b)
            for t, (a, b) in self._seen.items()
        ]
        return sorted(written + learned, key=lambda k: (k.one, k.other, k.kind, k.origin))

    def save(self) -> bytes:
        return msgspec.msgpack.encode(list(self._seen.items()))

    def load(self, saved: bytes) -> None:
        """Raises ValueError on garbage."""
        self._seen = dict(msgspec.msgpack.decode(saved, type=list[tuple[Tie, tuple[float, float]]]))
        self._stale_s = -math.inf


def _around(pairs: Iterable[Edge]) -> dict[str, frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one, other in pairs:
        found[one].add(other)
    return {name: frozenset(others) for name, others in found.items()}
