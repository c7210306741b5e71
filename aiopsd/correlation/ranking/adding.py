"""The evidence for each service, added up in nats: "this is the root" against "it is not"."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from aiopsd.correlation.ranking.causes import CAUSES, MISSING, cause_weight
from aiopsd.correlation.ranking.counting import trust_of
from aiopsd.correlation.ranking.explaining import Explained, explain, nats_of
from aiopsd.correlation.ranking.kinds import SYMPTOMS, Family, kind_of
from aiopsd.correlation.ranking.lines import Spoken, spoken
from aiopsd.correlation.ranking.missing import gone_nats
from aiopsd.correlation.ranking.overload import drowned, follows_load
from aiopsd.correlation.ranking.reach import reachable
from aiopsd.correlation.ranking.scene import Scene
from aiopsd.correlation.ranking.surprise import COARSE_SECS, Surprise
from aiopsd.correlation.ranking.timing import Timing, timing_of
from aiopsd.correlation.ranking.tracing import Traced, traced
from aiopsd.correlation.ranking.views import seen_of, views
from aiopsd.correlation.ranking.weights import Weights
from aiopsd.model import Floats

ERROR_LINES: Final = "error-lines"
NO_DATA: Final = "up"  # as Prometheus says it
NETWORK: Final = "latency-network-gap"
_UNDATED: Final = 3.0  # rows after the first, for what has no onset
_SPAN_CALLS: Final = 5  # from which on spans are believed over percentiles


@dataclass(frozen=True, slots=True)
class Term:
    """One piece of evidence for one service."""

    nats: float
    metric: str
    family: Family | None  # None: no series
    series: int = -1
    own: float = 1.0  # share that callees do not explain


@dataclass(slots=True)
class Account:
    """What speaks for one service."""

    service: int
    terms: list[Term]  # strongest first
    nats: float = 0.0
    lines: float = 0.0  # of nats, from log lines
    spans: float = 0.0  # of nats, from traces
    missing: float = 0.0
    is_reachable: bool = True
    metrics: list[str] = field(default_factory=list)  # likeliest cause first


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that is known of one window; what the account of each service is made from."""

    scene: Scene
    strange: Surprise
    weights: Weights
    explained: Explained
    timing: Timing
    spoken: Spoken
    traced: dict[int, Traced]
    gone: Floats  # by service
    drowned: Floats  # by service
    who: np.ndarray[tuple[int], np.dtype[np.int64]]
    weight: Floats  # by series


def evidence_of(scene: Scene, strange: Surprise, weights: Weights) -> Evidence:
    who, weight = seen_of(scene, weights)
    gone = gone_nats(scene, strange.begin, weights)
    explained = explain(scene, strange, who, gone, weights)
    return Evidence(
        scene, strange, weights, explained,
        timing_of(scene, strange, weights), spoken(scene, strange.begin, weights),
        traced(scene, weights), gone,
        drowned(scene, strange, who, explained.more_load, weights), who, weight,
    )  # fmt: skip


def accounts(evidence: Evidence) -> list[Account]:
    """By service, strongest first; of equals by name."""
    scene = evidence.scene
    terms = _terms(evidence)
    reach, is_view = reachable(scene), views(scene)
    first = _first_onset(evidence)
    blamed = _blamed(evidence)
    found = []
    for service in range(len(scene.services)):
        one = Account(service, sorted(terms[service], key=lambda t: (-t.nats, t.metric)))
        _series(one, evidence, first)
        one.is_reachable = reach is None or service in reach
        one.nats *= 1.0 if one.is_reachable else evidence.weights.unreachable
        one.nats *= evidence.weights.view if is_view[service] else 1.0
        one.lines = evidence.weights.lines * blamed.get(service, 0.0)
        spans = evidence.traced.get(service)
        one.spans = evidence.weights.spans * spans.nats if spans else 0.0
        one.nats += one.lines + one.spans
        one.metrics = _metrics(one, evidence)
        found.append(one)
    return sorted(found, key=lambda a: (-a.nats, scene.services[a.service]))


