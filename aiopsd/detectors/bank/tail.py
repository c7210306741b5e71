"""How rare is a deviation on this series' own history? The tail of the forecasting half.

``u`` follows the 98 % quantile of the deviations; above it they are taken as exponential with a
mean excess ``ex`` (peaks over threshold, as in ``tails``). The answer is a surprise in decades,
``-log10 P(deviation > d)``: 3 is once in a thousand samples. Deviations teach at an epoch's end.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np

from aiopsd.detectors.bank.clock import Flags, Singles, mean, total, where
from aiopsd.detectors.bank.tails import DECADE, LEAST, MOST, PRIOR, QUANTILE, SLOWEST, START
from aiopsd.model import Floats
from aiopsd.rows import Cell, Lane

Precise = TypeVar("Precise", Singles, Floats)  # lanes have float32, groups float64
TINY: Final = np.float32(1e-30)
SEEN, OVER, SUM = range(3)  # what an epoch adds up: deviations, exceedances, their sum

CELLS: Final = {
    "u": Cell(),
    "ex": Cell(),  # mean excess, learned
    "prior": Cell(),  # mean excess, first guess
    "hits": Cell(),  # exceedances learned
    "excess": Cell(float(TINY)),  # mean excess as the epoch holds on to it
    "dev_new": Cell(0, np.float32, (3,)),
}


def begin(lane: Lane, deviations: Singles) -> None:
    """First guess from the warm-up, shape ``[samples, n]``; the largest of each is left out."""
    ranked = np.sort(deviations, axis=0)
    u = np.float32(1.1) * ranked[-2]
    guess = np.maximum((u - mean(ranked[:-1])) / np.float32(3.5), np.float32(0.1) * u)
    reset(lane, np.ones(lane.n, np.bool_), u, guess)


def reset(lane: Lane, some: Flags, u: Singles, excess: Singles) -> None:
    """Forgets what was learned; these are the new guesses."""
    lane["u"] = np.where(some, u, lane["u"])
    lane["prior"] = np.where(some, excess, lane["prior"])
    lane["ex"], lane["hits"] = np.where(some, 0, lane["ex"]), np.where(some, 0, lane["hits"])


def scale(lane: Lane, factor: Singles) -> None:
    """The same history in other units: deviations became ``factor`` times as large."""
    for name in ("u", "ex", "prior"):
        lane[name] *= factor


def mean_excess(lane: Lane) -> Singles:
    """Shrunk to the first guess, as long as few were learned."""
    hits = lane["hits"]
    learned = (lane["ex"] * hits + np.float32(PRIOR) * lane["prior"]) / (hits + np.float32(PRIOR))
    return np.asarray(np.maximum(learned, TINY))


def surprise(deviation: Singles, u: Singles, excess: Singles) -> Singles:
    """In decades, at most 30; square law below u, exponential above."""
    body = START * np.minimum(deviation / np.maximum(u, TINY), 1) ** 2
    above = START + DECADE * (deviation - u) / excess
    return np.asarray(np.minimum(np.where(deviation > u, above, body), MOST))


def deviation(surprise: Precise, u: Precise, excess: Precise) -> Precise:
    """The inverse: how large a deviation of this surprise is."""
    above = u + excess * (surprise - START) / DECADE
    body = u * np.sqrt(np.maximum(surprise, 0) / START)
    found: Precise = np.where(surprise > START, above, body)
    return found


def note(lane: Lane, deviation: Singles, known: Flags, least: Singles) -> None:
    """Deviations ``[T, n]`` that teach; one at most ten times what is known, or ``least``."""
    new, over = lane["dev_new"], known & (deviation > lane["u"])
    total(new[SEEN], known)
    if np.count_nonzero(over):
        row, at = where(over)
        limit = np.maximum(10 * lane["excess"][at], least[row, at])
        np.add.at(new[OVER], at, np.float32(1))
        np.add.at(new[SUM], at, np.minimum(deviation[row, at] - lane["u"][at], limit))


def learn(lane: Lane, age: Singles) -> None:
    """An epoch is over; ``age``: samples judged before it."""
    new, u, excess = lane["dev_new"], lane["u"], lane["excess"]
    gain = np.maximum(1 / np.sqrt(np.maximum(age, 1)), np.float32(SLOWEST))
    step = gain * np.clip(excess, LEAST * u, 0.5 * np.maximum(u, excess))
    lane["u"] = np.maximum(u + step * (new[OVER] - np.float32(1 - QUANTILE) * new[SEEN]), 0)
    some = new[OVER].nonzero()[0]
    if len(some):
        over, hits, ex = new[OVER, some], lane["hits"][some], lane["ex"][some]
        rate = np.minimum(np.maximum(over / (hits + over), 0.005 * over), 1)
        lane["ex"][some] = ex + rate * (new[SUM, some] / over - ex)
        lane["hits"][some] = hits + over
    lane["dev_new"] = 0
