"""Which open incident explains another: told once, by the one that is the cause.

Pure. Two open incidents are ranked as if they were one. Where the other's first suspect is then the
first by far, and every service of this one has only symptoms, which its callees explain, it is
suppressed: for as long as that holds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from msgspec import structs

from aiopsd.contracts import Evidence, Ranker
from aiopsd.model import Anomaly, Incident, Muted, Suspect

SURE: Final = 0.8
"""Of first suspects with so much at least 95 % should be right (docs/ranking.md): one in twenty is
held back wrongly, and told when what is said to be its cause is over, at the latest."""
FELT: Final = 0.9  # what people feel is held back only where next to nothing else is possible
LIFT: Final = 0.65  # until then it goes on: scores move with every sample
MOST_EXPLAINED: Final = 0.5  # of each symptom; of what people feel, FELT_EXPLAINED
FELT_EXPLAINED: Final = 0.8
NEAR_SECS: Final = 7200.0
"""No effect begins so long after its cause did: it would have been there before. Grouping joins
what began within the hour, so this is for what is slow, further away, or was split by people."""
SYMPTOMS: Final = frozenset({"latency", "error-rate", "slo-burn", "traffic"})
"""What a callee can do to its callers. A crash, a full disk or a new error line is one's own."""
_CODE: Final = "explained-by-callee"


def explained(
    incidents: Sequence[Incident], evidence: Evidence, ranker: Ranker, before: Mapping[str, Muted]
) -> dict[str, Muted]:
    """Incident id to what explains it. ``incidents``: all that are open and neither silenced nor
    held back otherwise: what nobody is told of explains nothing away. ``before``: the answer of
    last time."""
    if len(incidents) < 2:
        return {}
    near = _around(evidence.edges)
    far = {(a, c) for a, callees in near.items() for b in callees for c in near.get(b, ())}
    evidence = replace(evidence, edges=evidence.edges | far)
    near = _around(evidence.edges)
    by_root: defaultdict[str, list[Incident]] = defaultdict(list)
    for one in incidents:
        if one.root is not None:
            by_root[one.root.service].append(one)
    causes: dict[str, str] = {}
    said: dict[str, Muted] = {}
    for incident in incidents:
        best = 0.0
        for service in sorted(_reached(incident, near) & by_root.keys()):
            for other in by_root[service]:
                known = before.get(incident.id)
                goes_on = known is not None and known.by == other.id
                score = _blame(incident, other, evidence, ranker, goes_on=goes_on)
                if other.id != incident.id and score > best:
                    best, causes[incident.id] = score, other.id
                    said[incident.id] = known if known and goes_on else _muted(other, service)
    return {name: one for name, one in said.items() if _ends(name, causes)}


def _ends(name: str, causes: Mapping[str, str]) -> bool:
    """At one that explains itself: of two that explain one another, both are told."""
    seen = {name}
    while name in causes:
        name = causes[name]
        if name in seen:
            return False
        seen.add(name)
    return True


def _blame(
    incident: Incident, other: Incident, evidence: Evidence, ranker: Ranker, *, goes_on: bool
) -> float:
    """How sure it is that the other's cause is this one's too; 0: not sure enough."""
    root = other.root
    mine = [one for one in incident.anomalies if not one.closed and one.severity != "info"]
    if root is None or not mine or any(one.kind not in SYMPTOMS for one in mine):
        return 0.0
    theirs = [one for one in other.anomalies if one.severity != "info"]
    causes = [one for one in theirs if one.service == root.service]
    begins = any(not one.closed for one in causes) and _is_near(mine, causes)
    if not (begins or goes_on):
        return 0.0
    whole = structs.replace(other, anomalies=(*theirs, *mine), suspects=())
    suspects = ranker.rank(whole, evidence)
    felt = _is_felt(incident, evidence)
    least = LIFT if goes_on else FELT if felt else SURE
    if not suspects or suspects[0].id != root.id or suspects[0].score < least:
        return 0.0
    share = FELT_EXPLAINED if felt and not goes_on else MOST_EXPLAINED
    known = {one.service: one for one in suspects}
    symptoms = Counter(one.service for one in mine)
    all_ = all(_is_explained(known.get(name), n, share) for name, n in symptoms.items())
    return suspects[0].score if all_ else 0.0


def _is_near(mine: Sequence[Anomaly], causes: Sequence[Anomaly]) -> bool:
    onset_s = min(one.onset_s for one in mine)
    return any(-60 <= onset_s - one.onset_s <= NEAR_SECS for one in causes)


def _is_felt(incident: Incident, evidence: Evidence) -> bool:
    """By people: it is critical, it burns what they were promised, or they call it themselves, as
    no service that we know of does."""
    burns = any(one.kind == "slo-burn" for one in incident.anomalies)
    called = {callee for _, callee in evidence.edges}
    return incident.severity == "critical" or burns or not called.issuperset(incident.services)


def _is_explained(suspect: Suspect | None, symptoms: int, share: float) -> bool:
    """All its symptoms; of many the first three that speak against it are told."""
    if suspect is None:
        return False
    against = [one.numbers.get("explained", 0.0) for one in suspect.against if one.code == _CODE]
    return len(against) >= min(symptoms, 3) and min(against) >= share


def _reached(incident: Incident, near: Mapping[str, set[str]]) -> set[str]:
    """What its services call, perhaps through another, and are not themselves."""
    places = set(incident.services)
    return set().union(*(near.get(place, set()) for place in places)) - places


def _around(edges: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for caller, callee in edges:
        found.setdefault(caller, set()).add(callee)
    return found


def _muted(other: Incident, service: str) -> Muted:
    text = f"suppressed because {other.id} ({service}) explains it"
    return Muted(code="explained", text=text, by=other.id)
