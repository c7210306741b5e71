"""Which strange places tell one story: each is explained by one other at most.

A caller is explained by the callee that it waits for, a guest by its host, a callee's traffic by
its caller. Whoever is explained by two picks one. So the stories are trees, and what two faults
have in common (their caller) never makes one of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from aiopsd.correlation.topology import Layout
from aiopsd.model import Anomaly

SAME_PLACE = 6.0  # times ``join_secs``; as long as it lasts, any time
LASTING = 12.0  # times the window, of what lasts: effects grow slowly, too
# Costs, of which only the order matters: the same sign one call away, two calls away, at the same
# place, another sign one call away.
TWO_AWAY, HERE, OTHER_SIGN = 1.2, 1.6, 0.8
TWO_HOPS = 0.4  # times ``join_secs``: what is further away must be closer in time
SILENT_SECS, SILENT_PLACES = 120.0, 5  # so many places fall silent at once: one cause
OWN_CAUSES = frozenset({"crash", "memory-leak", "disk-full", "gpu"})  # no callee explains these


@dataclass(eq=False)
class Spot:
    """One place that is strange in one way; ``owner``: the incident that it is in, or ""."""

    place: str
    family: str  # latency, errors, and all other kinds together
    owner: str
    anomalies: list[Anomaly]
    hosts: frozenset[str] = frozenset()
    onsets: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.anomalies.sort(key=lambda a: (a.onset_s, a.id))
        self.onsets = [a.onset_s for a in self.anomalies]
        counted = [a for a in self.anomalies if a.severity != "info"]
        self.key = self.onsets[0], self.place, self.family, self.owner, self.anomalies[0].id
        self.until_s = max(map(_until, counted), default=0.0)
        self.lasts = any(not a.closed for a in counted)
        self.is_info = not counted
        self.is_faint = len(counted) < 2 and all(a.tier == "suspicious" for a in counted)
        self.is_silent = bool(counted) and all(a.detector == "absent" for a in counted)
        kinds = {a.kind for a in counted if a.onset_s <= self.onsets[0] + 60}
        self.has_own_cause = bool(kinds & OWN_CAUSES)
        self.has_symptoms_only = {a.kind for a in counted} <= {
            "latency", "error-rate", "slo-burn", "traffic", "availability", "log-novelty"
        }  # fmt: skip
        self.has_traffic = any(a.kind == "traffic" for a in counted)
        self.is_traffic = bool(counted) and all(a.kind == "traffic" for a in counted)

    def lag(self, other: Spot) -> float:
        """Seconds from the nearest onset of the other to the first here; below 0: it was first."""
        return min((self.onsets[0] - one for one in other.onsets), key=abs)


_FAMILIES = {"latency": "latency", "error-rate": "errors", "slo-burn": "errors"}


def _until(one: Anomaly) -> float:
    """Until when it is known to last."""
    return one.seen_s + one.lasts_secs if one.ended_s is None else one.ended_s


def family_of(kind: str) -> str:
    return _FAMILIES.get(kind, "")


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

    def keep_together(self, owner: str) -> None:
        """What is in an incident stays there, unless something else explains it."""
        mine = [at for at, spot in enumerate(self._spots) if spot.owner == owner]
        for at in mine[1:]:
            if self.parent[at] is None:
                self.take(Link(9.0, at, mine[0]), bridges=True)

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
    alone = {at for at, parent in enumerate(forest.parent) if parent is None}
    for link in sorted(finder.common(alone)):
        forest.take(link)
    for owner in sorted({spot.owner for spot in ordered} - {""}):
        forest.keep_together(owner)
    return forest.trees()


class _Finder:
    """All links that place and time allow; a cheap one explains better."""

    def __init__(self, spots: Sequence[Spot], layout: Layout, join_secs: float) -> None:
        self._spots = spots
        self._layout = layout
        self._join_secs = join_secs
        self._alone: Set[int] = frozenset()
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
        yield from self._silence()

    def _same_place(self, child: int, spot: Spot) -> Iterator[Link]:
        for parent in self._at[spot.place]:
            other = self._spots[parent]
            if parent == child or (spot.owner and spot.owner == other.owner):
                continue
            lag = spot.lag(other)
            later = other.key < spot.key or (other.owner and not spot.owner)
            own = other.has_own_cause and not spot.has_own_cause and lag >= -60
            if (later or own) and (abs(lag) <= SAME_PLACE * self._join_secs or other.lasts):
                cost = 3.0 if spot.owner and other.owner else _at_one_place(spot, other)
                yield Link(cost + min(abs(lag) / self._join_secs, 9.0) / 20, child, parent)

    def _callees(self, child: int, spot: Spot) -> Iterator[Link]:
        if spot.has_own_cause:
            return
        callees = self._layout.callees
        for place in callees.get(spot.place, frozenset()):
            yield from self._near(child, self._sick(place), 1.0, self._join_secs)
        for silent in callees.get(spot.place, frozenset()):
            if not self._at.get(silent):
                for place in callees.get(silent, frozenset()) - {spot.place}:
                    window = TWO_HOPS * self._join_secs
                    yield from self._near(child, self._sick(place), TWO_AWAY, window)

    def _sick(self, place: str) -> list[int]:
        """Less or more traffic at a callee makes no caller sick, unless it is sick of it."""
        return [n for n in self._at.get(place, ()) if not self._spots[n].is_traffic]

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
            goes_on = other.onsets[0] <= spot.onsets[0] <= other.until_s
            too_far = abs(lag) > (LASTING if goes_on else 1.0) * window_secs
            if parent == child or too_far or (other.is_info and not spot.is_info):
                continue
            late = 0.5 if lag < -60 else 0.0  # a cause is seen before its effect, mostly
            faint = 0.2 if other.is_faint else 0.0
            faint += OTHER_SIGN if other.family != spot.family else 0.0
            yield Link(cost + late + faint + abs(lag) / window_secs / 2, child, parent)

    def common(self, alone: Set[int]) -> Iterator[Link]:
        """What nothing strange explains, by something silent that they have in common."""
        self._alone = alone
        callees = {c for place in self._at for c in self._layout.callees.get(place, ())}
        for middle in sorted(callees - self._at.keys()):
            yield from self._shared(self._layout.callers[middle], symptoms=True)
        callers = {c for place in self._at for c in self._layout.callers.get(place, ())}
        for middle in sorted(callers - self._at.keys()):
            yield from self._shared(self._layout.callees[middle], traffic=True)
        for host in sorted(self._on.keys() - self._at.keys()):
            yield from self._shared(self._layout.guests.get(host, frozenset()))

    def _shared(
        self, places: frozenset[str], *, symptoms: bool = False, traffic: bool = False
    ) -> Iterator[Link]:
        """Most of those who call, are called by, or run on one that says nothing, at once."""
        strange = sorted(
            n for place in places for n in self._at.get(place, ())
            if n in self._alone
            and not self._spots[n].is_info
            and not self._spots[n].has_own_cause
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


def _at_one_place(spot: Spot, other: Spot) -> float:
    """What the callees explain as well goes with the callee; what has a cause here, with that."""
    return 0.6 if other.has_own_cause else HERE if spot.family else 0.3
