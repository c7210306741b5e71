"""How rare is a deviation on its own history? An online model of the tail, row by row.

For members that judge groups, one round at a time; ``tail`` is the same thought for whole lanes.

``u`` follows the 98 % quantile of the deviations; above it they are taken as exponential with a
mean excess ``ex`` (peaks over threshold). The answer is a surprise in decades,
``-log10 P(deviation > d)``: 3 is once in a thousand samples. Ask first, then ``learn``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.detectors.bank.tails import DECADE, MOST, PRIOR, QUANTILE, SLOWEST, START
from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

COLUMNS: Final = {
    "u": Column(),
    "ex": Column(),  # mean excess, learned
    "prior": Column(),  # mean excess, first guess
    "hits": Column(),  # exceedances learned
}


def begin(rows: Rows, at: At, miss: Floats) -> None:
    """Forgets what was learned. The guess: 98 % and the mean excess of a Gaussian, whose mean
    deviation is ``miss``."""
    reset(rows, at, 2.9 * miss, 0.46 * miss)


def reset(rows: Rows, at: At, u: Floats, excess: Floats) -> None:
    """Forgets what was learned; these are the new guesses."""
    rows["u"][at], rows["prior"][at] = u, excess
    rows["ex"][at] = rows["hits"][at] = 0.0


def scale(rows: Rows, at: At, factor: Floats) -> None:
    """The same history in other units: deviations became ``factor`` times as large."""
    for name in ("u", "ex", "prior"):
        rows[name][at] *= factor


def mean_excess(rows: Rows, at: At) -> Floats:
    """Shrunk to the first guess, as long as few were learned."""
    hits = rows["hits"][at]
    learned = (rows["ex"][at] * hits + PRIOR * rows["prior"][at]) / (hits + PRIOR)
    return np.asarray(np.maximum(learned, 1e-300))


def surprise(deviation: Floats, u: Floats, excess: Floats) -> Floats:
    """In decades, at most 30; square law below u, exponential above."""
    body = START * (deviation / np.maximum(u, 1e-300)) ** 2
    above = START + DECADE * (deviation - u) / excess
    return np.asarray(np.minimum(np.where(deviation > u, above, body), MOST))


def learn(
    rows: Rows, at: At, deviation: Floats, least: Floats, age: Floats, weight: Floats | float = 1.0
) -> None:
    """Takes in one deviation a row as far as its weight. ``least``: what counts; ``age``: samples
    judged so far."""
    weight = np.broadcast_to(weight, len(at))
    u, excess = rows["u"][at], mean_excess(rows, at)
    gain = weight * np.maximum(1 / np.sqrt(np.maximum(age, 1.0)), SLOWEST)
    step = gain * np.clip(excess, 0.02 * u, 0.5 * np.maximum(u, excess))
    over = deviation > u
    rows["u"][at] = u + step * np.where(over, QUANTILE, QUANTILE - 1)
    if over.any():
        e = (deviation - u)[over]
        _exceed(rows, at[over], e, excess[over], least[over], weight[over])


def _exceed(rows: Rows, at: At, e: Floats, excess: Floats, least: Floats, weight: Floats) -> None:
    """Peaks teach, but one of them at most ten times what is known: the next ones teach more."""
    ex, hits = rows["ex"][at], rows["hits"][at]
    limit = np.maximum(10 * excess, least)
    rate = weight * np.maximum(1 / (hits + 1), 0.005)
    rows["ex"][at] = ex + rate * (np.minimum(e, limit) - ex)
    rows["hits"][at] = hits + weight
