"""Anomalies that belong together become one incident, and stay it.

Which belong together is said anew whenever there is news (``stories``); incidents follow with
inertia: a member stays where it is, until evidence makes two of one or one of two. When a story is
enough for an incident, ``opening`` says. An incident is over when every member has recovered for a
while; the same anomaly soon after opens it again, and any other is a new problem. What is only
evidence (severity info) neither opens an incident nor holds it open.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from aiopsd.correlation.by_hand import ByHand
from aiopsd.correlation.opening import is_enough
from aiopsd.correlation.stories import SAME_PLACE, Spot, family_of, stories
from aiopsd.correlation.topology import Layout
from aiopsd.correlation.versions import (
    MAX_MOMENTS,
    changed,
    joined,
    opened,
    quiet_since,
    resolved,
    same,
    times_reopened,
    united,
    without,
)
from aiopsd.model import Anomaly, Change, Incident, Moment, Suspect

CHANGE_SECS = 900.0  # a change this long before the onset still belongs to the story
MOST_WAITING = 5_000  # anomalies without an incident; the ones seen longest ago go


@dataclass(frozen=True, slots=True)
class GroupingLimits:
    join_secs: float = 300.0  # an onset this close to another member's belongs with it
    quiet_secs: float = 30.0  # all members recovered for this long: over
    reopen_secs: float = 600.0  # the same anomaly again within this: the same incident
    forget_secs: float = 900.0  # a lone suspicious anomaly is dropped after this
    max_age_secs: float = 86400.0  # an older incident takes no new members
    confirm_secs: float = 120.0  # one certain anomaly that has lasted so long opens alone


class Grouping(ByHand):
    """Open incidents, recently closed ones, and anomalies that wait for company."""

    def __init__(self, limits: GroupingLimits = GroupingLimits()) -> None:
        super().__init__()
        self.limits = limits
        self._waiting: dict[str, Anomaly] = {}
        self._layout = Layout()

    @property
    def open(self) -> list[Incident]:
        return [i for i in self._incidents.values() if not i.closed]

    def restore(self, incidents: Iterable[Incident]) -> None:
        """After a restart: the journal's newest versions."""
        self._incidents.update((incident.id, incident) for incident in incidents)

    def absorb(
        self, anomalies: Sequence[Anomaly], layout: Layout, changes: Sequence[Change], now_s: float
    ) -> list[Incident]:
        """Incidents that changed, newest versions."""
        touched: dict[str, None] = {}
        news = layout is not self._layout and layout != self._layout
        self._layout = layout
        for anomaly in anomalies:
            if self._is_dismissed(anomaly, now_s):
                continue
            home = self._home(anomaly, now_s)
            if home is not None:
                self._incidents[home.id] = joined(home, anomaly, now_s)
                touched[home.id] = None
                news |= home.closed
            elif anomaly.closed:
                self._waiting.pop(anomaly.id, None)
            else:
                self._waiting[anomaly.id] = anomaly
                news = True
        if news:
            touched |= dict.fromkeys(self._regroup(now_s))
        touched |= dict.fromkeys(self._attach(changes))
        return [self._incidents[name] for name in touched]

    def tick(self, now_s: float, *, blind: bool = False) -> list[Incident]:
        """What only the passing of time changes: resolved incidents, dropped leftovers.

        ``blind``: a source is away, so that silence means nothing.
        """
        limits = self.limits
        for name, one in list(self._waiting.items()):
            if one.seen_s < now_s - max(limits.forget_secs, one.lasts_secs):
                del self._waiting[name]
        for name, incident in list(self._incidents.items()):
            if incident.closed and incident.updated_s < now_s - limits.reopen_secs:
                del self._incidents[name]
        over = [i for i in self.open if self._is_over(i, now_s, blind)]
        for incident in over:
            self._incidents[incident.id] = resolved(incident, now_s)
        return [self._incidents[i.id] for i in over]

    def _is_over(self, incident: Incident, now_s: float, blind: bool) -> bool:
        """What comes again and again must be quiet for twice as long each time."""
        quiet_secs = self.limits.quiet_secs * 2.0 ** min(times_reopened(incident), 10)
        most_secs = max(self.limits.reopen_secs, self.limits.quiet_secs)
        return quiet_since(incident, now_s, blind) <= now_s - min(quiet_secs, most_secs)

    def suspects(
        self, incident: Incident, suspects: tuple[Suspect, ...], now_s: float
    ) -> Incident | None:
        """The incident with a new ranking; None when the ranking says nothing new."""
        if [_gist(s) for s in suspects] == [_gist(s) for s in incident.suspects]:
            return None
        first = suspects[0] if suspects else None
        news: tuple[Moment, ...] = ()
        if first and (not incident.root or incident.root.id != first.id):
            news = (Moment(time_s=now_s, what="suspect", text=f"{first.id} {first.score:.2f}"),)
        ranked = first is not None and incident.kind != "monitor"
        updated = replace(
            incident,
            suspects=suspects,
            kind=first.anomaly_kind if first and ranked else incident.kind,
            updated_s=now_s,
            moments=(incident.moments + news)[-MAX_MOMENTS:],
        )
        self._incidents[incident.id] = updated
        return updated

    def put(self, incident: Incident) -> None:
        """Its newest version, with the same members."""
        self._incidents[incident.id] = incident

    def _home(self, anomaly: Anomaly, now_s: float) -> Incident | None:
        """The incident whose member this is already, open ones first."""
        for incident in self.open:
            if any(same(m, anomaly) for m in incident.anomalies):
                return incident
        if anomaly.closed or anomaly.severity == "info":
            return None
        for incident in self._incidents.values():
            lately = incident.opened_s > now_s - self.limits.max_age_secs
            again = incident.closed and not incident.merged_into and lately
            if again and any(same(m, anomaly) for m in incident.anomalies):
                return incident
        return None

    # --- stories to incidents -----------------------------------------------------------

    def _regroup(self, now_s: float) -> list[str]:
        """Waiting anomalies find their incidents, or open them; incidents merge and part."""
        spots = self._spots(now_s)
        held = frozenset(i.id for i in self.open if i.held)
        trees = stories(spots, self._layout, self.limits.join_secs, held)
        homes = self._homes(trees)
        touched: list[str] = []
        for number, tree in enumerate(trees):
            here = sorted((i for i, home in homes.items() if home == number), key=self._age)
            touched += self._settled(tree, here, now_s) if here else self._opened(tree, now_s)
        return touched

    def _spots(self, now_s: float) -> list[Spot]:
        limits, found = self.limits, []
        for incident in self.open:
            if incident.opened_s > now_s - limits.max_age_secs:
                found += self._of(incident.id, incident.anomalies)
        if len(self._waiting) > MOST_WAITING:
            by_age = sorted(self._waiting.values(), key=lambda a: (a.seen_s, a.id))
            self._waiting = {a.id: a for a in by_age[-MOST_WAITING:]}
        return found + self._of("", self._waiting.values())

    def _of(self, owner: str, anomalies: Iterable[Anomaly]) -> list[Spot]:
        """By place and family of kinds, and by time: what began much later is another spot."""
        by_place: defaultdict[tuple[str, str], list[Anomaly]] = defaultdict(list)
        for one in sorted(anomalies, key=lambda a: (a.onset_s, a.id)):
            by_place[self._layout.place(one), family_of(one.kind)].append(one)
        found = []
        for (place, family), members in by_place.items():
            first = 0
            for at in range(1, len(members) + 1):
                is_end = at == len(members)
                if is_end or _is_apart(members[at - 1], members[at], owner, self.limits.join_secs):
                    part = members[first:at]
                    hosts = frozenset().union(*map(self._layout.hosts_of, part))
                    found.append(Spot(place, family, owner, part, hosts))
                    first = at
        return found

    def _homes(self, trees: Sequence[Sequence[Spot]]) -> dict[str, int]:
        """Incident to the tree that holds most of it; the first of equals."""
        counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for number, tree in enumerate(trees):
            for spot in tree:
                if spot.owner:
                    counts[spot.owner][number] += len(spot.anomalies)
        return {o: max(sorted(c), key=c.__getitem__) for o, c in counts.items()}

    def _age(self, name: str) -> tuple[float, str]:
        return self._incidents[name].opened_s, name

    def _settled(self, tree: Sequence[Spot], here: Sequence[str], now_s: float) -> list[str]:
        """The oldest goes on: it takes the others in, and what waits."""
        oldest, touched = here[0], []
        for name in here[1:]:
            one, other = self._incidents[oldest], self._incidents[name]
            self._incidents[oldest], self._incidents[name] = united(one, other, now_s)
            touched += [oldest, name]
        for spot in tree:
            if spot.owner:
                continue
            for anomaly in spot.anomalies:
                self._waiting.pop(anomaly.id, None)
                self._incidents[oldest] = joined(self._incidents[oldest], anomaly, now_s)
                touched.append(oldest)
        return touched

    def _opened(self, tree: Sequence[Spot], now_s: float) -> list[str]:
        """A story without an incident: one is opened if it is enough; it takes along its members
        that were in another by mistake."""
        members = [(spot.place, one) for spot in tree for one in spot.anomalies]
        if not is_enough(members, self.limits.confirm_secs):
            return []
        group = sorted((one for _, one in members), key=lambda a: (a.onset_s, a.id))
        incident = opened(group, now_s, self._incidents)
        touched = [incident.id]
        for owner in sorted({spot.owner for spot in tree} - {""}):
            gone = [one for spot in tree if spot.owner == owner for one in spot.anomalies]
            self._incidents[owner] = without(self._incidents[owner], gone, incident.id, now_s)
            touched.append(owner)
        for one in group:
            self._waiting.pop(one.id, None)
        self._incidents[incident.id] = incident
        return touched

    def _attach(self, changes: Sequence[Change]) -> list[str]:
        """Changes on a service of an open incident become part of its story; once."""
        touched = []
        for change in changes:
            for incident in self.open:
                known = any(c.id == change.id for c in incident.changes)
                near = change.time_s >= incident.onset_s - CHANGE_SECS
                if near and not known and change.service in incident.services:
                    self._incidents[incident.id] = changed(incident, change)
                    touched.append(incident.id)
        return touched


def _is_apart(before: Anomaly, after: Anomaly, owner: str, join_secs: float) -> bool:
    """In no incident yet, an anomaly that began long after another one is another story."""
    return not owner and after.onset_s - before.onset_s > SAME_PLACE * join_secs


def _gist(suspect: Suspect) -> tuple[object, ...]:
    change = suspect.change.id if suspect.change else None
    codes = tuple(r.code for r in suspect.reasons), tuple(r.code for r in suspect.against)
    return suspect.id, round(suspect.score, 1), suspect.metric, codes, change
