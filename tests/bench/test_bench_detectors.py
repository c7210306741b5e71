"""How fast the bank and its neighbours are, and how soon the bank sees a fault.

``make bench`` prints the tables; the bounds are far from what a quiet machine reaches, so that a
busy one passes too.
"""

import csv
import io
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from aiopsd.detectors.band import BandSettings
from aiopsd.logs import Miner
from aiopsd.model import Batch, LogBatch, LogLine
from aiopsd.series import SeriesTable


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


@pytest.mark.parametrize("tier", ["full", "light"])
@pytest.mark.parametrize("n", [1, 100, 10_000, 100_000])
def test_band_speed(n: int, tier: Literal["full", "light"]) -> None:
    """A tick at a time, as the daemon has it, and in stretches; by processor time."""
    random = np.random.default_rng(9)
    band, series = BandSettings(tier=tier).build(lambda _: {}), np.arange(n, dtype=np.int32)
    rows = 100 + 10 * random.standard_normal((32, n))
    times_s = 1e9 + 15 * np.arange(1024)
    for t in range(0, 320, 32):  # grown up: all that can be looked at is looked at
        band.observe_stretch(times_s[t : t + 32], rows)
    begun = time.process_time()
    for t in range(320, 352):
        band.observe(Batch("r", times_s[t], series, rows[t % 32]))
    ticked = time.process_time()
    band.observe_stretch(times_s[352:384], rows)
    secs = (ticked - begun) / 32, (time.process_time() - ticked) / 32
    size = len(band.save()) / n
    print(f"\nband {tier:5} {n:7,} series: {1000 * secs[0]:7.2f} ms a tick, {n / secs[0]:11,.0f} "
          f"samples/s; in stretches {n / secs[1]:11,.0f}; {size:,.0f} B a series")  # fmt: skip
    assert n < 100_000 or n / secs[0] > 100_000


@pytest.mark.parametrize("columns", [1, 19])
def test_detect_speed(columns: int, tmp_path: Path) -> None:
    """The whole process: start, read, judge, write; by processor time."""
    random, rows = np.random.default_rng(11), 40_000
    values = (100 + 10 * random.standard_normal((rows, columns))).round(3).tolist()
    text = io.StringIO()
    names = ["timestamp", *(f"m{n}" for n in range(columns))]
    csv.writer(text).writerows([names, *([1e9 + 300 * n, *x] for n, x in enumerate(values))])
    (tmp_path / "in.csv").write_text(text.getvalue())
    (tmp_path / "few.csv").write_text("timestamp,value\n1,2\n2,3\n")
    secs = {}
    for name in ("few", "in"):
        command = [sys.executable, "-m", "aiopsd", "detect", f"{name}.csv", "-o", "out.csv"]
        begun = _children_secs()
        subprocess.run(command, cwd=tmp_path, check=True)
        secs[name] = _children_secs() - begun
    rate = rows * columns / secs["in"]
    print(f"\naiopsd detect, {rows:,} rows x {columns}: {secs['in']:.2f} s, {rate:,.0f} points/s, "
          f"start and two rows {secs['few']:.2f} s")  # fmt: skip
    assert rate > 1000


def _children_secs() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
