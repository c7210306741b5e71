"""Prometheus writes to the daemon, and both die at any time: every sample is scored once.

A server and an agent write at the same time. What is scored is counted by the daemon itself: an
anomaly says on how many samples it rests, and its value says how often the target was asked. With
AIOPSD_SOAK=1 it takes an hour, with a death or a restart every ten seconds or so.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession

from aiopsd.model import Anomaly
from tests.e2e.asking import memory_mb, newest
from tests.e2e.daemon import Daemon, daemon_in
from tests.integration.programs import Program
from tests.integration.remote_writers import SERIES, Counted, prometheus

pytestmark = pytest.mark.prometheus
SOAK_SECS = 3600.0 if os.environ.get("AIOPSD_SOAK") else 0.0
MODES = ("server", "agent")
PARTS = ("0", "350", str(SERIES - 1))
PLUS = 1_000_000
RULES = f"""
pack: test
rules:
  - id: asked
    select: asked{{part=~"{"|".join(PARTS)}"}}
    detector: {{type: threshold, above: {PLUS}}}
    kind: saturation
    severity: high
"""
CONFIG = """
sources:
  fleet: {type: remote_write, token_file: token}
history: 0s
"""
SENT = re.compile(r"(?m)^prometheus_remote_storage_queue_highest_sent_timestamp_seconds.* (\S+)$")
GAP = re.compile(r"gap source=fleet from=(\S+) until=(\S+):")


@dataclass
class Writer:
    """One Prometheus with its target, and what it took with it when it was killed."""

    mode: str
    target: Counted
    program: Program
    lost: list[tuple[float, float]] = field(default_factory=list)

    async def kill(self) -> None:
        async with ClientSession() as session, session.get(f"{self.program.url}/metrics") as answer:
            found = SENT.search(await answer.text())
        assert found is not None
        await self.program.kill()
        self.lost.append((float(found[1]), time.time()))
        await self.program.start()


@dataclass
class Fleet:
    daemon: Daemon
    writers: list[Writer]

    async def goes_on(self, scrapes: int = 4) -> None:
        """Until every target was asked so often again."""
        wanted = [writer.target.asked + scrapes for writer in self.writers]
        pairs = list(zip(self.writers, wanted, strict=True))
        await self.daemon.until(lambda: all(w.target.asked >= n for w, n in pairs))

    async def stop_daemon(self) -> None:
        assert await self.daemon.stop() == 0
        await self.goes_on(2)
        await self.daemon.start()

    async def kill_daemon(self) -> None:
        await self.daemon.kill()
        await self.goes_on(2)
        await self.daemon.start()

    async def reload(self) -> None:
        ready = len(self.daemon.log_lines("ready rules=1"))
        self.daemon.signal(signal.SIGHUP)
        await self.daemon.until(lambda: len(self.daemon.log_lines("ready rules=1")) > ready)

    async def check(self) -> dict[str, set[int]]:
        """How many scrapes the series of each mode miss: after a kill, one perhaps more than
        another, which was in another request."""
        for writer in self.writers:
            writer.target.plus = PLUS
        wanted, began_s = len(MODES) * len(PARTS), time.time() - 1.0
        found: list[Anomaly] = []
        async with asyncio.timeout(60):
            while len(found) < wanted:
                await asyncio.sleep(0.2)
                anomalies = await newest(self.daemon, Anomaly)
                found = [a for a in anomalies if a.ended_s is None and a.onset_s > began_s]
        for writer in self.writers:
            writer.target.plus = 0
        await self.goes_on()
        misses: dict[str, set[int]] = {}
        for one in found:
            assert one.observed is not None
            asked = int(one.observed) - PLUS
            misses.setdefault(one.labels["from"], set()).add(asked - 1 - one.samples)
        return misses

    def gaps(self) -> list[tuple[float, float]]:
        return [
            (datetime.fromisoformat(since).timestamp(), datetime.fromisoformat(until).timestamp())
            for since, until in GAP.findall(self.daemon.log())
        ]

    def bears(self, misses: dict[str, set[int]]) -> bool:
        """Nothing came twice, and nothing is missing but what is known to be."""
        return all(0 <= n <= self.allowed(w) for w in self.writers for n in misses[w.mode])

    def allowed(self, writer: Writer) -> int:
        """Scrapes in the daemon's dated gaps, and those that this Prometheus took with it."""
        spans = [*self.gaps(), *writer.lost]
        times = writer.target.times
        return sum(any(a - 0.1 <= t <= b + 1.0 for a, b in spans) for t in times)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        daemon = await stack.enter_async_context(daemon_in(tmp_path))
        daemon.write(CONFIG, rules__test=RULES, token="s3cret")
        hook = f"http://127.0.0.1:{daemon.port}/api/v1/write"
        writers = []
        for mode in MODES:
            (tmp_path / mode).mkdir()
            target = await stack.enter_async_context(Counted())
            program = await stack.enter_async_context(
                prometheus(tmp_path / mode, mode, hook, [target])
            )
            writers.append(Writer(mode, target, program))
        yield Fleet(daemon, writers)


async def test_every_sample_is_scored_once(fleet: Fleet) -> None:
    daemon = fleet.daemon
    await fleet.goes_on()  # there is nobody to write to yet
    await daemon.start()
    await fleet.goes_on(6)
    await fleet.stop_daemon()
    await fleet.goes_on()
    await fleet.reload()
    await fleet.goes_on()
    assert await fleet.check() == {mode: {0} for mode in MODES}, "some are lost, or came twice"
    assert fleet.gaps() == []
    await fleet.kill_daemon()
    await fleet.goes_on(6)
    for writer in fleet.writers:
        await writer.kill()
    await fleet.goes_on(6)
    await fleet.kill_daemon()
    await fleet.goes_on(8)
    misses = await fleet.check()
    assert fleet.bears(misses), misses
    assert len(fleet.gaps()) == 2
    metrics = daemon.get("/metrics")[1]
    assert 'aiopsd_gaps_total{part="fleet"} 2' in metrics, "remembered over a kill"
    print(f"missing {misses}, in gaps {fleet.gaps()} and lost {[w.lost for w in fleet.writers]}")
    assert await daemon.stop() == 0


@pytest.mark.skipif(not SOAK_SECS, reason="an hour; AIOPSD_SOAK=1")
async def test_an_hour_of_deaths(fleet: Fleet) -> None:
    daemon, random_ = fleet.daemon, random.Random(3)
    await daemon.start()
    await fleet.goes_on(10)
    until, megabytes = time.monotonic() + SOAK_SECS, 0.0
    while time.monotonic() < until:
        what = random_.choice(["stop", "kill", "reload", *MODES])
        print(f"{until - time.monotonic():6.0f} s left: {what}", flush=True)
        match what:
            case "stop":
                await fleet.stop_daemon()
            case "kill":
                await fleet.kill_daemon()
            case "reload":
                await fleet.reload()
            case mode:
                await next(w for w in fleet.writers if w.mode == mode).kill()
        await fleet.goes_on(random_.randint(8, 30))
        if what in ("stop", "reload"):
            misses = await fleet.check()
            print(f"missing {misses}, allowed {[fleet.allowed(w) for w in fleet.writers]}")
            assert fleet.bears(misses), misses
        megabytes = max(megabytes, memory_mb(daemon))
    misses = await fleet.check()
    assert fleet.bears(misses), misses
    assert megabytes < 400
    print(f"missing {misses} of {[w.target.asked for w in fleet.writers]}, {megabytes:.0f} MB")
    assert await daemon.stop() == 0
