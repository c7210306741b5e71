"""Which strange places tell one story: each is explained by one other at most.

A caller is explained by the callee that it waits for, a guest by its host, a callee's traffic by
its caller. Whoever is explained by two picks one. So the stories are trees, and what two faults
have in common (their caller) never makes one of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from aiopsd.correlation.topology import Layout
from aiopsd.model import Anomaly

SAME_PLACE = 6.0  # times ``join_secs``; as long as it lasts, any time
LASTING = 6.0  # times the window, of what lasts: effects grow slowly, too
TWO_HOPS = 0.4  # times ``join_secs``: what is further away must be closer in time
SILENT_SECS, SILENT_PLACES = 120.0, 5  # so many places fall silent at once: one cause
OWN_CAUSES = frozenset({"crash", "memory-leak", "disk-full", "gpu"})  # no callee explains these


@dataclass(eq=False)
class Spot:
    """One place that is strange; ``owner`` is the incident that it is in, "" for none yet."""

    place: str
    owner: str
    anomalies: list[Anomaly]
    hosts: frozenset[str] = frozenset()
    onsets: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.anomalies.sort(key=lambda a: (a.onset_s, a.id))
        self.onsets = [a.onset_s for a in self.anomalies]
        counted = [a for a in self.anomalies if a.severity != "info"]
        self.key = self.onsets[0], self.place, self.owner, self.anomalies[0].id
        self.until_s = max(
            (math.inf if a.ended_s is None else a.ended_s for a in counted), default=0
        )
        self.lasts = self.until_s == math.inf
        self.is_info = not counted
        self.is_faint = len(counted) < 2 and all(a.tier == "suspicious" for a in counted)
        self.is_silent = bool(counted) and all(a.detector == "absent" for a in counted)
        kinds = {a.kind for a in counted if a.onset_s <= self.onsets[0] + 60}
        self.has_own_cause = bool(kinds & OWN_CAUSES)
        self.has_symptoms_only = {a.kind for a in counted} <= {
            "latency", "error-rate", "slo-burn", "traffic", "availability", "log-novelty"
        }  # fmt: skip
        self.has_traffic = any(a.kind == "traffic" for a in counted)

    def lag(self, other: Spot) -> float:
        """Seconds from the nearest onset of the other to the first here; below 0: it was first."""
        return min((self.onsets[0] - one for one in other.onsets), key=abs)


class Link(NamedTuple):
    cost: float
    child: int
    parent: int


class Forest:
    """Spots and the one that explains each; trees do not grow together by two parents."""

    def __init__(self, spots: Sequence[Spot], held: frozenset[str]) -> None:
        self._spots = spots
        self._held = held  # incidents that people have shaped
        self.parent: list[int | None] = [None] * len(spots)
        self._tree = list(range(len(spots)))
        self._has_children = [False] * len(spots)
        self._owners = [{one.owner} - {""} for one in spots]

    def root(self, at: int) -> int:
        while self._tree[at] != at:
            at = self._tree[at]
        return at

    def take(self, link: Link, *, bridges: bool = False) -> bool:
        child, parent = link.child, link.parent
        mine, theirs = self.root(child), self.root(parent)
        if self.parent[child] is not None or mine == theirs:
            return False
        owners = self._owners[mine] | self._owners[theirs]
        if len(owners) > 1 and owners & self._held:
            return False
        # What is only evidence may begin or end a story; it is no bridge between two.
        idle = self._spots[parent].is_info and self.parent[parent] is not None
        if not bridges and (idle or (self._spots[child].is_info and self._has_children[child])):
            return False
        self.parent[child], self._has_children[parent] = parent, True
        self._tree[mine] = theirs
        self._owners[theirs] = owners
        return True

    def trees(self) -> list[list[Spot]]:
        found: defaultdict[int, list[Spot]] = defaultdict(list)
        for at, spot in enumerate(self._spots):
            found[self.root(at)].append(spot)
        return sorted(found.values(), key=lambda tree: tree[0].key)


def stories(
    spots: Iterable[Spot], layout: Layout, join_secs: float, held: frozenset[str] = frozenset()
) -> list[list[Spot]]:
    """The same for any order of what comes in."""
    ordered = sorted(spots, key=lambda one: one.key)
    forest = Forest(ordered, held)
    finder = _Finder(ordered, layout, join_secs)
    for link in sorted(finder.links()):
        forest.take(link)
    first: dict[str, int] = {}  # what is in an incident stays there, unless another explains it
    for at, spot in enumerate(ordered):
        if spot.owner and forest.parent[at] is None:
            forest.take(Link(9.0, at, first.setdefault(spot.owner, at)), bridges=True)
    return forest.trees()


class _Finder:
    """All links that place and time allow; a cheap one explains better."""

    def __init__(self, spots: Sequence[Spot], layout: Layout, join_secs: float) -> None:
        self._spots = spots
        self._layout = layout
        self._join_secs = join_secs
        self._at: defaultdict[str, list[int]] = defaultdict(list)
        self._on: defaultdict[str, list[int]] = defaultdict(list)  # by host
        for number, spot in enumerate(spots):
            self._at[spot.place].append(number)
            for host in spot.hosts:
                self._on[host].append(number)

    def links(self) -> Iterator[Link]:
        for child, spot in enumerate(self._spots):
            yield from self._same_place(child, spot)
            yield from self._callees(child, spot)
            if spot.has_traffic:
                yield from self._reached(child, self._layout.callers, 1.3, self._join_secs)
            for host in spot.hosts:
                yield from self._near(child, self._at.get(host, ()), 1.0, self._join_secs)
        callees = {c for place in self._at for c in self._layout.callees.get(place, ())}
        for middle in sorted(callees - self._at.keys()):
            yield from self._shared(self._layout.callers[middle], symptoms=True)
        callers = {c for place in self._at for c in self._layout.callers.get(place, ())}
        for middle in sorted(callers - self._at.keys()):
            yield from self._shared(self._layout.callees[middle], traffic=True)
        for host in sorted(self._on.keys() - self._at.keys()):
            yield from self._shared(self._layout.guests.get(host, frozenset()))
        yield from self._silence()

    def _same_place(self, child: int, spot: Spot) -> Iterator[Link]:
        for parent in self._at[spot.place]:
            other = self._spots[parent]
            if parent == child or (spot.owner and spot.owner == other.owner):
                continue
            lag = spot.lag(other)
            apart = 3.0 if spot.owner and other.owner else 0.0
            later = other.key < spot.key or (other.owner and not spot.owner)
            if later and (abs(lag) <= SAME_PLACE * self._join_secs or other.lasts):
                yield Link(apart + min(abs(lag) / self._join_secs, 9.0) / 20, child, parent)

    def _callees(self, child: int, spot: Spot) -> Iterator[Link]:
        if spot.has_own_cause:
            return
        callees = self._layout.callees
        yield from self._reached(child, callees, 1.0, self._join_secs)
        for silent in callees.get(spot.place, frozenset()):
            if not self._at.get(silent):
                for place in callees.get(silent, frozenset()) - {spot.place}:
                    window = TWO_HOPS * self._join_secs
                    yield from self._near(child, self._at.get(place, ()), 2.0, window)

    def _reached(
        self, child: int, around: Mapping[str, frozenset[str]], cost: float, window_secs: float
    ) -> Iterator[Link]:
        for place in around.get(self._spots[child].place, frozenset()):
            yield from self._near(child, self._at.get(place, ()), cost, window_secs)

    def _near(
        self, child: int, parents: Iterable[int], cost: float, window_secs: float
    ) -> Iterator[Link]:
        spot = self._spots[child]
        for parent in parents:
            other = self._spots[parent]
            lag = spot.lag(other)
            longer = (
                LASTING
                if 0 <= spot.onsets[0] - other.onsets[0] and (other.until_s >= spot.onsets[0])
                else 1.0
            )
            too_far = abs(lag) > longer * window_secs
            if parent == child or too_far or (other.is_info and not spot.is_info):
                continue
            late = 0.5 if lag < -60 else 0.0  # a cause is seen before its effect, mostly
            faint = 0.2 if other.is_faint else 0.0
            yield Link(cost + late + faint + abs(lag) / window_secs / 2, child, parent)

    def _shared(
        self, places: frozenset[str], *, symptoms: bool = False, traffic: bool = False
    ) -> Iterator[Link]:
        """Most of those who call, are called by, or run on one that says nothing, at once."""
        strange = sorted(
            n for place in places for n in self._at.get(place, ())
            if not self._spots[n].is_info and not self._spots[n].has_own_cause
            and (self._spots[n].has_symptoms_only or not symptoms)
            and (self._spots[n].has_traffic or not traffic)
        )  # fmt: skip
        if 2 <= len({self._spots[n].place for n in strange}) >= len(places) / 2:
            for first, child in pairwise(strange):
                yield from self._near(child, (first,), 2.5, TWO_HOPS * self._join_secs)

    def _silence(self) -> Iterator[Link]:
        silent = [n for n, spot in enumerate(self._spots) if spot.is_silent]
        if len({self._spots[n].place for n in silent}) < SILENT_PLACES:
            return
        for first, child in pairwise(silent):
            window = [
                n for n in silent if abs(self._spots[n].lag(self._spots[child])) <= SILENT_SECS
            ]
            if len({self._spots[n].place for n in window}) >= SILENT_PLACES:
                yield from self._near(child, (first,), 0.9, SILENT_SECS)
