"""Which change did it, or none? Log-odds of each candidate, and of "no change", with reasons.

A change is evidence, not the culprit by default: time, the service it is of, words that it shares
with what went wrong, and how risky such a change is; against traffic, a sick machine below, bad
data, and the plain fact that most incidents are nobody's release.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.correlation.attribution.changes import Alert, Candidate, Commit, Line, Story
from aiopsd.correlation.attribution.diffs import Delta, delta, risk
from aiopsd.correlation.attribution.telling import Telling, telling
from aiopsd.correlation.attribution.when import onset_of, step_at, time_nats
from aiopsd.correlation.attribution.words import ideas, words
from aiopsd.correlation.ranking import Evidence, Ranking
from aiopsd.correlation.ranking.kinds import Family
from aiopsd.correlation.ranking.scene import Scene
from aiopsd.model import Reason

__all__ = ["Alert", "Candidate", "Commit", "Hypothesis", "Line", "Story", "attribute"]
NONE: Final = "none"
_PRIOR: Final = 1.5  # nats of "no change": most incidents have none
_REQUESTS: Final = re.compile(r"req|rps|qps|ops|workload", re.IGNORECASE)
_MACHINE: Final = re.compile(r"(^|-)(node|host)-")


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """``change`` is None for "no change did it". Scores of all hypotheses add up to 1."""

    change: str | None
    service: str
    kind: str
    score: float
    nats: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Incident:
    scene: Scene
    story: Story
    onset_s: float
    suspects: tuple[str, ...]  # best first
    accused: frozenset[str]  # the first suspect, and what the alert was about
    told: Telling
    rare: dict[str, float]  # words of commits: 1 for one that a single commit has


def attribute(evidence: Evidence, ranking: Ranking, story: Story) -> tuple[Hypothesis, ...]:
    """Best first; always with "no change" among them."""
    incident = _incident(evidence.scene, ranking, story)
    found: list[tuple[Candidate | None, list[Reason]]] = [
        (candidate, list(_for(candidate, incident))) for candidate in story.candidates
    ]
    found.append((None, list(_for_none(evidence, incident))))
    nats = np.array([sum(r.numbers["nats"] for r in reasons) for _, reasons in found])
    share = np.exp(nats - nats.max())
    share /= share.sum()
    hypotheses = [
        Hypothesis(
            one.id if one else None, one.service if one else "", one.kind if one else NONE,
            round(float(score), 4), round(float(sum_), 3),
            tuple(sorted(reasons, key=lambda r: -abs(r.numbers["nats"]))),
        )
        for (one, reasons), score, sum_ in zip(found, share, nats, strict=True)
    ]  # fmt: skip
    return tuple(sorted(hypotheses, key=lambda h: (-h.nats, h.change or "")))


def _incident(scene: Scene, ranking: Ranking, story: Story) -> _Incident:
    suspects = tuple(one.service for one in ranking.suspects)
    alerted = {story.alert.service, story.alert.service.replace("_", "-")} - {""}
    accused = frozenset({*suspects[:1], *alerted})
    detected_s = scene.window.detected_s if story.alert.time_s is None else story.alert.time_s
    onset_s, odd = onset_of(scene, accused, detected_s)
    commits = [*story.other_commits, *(c.commit for c in story.candidates if c.commit)]
    commits = list(dict.fromkeys(commits))
    seen = Counter(w for commit in commits for w in set(_words(commit)))
    count = len(commits)
    rare = {w: math.log(count / n) / math.log(count + 1) for w, n in seen.items()}
    told = telling(story, onset_s, scene.services, odd)
    return _Incident(scene, story, onset_s, suspects, accused, told, rare)


def _words(commit: Commit) -> list[str]:
    return words(" ".join([commit.message, *commit.files, commit.diff]))


# --- a change ---------------------------------------------------------------------------


def _for(one: Candidate, incident: _Incident) -> Iterator[Reason]:
    lag_secs = incident.onset_s - one.time_s
    step_secs = incident.scene.window.step_secs
    when = f"{lag_secs:.0f} s before the onset" if lag_secs >= 0 else "after the onset"
    yield _reason("time", time_nats(lag_secs, step_secs), when, lag_s=lag_secs)
    yield _of_service(one, incident)
    if one.commit is None and lag_secs > -1.5 * step_secs:
        far, metric = step_at(incident.scene, one.service, one.time_s)
        if far > 3:  # with a diff its words say more, and a step test hurts
            nats = min(2.5, 0.8 * math.log1p(far - 3))
            yield _reason("step", nats, f"{metric} steps at it", deviation=far)
    if one.commit is not None:
        changed = delta(one.commit.diff)
        yield _in_common(one.commit, changed, incident)
        yield _reason("risk", risk(one.commit, changed), "the kind of change it is")
    else:
        shared = sorted(set(words(one.text)) & incident.told.words)
        if shared:
            nats = min(1.5, 0.4 * len(shared))
            yield _reason("words", nats, f"words in common: {', '.join(shared[:6])}")
        if incident.story.knows_diffs:
            yield _reason("risk", -0.5, "no diff is known, where diffs are known")


def _of_service(one: Candidate, incident: _Incident) -> Reason:
    suspects = incident.suspects
    if suspects[:1] == (one.service,):
        return _reason("service", 1.5, f"{one.service} is the first suspect")
    if one.service in incident.accused:
        return _reason("service", 1.2, f"the alert is about {one.service}")
    if one.service in suspects[1:3]:
        return _reason("service", 0.3, f"{one.service} is among the first suspects")
    return _reason("service", -2.5, f"{one.service} is no likely suspect")


def _in_common(commit: Commit, changed: Delta, incident: _Incident) -> Reason:
    """Rare words that both the diff and what went wrong have; those that come or go count most."""
    told = incident.told
    moved = set(words(" ".join(sorted(changed.gone)))) | set(words(" ".join(sorted(changed.come))))
    hits = {}
    for word in set(_words(commit)) & told.words:
        twice = 2.0 if word in told.quoted else 1.0
        hits[word] = twice * incident.rare.get(word, 0.0) * (1.0 if word in moved else 0.25)
    lines = [line for line in commit.diff.split("\n") if line[:1] in ("+", "-")]
    same = ideas(" ".join([*sorted(changed.gone | changed.come), *lines])) & told.ideas
    nats = min(3.0, 0.5 * sum(hits.values())) + 0.5 * min(3, len(same))
    named = sorted((w for w in hits if hits[w] > 0), key=lambda w: (-hits[w], w))[:6]
    text = f"in common with what went wrong: {', '.join([*named, *sorted(same)]) or 'nothing'}"
    return _reason("words", nats, text)


# --- no change --------------------------------------------------------------------------


def _for_none(evidence: Evidence, incident: _Incident) -> Iterator[Reason]:
    yield _reason("prior", _PRIOR, "most incidents are nobody's release")
    more = _more_load(evidence)
    if more > 1.6:
        nats = min(4.0, 3 * math.log(more) + 1)
        yield _reason("load", nats, f"most services have {more:.1f} times the requests", times=more)
    below = [
        float(evidence.strange.z[j])
        for j, column in enumerate(evidence.scene.columns)
        if _MACHINE.search(column.metric) and column.service not in incident.suspects[:1]
    ]
    if max(below, default=0.0) > 4:
        yield _reason("machine", 3.0, "the machine below suffers", deviation=max(below))
    if incident.told.one_record > 0.8:  # data, not code
        yield _reason("one-record", 4.0, "every new error is about the same record")


def _more_load(evidence: Evidence) -> float:
    """The growth of requests that three quarters of the services have at the least; 0: unknown."""
    scene, strange = evidence.scene, evidence.strange
    grown: dict[str, float] = {}
    for j, column in enumerate(scene.columns):
        is_requests = column.kind.family is Family.LOAD and _REQUESTS.search(column.metric)
        now = scene.x[j, strange.begin :]
        if is_requests and strange.level[j] > 0 and np.isfinite(now).any():
            times = float(np.nanmax(now) / strange.level[j])
            grown[column.service] = max(grown.get(column.service, 0.0), times)
    return float(np.quantile(list(grown.values()), 0.25)) if len(grown) >= 2 else 0.0


def _reason(code: str, nats: float, text: str, **numbers: float) -> Reason:
    rounded = {name: float(f"{value:.5g}") for name, value in numbers.items()}
    return Reason(code=code, text=text, numbers={"nats": round(nats, 3), **rounded})
