"""How quiet the engine is on quiet series, and what it sees when something happens to them.

    make bench ARGS=tests/bench/test_bench_quiet.py                    some minutes
    AIOPSD_BENCH_FULL=1 make bench ARGS=...                            1,000 series x 30 days, hours

Other sizes: AIOPSD_BENCH_SERIES (of each kind), AIOPSD_BENCH_DAYS (after three of warm-up).
"""

import os
import time
from collections.abc import Callable

import numpy as np
import pytest

from aiopsd.detectors.band import BandSettings
from aiopsd.model import Floats
from tests.bench.quiet import DAY, MONDAY_S, QUIET

FULL = "AIOPSD_BENCH_FULL" in os.environ
SERIES = int(os.environ.get("AIOPSD_BENCH_SERIES", 1000 // len(QUIET) if FULL else 40))
DAYS = int(os.environ.get("AIOPSD_BENCH_DAYS", 30 if FULL else 7))
WARM_DAYS = 3
SAME_SECS = 600.0  # as `incidents.reopen`
BLOCK = 960  # ticks at a time
BUDGET = {"certain": 1.0, "suspicious": 50.0}  # of 1,000 series in a day, all kinds together


@pytest.mark.parametrize("step_secs", [15, 60, 300])
def test_quiet_series_are_quiet(step_secs: int) -> None:
    """Certain and suspicious anomalies of 1,000 quiet series in a day, by kind."""
    begun = time.process_time()
    found = _alarms(float(step_secs)) * 1000 / np.array([DAYS, DAYS, WARM_DAYS]) / SERIES
    print(
        f"\nevery {step_secs} s: {SERIES} series a kind, {DAYS} days after {WARM_DAYS} of warm-up"
    )
    print("| | certain | suspicious | suspicious in the warm-up |\n|---|---|---|---|")
    for kind, numbers in zip(QUIET, found, strict=True):
        print(f"| {kind:12} | " + " | ".join(f"{x:6.1f}" for x in numbers) + " |")
    certain, suspicious, young = found.mean(axis=0)
    print(f"| **mean**     | {certain:6.2f} | {suspicious:6.1f} | {young:6.1f} |")
    samples = SERIES * len(QUIET) * (DAYS + WARM_DAYS) * DAY / step_secs
    print(f"({samples / (time.process_time() - begun):,.0f} samples/s, making them included)")
    _within_budget("certain", certain)
    _within_budget("suspicious", suspicious)


def _within_budget(tier: str, a_day: float) -> None:
    """As far as this many series-days can tell: three deviations of a count above the budget."""
    thousand_days = SERIES * len(QUIET) * DAYS / 1000
    expected = BUDGET[tier] * thousand_days
    limit = (expected + 3 * np.sqrt(expected) + 1) / thousand_days
    assert a_day <= limit, f"{tier}: {a_day:.2f} a day of 1,000 series"


def _alarms(step_secs: float) -> np.ndarray:
    """Counts, ``[kinds, 3]``: certain, suspicious, and suspicious before the warm-up was over."""
    random = np.random.default_rng(20)
    blocks = [make(random, SERIES) for make in QUIET.values()]
    band = BandSettings().build(lambda _: {})
    ticks, warm = ((int(d * DAY / step_secs)) for d in (DAYS + WARM_DAYS, WARM_DAYS))
    found = np.zeros((len(QUIET), 3))
    last_s = np.full(len(QUIET) * SERIES, -np.inf)
    for first in range(0, ticks, BLOCK):
        at = np.arange(first, min(first + BLOCK, ticks))
        times_s = MONDAY_S + at * step_secs
        judged = band.observe_stretch(
            times_s, np.concatenate([one(times_s) for one in blocks], axis=1)
        )
        begins = _begins(judged.certain, times_s, last_s)
        old = (at >= warm)[:, None]
        tiers = begins & old, judged.suspicious & old, judged.suspicious & ~old
        for tier, flags in enumerate(tiers):
            found[:, tier] += _by_kind(flags.sum(axis=0)).sum(axis=1)
    return found


def _begins(certain: np.ndarray, times_s: Floats, last_s: Floats) -> np.ndarray:
    """Certain again so soon after is the same trouble; ``last_s`` goes on to the next block."""
    begins = np.zeros(certain.shape, bool)
    for one in np.flatnonzero(certain.any(axis=0)):
        at = np.flatnonzero(certain[:, one])
        gaps = np.diff(times_s[at], prepend=last_s[one])
        begins[at[gaps > SAME_SECS], one] = True
        last_s[one] = times_s[at[-1]]
    return begins


def _by_kind(of_series: np.ndarray) -> np.ndarray:
    return of_series.reshape(len(QUIET), -1)


# --- the other side: what is seen -------------------------------------------------------

EVERY_SECS, WARM_TICKS, WITHIN = 300.0, 2100, 24  # a week and a little at five minutes
Effect = Callable[[np.random.Generator, Floats, Floats, float], Floats]


def _spike(_random: np.random.Generator, x: Floats, sigma: Floats, size: float) -> Floats:
    return x + size * sigma * (np.arange(len(x)) == 0)[:, None]


def _shift(_random: np.random.Generator, x: Floats, sigma: Floats, size: float) -> Floats:
    return x + size * sigma


def _noise(random: np.random.Generator, x: Floats, sigma: Floats, size: float) -> Floats:
    return x + random.standard_normal(x.shape) * sigma * np.sqrt(size**2 - 1)


def _flat(_random: np.random.Generator, x: Floats, _sigma: Floats, size: float) -> Floats:
    """Stuck at its first value for so many samples, then as before."""
    return np.where((np.arange(len(x)) < size)[:, None], x[0], x)


EFFECTS: dict[str, tuple[Effect, tuple[float, ...]]] = {
    "spike of sigmas": (_spike, (4, 6, 8, 10, 15, 20)),
    "shift of sigmas": (_shift, (1, 2, 3, 5, 8, 12)),
    "noise times": (_noise, (1.5, 2, 3, 5, 10)),
    "flat for samples": (_flat, (6, 12, 24)),
}


def test_what_is_seen_by_size() -> None:
    """Share of series with a suspicious / certain sample within 24 samples of the onset."""
    random, n = np.random.default_rng(21), max(SERIES, 50)
    blocks = [make(random, n) for make in QUIET.values()]
    times_s = MONDAY_S + np.arange(WARM_TICKS + WITHIN) * EVERY_SECS
    values = np.concatenate([one(times_s) for one in blocks], axis=1)
    sigma = np.median(np.abs(np.diff(values, axis=0)), axis=0) / 0.6745 / np.sqrt(2)
    sigma = np.maximum(sigma, 0.1 * values.std(axis=0))
    band = BandSettings().build(lambda _: {})
    band.observe_stretch(times_s[:WARM_TICKS], values[:WARM_TICKS])
    saved, rest = band.save(), values[WARM_TICKS:]
    seen: dict[tuple[str, str, float], float] = {}
    for name, (effect, sizes) in EFFECTS.items():
        print(f"\n| {name:16} | " + " | ".join(f"{size:g}" for size in sizes) + " |")
        print("|---|" + "---|" * len(sizes))
        lines: list[list[str]] = [[] for _ in QUIET]
        for size in sizes:
            band.load(saved)
            judged = band.observe_stretch(times_s[WARM_TICKS:], effect(random, rest, sigma, size))
            tiers = judged.suspicious | judged.certain, judged.certain
            shares = [_by_kind(flags.any(axis=0)).mean(axis=1) for flags in tiers]
            for at, kind in enumerate(QUIET):
                seen[name, kind, size] = shares[0][at]
                lines[at].append(f"{shares[0][at]:.2f}/{shares[1][at]:.2f}")
        for kind, line in zip(QUIET, lines, strict=True):
            print(f"| {kind:16} | " + " | ".join(line) + " |", flush=True)
    assert seen["spike of sigmas", "Gaussian", 15] > 0.9
    assert seen["shift of sigmas", "Gaussian", 8] > 0.9
    assert seen["shift of sigmas", "daily", 12] > 0.5
