"""The daemon's ranking and attribution, over a recorded case."""

from __future__ import annotations

from aiopsd.correlation.attribution import Hypothesis, attribute
from aiopsd.correlation.ranking import Ranking, examine, rank, ranked
from aiopsd.offline.case import Case


def rank_case(case: Case) -> tuple[Ranking, tuple[Hypothesis, ...]]:
    """Suspects, and the changes that may have done it; no hypotheses where no change is known."""
    evidence = examine(case.window)
    if evidence is None:
        return rank(case.window), ()
    ranking = ranked(evidence)
    if not case.story.candidates:
        return ranking, ()
    return ranking, attribute(evidence, ranking, case.story)
