"""Figures of one detector on labelled series: at its own word, at the best limit, and at a limit
that was chosen on everything else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiopsd.model import Floats
from tests.bench import corpus
from tests.bench.corpus import Case

Flags = NDArray[np.bool_]
OWN = 0.5
LIMITS = tuple(np.round(np.arange(0.36, 0.82, 0.02), 2).tolist())


@dataclass(frozen=True)
class Said:
    """Of each row: ``score`` (dense), ``alert`` (severity, where an event begins), ``flag`` (its
    own word), ``certain``; ``at`` gives the flags that another limit on the severity would."""

    score: Floats
    alert: Floats
    flag: Flags
    at: Callable[[float], Flags]
    certain: Flags | None = None


Detector = Callable[[Floats, Floats], Said]


@dataclass(frozen=True)
class Judged:
    """A case, what was said of it, and the same in the scorer's form."""

    case: Case
    said: Said
    series: Any


@dataclass(frozen=True)
class Run:
    judged: tuple[Judged, ...]
    points_per_s: float  # numbers, not rows, by processor time of the detector alone


def run(detector: Detector, cases: Iterable[Case]) -> Run:
    scoring, judged, secs, points = corpus.scorer(), [], 0.0, 0
    for case in cases:
        begun = time.process_time()
        said = detector(case.times_s, case.values)
        secs += time.process_time() - begun
        points += case.values.size
        columns = {"score": said.score, "alert_score": said.alert, "is_anomaly": said.flag * 1}
        table = pd.DataFrame(columns)
        series = scoring.load(corpus.FOLDER / "data", case.name, case.label, table, None)
        judged.append(Judged(case, said, series))
    return Run(tuple(judged), points / max(secs, 1e-9))


def figures(judged: Sequence[Judged]) -> dict[str, float]:
    """Of one corpus, by the names of the scorer's README; ``loo_*`` left one category out."""
    scoring, series = corpus.scorer(), [one.series for one in judged]
    found: dict[str, float] = scoring.evaluate(series)
    by_limit = {limit: _flagged(judged, limit) for limit in LIMITS}
    for profile in ("standard", "low_fp", "low_fn"):
        best = max(_nab(series, flags, profile) for flags in by_limit.values())
        found[f"nab_{profile}"] = max(found[f"nab_{profile}"], best)
    for name, gain in (("nab_flag", _nab_points), ("ev_f1", _f1_of)):
        chosen = _left_out(judged, by_limit, gain)
        _set(series, chosen)
        found[f"loo_{name}"] = (
            scoring.nab(series, "standard", use_flag=True)["score"]
            if name == "nab_flag"
            else _f1_of(series)
        )
    _set(series, [one.said.flag for one in judged])
    return found | _certain(judged)


def _certain(judged: Sequence[Judged]) -> dict[str, float]:
    """What a page at night would have been: events hit and false alarms of *certain* alone."""
    if any(one.said.certain is None for one in judged):
        return {}
    series = [one.series for one in judged]
    _set(series, [one.said.certain for one in judged])  # type: ignore[misc]
    stats = [corpus.scorer().event_stats(one) for one in series]
    _set(series, [one.said.flag for one in judged])
    days = max(sum(one["days"] for one in stats), 1e-9)
    return {
        "certain_hits": float(sum(one["hits"] for one in stats)),
        "certain_fa_day": sum(one["false_alarms"] for one in stats) / days,
    }


def _flagged(judged: Sequence[Judged], limit: float) -> list[Flags]:
    return [one.said.at(limit) for one in judged]


def _set(series: Sequence[Any], flags: Sequence[Flags]) -> None:
    for one, flag in zip(series, flags, strict=True):
        one.flag = flag


def _nab(series: Sequence[Any], flags: Sequence[Flags], profile: str) -> float:
    _set(series, flags)
    score: float = corpus.scorer().nab(series, profile, use_flag=True)["score"]
    return score


def _left_out(
    judged: Sequence[Judged],
    by_limit: dict[float, list[Flags]],
    gain: Callable[[Sequence[Any]], float],
) -> list[Flags]:
    """Flags of each case at the limit that is best on all other categories."""
    chosen: dict[str, float] = {}
    for category in {one.case.category for one in judged}:
        rest = [n for n, one in enumerate(judged) if one.case.category != category]
        gains = {}
        for limit, flags in by_limit.items():
            series = [judged[n].series for n in rest]
            _set(series, [flags[n] for n in rest])
            gains[limit] = gain(series)
        chosen[category] = max(LIMITS, key=gains.__getitem__)
    return [by_limit[chosen[one.case.category]][n] for n, one in enumerate(judged)]


def _nab_points(series: Sequence[Any]) -> float:
    score: float = corpus.scorer().nab(list(series), "standard", use_flag=True)["score"]
    return score if score == score else 0.0


def _f1_of(series: Sequence[Any]) -> float:
    stats = [corpus.scorer().event_stats(one) for one in series]
    hits, false, events = (sum(s[k] for s in stats) for k in ("hits", "false_alarms", "events"))
    return float(2 * hits / max(hits + false + events, 1))


# --- a table for people -----------------------------------------------------------------

COLUMNS = {
    "NAB std": ("nab_standard", "{:.1f}"), "low FP": ("nab_low_fp", "{:.1f}"),
    "low FN": ("nab_low_fn", "{:.1f}"), "own flag": ("nab_flag", "{:.1f}"),
    "flag, LOO": ("loo_nab_flag", "{:.1f}"), "event P": ("ev_p", "{:.2f}"),
    "R": ("ev_r", "{:.2f}"), "F1": ("ev_f1", "{:.3f}"), "F1, LOO": ("loo_ev_f1", "{:.3f}"),
    "false alarms/day": ("fa_day", "{:.3f}"), "VUS-PR": ("vus_pr", "{:.3f}"),
}  # fmt: skip


def row(name: str, found: dict[str, float]) -> str:
    cells = [form.format(found[key]) for key, form in COLUMNS.values()]
    return f"| {name:30} | " + " | ".join(f"{cell:>6}" for cell in cells) + " |"


def head(corpus_name: str) -> str:
    names = f"| {corpus_name:30} | " + " | ".join(f"{name:>6}" for name in COLUMNS) + " |"
    return names + "\n|---|" + "---|" * len(COLUMNS)
