"""A limit is a limit."""

import math

import numpy as np
import pytest

from aiopsd.detectors.threshold import ThresholdSettings
from aiopsd.model import Batch, Scores


def score(value: float, above: float | None = None, below: float | None = None) -> Scores:
    one = ThresholdSettings(above=above, below=below).build(lambda _: {})
    return one.observe(Batch("r", 1.0, np.array([3], np.int32), np.array([value])))


@pytest.mark.parametrize(
    ("value", "above", "below", "beyond"),
    [
        (0.91, 0.9, None, True),
        (0.9, 0.9, None, False),  # above is above
        (0.0, None, 1.0, True),
        (1.0, None, 1.0, False),
        (-3.0, 5.0, -2.0, True),
        (0.0, 5.0, -2.0, False),
        (0.0, 0.0, None, False),
        (1e-9, 0.0, None, True),
        (math.nan, 0.0, None, False),
        (math.inf, 0.0, None, False),  # no measurement
    ],
)
def test_beyond_is_certain(
    value: float, above: float | None, below: float | None, beyond: bool
) -> None:
    scores = score(value, above, below)
    assert scores.certain[0] == beyond
    assert bool(scores.score[0] == 1.0) is beyond
    assert bool(scores.score[0] >= 0.5) is beyond


def test_within_the_score_tells_how_near_the_limit_is() -> None:
    assert score(45, above=90).score[0] == pytest.approx(0.245)
    assert score(89, above=90).score[0] == pytest.approx(0.49, abs=0.01)
    assert score(20, below=10).score[0] == pytest.approx(0.245)
    assert score(-5, above=90).score[0] == 0.0


def test_the_limit_is_what_was_expected() -> None:
    scores = score(80, above=90, below=10)
    assert (scores.expected[0], scores.low[0], scores.high[0]) == (90, 10, 90)
    assert score(1, above=90).low[0] == -math.inf


@pytest.mark.parametrize(
    "limits", [{}, {"above": 1.0, "below": 2.0}, {"above": math.nan}, {"below": math.inf}]
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"above|below|finite"):
        ThresholdSettings(**limits)
