"""How fast samples come in, how small a series is, and what a million of them cost.

``make bench`` prints the tables. AIOPSD_BENCH_SERIES and AIOPSD_BENCH_MILLION make it smaller.
Times are of the processor, so that a busy machine says the same; what stands beside is the naive
way: json.loads, and each series' labels as a sorted tuple.
"""

import asyncio
import cProfile
import gc
import io
import json
import os
import pstats
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from yarl import URL

from aiopsd.contracts import Query
from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.watch import RuleInfo, Watch
from aiopsd.logs import Miner
from aiopsd.model import Batch
from aiopsd.pipeline.detection import Detection
from aiopsd.series import SeriesTable
from aiopsd.sources import prometheus_api
from aiopsd.sources.fetch import Fetcher
from aiopsd.sources.prometheus_names import Names
from aiopsd.transforms import Transforms
from tests.bench import fleet
from tests.bench.one_million import saved_beside

SERIES = int(os.environ.get("AIOPSD_BENCH_SERIES", "100000"))
MILLION = int(os.environ.get("AIOPSD_BENCH_MILLION", "1000000"))
LEARNED = 30  # ticks before the ones that are measured: by then the detector is warm
EVERY_SECS = 15.0
BEGUN_S = 1_795_421_130.0


def detection(table: SeriesTable, **settings: Any) -> Detection:
    info = RuleInfo("load", "saturation", "high", ("service",))
    watch = Watch(info, BandSettings(**settings), table.labels)
    return Detection(table, Miner(table), Transforms({}, table), {"load": watch}, {})


class Cost:
    """Processor seconds of each step, the best of its ticks."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        gc.collect()
        begun = time.process_time()
        yield
        took = time.process_time() - begun
        self.best[step] = min(took, self.best.get(step, np.inf))

    def print(self, series: int) -> None:
        for step, secs in self.best.items():
            print(f"  {step:34} {1000 * secs:8.1f} ms {series / secs:14,.0f} series/s")


# --- a pull -------------------------------------------------------------------------------


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server of its own process, that answers queries with a file."""
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        found = re.search(r"port (\d+)", server.stdout.readline())
        assert found
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_a_pull_of_100_000_series(tmp_path: Path) -> None:
    """Read over HTTP, decoded, matched and scored; then what bounds it."""
    names, cost = fleet.names(SERIES), Cost()
    path = tmp_path / "api" / "v1" / "query"
    path.parent.mkdir(parents=True)
    table = SeriesTable(SERIES)
    one, found = detection(table), Names(table, Query("load", "load", EVERY_SECS))
    with serving(tmp_path) as url:
        for n in range(LEARNED + 5):
            first = " the first time" * (n == 0)
            values = fleet.values(SERIES, n)
            if n == 0 or n >= LEARNED:
                path.write_bytes(fleet.answer(names, values))
                body = asyncio.run(asked(url, cost))
                with cost.of("decoded"):
                    vector = prometheus_api._vector(body)
                with cost.of("matched" + first):
                    series = found.find(vector.names)
                values = vector.values
            batch = Batch("load", BEGUN_S + n * EVERY_SECS, series, values)
            with cost.of("recorded and scored" + (first or ", learning" * (n < LEARNED))):
                one.observe("src", [batch], {})
    assert len(series) == len(np.unique(series)) == SERIES
    known: dict[tuple[tuple[str, str], ...], int] = {}
    for n in range(3):
        with cost.of("naive: decoded and matched" + " the first time" * (n == 0)):
            naive(body, known)
    print(f"\na pull of {SERIES:,} series, {len(body) / 1e6:.1f} MB of JSON")
    cost.print(SERIES)
    steps = ("read over HTTP", "decoded", "matched", "recorded and scored")
    total = sum(cost.best[step] for step in steps)
    print(
        f"  {'a tick of known series':34} {1000 * total:8.1f} ms {SERIES / total:14,.0f} series/s"
    )
    profile(lambda: one.observe("src", [later(batch)], {}), "recorded and scored")
    assert total < 1.0
    ours = cost.best["decoded"] + cost.best["matched"]
    assert ours < cost.best["naive: decoded and matched"] / 2


