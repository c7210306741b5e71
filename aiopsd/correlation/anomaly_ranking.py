"""Which service did it, and why: evidence is added up in nats and said in sentences.

A service is a likely cause when its own series are strange beyond what its callees explain,
when that began early, when something of its own broke (memory, a crash, a new error line), and
when it was changed shortly before. The terms follow our research on root-cause benchmarks
(docs/decisions/0004-ranking.md); explaining away is the largest of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiopsd.contracts import Evidence
from aiopsd.correlation.same_change import OURS
from aiopsd.model import Anomaly, Change, Incident, Reason, Suspect

SYMPTOMS = ("latency", "error-rate", "slo-burn", "traffic")  # what callees can explain
UNKNOWN = 1.5  # nats of "none of these": a lone weak suspect must not look sure
FLOOR = 0.15  # never explain all of it away
# The strongest series carries the case; more of the same service are partly the same fact.
WEIGHTS = (1.0, 0.35, 0.12, 0.12)
CHANGE_SECS = 900.0  # a change this long before the onset still counts


@dataclass
class _Case:
    """What speaks for and against one service."""

    service: str
    nats: float = 0.0
    strongest: Anomaly | None = None
    own: float = 0.0  # nats of the strongest anomaly
    reasons: list[tuple[float, Reason]] = field(default_factory=list)
    against: list[Reason] = field(default_factory=list)
    change: Change | None = None


class EvidenceRanker:
    """Keeps the promise of ``contracts.Ranker``."""

    def rank(self, incident: Incident, evidence: Evidence) -> tuple[Suspect, ...]:
        by_service: dict[str, list[Anomaly]] = {}
        for anomaly in incident.anomalies:
            by_service.setdefault(anomaly.service or _name(anomaly), []).append(anomaly)
        first_s = min((a.onset_s for a in incident.anomalies), default=0.0)
        cases = [
            _case(service, anomalies, by_service, evidence, first_s)
            for service, anomalies in by_service.items()
        ]
        total = math.exp(UNKNOWN) + sum(math.exp(case.nats) for case in cases)
        cases.sort(key=lambda c: (-c.nats, c.service))
        return tuple(_suspect(case, math.exp(case.nats) / total) for case in cases)


def _case(
    service: str,
    anomalies: list[Anomaly],
    all_: dict[str, list[Anomaly]],
    evidence: Evidence,
    first_s: float,
) -> _Case:
    case = _Case(service)
    callees = sorted(b for a, b in evidence.edges if a == service and b != service)
    blame = {name: all_[name] for name in callees if name in all_}
    terms = []
    for anomaly in anomalies:
        share = _own_share(anomaly, blame, case)
        when = _earliness(anomaly.onset_s - first_s)
        nats = surprise(anomaly) * share * when * (0.5 if anomaly.closed else 1.0)
        terms.append((nats, anomaly))
        case.reasons.append((nats, _strange(anomaly)))
    terms.sort(key=lambda t: -t[0])
    case.own, case.strongest = terms[0]
    case.nats = sum(nats * weight for (nats, _), weight in zip(terms, WEIGHTS, strict=False))
    _timing(case, anomalies, first_s, len(all_))
    _suspicious_change(case, anomalies, evidence.changes)
    return case


def surprise(anomaly: Anomaly) -> float:
    """ln(1 + deviations), capped: deviations have power-law tails."""
    if anomaly.kind in ("crash", "availability"):
        return math.log1p(40.0)
    if anomaly.kind == "log-novelty":  # it tells why; what hurts is measured by the others
        return math.log1p(8.0)
    observed, expected = anomaly.observed, anomaly.expected
    if observed is None or expected is None:
        return math.log1p(20.0)
    edge = anomaly.high if observed >= expected else anomaly.low
    half = abs(edge - expected) if edge is not None else 0.0
    half = max(half, 0.05 * abs(expected), 1e-12)
    return math.log1p(min(abs(observed - expected) / half * 3.0, 60.0))  # the band is 3 wide


def _own_share(anomaly: Anomaly, callees: dict[str, list[Anomaly]], case: _Case) -> float:
    """How much of a symptom its callees do not explain, in [FLOOR, 1]."""
    if anomaly.kind == "log-novelty":
        return _own_words(anomaly, callees, case)
    if anomaly.kind not in SYMPTOMS:
        return 1.0
    best, by = 1.0, ""
    for name, theirs in callees.items():
        for other in theirs:
            left = _left_over(anomaly, other)
            if left < best:
                best, by = left, name
    if best < 0.5:
        text = f"{anomaly.title}: its callee {by} explains {1 - best:.0%} of it"
        case.against.append(
            Reason(code="explained-by-callee", text=text, numbers={"explained": 1 - best})
        )
    return max(best, FLOOR)


def _own_words(anomaly: Anomaly, callees: dict[str, list[Anomaly]], case: _Case) -> float:
    """A new log line that names a strange callee speaks of that callee, not of its author."""
    words = set(re.findall(r"[\w-]+", " ".join((anomaly.title, *anomaly.evidence)).lower()))
    named = sorted(name for name in callees if name.lower() in words)
    if not named:
        return 1.0
    text = f"its new log line speaks of {named[0]}"
    case.against.append(Reason(code="line-names-callee", text=text))
    return FLOOR


def _left_over(mine: Anomaly, theirs: Anomaly) -> float:
    """The share of mine that theirs does not explain."""
    if theirs.onset_s > mine.onset_s + 60:
        return 1.0  # no cause after its effect
    if theirs.kind in ("crash", "availability"):
        return FLOOR
    if mine.kind == theirs.kind and mine.unit == theirs.unit:
        own, callee = _excess(mine), _excess(theirs)
        return 1 - min(1.0, callee / own) if own > 0 else 1.0
    if theirs.kind in ("latency", "error-rate"):  # a slow callee fails its callers
        return 1 - 0.8 * min(1.0, surprise(theirs) / max(surprise(mine), 1e-9))
    return 1.0


def _excess(anomaly: Anomaly) -> float:
    if anomaly.observed is None or anomaly.expected is None:
        return 0.0
    return abs(anomaly.observed - anomaly.expected)


def _earliness(lag_secs: float) -> float:
    """Evidence that starts late counts less, that which starts first a little more."""
    return max(0.4, math.exp(-lag_secs / 120)) * (1 + 0.3 * math.exp(-lag_secs / 60))


def _timing(case: _Case, anomalies: list[Anomaly], first_s: float, services: int) -> None:
    lag = min(a.onset_s for a in anomalies) - first_s
    if services < 2:
        return
    if lag <= 0:
        text = "turned strange before every other service"
        case.reasons.append((0.3, Reason(code="first", text=text)))
    elif lag >= 5:
        text = f"turned strange {lag:.0f} s after the first"
        case.against.append(Reason(code="later", text=text, numbers={"lag_s": lag}))


def _suspicious_change(case: _Case, anomalies: list[Anomaly], changes: Sequence[Change]) -> None:
    """A change shortly before is evidence; without strangeness of its own it is none."""
    onset_s = min(a.onset_s for a in anomalies)
    before = [
        c
        for c in changes
        if c.service == case.service and onset_s - CHANGE_SECS <= c.time_s <= onset_s + 30
    ]  # 30 s: metrics of a release and of its effect are scraped at different moments
    if not before or case.own < 0.5:
        return
    # A deploy restarts what it deploys, and we restart what is sick: neither hides the cause.
    case.change = max(before, key=lambda c: (c.author != OURS, c.kind != "restart", c.time_s))
    lag = max(0.0, onset_s - case.change.time_s)
    nats = 1.5 * math.exp(-lag / 600)
    case.nats += nats
    by = f"by {OURS}" if case.change.author == OURS else ""
    what = " ".join(filter(None, (case.change.kind, case.change.version, by)))
    when = f"{lag:.0f} s" if lag >= 1 else "just"
    text = f"{what} {when} before its first anomaly"
    case.reasons.append((nats, Reason(code="changed", text=text, numbers={"lag_s": lag})))


def _strange(anomaly: Anomaly) -> Reason:
    numbers = {
        name: value
        for name in ("observed", "expected", "low", "high")
        if (value := getattr(anomaly, name)) is not None
    }
    return Reason(code=anomaly.kind, text=anomaly.title, numbers=numbers)


def _name(anomaly: Anomaly) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(anomaly.entity.items())) or anomaly.rule


_KINDS = (
    ("deployment", "Deployment"), ("unit", "Unit"), ("container", "Container"),
    ("model", "Model"), ("service", "Service"), ("instance", "Host"),
)  # fmt: skip


def _suspect(case: _Case, score: float) -> Suspect:
    anomaly = case.strongest
    assert anomaly is not None  # noqa: S101 - a case is made of anomalies
    kind = next((kind for label, kind in _KINDS if label in anomaly.entity), "Service")
    reasons = sorted(case.reasons, key=lambda r: -r[0])
    return Suspect(
        kind=kind,
        id=case.service,
        service=case.service,
        metric=anomaly.rule,
        anomaly_kind=anomaly.kind,
        score=round(score, 3),
        labels=anomaly.labels | anomaly.entity,
        reasons=tuple(reason for nats, reason in reasons if nats > 0.1)[:5],
        against=tuple(case.against[:3]),
        change=case.change,
    )