def _terms(evidence: Evidence) -> list[list[Term]]:
    """By service: each series that is strange, and its vague error lines."""
    scene, strange, w = evidence.scene, evidence.strange, evidence.weights
    own, timing = evidence.explained.own, evidence.timing
    together = 1 - w.profile + w.profile * timing.together
    z = np.minimum(strange.z, w.cap) * own
    nats = _asked(evidence) * nats_of(z, w) * together * timing.late
    nats *= 1 - w.drowned * evidence.drowned[evidence.who]
    nats *= trust_of(scene, strange.begin, w)
    loaded = w.loaded * evidence.explained.more_load[scene.own]
    nats *= np.where(follows_load(scene, strange, w), 1 - loaded, 1.0)
    found: list[list[Term]] = [[] for _ in scene.services]
    for j in np.flatnonzero(strange.z > 0).tolist():
        column = scene.columns[j]
        term = Term(float(nats[j]), column.metric, column.kind.family, j, float(own[j]))
        found[evidence.who[j]].append(term)
    for service, vague in evidence.spoken.vague.items():
        if vague > 0:  # they stand beside the error rate and share its explanation
            share = _errors_own(evidence, service)
            term = Term(vague * share, ERROR_LINES, Family.ERRORS, own=share)
            found[service].append(term)
    return found


def _asked(evidence: Evidence) -> Floats:
    """Weights of the series, less where the SLI asks another question or spans know better."""
    scene, w = evidence.scene, evidence.weights
    weight = evidence.weight.copy()
    latency = scene.is_family(Family.LATENCY)
    failing = scene.is_family(Family.ERRORS, Family.AVAILABILITY)
    metric = scene.window.target_metric
    asked = kind_of(metric).family if metric else None
    if asked is Family.AVAILABILITY:
        weight[latency] *= w.other_question
    if asked is Family.LATENCY and scene.window.step_secs >= COARSE_SECS:
        weight[failing] *= w.other_question
    for service, one in evidence.traced.items():
        if one.seen >= _SPAN_CALLS:
            seen = latency & (evidence.who == service)
            weight[seen] *= max(w.fast_spans, min(1.0, one.nats / 0.5)) * (1 - 0.7 * one.net_share)
    return weight


def _errors_own(evidence: Evidence, service: int) -> float:
    """Share of a service's failures that is its own, without a series of its own if need be."""
    scene, w = evidence.scene, evidence.weights
    mine = scene.is_family(Family.ERRORS, Family.AVAILABILITY) & (scene.own == service)
    mine &= evidence.who == service
    if mine.any():
        return float(evidence.explained.own[mine].min())
    slow = max((evidence.explained.slow[v] for v in scene.callees[service]), default=0.0)
    return 1 - w.timeouts * min(1.0, math.log1p(min(slow, w.cap)) / 3)


def _first_onset(evidence: Evidence) -> float:
    strong = evidence.strange.z > evidence.weights.strong
    return float(np.min(evidence.strange.onset[strong], initial=math.inf))


def _series(one: Account, evidence: Evidence, first: float) -> None:
    """Nats of what is measured at the service."""
    strange, w = evidence.strange, evidence.weights
    effects = [t.nats for t in one.terms if t.family in SYMPTOMS]
    causes = [t.nats for t in one.terms if t.family not in SYMPTOMS]
    effect, cause = max(effects, default=0.0), max(causes, default=0.0)
    held = [t for t in one.terms if t.series >= 0]
    bare = max((_bare(t, evidence) for t in held if t.family in SYMPTOMS), default=0.0)
    one.nats = max(effect, cause) + w.second * min(effect, cause)
    one.nats += w.further * sum(causes[1:3]) + w.bare * bare
    onset = min((strange.onset[t.series] for t in held if strange.z[t.series] > w.strong),
                default=math.inf)  # fmt: skip
    if math.isfinite(onset):
        lag_secs = (float(onset) - first) * evidence.scene.window.step_secs
        one.nats *= 1 + w.earliest * math.exp(-lag_secs / w.earliest_secs)
    one.missing = float(evidence.gone[one.service])
    if one.missing:
        missed = _callers_suffer(one.service, evidence)
        one.missing *= w.gone_and_missed if missed else w.gone_unmissed
    one.nats += one.missing


