"""How fast remote_write is, from the bytes to the series and from the socket to the score.

``make bench`` prints the tables. The naive way reads every label of every sample and looks the
series up by them. Bounds are far from what a quiet machine reaches.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from aiopsd.series import SeriesTable
from aiopsd.sources.protobuf import fields
from aiopsd.sources.pushed_snappy import unpacked
from aiopsd.sources.remote_write_series import sample
from aiopsd.sources.remote_write_v1 import Version1, _label
from aiopsd.sources.remote_write_v2 import Version2
from tests.e2e.asking import memory_mb, metric
from tests.e2e.daemon import Daemon, daemon_in
from tests.loopback.prompb import VERSION1, VERSION2, Series, snappy, varint, version1, version2

SERIES, A_REQUEST, TICKS, CONNECTIONS = 100_000, 2000, 5, 4
STEP_MS = 15_000
CONFIG = """
sources:
  fleet: {type: remote_write, waiting_samples: 10000000}
history: 0s
"""


def fleet(start: int, end: int) -> list[Series]:
    """Labels as a cluster has them: 236 bytes a series."""
    found = []
    for n in range(start, end):
        pod, of = divmod(n, 500)
        name, job = f"http_request_duration_seconds_bucket_{of // 10}", f"service-{pod % 20}"
        labels = {
            "__name__": name, "cluster": "prod-eu-1", "handler": f"/api/v1/resource/{n % 50}",
            "instance": f"10.0.{pod // 250}.{pod % 250}:9100", "job": job, "le": f"{n % 10 / 10}",
            "namespace": f"team-{pod % 7}", "pod": f"{job}-7d9f8b6c5-{pod:05d}",
        }  # fmt: skip
        found.append(Series(list(labels.items()), [(n % 3 * 1.25, 0)]))
    return found


def requests(encode: Callable[[list[Series]], bytes], begin_ms: int) -> list[bytes]:
    """One tick, cut as Prometheus cuts it; every sample at one time."""
    bodies = []
    for start in range(0, SERIES, A_REQUEST):
        part = fleet(start, start + A_REQUEST)
        for one in part:
            one.samples = [(one.samples[0][0], begin_ms)]
        bodies.append(encode(part))
    return bodies


def later(body: bytes, before_ms: int, after_ms: int) -> bytes:
    return body.replace(b"\x10" + varint(before_ms), b"\x10" + varint(after_ms))


class Naive:
    """Each label of each sample."""

    def __init__(self, table: SeriesTable) -> None:
        self._table = table

    def read(self, body: bytes) -> list[tuple[int, int, float]]:
        found = []
        for one in fields(body, 0, len(body)):
            parts = list(fields(body, one.start, one.end))
            labels = dict(_label(body, part) for part in parts if part.number == 1)
            index = self._table.intern("", labels)
            found += [(index, *sample(body, part)) for part in parts if part.number == 2]
        return found


def test_bytes_to_series() -> None:
    now_ms = int(time.time() * 1000)
    columns = {"bytes": 8, "packed": 8, "new us": 8, "known us": 10, "M/s": 8, "snappy us": 11}
    print(f"\n{'':22}" + "".join(f"{name:>{width}}" for name, width in columns.items()))
    known = {}
    for name, reader, encode in (
        ("naive 1.0", Naive, version1), ("raw labels 1.0", Version1, version1),
        ("numbered texts 2.0", Version2, version2),
    ):  # fmt: skip
        bodies = requests(encode, now_ms)[:10]
        n = len(bodies) * A_REQUEST
        one = reader(SeriesTable(10**6))  # type: ignore[operator]
        new = _secs(lambda bodies=bodies, one=one: [one.read(body) for body in bodies])
        known[name] = min(
            _secs(lambda bodies=bodies, one=one: [one.read(body) for body in bodies])
            for _ in range(3)
        )
        packed = [snappy(body) for body in bodies]
        open_ = _secs(lambda packed=packed: [unpacked(body, 2**30) for body in packed])
        sizes = (sum(map(len, each)) / n for each in (bodies, packed))
        print(
            f"{name:22}" + "".join(f"{size:8.0f}" for size in sizes) + f"{new / n * 1e6:8.1f}"
            f"{known[name] / n * 1e6:10.2f}{n / known[name] / 1e6:8.2f}{open_ / n * 1e6:11.3f}"
        )
    assert known["raw labels 1.0"] < known["naive 1.0"] / 5
    assert known["numbered texts 2.0"] < known["naive 1.0"] / 5


def _secs(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_socket_to_score(version: str, tmp_path: Path) -> None:
    """With no rule: every series is watched by the light tier. The daemon has one core."""
    encode, headers = {"1.0": (version1, VERSION1), "2.0": (version2, VERSION2)}[version]
    begin_ms = int(time.time() * 1000) - 3_600_000
    bodies = requests(encode, begin_ms)
    async with (
        daemon_in(tmp_path) as daemon,
        ClientSession(connector=TCPConnector(limit=CONNECTIONS)) as session,
    ):
        daemon.write(CONFIG)
        config = tmp_path / "aiopsd.yaml"
        config.write_text(config.read_text().replace("checkpoint: 1s", "checkpoint: 30s"))
        await daemon.start()
        _on_one_core(daemon)
        url = f"http://127.0.0.1:{daemon.port}/api/v1/write"
        print(f"\n{version}: {SERIES} series, {A_REQUEST} a request, {CONNECTIONS} connections")
        rates = []
        for tick in range(TICKS):
            at_ms = begin_ms + tick * STEP_MS
            packed = [snappy(later(body, begin_ms, at_ms)) for body in bodies]
            wall, cpu = await _written(session, url, headers, packed, daemon)
            rates.append(SERIES / cpu)
            print(
                f"tick {tick}: {wall:.2f} s, {cpu:.2f} s of CPU, {SERIES / cpu:10,.0f} a CPU second"
            )
        assert metric(daemon, "received_samples", "fleet") == SERIES * TICKS
        assert metric(daemon, "late_samples", "fleet") == 0
        print(f"best {max(rates):,.0f} samples a CPU second, {memory_mb(daemon):.0f} MB")
        assert await daemon.stop() == 0
    assert max(rates) > 100_000


async def _written(
    session: ClientSession, url: str, headers: dict[str, str], bodies: list[bytes], daemon: Daemon
) -> tuple[float, float]:
    queue: Iterator[bytes] = iter(bodies)

    async def shard() -> None:
        for body in queue:
            async with session.post(url, data=body, headers=headers) as response:
                assert response.status == 204, await response.text()

    began, cpu = time.monotonic(), _cpu_secs(daemon)
    await asyncio.gather(*(shard() for _ in range(CONNECTIONS)))
    return time.monotonic() - began, _cpu_secs(daemon) - cpu


def _cpu_secs(daemon: Daemon) -> float:
    assert daemon.process is not None
    stat = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def _on_one_core(daemon: Daemon) -> None:
    assert daemon.process is not None
    for thread in Path(f"/proc/{daemon.process.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {0})
