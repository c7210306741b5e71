"""Accounts as people read them: suspects with reasons, what speaks against, charts to look at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.correlation.ranking.adding import NO_DATA, Account, Evidence, Term
from aiopsd.correlation.ranking.confidence import CLEAR, shares
from aiopsd.correlation.ranking.kinds import Family
from aiopsd.correlation.ranking.views import is_view
from aiopsd.model import Reason

MOST: Final = 20  # suspects; nobody reads more
_REASONS: Final = 5
_CHARTS: Final = 4
_ALIKE: Final = 0.7  # of the first one's score: hardly less likely
_WORTH: Final = 0.3  # nats below which a reason is none


@dataclass(frozen=True, slots=True)
class Suspect:
    """``score`` is the share of belief, 0 to 1; those of all suspects and "none of these" are 1."""

    service: str
    metric: str  # the likeliest cause; "" where no series is strange
    family: Family | None
    score: float
    nats: float
    reasons: tuple[Reason, ...]
    against: tuple[Reason, ...]
    charts: tuple[str, ...]  # metrics of this service, worth a look


@dataclass(frozen=True, slots=True)
class Ranking:
    suspects: tuple[Suspect, ...]  # best first
    onset_s: float  # when the incident began
    unclear: str = ""  # why no suspect should be believed; empty where the first one may


def ranking_of(evidence: Evidence, found: list[Account]) -> Ranking:
    share = shares(np.array([one.nats for one in found]))
    suspects = tuple(
        _suspect(one, evidence, float(score))
        for one, score in zip(found[:MOST], share, strict=False)
    )
    window = evidence.scene.window
    onset_s = float(window.times_s[min(evidence.strange.begin, len(window.times_s) - 1)])
    return Ranking(suspects, onset_s, _unclear(suspects))


def _unclear(suspects: tuple[Suspect, ...]) -> str:
    if not suspects or suspects[0].nats < _WORTH:
        return "nothing strange was found in any series"
    first = suspects[0]
    near = [one.service for one in suspects if one.score > _ALIKE * first.score]
    if len(near) > 1:
        return f"{len(near)} services are about as likely: {', '.join(near[:5])}"
    if first.score < CLEAR:
        return f"{first.service} is the likeliest, but the evidence is weak ({first.score:.0%})"
    return ""


def _suspect(one: Account, evidence: Evidence, score: float) -> Suspect:
    scene = evidence.scene
    reasons = sorted(_reasons(one, evidence), key=lambda pair: -pair[0])
    metric = one.metrics[0] if one.metrics else ""
    family = next((t.family for t in one.terms if t.metric == metric), None)
    return Suspect(
        scene.services[one.service], metric, family, round(score, 4), round(one.nats, 3),
        tuple(reason for nats, reason in reasons if nats > _WORTH)[:_REASONS],
        tuple(_against(one, evidence)),
        tuple(dict.fromkeys(one.metrics))[:_CHARTS],
    )  # fmt: skip


# --- for --------------------------------------------------------------------------------


def _reasons(one: Account, evidence: Evidence) -> Iterator[tuple[float, Reason]]:
    for term in one.terms[:_REASONS]:
        yield term.nats, _strange(term, one, evidence)
    if one.missing:
        text = f"its series stopped: {_missing(one, evidence):.0%} of its samples are missing"
        numbers = {"nats": one.missing, "missing_share": _missing(one, evidence)}
        yield one.missing, Reason(code=NO_DATA, text=text, numbers=_rounded(numbers))
    if one.lines:
        yield one.lines, _said(one, evidence)
    if one.spans:
        yield one.spans, _traced(one, evidence)


def _strange(term: Term, one: Account, evidence: Evidence) -> Reason:
    if term.series < 0:
        text = "more lines say that requests failed"
        return Reason(code="lines", text=text, numbers=_rounded({"nats": term.nats}))
    strange, j = evidence.strange, term.series
    column, usual = evidence.scene.columns[j], float(strange.level[j])
    now = _worst(evidence, j)
    onset, step_secs = float(strange.onset[j]), evidence.scene.window.step_secs
    numbers = {"nats": term.nats, "observed": now, "usual": usual, "deviation": strange.z[j],
               "own_share": term.own, "onset_s": onset * step_secs}  # fmt: skip
    where = column.metric
    if evidence.scene.own[j] != one.service:
        where = f"{column.metric} at {column.service}"
    text = f"{where} is {_shown(now)}, usually {_shown(usual)}"
    if 0.0 < term.own < 1.0:
        text += f"; {term.own:.0%} of that is beyond what its callees explain"
    code = column.kind.family.value
    return Reason(code=code, text=text, numbers=_rounded(numbers))


def _worst(evidence: Evidence, j: int) -> float:
    """The value of the row that deviates most; NaN where there is none."""
    strange = evidence.strange
    rows = evidence.scene.x[j, strange.begin :]
    far = np.abs(rows - strange.level[j])
    return float(rows[np.nanargmax(far)]) if np.isfinite(far).any() else math.nan


def _missing(one: Account, evidence: Evidence) -> float:
    mine = evidence.scene.own == one.service
    return float(np.isnan(evidence.scene.x[mine, evidence.strange.begin :]).mean())


def _said(one: Account, evidence: Evidence) -> Reason:
    said = evidence.spoken.says.get(one.service)
    numbers = {"nats": one.lines}
    if said is None:
        return Reason(code="lines", text="error lines of its callers name it", numbers=numbers)
    line, before, since = said
    often = "never seen before" if not before else f"{before:.0f} times before"
    text = f"{since:.0f} lines say {line[:100]!r}, {often}"
    numbers |= {"before": before, "since": since}
    return Reason(code="lines", text=text, numbers=_rounded(numbers))


def _traced(one: Account, evidence: Evidence) -> Reason:
    seen = evidence.traced[one.service]
    text = f"a request spends {_shown(seen.self_secs * 1000)} ms more in it, by its spans"
    if seen.cover > 0.3:
        text = "the links that got slow meet at it, by spans"
    numbers = {"nats": one.spans, "self_secs": seen.self_secs, "link_cover": seen.cover}
    return Reason(code="spans", text=text, numbers=_rounded(numbers))


# --- against ----------------------------------------------------------------------------


def _against(one: Account, evidence: Evidence) -> Iterator[Reason]:
    strange, scene = evidence.strange, evidence.scene
    symptoms = [t for t in one.terms if t.series >= 0 and t.own < 0.5 and strange.z[t.series] > 3]
    if symptoms:
        most = max(symptoms, key=lambda t: strange.z[t.series])
        explained = 1 - most.own
        text = f"its callees explain {explained:.0%} of its {most.metric}"
        yield Reason(code="explained-by-callees", text=text, numbers={"explained": explained})
    if not one.is_reachable:
        text = f"{scene.window.target} does not call it, directly or not"
        yield Reason(code="not-called", text=text)
    if is_view(scene.services[one.service]):
        text = "it is only a view of another service"
        yield Reason(code="view", text=text)
    late = [t.series for t in one.terms if t.series >= 0 and strange.z[t.series] > 3]
    lag = min((strange.onset[j] for j in late), default=0.0) - evidence.timing.sli_onset
    if late and math.isfinite(lag) and lag > 0:
        secs = lag * scene.window.step_secs
        text = f"turned strange {secs:.0f} s after the SLI did"
        yield Reason(code="later", text=text, numbers={"lag_s": float(secs)})


def _shown(number: float) -> str:
    return "missing" if math.isnan(number) else f"{number:.4g}"


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    """What JSON can say."""
    return {k: float(f"{float(v):.5g}") for k, v in numbers.items() if math.isfinite(v)}
