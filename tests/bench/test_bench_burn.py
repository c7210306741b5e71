"""How often a budget that holds is told of, how soon one that burns; and how fast."""

import time

import numpy as np
import pytest

from aiopsd.detectors.burn import Burn, BurnSettings
from aiopsd.model import Batch

OBJECTIVE, DAYS, FAMILIES, START = 0.999, 5, 40, 20_000 * 86400.0


def build(at_least: float = 10.0) -> Burn:
    settings = BurnSettings(objective=OBJECTIVE, label="code", at_least=at_least)
    return settings.build(lambda n: {"service": f"s{n // 2}", "code": ("200", "500")[n % 2]})


def minute(random: np.random.Generator, rate: float, ratio: float, n: int) -> np.ndarray:
    total = random.poisson(rate, n)
    bad = random.binomial(total, ratio)
    return np.stack((total - bad, bad), axis=1).ravel().astype(float)


def run(one: Burn, ticks: list[np.ndarray], since: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Strange, and certain, ``[minutes, families]``."""
    series, found = np.arange(ticks[0].size, dtype=np.int32), []
    for n, values in enumerate(ticks, since):
        scores = one.observe(Batch("r", START + 60.0 * n, series, values))
        found.append((scores.score[: len(series)], scores.certain[: len(series)]))
    score = np.array([s for s, _ in found]).reshape(len(ticks), -1, 2)
    certain = np.array([c for _, c in found]).reshape(len(ticks), -1, 2)
    return (score >= 0.5).any(axis=2), certain.any(axis=2)


def starts(strange: np.ndarray) -> float:
    """Per 1000 days of one family."""
    many = np.diff(strange.astype(int), axis=0, prepend=0).clip(0).sum()
    return float(many * 1000 / (strange.size / 1440))


def test_a_budget_that_holds_is_quiet() -> None:
    print(f"\n{FAMILIES} services, {DAYS} days: starts in 1000 service-days, strange and certain")
    print(f"{'req/min':>8} {'bad of budget':>14} | at_least 10          at_least 0")
    for rate in (0.3, 3, 30):
        for share in (0.5, 0.9):
            line = []
            for at_least in (10.0, 0.0):
                random = np.random.default_rng(1)
                bad = share * (1 - OBJECTIVE)
                ticks = [minute(random, rate, bad, FAMILIES) for _ in range(DAYS * 1440)]
                strange, certain = run(build(at_least), ticks)
                line += [starts(strange), starts(certain)]
                if at_least:
                    assert starts(certain) <= 5
            print(f"{rate:8} {share:14.0%} | " + "   ".join(f"{one:7.1f}" for one in line))


def test_a_budget_that_burns_is_told_soon() -> None:
    print("\nminutes until it is told (median of 20; - in none of 12 hours), after a day")
    print(f"{'req/min':>8} |" + "".join(f"{share:>9.1%}" for share in (1.0, 0.1, 0.02, 0.007)))
    for rate in (0.3, 3, 30, 300, 3000):
        random, one = np.random.default_rng(2), build()
        run(one, [minute(random, rate, 0.0002, FAMILIES) for _ in range(1440)])
        state, line = one.save(), []
        for share in (1.0, 0.1, 0.02, 0.007):
            one.load(state)
            ticks = [minute(random, rate, share, FAMILIES) for _ in range(720)]
            strange, _ = run(one, ticks, 1440)
            first = np.where(strange.any(axis=0), strange.argmax(axis=0), np.inf)
            line.append(np.median(first))
            assert rate < 30 or share < 0.1 or line[-1] < 15
        print(f"{rate:8} |" + "".join(f"{m:9.0f}" if np.isfinite(m) else f"{'-':>9}" for m in line))


@pytest.mark.parametrize("families", [1, 1000, 10_000])
def test_burn_speed(families: int) -> None:
    random, one, secs = np.random.default_rng(3), build(), []
    series = np.arange(2 * families, dtype=np.int32)
    values = [minute(random, 30, 0.001, families) for _ in range(4)]
    for tick in range(40):
        begun = time.process_time()
        one.observe(Batch("r", START + 15 * tick, series, values[tick % 4]))
        secs.append(time.process_time() - begun)
    mean, worst = 1e3 * np.mean(secs[8:]), 1e3 * np.max(secs[8:])
    print(f"\nburn {families:6,} families of 2: mean {mean:7.2f} ms of processor a tick of 15 s, "
          f"worst {worst:7.2f} ms, {len(one.save()) / families:,.0f} B a family saved")  # fmt: skip
    assert mean < 3000
