"""A toy service whose log changes, pushed into a running daemon: what people are shown of it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from aiopsd.model import Anomaly, Incident
from tests.e2e.asking import beside, eventually, newest
from tests.e2e.daemon import Daemon, daemon_in

RULES = """
pack: test
rules:
  - {id: new_error, title: new error, select: 'log_lines{speaks="failure"}',
     by: [service, template], detector: {type: novel, learn_samples: 5, hold: 8},
     kind: log-novelty, severity: low}
  - {id: odd, title: strange orders, select: log_odd_sessions, sessions: 'order=(\\w+)',
     by: [service], detector: {type: threshold, above: 0.5}, kind: log-novelty, severity: low}
"""
CONFIG = "sources: {pushed: {type: loki_push}}\nwatch_all: off\nincidents: {quiet: 3s}\n"
SECRET = "hunter2-and-more"
EVERY = 0.8  # seconds; what comes within half a second is one tick
HOLD = 8  # ticks, as in the rule
DEADLINE_SECS = 120.0


class Shop:
    """Twenty orders at a time, each of three lines."""

    def __init__(self, daemon: Daemon) -> None:
        self.url = f"http://127.0.0.1:{daemon.port}/loki/api/v1/push"
        self.numbers, self.fails, self.pushes = count(), False, 0

    def push(self) -> None:
        lines = []
        for _ in range(20):
            name = f"order=o{next(self.numbers):06d}"
            lines += [f"{name} accepted", f"{name} paid"]
            lines.append(f"{name} sent")
        if self.fails:
            lines.append(f"payment of order=o{next(self.numbers):06d} refused password={SECRET}")
        now = time.time_ns()
        values = [[str(now + n), line] for n, line in enumerate(lines)]
        body = {"streams": [{"stream": {"service": "shop"}, "values": values}]}
        headers = {"Content-Type": "application/json"}
        urlopen(Request(self.url, json.dumps(body).encode(), headers), timeout=10).close()

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.push)
            self.pushes += 1
            await asyncio.sleep(EVERY)

    async def goes_on(self, pushes: int) -> None:
        """Until so many more were counted: each is answered when it is."""
        until = self.pushes + pushes
        async with asyncio.timeout(DEADLINE_SECS):
            while self.pushes < until:
                await asyncio.sleep(0.05)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon_in(tmp_path) as one:
        yield one


async def shown(daemon: Daemon, incident: str) -> str:
    words = ("incident", "show", incident, "-c", str(daemon.folder / "aiopsd.yaml"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aiopsd", *words, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    return told.decode()


async def test_a_new_error_opens_an_incident_that_shows_its_line(daemon: Daemon) -> None:
    daemon.write(CONFIG, rules__test=RULES)
    await daemon.start()
    shop = Shop(daemon)

    async def is_open() -> list[Incident]:
        return [one for one in await newest(daemon, Incident) if not one.closed]

    async with beside(shop.run()):
        await shop.goes_on(12)  # so many ticks it learns from, and twice as many
        assert await newest(daemon, Incident) == []
        shop.fails = True
        [incident] = await eventually(daemon, is_open)
        told = await shown(daemon, incident.id)
        assert "new error shop" in told
        assert "> payment of order=" in told
        assert "refused password=" in told
        # It is no habit while the incident is open: still news long after ``hold``.
        await shop.goes_on(2 * HOLD)
        [anomaly] = [one for one in await newest(daemon, Anomaly) if one.rule == "new_error"]
        assert anomaly.ended_s is None
        shop.fails = False

        async def is_over() -> bool:
            return all(one.closed for one in await newest(daemon, Incident))

        await eventually(daemon, is_over)
    assert await daemon.stop() == 0
    files = [path.read_bytes() for path in (daemon.folder / "state").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in one for one in files)
