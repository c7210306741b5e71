"""Anomalies that belong together become one incident.

They join by place (the same service, or one call apart) and by time (onsets close to one
another); never by time alone. One certain anomaly opens an incident, or two suspicious ones
that belong together. An incident is over when every member has recovered for a while; if the
same anomaly comes back soon after, it is the same incident. What is only evidence (severity info)
neither opens an incident nor holds it open.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from msgspec.structs import replace

from aiopsd.model import SEVERITIES, Anomaly, Change, Incident, Moment, Suspect

Edges = frozenset[tuple[str, str]]
CHANGE_SECS = 900.0  # a change this long before the onset still belongs to the story
MAX_MEMBERS = 200
MAX_MOMENTS = 200


@dataclass(frozen=True, slots=True)
class GroupingLimits:
    join_secs: float = 300.0  # an onset this close to another member's belongs with it
    quiet_secs: float = 30.0  # all members recovered for this long: over
    reopen_secs: float = 600.0  # the same anomaly again within this: the same incident
    forget_secs: float = 900.0  # a lone suspicious anomaly is dropped after this
    max_age_secs: float = 86400.0  # an older incident takes no new members


class Grouping:
    """Open incidents, recently closed ones, and anomalies that wait for company."""

    def __init__(self, limits: GroupingLimits = GroupingLimits()) -> None:
        self.limits = limits
        self._incidents: dict[str, Incident] = {}
        self._waiting: dict[str, Anomaly] = {}

    @property
    def open(self) -> list[Incident]:
        return [i for i in self._incidents.values() if not i.closed]

    def restore(self, incidents: Iterable[Incident]) -> None:
        """After a restart: the journal's newest versions."""
        self._incidents.update((incident.id, incident) for incident in incidents)

    def absorb(
        self, anomalies: Sequence[Anomaly], edges: Edges, changes: Sequence[Change], now_s: float
    ) -> list[Incident]:
        """Incidents that changed, newest versions."""
        touched: dict[str, None] = {}
        for anomaly in anomalies:
            home = self._home(anomaly, edges, now_s)
            if home is not None:
                self._incidents[home.id] = _joined(home, anomaly, now_s)
                touched[home.id] = None
            elif anomaly.closed:
                self._waiting.pop(anomaly.id, None)
            else:
                self._waiting[anomaly.id] = anomaly
        for name in [*self._open_new(edges, now_s), *self._attach(changes)]:
            touched[name] = None
        return [self._incidents[name] for name in touched]

    def tick(self, now_s: float, *, blind: bool = False) -> list[Incident]:
        """What only the passing of time changes: resolved incidents, dropped leftovers.

        ``blind``: a source is away, so that silence means nothing.
        """
        limits = self.limits
        for name, one in list(self._waiting.items()):
            if one.seen_s < now_s - limits.forget_secs:
                del self._waiting[name]
        for name, incident in list(self._incidents.items()):
            if incident.closed and incident.updated_s < now_s - limits.reopen_secs:
                del self._incidents[name]
        over = [i for i in self.open if _quiet_since(i, now_s, blind) <= now_s - limits.quiet_secs]
        for incident in over:
            self._incidents[incident.id] = _resolved(incident, now_s)
        return [self._incidents[i.id] for i in over]

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
        updated = replace(
            incident,
            suspects=suspects,
            kind=first.anomaly_kind if first else incident.kind,
            updated_s=now_s,
            moments=(incident.moments + news)[-MAX_MOMENTS:],
        )
        self._incidents[incident.id] = updated
        return updated

    def _home(self, anomaly: Anomaly, edges: Edges, now_s: float) -> Incident | None:
        """The incident this anomaly belongs to, open ones first."""
        limits = self.limits
        for incident in self.open:
            if any(_same(m, anomaly) for m in incident.anomalies):
                return incident
        if anomaly.closed:
            return None
        for incident in self.open:
            young = incident.opened_s > now_s - limits.max_age_secs
            if young and any(self._near(anomaly, m, edges) for m in incident.anomalies):
                return incident
        for incident in self._incidents.values() if anomaly.severity != "info" else ():
            if incident.closed and any(_same(m, anomaly) for m in incident.anomalies):
                return incident
        return None

    def _near(self, one: Anomaly, other: Anomaly, edges: Edges) -> bool:
        if abs(one.onset_s - other.onset_s) > self.limits.join_secs:
            return False
        if one.service and other.service:
            pair = one.service, other.service
            return pair[0] == pair[1] or pair in edges or pair[::-1] in edges
        return one.entity == other.entity

    def _open_new(self, edges: Edges, now_s: float) -> list[str]:
        opened = []
        for anomaly in sorted(self._waiting.values(), key=lambda a: (a.onset_s, a.id)):
            if anomaly.id not in self._waiting or anomaly.severity == "info":
                continue
            group = self._company(anomaly, edges)
            if len(group) < 2 and anomaly.tier != "certain":
                continue
            for member in group:
                del self._waiting[member.id]
            incident = _opened(group, now_s)
            self._incidents[incident.id] = incident
            opened.append(incident.id)
        return opened

    def _company(self, first: Anomaly, edges: Edges) -> list[Anomaly]:
        """All waiting anomalies that hang together with the first, over any number of steps."""
        group, rest = [first], [a for a in self._waiting.values() if a.id != first.id]
        for member in group:
            near = [a for a in rest if self._near(a, member, edges)]
            rest = [a for a in rest if a not in near]
            group += near
        return sorted(group, key=lambda a: (a.onset_s, a.id))

    def _attach(self, changes: Sequence[Change]) -> list[str]:
        """Changes on a service of an open incident become part of its story; once."""
        touched = []
        for change in changes:
            for incident in self.open:
                known = any(c.id == change.id for c in incident.changes)
                near = change.time_s >= incident.onset_s - CHANGE_SECS
                if near and not known and change.service in incident.services:
                    self._incidents[incident.id] = _changed(incident, change)
                    touched.append(incident.id)
        return touched


