"""The remote_write source and a real Prometheus, as a server and as an agent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, web

from aiopsd.model import Position
from aiopsd.settings import SecretFile
from aiopsd.sources.remote_write import RemoteWriteSettings, RemoteWriteSource
from tests.integration.programs import Program
from tests.integration.remote_writers import SERIES, Counted, prometheus
from tests.loopback.server import LoopbackServer
from tests.unit.sources.witness import Readings, Witness, read

pytestmark = pytest.mark.prometheus
MODES = pytest.mark.parametrize("mode", ["server", "agent"])


class Daemon:
    """The source behind the daemon's address; ``scoring`` is the pipeline's part."""

    def __init__(self, folder: Path) -> None:
        (folder / "token").write_text("s3cret")
        self.witness = Witness(base=folder)
        self.source: RemoteWriteSource = RemoteWriteSettings(
            token_file=SecretFile("token"), max_body_bytes=10**6
        ).build(self.witness.context("rw"))
        self.hook = ""
        self.position: Position | None = None
        self.values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.times: dict[str, list[float]] = defaultdict(list)
        self.ticks: list[int] = []  # how many series came together

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        for path, handler in self.witness.routes.items():
            app.router.add_post(path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.hook = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1/write"
        yield
        await runner.cleanup()

    @asynccontextmanager
    async def scoring(self) -> AsyncIterator[Readings]:
        async with read(self.source, self.position) as readings:
            committer = asyncio.create_task(self._score(readings))
            yield readings
            committer.cancel()
            await asyncio.gather(committer, return_exceptions=True)

    async def _score(self, readings: Readings) -> None:
        for number in count(1):
            await readings.until(lambda wanted=number: len(readings.all) >= wanted)
            reading = readings.all[number - 1]
            for batch in reading.items:
                fresh = self.witness.table.record(batch)  # type: ignore[arg-type]
                assert len(fresh.series) == len(batch.series)  # type: ignore[union-attr]
                self._note(batch.time_s, self.witness.named(fresh))  # type: ignore[union-attr]
            self.position = reading.position
            await self.source.commit(reading.position)

    def _note(self, time_s: float, samples: list[tuple[dict[str, str], float]]) -> None:
        self.ticks.append(len(samples))
        for labels, value in samples:
            name = labels["__name__"] + labels.get("part", "")
            self.values[labels["instance"]][name].append(value)
            if name == "asked0":
                self.times[labels["instance"]].append(time_s)

    def heard(self, target: LoopbackServer) -> dict[str, list[float]]:
        return self.values[f"127.0.0.1:{target.port}"]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.02)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    one = Daemon(tmp_path)
    async with one.serving():
        yield one


def whole(values: list[float]) -> bool:
    """Each scrape since the first, once, in order."""
    return values == [float(n) for n in range(1, len(values) + 1)]


@MODES
async def test_each_sample_once_whatever_we_answer(
    mode: str, tmp_path: Path, daemon: Daemon
) -> None:
    """Not read at first (503), then read, not read for a while, read to the end."""
    async with (
        Counted() as one,
        Counted() as two,
        prometheus(tmp_path, mode, daemon.hook, [one, two]) as program,
    ):
        await daemon.until(lambda: daemon.witness.counts["refused_requests"] > 2)
        async with daemon.scoring():
            await daemon.until(lambda: len(daemon.heard(one)["asked0"]) > 6)
        refused = daemon.witness.counts["refused_requests"]
        await daemon.until(lambda: daemon.witness.counts["refused_requests"] > refused + 2)
        async with daemon.scoring():
            until = one.asked + 4
            await daemon.until(lambda: len(daemon.heard(two)["asked0"]) > until)
            await daemon.until(lambda: len(daemon.heard(one)[f"asked{SERIES - 1}"]) > until)
        for target in (one, two):
            heard = daemon.heard(target)
            assert all(whole(heard[f"asked{n}"]) for n in range(SERIES))
            assert len(heard["asked0"]) > until
            assert set(heard["zero"]) == {0.0}
            assert set(heard["inf"]) == {-np.inf}
            assert np.isnan(heard["nan"]).all()
        if mode == "server":
            await _as_prometheus_has_it(program, one, daemon)
    assert daemon.witness.counts["received_metadata"] > 0
    assert daemon.witness.counts["bad_series"] == 0
    assert ("back", "rw/127.0.0.1") not in daemon.witness.edges


async def _as_prometheus_has_it(program: Program, target: Counted, daemon: Daemon) -> None:
    instance = f"127.0.0.1:{target.port}"
    query = f'asked{{part="0",instance="{instance}"}}[1h]'
    async with ClientSession() as session:
        url = f"{program.url}/api/v1/query"
        async with session.get(url, params={"query": query}) as response:
            (found,) = (await response.json())["data"]["result"]
    stored: list[tuple[float, Any]] = found["values"][: len(daemon.heard(target)["asked0"])]
    assert [float(value) for _, value in stored] == daemon.heard(target)["asked0"]
    times = np.array([time_s for time_s, _ in stored])
    assert np.abs(times - daemon.times[instance]).max() <= 0.1, "beyond the resolution"


@MODES
async def test_a_target_that_is_gone_is_missing(mode: str, tmp_path: Path, daemon: Daemon) -> None:
    async with (
        Counted() as one,
        daemon.scoring(),
        prometheus(tmp_path, mode, daemon.hook, [one]),
    ):
        await daemon.until(lambda: len(daemon.heard(one)["asked0"]) > 2)
        await one.__aexit__(None, None, None)
        await daemon.until(lambda: daemon.witness.counts["stale_markers"] > SERIES)
        await daemon.until(lambda: np.isnan(daemon.heard(one)["asked0"][-1]))
        assert whole(daemon.heard(one)["asked0"][:-1])
        await daemon.until(lambda: daemon.heard(one)["up"][-1] == 0)


@MODES
async def test_a_prometheus_that_is_killed(mode: str, tmp_path: Path, daemon: Daemon) -> None:
    """What it had not sent is lost with it; nothing comes twice, nothing else is missing."""
    async with (
        Counted() as one,
        daemon.scoring(),
        prometheus(tmp_path, mode, daemon.hook, [one]) as program,
    ):
        lost: list[int] = []
        for _ in range(2):
            wanted = len(daemon.heard(one)["asked0"]) + 3
            await daemon.until(lambda wanted=wanted: len(daemon.heard(one)["asked0"]) > wanted)
            await program.kill()
            lost.append(one.asked)
            await program.start()
        wanted = len(daemon.heard(one)["asked0"]) + 3
        await daemon.until(lambda: len(daemon.heard(one)[f"asked{SERIES - 1}"]) > wanted)
        for n in range(SERIES):
            values = daemon.heard(one)[f"asked{n}"]
            assert (np.diff(values) >= 1).all()
            missing = set(range(1, int(values[-1]))) - set(map(int, values))
            assert all(any(at - 3 <= one <= at for at in lost) for one in missing), missing
