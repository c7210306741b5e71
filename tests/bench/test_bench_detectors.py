"""How fast the bank is, how quiet on quiet series, and how soon it sees a fault.

``make bench`` prints the tables; the bounds are far from what a quiet machine reaches, so that a
busy one passes too.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest

from aiopsd.detectors.band import BandSettings
from aiopsd.logs import Miner
from aiopsd.model import Batch, LogBatch, LogLine
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms, compile_selection

DAY = 86400.0
Make = Callable[[np.random.Generator, int, int], np.ndarray]


def _ar(decay: float) -> Make:
    def make(random: np.random.Generator, ticks: int, n: int) -> np.ndarray:
        shocks, values = random.standard_normal((ticks, n)), np.zeros((ticks, n))
        for t in range(1, ticks):
            values[t] = decay * values[t - 1] + shocks[t]
        return 100 + values

    return make


def _daily(random: np.random.Generator, ticks: int, n: int) -> np.ndarray:
    phase = 2 * np.pi * (np.arange(ticks)[:, None] / 1440 + random.random(n))
    return 100 + 30 * np.sin(phase) + 5 * random.standard_normal((ticks, n))


QUIET: dict[str, Make] = {
    "gaussian": lambda random, t, n: 100 + 10 * random.standard_normal((t, n)),
    "poisson 0.3": lambda random, t, n: random.poisson(0.3, (t, n)).astype(float),
    "poisson 20": lambda random, t, n: random.poisson(20, (t, n)).astype(float),
    "ar 0.9": _ar(0.9),
    "ar 0.99": _ar(0.99),
    "daily": _daily,
}


def test_quiet_series_are_quiet() -> None:
    """At most one certain stretch in 1000 series-days, at one-minute ticks."""
    days, n = 5, 60
    print(f"\n{'series':12} certain/1000 days  suspicious/day")
    for name, make in QUIET.items():
        values = make(np.random.default_rng(7), days * 1440, n)
        certain, strange = _stretches(values, every_secs=60.0)
        print(f"{name:12} {1000 * certain / days / n:17.1f}  {strange / days / n:14.2f}")
        assert certain <= 1, name


def _stretches(values: np.ndarray, every_secs: float) -> tuple[int, int]:
    band, series = BandSettings().build(lambda _: {}), np.arange(values.shape[1], dtype=np.int32)
    before = np.zeros((2, len(series)), bool)
    found = np.zeros(2, int)
    for n, row in enumerate(values):
        scores = band.observe(Batch("r", 20_000 * DAY + n * every_secs, series, row))
        now = np.stack((scores.certain, scores.score >= 0.5))
        found += (now & ~before).sum(axis=1)
        before = now
    return int(found[0]), int(found[1])


def test_faults_are_seen() -> None:
    """Share of series with a certain sample within five of a step, by its size and their age."""
    print(f"\n{'step':>10}" + "".join(f"{n:>8}" for n in (30, 100, 300, 1000)) + "  samples before")
    seen = {}
    for sigmas in (5, 8, 12, 20):
        line = []
        for warm in (30, 100, 300, 1000):
            values = np.random.default_rng(8).standard_normal((warm + 5, 200))
            values[warm:] += sigmas
            band, series = (
                BandSettings(floor=1e-9).build(lambda _: {}),
                np.arange(200, dtype=np.int32),
            )
            sure = [
                band.observe(Batch("r", float(t), series, 100 + row)).certain
                for t, row in enumerate(values)
            ]
            line.append(np.logical_or.reduce(sure[warm:]).mean())
            seen[sigmas, warm] = line[-1]
        print(f"{sigmas:>4} sigmas" + "".join(f"{share:8.2f}" for share in line))
    assert seen[20, 100] > 0.95
    assert seen[12, 1000] > 0.95


@pytest.mark.parametrize("n", [1, 100, 10_000, 100_000])
def test_band_speed(n: int) -> None:
    random = np.random.default_rng(9)
    band, series = BandSettings().build(lambda _: {}), np.arange(n, dtype=np.int32)
    rows = [100 + 10 * random.standard_normal(n) for _ in range(8)]
    for t in range(25):
        band.observe(Batch("r", 1e9 + t * 15, series, rows[t % 8]))
    ticks = 20 if n > 1000 else 200
    begun = time.perf_counter()
    for t in range(25, 25 + ticks):
        band.observe(Batch("r", 1e9 + t * 15, series, rows[t % 8]))
    secs = (time.perf_counter() - begun) / ticks
    size = len(band.save()) / n
    print(f"\nband {n:7,} series: {1000 * secs:7.2f} ms a tick, {n / secs:12,.0f} samples/s, "
          f"{size:,.0f} B a series saved")  # fmt: skip
    assert n < 100_000 or n / secs > 100_000


@pytest.mark.parametrize("targets", [1, 10])
def test_transforms_speed(targets: int) -> None:
    """10,000 raw series, 10 selections."""
    table = SeriesTable()
    selections = {
        f"r{n}": compile_selection(f"m{n % 5}", as_, by, over, 60.0)
        for n, (as_, by, over) in enumerate(
            [("rate", ("service",), None), ("value", (), None), ("delta", ("service",), "m2"),
             ("changes", ("path",), None), ("value", ("service",), None)] * 2
        )
    }  # fmt: skip
    transforms = Transforms(selections, table)  # type: ignore[arg-type]
    ids = [
        np.array([table.intern("", {"__name__": f"m{n % 5}", "service": f"s{n % 50}",
                                    "path": str(n), "instance": str(t)})
                  for n in range(10_000 // targets)], np.int32)
        for t in range(targets)
    ]  # fmt: skip
    secs = []
    for tick in range(20):
        begun = time.perf_counter()
        for t, series in enumerate(ids):
            transforms.feed(
                Batch("", tick * 15.0 + t * 0.01, series, np.full(len(series), tick * 7.0))
            )
        secs.append(time.perf_counter() - begun)
    print(f"\ntransforms, {targets} targets: first tick {1000 * secs[0]:.0f} ms, "
          f"then {1000 * np.median(secs[2:]):.1f} ms")  # fmt: skip
    assert np.median(secs[2:]) < 0.2


def test_miner_speed() -> None:
    random = np.random.default_rng(10)
    lines = [
        f'2026-11-23T10:00:00Z level=info msg="handled" took_ms={random.integers(99)} id={n}'
        if n % 2 else f"ERROR call to orders-{random.integers(9)} failed: {random.bytes(8).hex()}"
        for n in range(20_000)
    ]  # fmt: skip
    miner = Miner(SeriesTable())
    begun = time.perf_counter()
    for n in range(0, len(lines), 500):
        batch = tuple(LogLine(0, {"service": "web"}, text) for text in lines[n : n + 500])
        miner.feed(LogBatch(float(n), batch))
    rate = len(lines) / (time.perf_counter() - begun)
    print(f"\nminer: {rate:,.0f} lines/s")
    assert rate > 5_000