def fingerprint(anomaly: Anomaly) -> str:
    """The same trouble at the same place has the same fingerprint, whenever it happens."""
    parts = [anomaly.rule, *(f"{k}={v}" for k, v in sorted(anomaly.entity.items()))]
    return blake2b("\x00".join(parts).encode(), digest_size=8).hexdigest()


def _opened(group: list[Anomaly], now_s: float) -> Incident:
    first = next((a for a in group if a.tier == "certain"), group[0])
    print_ = fingerprint(first)
    number = blake2b(f"{print_}/{first.onset_s:.3f}".encode(), digest_size=5).hexdigest()
    worst = _worst(group)
    incident = Incident(
        id=f"INC-{number}",
        fingerprint=print_,
        title=worst.title,
        kind=worst.kind,
        severity=worst.severity,
        opened_s=now_s,
        onset_s=min(a.onset_s for a in group),
        updated_s=now_s,
        moments=(Moment(time_s=now_s, what="opened", text=worst.title),),
    )
    for member in group:
        incident = _joined(incident, member, now_s)
    return incident


def _joined(incident: Incident, anomaly: Anomaly, now_s: float) -> Incident:
    others = [a for a in incident.anomalies if not _same(a, anomaly)]
    moments = list(incident.moments)
    if incident.closed:
        moments.append(Moment(time_s=now_s, what="reopened", text=anomaly.title))
    elif len(others) == len(incident.anomalies):
        moments.append(Moment(time_s=anomaly.onset_s, what="anomaly", text=anomaly.title))
    members = sorted([*others, anomaly], key=lambda a: (a.onset_s, a.id))
    if len(members) > MAX_MEMBERS:
        # The beginning tells the cause, the end tells the state: drop the recovered middle.
        over = next((a for a in members[1:] if a.closed), members[-2])
        members.remove(over)
    worst = _worst(members)  # recovered ones too: the name does not change while it heals
    return replace(
        incident,
        state="open",
        resolved_s=None,
        anomalies=tuple(members),
        services=tuple(dict.fromkeys(a.service for a in members if a.service)),
        title=worst.title,
        kind=incident.kind if incident.suspects else worst.kind,
        severity=max(incident.severity, worst.severity, key=SEVERITIES.index),
        onset_s=min(incident.onset_s, anomaly.onset_s),
        updated_s=now_s,
        moments=tuple(sorted(moments, key=lambda m: m.time_s)[-MAX_MOMENTS:]),
    )


def _changed(incident: Incident, change: Change) -> Incident:
    text = f"{change.kind} {change.service} {change.version}".strip()
    moments = [*incident.moments, Moment(time_s=change.time_s, what="change", text=text)]
    return replace(
        incident,
        changes=(*incident.changes, change),
        moments=tuple(sorted(moments, key=lambda m: m.time_s)[-MAX_MOMENTS:]),
    )


def _resolved(incident: Incident, now_s: float) -> Incident:
    members = _that_count(incident)
    many = len(members)
    lost = sum("no data" in one.evidence for one in members)  # as the watch says it
    text = "its anomaly recovered" if many == 1 else f"all {many} anomalies recovered"
    if lost:  # over, and nobody knows whether it is well
        text = f"{many - lost} of {many} anomalies recovered, of the others there is no data"
    if lost == many:
        text = "over, but not seen to recover: there is no data any more"
    return replace(
        incident,
        state="resolved",
        resolved_s=now_s,
        updated_s=now_s,
        moments=(*incident.moments, Moment(time_s=now_s, what="resolved", text=text)),
    )


def _worst(anomalies: Sequence[Anomaly]) -> Anomaly:
    """What hurts most names the incident; the earliest of equals, so that the name is stable."""
    return min(
        anomalies,
        key=lambda a: (-SEVERITIES.index(a.severity), a.tier != "certain", a.onset_s, a.id),
    )


def _same(one: Anomaly, other: Anomaly) -> bool:
    """The same series by the same rule: an onset that moved is not another anomaly."""
    return one.rule == other.rule and one.labels == other.labels


def _that_count(incident: Incident) -> Sequence[Anomaly]:
    """All but evidence, which goes on when everything else is well."""
    return [one for one in incident.anomalies if one.severity != "info"] or incident.anomalies


def _quiet_since(incident: Incident, now_s: float, blind: bool) -> float:
    """When the last member recovered; infinite while one still fires."""
    ends = [0.0]
    for member in _that_count(incident):
        lost = not blind and member.seen_s < now_s - member.lasts_secs
        if member.ended_s is not None:
            ends.append(member.ended_s)
        else:
            ends.append(member.seen_s if lost else math.inf)
    return max(ends)


def _gist(suspect: Suspect) -> tuple[object, ...]:
    change = suspect.change.id if suspect.change else None
    codes = tuple(r.code for r in suspect.reasons), tuple(r.code for r in suspect.against)
    return suspect.id, round(suspect.score, 1), suspect.metric, codes, change
