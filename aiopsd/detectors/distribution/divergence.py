"""How far two sets of counts are from having one distribution.

The population stability index (PSI) and chi-squared on cells that hold enough to say something:
on raw buckets of small samples the index is mostly noise. Counts are ``[cells]``, the same cells
on both sides, and need not be whole numbers.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Floats

EXPECTED: Final = 5.0  # in each pooled cell, of both samples
HALF: Final = 0.5  # added to each cell: an empty one is not impossible


def neighbours(window: Floats, reference: Floats) -> NDArray[np.intp]:
    """Where each pool of neighbouring cells begins, so that each expects enough of both."""
    expects = _expected(window, reference)
    starts, inside = [0], 0.0
    for at, one in enumerate(expects.tolist()):
        if inside >= EXPECTED:
            starts.append(at)
            inside = 0.0
        inside += one
    if inside < EXPECTED and len(starts) > 1:
        starts.pop()
    return np.array(starts, np.intp)


def pooled(window: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Both, with neighbouring cells put together."""
    starts = neighbours(window, reference)
    return np.add.reduceat(window, starts), np.add.reduceat(reference, starts)


def rare_together(window: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Both, with one cell for all classes that expect too little: classes have no neighbours."""
    often = _expected(window, reference) >= EXPECTED
    return tuple(  # type: ignore[return-value]
        np.append(x[often], x[~often].sum()) if not often.all() else x for x in (window, reference)
    )


def _expected(window: Floats, reference: Floats) -> Floats:
    """Of the smaller sample, if there were no difference."""
    n, of = window.sum(), reference.sum()
    expected: Floats = (window + reference) * (min(n, of) / max(n + of, 1e-300))
    return expected


def shares(counts: Floats) -> Floats:
    """Of all, with half an event more in each cell."""
    found: Floats = (counts + HALF) / (counts.sum() + HALF * len(counts))
    return found


def psi_terms(window: Floats, reference: Floats) -> Floats:
    """What each cell adds to the index."""
    now, before = shares(window), shares(reference)
    terms: Floats = (now - before) * np.log(now / before)
    return terms


def psi(window: Floats, reference: Floats) -> float:
    """0: alike; 0.1 is usually called a change, 0.25 a large one."""
    return float(psi_terms(window, reference).sum())


def largest(window: Floats, reference: Floats) -> float:
    """Largest difference of a share (L-infinity)."""
    of, base = max(window.sum(), 1e-300), max(reference.sum(), 1e-300)
    return float(np.abs(window / of - reference / base).max(initial=0.0))


def jensen_shannon(window: Floats, reference: Floats) -> float:
    """Distance in [0, 1]: the root of the divergence in bits."""
    p, q = shares(window), shares(reference)
    middle = (p + q) / 2
    bits = (p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2
    return math.sqrt(max(float(bits), 0.0))


def chance(window: Floats, reference: Floats) -> float:
    """p of Pearson's chi-squared test on the two rows; 1 where there are less than two cells."""
    both = np.stack((window, reference))
    both = both[:, both.sum(axis=0) > 0]
    rows, columns = both.sum(axis=1, keepdims=True), both.sum(axis=0)
    if both.shape[1] < 2 or not (rows > 0).all():
        return 1.0
    expected = rows * (columns / both.sum())
    return chi_squared_tail(float(((both - expected) ** 2 / expected).sum()), both.shape[1] - 1)


def chi_squared_tail(x: float, freedom: int) -> float:
    """P(chi-squared > x), by its finite sum (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    if x <= 0:
        return 1.0
    half, log_half = x / 2, math.log(x / 2)
    odd = freedom % 2
    found = math.erfc(math.sqrt(half)) if odd else 0.0
    for at in range((freedom + 1) // 2):
        power = at - 0.5 if odd else float(at)
        if power >= 0:
            found += math.exp(power * log_half - half - math.lgamma(power + 1))
    return min(found, 1.0)


def quantile(bounds: Floats, counts: Floats, q: float) -> float:
    """By linear interpolation in its bucket; in the last one its lower bound. NaN for none."""
    rising = np.cumsum(counts)
    if not len(rising) or not rising[-1] > 0:
        return math.nan
    at = int(np.searchsorted(rising, q * rising[-1]))
    at = min(at, len(bounds) - 1)
    low = float(bounds[at - 1]) if at else min(0.0, float(bounds[0]))
    if not math.isfinite(bounds[at]):
        return low
    before = float(rising[at - 1]) if at else 0.0
    inside = max(float(counts[at]), 1e-300)
    return low + (float(bounds[at]) - low) * (q * float(rising[-1]) - before) / inside
