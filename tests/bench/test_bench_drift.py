"""How often drift is told of when there is none, and how soon when there is; and how fast.

Histograms of latencies as vLLM exports them: its 22 buckets of time to first token, lognormal
(median 0.3 s, sigma 0.7). ``make bench`` prints the tables.
"""

import math
import time

import numpy as np
import pytest

from aiopsd.detectors.distribution import divergence
from aiopsd.detectors.drift import Drift, DriftSettings
from aiopsd.model import Batch

HOUR, START = 3600.0, 20_000 * 86400.0
BOUNDS = np.array([
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40,
    80, 160, 640, math.inf,
])  # fmt: skip
CELLS = len(BOUNDS)
RUNS, SHIFTS = 400, (1.0, 1.2, 1.5, 2.0)
REASONS = np.array([0.7, 0.2, 0.07, 0.03])


def counts(random: np.random.Generator, n: int, median: float = 0.3) -> np.ndarray:
    sample = random.lognormal(math.log(median), 0.7, n)
    return np.bincount(np.searchsorted(BOUNDS, sample), minlength=CELLS).astype(float)


def test_the_pooled_rule_beside_the_textbook() -> None:
    """One window against a reference twelve times as large, %; 0 where there is no shift."""
    random, wrong, seen = np.random.default_rng(1), {}, {}
    print(f"\n{'n':>5} | raw PSI > .1 | pooled, p < .001 and PSI >= .1 (median x 1, 1.2, 1.5, 2)")
    for n in (50, 100, 300, 1000, 5000):
        raw = [divergence.psi(counts(random, n), counts(random, 12 * n)) for _ in range(RUNS)]
        found = []
        for times in SHIFTS:
            pairs = [(counts(random, n, 0.3 * times), counts(random, 12 * n)) for _ in range(RUNS)]
            pooled = [divergence.pooled(*pair) for pair in pairs]
            told = [divergence.psi(*p) >= 0.1 and divergence.chance(*p) < 0.001 for p in pooled]
            found.append(100 * np.mean(told))
        wrong[n], seen[n] = found[0], found[2]
        print(f"{n:5} | {100 * np.mean(np.array(raw) > 0.1):10.1f} % | "
              + "".join(f"{share:7.1f}" for share in found))  # fmt: skip
    assert max(wrong.values()) <= 1
    assert seen[100] > 80
    assert seen[1000] == 100


def hours(one: Drift, values: list[np.ndarray], since: int = 0) -> np.ndarray:
    """How many families are strange, ``[hours, (strange, certain)]``."""
    found, series = [], np.arange(values[0].size, dtype=np.int32)
    for hour, tick in enumerate(values, since):
        scores = one.observe(Batch("r", START + HOUR * hour, series, tick.ravel()))
        found.append([(scores.score >= 0.5).sum(), scores.certain.sum()])
    return np.array(found)


def histograms() -> Drift:
    return DriftSettings().build(
        lambda n: {"service": f"s{n // CELLS}", "le": str(BOUNDS[n % CELLS])}
    )


@pytest.mark.parametrize("daily", [False, True], ids=["", "daily"])
def test_quiet_weeks_with_a_median_that_wobbles(daily: bool) -> None:
    """20 services, two weeks by hours; then all medians grow. Daily: nights are twice as quick."""
    families, quiet = 20, 14 * 24
    days = families * quiet / 24
    print(f"\n    n  wobble | quiet{' (daily)' * daily}: strange, certain starts in 1000 days | "
          "told within 6 h: x 1.2, 1.5, 2")  # fmt: skip
    for n in (100, 300, 1000, 5000):
        for wobble in (0.0, 0.08, 0.2):
            random, one, ticks = np.random.default_rng(2), histograms(), []
            for hour in range(quiet + 6 * 3):
                clock = hour if hour < quiet else (hour - quiet) % 6
                night = 0.5 if daily and clock % 24 < 9 else 1.0
                medians = 0.3 * night * np.exp(wobble * random.standard_normal(families))
                grown = (1.2, 1.5, 2.0)[(hour - quiet) // 6] if hour >= quiet else 1.0
                cells = np.stack([counts(random, n, grown * median) for median in medians])
                ticks.append(cells.cumsum(axis=1))
            found = hours(one, ticks[:quiet])
            starts = np.diff(found, axis=0, prepend=0).clip(0).sum(axis=0) * 1000 / days
            line, state = [], one.save()
            for part in range(3):
                one.load(state)
                after = ticks[quiet + 6 * part : quiet + 6 * part + 6]
                line.append(hours(one, after, since=quiet)[:, 0].max() / families)
            print(f"{n:5} {wobble:7.0%} | {starts[0]:10.1f} {starts[1]:10.1f} | "
                  + "".join(f"{share:7.0%}" for share in line))  # fmt: skip
            assert starts[1] <= 4, "one in 280 days"
            assert n < 300 or wobble > 0.1 or line[2] == 1


def test_quiet_and_changed_classes() -> None:
    """Reasons of finishing; then the second takes some from the first."""
    families, quiet = 20, 14 * 24
    print(f"\n{'n':>5} | quiet: strange starts per 1000 days | told within 6 h: + 3, 8, 15 points")
    for n in (100, 300, 1000, 5000):
        line = []
        for points in (0.03, 0.08, 0.15):
            random = np.random.default_rng(3)
            ticks = []
            for hour in range(quiet + 6):
                moved = points * (hour >= quiet)
                shares = REASONS + np.array([-moved, moved, 0, 0])
                ticks.append(random.multinomial(n, shares, families) * 1.0)
            one = DriftSettings(category="reason").build(
                lambda n: {"service": f"s{n // 4}", "reason": "abcd"[n % 4]}
            )
            found = hours(one, ticks)
            line.append(found[quiet:, 0].max() / families)
        starts = np.diff(found[:quiet, 0], prepend=0).clip(0).sum() * 1000 / (families * quiet / 24)
        print(f"{n:5} | {starts:10.1f} | " + "".join(f"{share:7.0%}" for share in line))
        assert starts <= 4
        assert n < 1000 or line[2] == 1


@pytest.mark.parametrize("families", [10, 1000])
def test_drift_speed(families: int) -> None:
    random, one = np.random.default_rng(4), histograms()
    series = np.arange(families * CELLS, dtype=np.int32)
    values = [np.stack([counts(random, 500) for _ in range(families)]).cumsum(axis=1).ravel()
              for _ in range(4)]  # fmt: skip
    judged, between = [], []
    for tick in range(60 * 12):
        begun = time.perf_counter()
        one.observe(Batch("r", START + 300 * tick, series, values[tick // 12 % 4]))
        (between if tick % 12 else judged).append(time.perf_counter() - begun)
    print(f"\ndrift, {families} histograms of {CELLS} buckets: a window judged in "
          f"{1e6 * np.median(judged[30:]) / families:.0f} µs, a tick between in "
          f"{1e3 * np.median(between):.2f} ms, "
          f"{len(one.save()) / families:,.0f} B each saved")  # fmt: skip
    assert np.median(judged[30:]) / families < 0.01
