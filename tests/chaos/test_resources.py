"""What the daemon takes of the machine. Times are held against what Python itself needs here."""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.e2e.asking import memory_mb
from tests.e2e.daemon import PATIENCE_SECS, Daemon
from tests.loopback.exporter import Exporter

HELP_SECS, READY_SECS = 0.5, 1.5
SERIES, SCRAPES, MEMORY_MB = 1000, 60, 150
PLAIN = "import numpy, aiohttp"  # what the daemon cannot do without
ROOT = Path(__file__).parents[2]
RULES = """
pack: many
rules:
  - {id: load, select: load, by: [pod], entity: [pod], severity: info,
     detector: {type: band, season: auto}}
  - {id: rate, select: requests_total, as: rate, by: [pod], entity: [pod], window: 1m,
     severity: info, detector: {type: band}}
"""


async def median_secs(one: Callable[[], Awaitable[None]]) -> float:
    """Of five, after one that warms the caches of the disk."""
    took = []
    for _ in range(6):
        began = time.perf_counter()
        await one()
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


async def python(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def test_help_and_start_are_quick(daemon: Daemon, exporter: Exporter) -> None:
    async def start() -> None:
        with daemon.log_path.open("ab") as log:
            daemon.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "aiopsd", "run", "-c"),
                str(daemon.folder / "aiopsd.yaml"),
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )
        deadline = time.monotonic() + PATIENCE_SECS
        while "ready rules=" not in daemon.log()[logged:]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.002)

    async def measured_start() -> None:
        nonlocal logged, took
        logged = len(daemon.log()) if daemon.log_path.exists() else 0
        began = time.perf_counter()
        await start()
        took.append(time.perf_counter() - began)
        assert await daemon.stop() == 0

    logged, took = 0, list[float]()
    plain_secs = await median_secs(lambda: python("-c", PLAIN))
    help_secs = await median_secs(lambda: python("-m", "aiopsd", "--help"))
    for _ in range(6):
        await measured_start()
    ready_secs = statistics.median(took[1:])
    print(f"{PLAIN}: {plain_secs:.2f} s; --help {help_secs:.2f} s; ready {ready_secs:.2f} s")
    assert help_secs < max(HELP_SECS, 2 * plain_secs)
    assert ready_secs < max(READY_SECS, 5 * plain_secs)


async def test_a_thousand_series_fit_into_little_memory(daemon: Daemon, exporter: Exporter) -> None:
    """A minute of a scrape a second, every series judged."""
    exporter.gauges.clear()
    for pod in range(SERIES // 2):
        exporter.gauges[f'load{{pod="p{pod}"}}'] = 10.0
        exporter.gauges[f'requests_total{{pod="p{pod}"}}'] = 0.0
    daemon.write(
        f'sources: {{app: {{type: scrape, every: 1s, targets: ["{exporter.url}/metrics"]}}}}\n',
        rules__test=RULES,
    )
    (daemon.folder / "playbooks" / "cure.yaml").unlink()
    await daemon.start()
    for scrape in range(SCRAPES):
        await exporter.wait_asked(len(exporter.calls) + 1)
        for number, name in enumerate(exporter.gauges):
            wave = 10 + (scrape * (number % 7 + 1)) % 5
            exporter.gauges[name] = wave if name.startswith("load") else 100.0 * scrape
    now_mb, most_mb = memory_mb(daemon, "VmRSS"), memory_mb(daemon)
    cpu_secs = _cpu_secs(daemon)
    print(f"{SERIES} series, {SCRAPES} scrapes: {now_mb:.0f} MB now, {most_mb:.0f} MB at most, "
          f"{100 * cpu_secs / SCRAPES:.1f} % of a core")  # fmt: skip
    assert most_mb < MEMORY_MB
    assert await daemon.stop() == 0


def _cpu_secs(daemon: Daemon) -> float:
    assert daemon.process is not None
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