def _bare(term: Term, evidence: Evidence) -> float:
    """Nats of being hit at all, before explaining."""
    z = min(float(evidence.strange.z[term.series]), evidence.weights.cap)
    return math.log1p(z) * float(evidence.weight[term.series])


def _callers_suffer(service: int, evidence: Evidence) -> bool:
    """Else a service that stopped telling may only have lost its exporter."""
    scene = evidence.scene
    callers = [at for at, callees in enumerate(scene.callees) if service in callees]
    theirs = np.isin(scene.own, callers) & scene.is_family(*SYMPTOMS)
    return bool((evidence.strange.z[theirs] > evidence.weights.strong).any())


def _blamed(evidence: Evidence) -> dict[int, float]:
    """Nats of lines: a service's own, and those of callers that name it.

    The latter are taken back where it waits for a callee that is slow without more load: one
    that drowns in its callers' retries explains nothing.
    """
    said, w = evidence.spoken, evidence.weights
    slow = evidence.explained.slow * (1 - evidence.explained.more_load)
    found = dict(said.own)
    for service, nats in said.blamed.items():
        callees = evidence.scene.callees[service]
        below = max((math.log1p(min(slow[v], w.cap)) for v in callees), default=0.0)
        kept = nats * (1 - w.line_takes_back * min(1.0, below / 3))
        kept *= 1 - w.line_takes_back * float(evidence.drowned[service])
        found[service] = min(w.lines_cap, found.get(service, 0.0) + kept)
    return found


def _metrics(one: Account, evidence: Evidence) -> list[str]:
    """Metrics of the service, the likeliest cause first."""
    strange, w = evidence.strange, evidence.weights
    held = [t for t in one.terms if t.series >= 0 and strange.z[t.series] > w.strong]
    begin = min((float(strange.onset[t.series]) for t in held), default=0.0)
    spans = evidence.traced.get(one.service)
    links = spans.cover if spans and spans.cover > 0.3 else 0.0
    network = [Term(w.spans * links, NETWORK, Family.LATENCY)] if links else []
    weighed = [
        (_as_cause(term, one, evidence, begin), term.metric) for term in (*one.terms, *network)
    ]
    if one.missing:
        weighed.append((one.missing * MISSING, NO_DATA))
    return [metric for _, metric in sorted(weighed, key=lambda pair: (-pair[0], pair[1]))]


def _as_cause(term: Term, one: Account, evidence: Evidence, begin: float) -> float:
    """How likely this metric is the cause of what the others of its service show."""
    strange, w = evidence.strange, evidence.weights
    family, is_series = term.family or Family.RESOURCE, term.series >= 0
    weight = term.nats * cause_weight(term.metric, family)
    if family in (Family.ERRORS, Family.LOAD):
        weight /= w.errors if family is Family.ERRORS else w.load
    if is_series and strange.z[term.series] > w.strong and family in CAUSES:
        kind = evidence.scene.columns[term.series].kind
        more_load = float(evidence.explained.more_load[one.service])
        loaded = w.cause_loaded * more_load if family is Family.RESOURCE else 0.0
        weight *= 1.0 if kind.is_flow else w.cause_family * (1 - loaded)
    onset = float(strange.onset[term.series]) if is_series else _UNDATED
    lag = max(0.0, (onset if math.isfinite(onset) else _UNDATED) - begin)
    weight *= math.exp(-w.cause_first * evidence.scene.window.step_secs / 60 * lag)
    if "cpu" in term.metric.lower() and _is_memory_hog(one, evidence):
        weight *= 0.5  # a memory hog burns CPU, not the reverse
    if family is Family.ERRORS:  # what it says itself; callers do not say which metric it is
        weight += 0.5 * w.lines * evidence.spoken.own.get(one.service, 0.0)
    return weight


def _is_memory_hog(one: Account, evidence: Evidence) -> bool:
    series = [t.series for t in one.terms if t.series >= 0]
    columns, z = evidence.scene.columns, evidence.strange.z
    return any(columns[j].kind.is_stock and z[j] > 4 for j in series)
