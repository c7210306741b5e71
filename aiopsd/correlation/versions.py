"""What the next version of an incident says: opened, joined, changed, parted, merged, resolved."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from hashlib import blake2b

from msgspec.structs import replace

from aiopsd.correlation.change_words import in_words
from aiopsd.model import SEVERITIES, Anomaly, Change, Incident, Moment

MAX_MEMBERS = 200
MAX_MOMENTS = 200
SILENT_PLACES = 5  # so many that fell silent at once: the monitor itself is suspected


def fingerprint(anomaly: Anomaly) -> str:
    """The same trouble at the same place has the same fingerprint, whenever it happens."""
    parts = [anomaly.rule, *(f"{k}={v}" for k, v in sorted(anomaly.entity.items()))]
    return blake2b("\x00".join(parts).encode(), digest_size=8).hexdigest()


def opened(group: list[Anomaly], now_s: float, taken: Container[str] = ()) -> Incident:
    """``taken``: ids of others; what was split from an incident may have opened it."""
    first = next((a for a in group if a.tier == "certain"), group[0])
    print_ = fingerprint(first)
    name = _id(f"{print_}/{first.onset_s:.3f}")
    while name in taken:
        name = _id(f"{print_}/{first.onset_s:.3f}/{name}")
    worst = _worst(group)
    incident = Incident(
        id=name,
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
        incident = joined(incident, member, now_s)
    return incident


def _id(of: str) -> str:
    return f"INC-{blake2b(of.encode(), digest_size=5).hexdigest()}"


def joined(incident: Incident, anomaly: Anomaly, now_s: float) -> Incident:
    others = [a for a in incident.anomalies if not same(a, anomaly)]
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
    title, kind = worst.title, incident.kind if incident.suspects else worst.kind
    if _has_fallen_silent(members):
        services = len({a.service for a in members if a.detector == "absent"})
        title, kind = f"no data from {services} services at once: is the monitor well?", "monitor"
    return replace(
        incident,
        state="open",
        resolved_s=None,
        anomalies=tuple(members),
        services=tuple(dict.fromkeys(a.service for a in members if a.service)),
        title=title,
        kind=kind,
        severity=max(incident.severity, worst.severity, key=SEVERITIES.index),
        onset_s=min(incident.onset_s, anomaly.onset_s),
        updated_s=now_s,
        moments=tuple(sorted(moments, key=lambda m: m.time_s)[-MAX_MOMENTS:]),
    )


def changed(incident: Incident, change: Change) -> Incident:
    moment = Moment(time_s=change.time_s, what="change", text=in_words(change))
    moments = [*incident.moments, moment]
    return replace(
        incident,
        changes=(*incident.changes, change),
        moments=tuple(sorted(moments, key=lambda m: m.time_s)[-MAX_MOMENTS:]),
    )


def resolved(incident: Incident, now_s: float) -> Incident:
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


def same(one: Anomaly, other: Anomaly) -> bool:
    """The same series by the same rule: an onset that moved is not another anomaly."""
    return one.rule == other.rule and one.labels == other.labels


def _that_count(incident: Incident) -> Sequence[Anomaly]:
    """All but evidence, which goes on when everything else is well."""
    return [one for one in incident.anomalies if one.severity != "info"] or incident.anomalies


def quiet_since(incident: Incident, now_s: float, blind: bool) -> float:
    """When the last member recovered; infinite while one still fires."""
    ends = [0.0]
    for member in _that_count(incident):
        lost = not blind and member.seen_s < now_s - member.lasts_secs
        if member.ended_s is not None:
            ends.append(member.ended_s)
        else:
            ends.append(member.seen_s if lost else math.inf)
    return max(ends)


def said(incident: Incident, what: str, text: str, now_s: float) -> Incident:
    moment = Moment(time_s=now_s, what=what, text=text)
    return replace(incident, updated_s=now_s, moments=(*incident.moments, moment)[-MAX_MOMENTS:])


def without(incident: Incident, gone: Sequence[Anomaly], into: str, now_s: float) -> Incident:
    """What was not one story: these go on elsewhere."""
    names = {one.id for one in gone}
    rest = tuple(one for one in incident.anomalies if one.id not in names)
    worst = _worst(rest)
    left = replace(
        incident,
        anomalies=rest,
        services=tuple(dict.fromkeys(a.service for a in rest if a.service)),
        title=worst.title,
        kind=worst.kind,
        suspects=(),
    )
    many = f"{len(gone)} anomalies go" if len(gone) > 1 else "1 anomaly goes"
    return said(left, "split", f"{many} on in {into}", now_s)


def united(into: Incident, other: Incident, now_s: float) -> tuple[Incident, Incident]:
    """Both, as they are after the merge: the one that goes on, and the one that is over."""
    changes = {change.id: change for change in (*into.changes, *other.changes)}
    acked_by = into.acked_by or other.acked_by
    whole = replace(into, changes=tuple(changes.values()), acked_by=acked_by)
    for anomaly in other.anomalies:
        whole = joined(whole, anomaly, now_s)
    whole = said(whole, "merged", f"{other.id} is part of this: {other.title}", now_s)
    over = replace(other, state="resolved", resolved_s=now_s, merged_into=into.id)
    return whole, said(over, "merged", f"goes on in {into.id}", now_s)


def times_reopened(incident: Incident) -> int:
    return sum(moment.what == "reopened" for moment in incident.moments)


def _has_fallen_silent(members: Sequence[Anomaly]) -> bool:
    counted = [one for one in members if one.severity != "info"]
    silent = {one.service or one.rule for one in counted if one.detector == "absent"}
    return len(silent) >= SILENT_PLACES and 2 * sum(
        one.detector == "absent" for one in counted
    ) > len(counted)
