"""How long before a disk is full it is told, how often of one that never fills; and how fast.

Beside it ``predict_linear(x[3h], 24h) > 1`` as one finds it in collections of alerts, asked every
five minutes, with the same share used.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest

from aiopsd.detectors.forecast import ForecastSettings
from aiopsd.model import Batch

START = 20_000 * 86400.0
DAYS = 7
MINUTES = DAYS * 1440
Make = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]


def _rotated(random: np.random.Generator, t: np.ndarray, n: int) -> np.ndarray:
    period, phase = random.uniform(4, 30, n), random.random(n)
    return 0.4 + 0.45 * ((t[:, None] / period + phase) % 1) + 0.002 * noise(random, t, n)


def _daily(random: np.random.Generator, t: np.ndarray, n: int) -> np.ndarray:
    swing = np.sin(2 * np.pi * (t[:, None] / 24 + random.random(n)))
    return 0.7 + 0.2 * swing + 0.01 * noise(random, t, n)


def _walk(random: np.random.Generator, t: np.ndarray, n: int) -> np.ndarray:
    """Pulled back to 0.75 within about two days; spread 0.08."""
    steps, values = noise(random, t, n), np.full((len(t), n), 0.75)
    for at in range(1, len(t)):
        pull = values[at - 1] - (values[at - 1] - 0.75) / 2880
        values[at] = pull + 0.08 * np.sqrt(2 / 2880) * steps[at]
    return np.minimum(values, 0.98)


def _bursts(random: np.random.Generator, t: np.ndarray, n: int) -> np.ndarray:
    """A job fills a tenth within an hour and clears it an hour later, four times a day."""
    at = (t[:, None] + 24 * random.random(n)) % 6
    return 0.7 + 0.1 * np.clip(at, 0, 1) * (at < 2) + 0.003 * noise(random, t, n)


def noise(random: np.random.Generator, t: np.ndarray, n: int) -> np.ndarray:
    return random.standard_normal((len(t), n))


QUIET: dict[str, Make] = {
    "flat, noise 1 %": lambda r, t, n: 0.8 + 0.01 * noise(r, t, n),
    "flat, exactly": lambda _, t, n: np.full((len(t), n), 0.97),
    "slow growth": lambda r, t, n: 0.7 + 0.01 * t[:, None] / 24 + 0.002 * noise(r, t, n),
    "log rotated": _rotated,
    "daily swing": _daily,
    "random walk": _walk,
    "bursts": _bursts,
}


def predicted(values: np.ndarray) -> np.ndarray:
    """What predict_linear over 3 h says of 24 h ahead, every 5 minutes: strange or not."""
    some, ticks = values[::5], 36
    x = np.arange(ticks) - (ticks - 1) / 2
    found = np.zeros(some.shape, bool)
    for at in range(ticks, len(some)):
        part = some[at - ticks : at]
        slope = (x[:, None] * part).sum(axis=0) / (x**2).sum()
        found[at] = (part.mean(axis=0) + slope * (x[-1] + 288) > 1) & (some[at] > 0.6)
    return np.repeat(found, 5, axis=0)[: len(values)]


def told(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strange, and certain, ``[minutes, series]``."""
    one, series = ForecastSettings(limit=1.0).build(lambda _: {}), np.arange(values.shape[1])
    found = [one.observe(Batch("r", START + 60.0 * at, series.astype(np.int32), row))
             for at, row in enumerate(values)]  # fmt: skip
    return np.stack([s.score >= 0.5 for s in found]), np.stack([s.certain for s in found])


def starts(strange: np.ndarray) -> int:
    """Of stretches of ten minutes: what `for: 10m` would tell."""
    whole = strange[: len(strange) // 10 * 10].reshape(-1, 10, strange.shape[1]).all(axis=1)
    return int(np.diff(whole.astype(int), axis=0, prepend=0).clip(0).sum())


def test_what_never_fills_is_quiet() -> None:
    n, t, quiet = 20, np.arange(MINUTES) / 60, {}
    print("\ntold in 1000 series-days, for ten minutes: on the first day, and on those after")
    print(f"{'':>18} | strange          certain          predict_linear")
    for name, make in QUIET.items():
        values = make(np.random.default_rng(5), t, n)
        line = []
        for one in (*told(values), predicted(values)):
            line += [1000 * starts(one[:1440]) / n, 1000 * starts(one[1440:]) / n / (DAYS - 1)]
        print(f"{name:>18} | " + "   ".join(f"{count:6.0f}" for count in line))
        quiet[name] = line
    assert max(one[3] for one in quiet.values()) <= 60


def test_what_fills_is_told_in_time() -> None:
    """Hours left when told first (median of 20, then the least); after a flat day at 50 %."""
    n, head = 20, 1440
    print(f"\n{'fills in':>9} {'noise':>6} | strange        certain        predict_linear")
    for hours in (1.0, 3.0, 10.0, 30.0, 100.0):
        for sigma in (0.0, 0.005, 0.02):
            random, climb = np.random.default_rng(6), int(60 * hours)
            t = np.arange(head + climb)
            line = 0.5 + 0.5 * np.maximum(t - head, 0)[:, None] / climb
            values = line + sigma * random.standard_normal((len(t), n))
            left = []
            for strange in (*told(values), predicted(values)):
                first = np.where(strange[head:].any(axis=0), strange[head:].argmax(axis=0), climb)
                left.append((climb - first) / 60)
            print(f"{hours:7.0f} h {sigma:6.1%} | " + "   ".join(
                f"{np.median(one):5.1f} ({one.min():4.1f})" for one in left))  # fmt: skip
            assert np.median(left[0]) >= min(0.25 * hours, 8), "a quarter of the way, or a shift"


@pytest.mark.parametrize("n", [1, 1000, 100_000])
def test_forecast_speed(n: int) -> None:
    one, series = ForecastSettings(limit=1.0).build(lambda _: {}), np.arange(n, dtype=np.int32)
    random = np.random.default_rng(7)
    rows = [0.8 + 0.01 * random.standard_normal(n) for _ in range(4)]
    secs = []
    for tick in range(60):
        begun = time.perf_counter()
        one.observe(Batch("r", START + 15 * tick, series, rows[tick % 4]))
        secs.append(time.perf_counter() - begun)
    mean, worst = 1e3 * np.mean(secs[20:]), 1e3 * np.max(secs[20:])
    print(f"\nforecast {n:7,} series: mean {mean:7.2f} ms a tick of 15 s, worst {worst:7.2f} ms, "
          f"{len(one.save()) / n:,.0f} B a series saved")  # fmt: skip
    assert n < 100_000 or np.mean(secs[20:]) < 3