async def asked(url: str, cost: Cost) -> bytes:
    async with Fetcher(timeout_secs=60, max_body_bytes=64 * 2**20) as fetcher:
        await fetcher.get(URL(url))  # connected, as it is from the second tick on
        with cost.of("read over HTTP"):
            return (await fetcher.get(URL(url) / "api/v1/query")).body


def test_a_range_answer() -> None:
    """250 ticks of 1,000 series, as a hole is read again."""
    body, points, cost = fleet.range_answer(fleet.names(1000), 250), 250_000, Cost()
    for _ in range(3):
        with cost.of("decoded"):
            matrix = prometheus_api._matrix(body)
        with cost.of("naive: decoded"):
            rows = json.loads(body)["data"]["result"]
            pairs = [(time_s, float(text)) for row in rows for time_s, text in row["values"]]
    assert len(matrix.values) == len(pairs) == points
    print(f"\na range answer of {points:,} points, {len(body) / 1e6:.1f} MB (points for series)")
    cost.print(points)


def later(batch: Batch) -> Batch:
    return Batch(batch.rule, batch.time_s + EVERY_SECS, batch.series, batch.values)


def naive(body: bytes, known: dict[tuple[tuple[str, str], ...], int]) -> None:
    rows = json.loads(body)["data"]["result"]
    series = [known.setdefault(tuple(sorted(row["metric"].items())), len(known)) for row in rows]
    np.array(series), np.array([float(row["value"][1]) for row in rows])


def profile(work: Callable[[], object], title: str) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(work)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(7)
    lines = [line for line in text.getvalue().splitlines() if re.match(r"\s+\d+\S*\s+\d", line)]
    print(f"  what bounds {title!r} (calls, own seconds):")
    for line in lines:
        calls, own, *_, where = line.split(maxsplit=5)
        print(f"    {own:>7} {calls:>5} {where.rsplit('/', 1)[-1]}")


# --- a checkpoint -------------------------------------------------------------------------


def test_a_checkpoint_of_100_000_series() -> None:
    table = SeriesTable(SERIES)
    one, other = detection(table), detection(SeriesTable(SERIES))
    found = Names(table, Query("load", "load", EVERY_SECS)).find(fleet.names(SERIES))
    for n in range(LEARNED):
        batch = Batch("load", BEGUN_S + n * EVERY_SECS, found, fleet.values(SERIES, n))
        one.observe("src", [batch], {})
    cost = Cost()
    with cost.of("saved"):
        parts, longest_secs = asyncio.run(saved_beside(one))
    with cost.of("loaded"):
        other.load(parts)
    size = sum(map(len, parts.values()))
    table_size = sum(len(part) for name, part in parts.items() if name.startswith("table/"))
    print(f"\na checkpoint of {SERIES:,} series: {size / SERIES:,.0f} B each, "
          f"{table_size / SERIES:.0f} of them its name; "
          f"the loop waited {1000 * longest_secs:.0f} ms at most")  # fmt: skip
    cost.print(SERIES)
    assert other.save() == parts
    assert longest_secs < 1.0


# --- a million ----------------------------------------------------------------------------


def test_a_million_series_at_15_seconds() -> None:
    """In a process of its own, so that its memory can be told."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.bench.one_million", str(MILLION)],
        check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    found = json.loads(told.stdout)
    print(f"\n{MILLION:,} active series every {EVERY_SECS:g} s, raw names known, tier light")
    for step, secs in found["secs"].items():
        print(
            f"  {step:34} {1000 * secs:8.1f} ms a tick {100 * secs / EVERY_SECS:6.1f} % of a core"
        )
    print(f"  the loop waited {1000 * found['waited']:.0f} ms at most while that was packed")
    for step, size in found["bytes"].items():
        print(f"  {step:34} {size / 2**20:8.0f} MiB {size / MILLION:12,.0f} B a series")
    share = found["secs"]["a tick"] / EVERY_SECS
    assert share < 0.5 * max(1.0, MILLION / 1e6)
    assert found["bytes"]["resident at most"] < 3 * 2**30 * max(1.0, MILLION / 1e6)
