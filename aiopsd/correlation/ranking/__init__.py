"""Which service did it, and why? Pure, and the same for a recorded case and for the daemon.

``rank`` reads downwards: a window of all series, how strange each is, what callees explain of
that, and the evidence of time, place, lines and spans; added up in nats for each service.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.correlation.ranking.adding import Evidence, accounts, evidence_of
from aiopsd.correlation.ranking.onset import first_row
from aiopsd.correlation.ranking.scene import scene_of
from aiopsd.correlation.ranking.surprise import surprise_of
from aiopsd.correlation.ranking.suspects import Ranking, Suspect, ranking_of
from aiopsd.correlation.ranking.weights import WEIGHTS, Weights
from aiopsd.correlation.ranking.window import CallSpans, Column, LineCounts, Traces, Window

__all__ = [
    "CallSpans", "Column", "Evidence", "LineCounts", "Ranking", "Suspect", "Traces", "Window",
    "examine", "rank", "ranked",
]  # fmt: skip
FEWEST_ROWS: Final = 4


def rank(window: Window, weights: Weights = WEIGHTS) -> Ranking:
    """Never fails on numbers: what is not finite is missing, and too little says so."""
    evidence = examine(window, weights)
    if evidence is None:
        return Ranking((), window.detected_s, "too few rows: a past is needed to compare with")
    return ranked(evidence)


def examine(window: Window, weights: Weights = WEIGHTS) -> Evidence | None:
    """All that is known of a window; None where it is too short to know anything."""
    if len(window.times_s) < FEWEST_ROWS or not window.columns:
        return None
    with np.errstate(all="ignore"):  # missing values are NaN; huge ones may overflow
        scene = scene_of(window)
        strange = surprise_of(scene, first_row(scene, weights), weights)
        return evidence_of(scene, strange, weights)


def ranked(evidence: Evidence) -> Ranking:
    with np.errstate(all="ignore"):
        return ranking_of(evidence, accounts(evidence))
