"""How rare is each member's statistic on this series' own history? Surprise in decades.

Above a running 98 % quantile ``u`` the statistic is taken as exponential with a mean excess
learned from the exceedances (peaks over threshold, Siffer et al. 2017, with the exponential in
place of the generalised Pareto: a free shape made no difference). Below, a square law.
State and learning follow the epochs of ``clock``: asked with frozen numbers, learned at the end.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from aiopsd.detectors.bank.clock import EPOCH, Flags, Singles, total, where
from aiopsd.rows import At, Cell, Lane

QUANTILE: Final = 0.98  # 12 exceedances in 600 samples: rare enough to be a tail, not to starve it
START: Final = float(-np.log10(1 - QUANTILE))  # 1.70 decades
DECADE: Final = float(np.log10(np.e))  # decades a mean excess
MOST: Final = 30.0  # decades; beyond it numbers mean nothing
WARM: Final = 50  # first values: their maximum estimates the 98 % quantile
PRIOR: Final = 8.0  # pseudo-exceedances of the first guess
SLOWEST: Final = 0.0025  # of the quantile's gain: a larger one wanders
STRANGE, RELUCTANT = 3.0, 0.2  # what is rarer than once in 1000 teaches a fifth
LEAST: Final = 0.02  # of the largest excess seen: a series long constant has no endless surprises
TINY: Final = np.float32(1e-9)


def cells(members: int) -> dict[str, Cell]:
    shape = (members,)
    return {
        "tail_u": Cell(0, np.float32, shape),
        "tail_rate": Cell(_rate(np.float32(0)), np.float32, shape),  # root of START / u^2
        "tail_excess": Cell(0, np.float32, shape),  # mean, learned
        "tail_hits": Cell(0, np.float32, shape),  # exceedances learned
        "tail_count": Cell(0, np.float32, shape),  # values seen
        "tail_mean": Cell(0, np.float32, shape),  # sum of the first values
        "tail_prior": Cell(0, np.float32, shape),  # mean excess, first guess
        "tail_top": Cell(0, np.float32, shape),  # largest excess, fading
        "tail_new": Cell(0, np.float32, shape),  # this epoch: values,
        "tail_over": Cell(0, np.float32, shape),  # weight of the exceedances,
        "tail_sum": Cell(0, np.float32, shape),  # their weighted excess,
        "tail_peak": Cell(0, np.float32, shape),  # and the largest
    }


def _rate(u: Singles | np.float32) -> Any:
    return np.float32(np.sqrt(START)) / np.maximum(u, TINY)


def excess(lane: Lane) -> Singles:
    """Mean excess, shrunk to the first guess, never below 2 % of the largest seen."""
    hits = lane["tail_hits"]
    mean = (lane["tail_excess"] * hits + PRIOR * lane["tail_prior"]) / (hits + PRIOR)
    return np.asarray(np.maximum(np.maximum(mean, LEAST * lane["tail_top"]), TINY))


def surprise(lane: Lane, v: Singles, ok: Flags) -> tuple[Singles, tuple[At, ...]]:
    """Decades for ``v[T, M, n]``; 0 where not ok or not known yet, and where it is beyond ``u``.

    ``v`` is 0 where not ok. Notes what will be learned.
    """
    s = v * lane["tail_rate"]
    s *= s  # where inf it is beyond u, and told below
    warm = ok & (lane["tail_count"] < WARM)
    if np.count_nonzero(warm):
        part = np.where(warm, v, np.float32(0))
        np.maximum(lane["tail_u"], part.max(axis=0), out=lane["tail_u"])
        total(lane["tail_mean"], part)
        s[warm] = 0
        v = v * ~warm
    total(lane["tail_new"], ok)
    at = where(v > lane["tail_u"])
    if len(at[0]):
        s[at] = _exceed(lane, v[at], at[1:])
    return s, at


def _exceed(lane: Lane, v: Singles, at: tuple[At, ...]) -> Singles:
    u, hits, top = lane["tail_u"][at], lane["tail_hits"][at], lane["tail_top"][at]
    mean = (lane["tail_excess"][at] * hits + PRIOR * lane["tail_prior"][at]) / (hits + PRIOR)
    mean = np.maximum(np.maximum(mean, LEAST * top), TINY)
    e = v - u
    s = np.minimum(START + DECADE * e / mean, MOST).astype(np.float32)
    weight = np.where(s > STRANGE, np.float32(RELUCTANT), np.float32(1))
    np.add.at(lane["tail_over"], at, weight)
    np.add.at(lane["tail_sum"], at, weight * np.minimum(e, 10 * mean))
    most = np.where(top > 0, np.minimum(e, 20 * np.maximum(top, mean)), e)
    np.maximum.at(lane["tail_peak"], at, most)
    return np.asarray(s)


def learn(lane: Lane, ticks: Singles) -> None:
    """An epoch of ``ticks[n]`` is over."""
    u, new, over = lane["tail_u"], lane["tail_new"], lane["tail_over"]
    count = lane["tail_count"]
    warm = count < WARM
    mean, known = excess(lane), np.minimum(ticks / np.float32(EPOCH), 1)
    gain = np.maximum(1 / np.sqrt(np.maximum(count - WARM, 1)), np.float32(SLOWEST))
    step = gain * np.clip(mean, LEAST * u, 0.5 * u)
    moved = u + step * (over - np.float32(1 - QUANTILE) * new)
    lane["tail_count"] = count = count + new
    lane["tail_prior"] += (
        ~warm * (0.03 * known) * (np.maximum(mean, LEAST * u) - lane["tail_prior"])
    )
    if np.count_nonzero(warm):
        guess = np.maximum((u - lane["tail_mean"] / np.maximum(count, 1)) / 3.5, 0.05 * u)
        lane["tail_prior"] = np.where(warm, guess, lane["tail_prior"])
        moved = np.where(warm, u, moved)
    lane["tail_u"], lane["tail_rate"] = moved, _rate(moved)
    top = lane["tail_top"]
    top *= 1 - 0.008 * known
    np.maximum(top, lane["tail_peak"], out=top)
    some = where(over > 0)
    if len(some[0]):
        weight, hits = over[some], lane["tail_hits"][some]
        rate = np.minimum(np.maximum(weight / (hits + 1), 0.005 * weight), 1)
        old = lane["tail_excess"][some]
        lane["tail_excess"][some] = old + rate * (lane["tail_sum"][some] / weight - old)
        lane["tail_hits"][some] = hits + np.maximum(weight, 1)
    for name in ("tail_new", "tail_over", "tail_sum", "tail_peak"):
        lane[name] = 0
