"""Lines by file, by the journal and by push into a daemon that is killed: each counts once.

What counted is read from the daemon's own checkpoint, where a ledger of line numbers stands beside
all that was learned from them (``tests/e2e/ledger.py``).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import JOURNAL_REMOTE
from tests.e2e import ledger
from tests.e2e.asking import beside, metric
from tests.e2e.daemon import Daemon, daemon_in
from tests.loopback.journal_export import said
from tests.loopback.logprotos import PROTOBUF, push_request
from tests.loopback.prompb import snappy

NS = 10**9
STILL_SECS = 40.0  # nothing new for so long: what is missing will not come
RULES = """
pack: test
rules:
  - {id: strange, select: log_lines, by: [service, template], kind: log-novelty, severity: low,
     detector: {type: novel}}
"""


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon_in(tmp_path) as one:
        one.module = "tests.e2e.ledger"
        yield one


async def durable(daemon: Daemon) -> ledger.Ledger:
    return (await asyncio.to_thread(ledger.durable, daemon.folder / "state"))[0]


async def settled(daemon: Daemon, written: int, still_secs: float = STILL_SECS) -> ledger.Ledger:
    """Once every line is durable, or nothing more comes."""
    entered, since = -1, time.monotonic()
    while (told := await durable(daemon)).entered < written:
        if told.entered > entered:
            entered, since = told.entered, time.monotonic()
        if time.monotonic() > since + still_secs:
            break
        await asyncio.sleep(0.3)
    return told


async def dies(daemon: Daemon, chance: random.Random, lives: int, ways: tuple[str, ...]) -> None:
    """Again and again; in between something new has become durable."""
    for _ in range(lives):
        before = (await durable(daemon)).entered
        deadline = time.monotonic() + STILL_SECS
        while (await durable(daemon)).entered <= before and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        await asyncio.sleep(chance.random())
        way = chance.choice(ways)
        if way == "reload":
            daemon.signal(signal.SIGHUP)
            continue
        await (daemon.kill() if way == "kill" else daemon.stop())
        await asyncio.sleep(chance.random() * 0.5)
        await daemon.start(ready=False)


# --- what keeps its lines itself ----------------------------------------------------------


@dataclass
class Host:
    """A program with a log that is rotated, and services that the journal listens to."""

    folder: Path
    random: random.Random
    numbers: count[int] = field(default_factory=count)
    files: count[int] = field(default_factory=lambda: count(1))
    written: int = 0

    def __post_init__(self) -> None:
        self.log, self.journal = self.folder / "app.log", self.folder / "journal"
        self.journal.mkdir(parents=True)
        self.log.touch()

    def text(self, word: str) -> str:
        self.written += 1
        return f"{word} order took {self.random.randrange(2000)} ms id={next(self.numbers)}"

    def write(self) -> None:
        lines = [self.text("INFO") for _ in range(self.random.randint(1, 60))]
        with self.log.open("ab", buffering=0) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
        if self.random.random() < 0.1:
            self.log.rename(self.log.with_name(f"app.log.{next(self.files)}"))
            self.log.touch()

    def tell(self) -> None:
        now_us = time.time_ns() // 1000
        entries = b"".join(
            said(n, now_us + n, self.text("WARN")) for n in range(self.random.randint(1, 60))
        )
        subprocess.run(
            [JOURNAL_REMOTE, "--output", self.journal / "a.journal", "-"],
            input=entries, check=True, capture_output=True,
        )  # fmt: skip


@pytest.mark.journal
async def test_file_and_journal_through_deaths(daemon: Daemon) -> None:
    chance = random.Random(3)
    host = Host(daemon.folder / "host", chance)
    daemon.write(
        f"sources:\n  app: {{type: file, paths: ['{host.log}*'], from_start: true, every: 100ms}}\n"
        f"  host: {{type: journal, directory: '{host.journal}', every: 100ms}}\nwatch_all: off\n",
        rules__test=RULES,
    )
    host.tell()
    await daemon.start(ready=False)

    async def writing() -> None:
        while True:
            host.write()
            await asyncio.to_thread(host.tell)
            await asyncio.sleep(0.03)

    async with beside(writing()):
        await dies(daemon, chance, 8, ("kill", "kill", "kill", "stop", "reload"))
    told = await settled(daemon, host.written)
    assert (told.missing(host.written)[:20], told.doubled) == ([], 0)
    assert told.entered == host.written > 2000


# --- what is pushed -----------------------------------------------------------------------


@dataclass
class Agent:
    """Sends batch after batch, each until it is answered 204, as Promtail would."""

    url: str
    random: random.Random
    name: str
    numbers: count[int]
    answered: dict[int, float] = field(default_factory=dict)  # line -> when
    tries: int = 0

    async def run(self, going: Callable[[], bool]) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while going():
                numbers = [next(self.numbers) for _ in range(self.random.randint(1, 50))]
                body, headers = self._batch(numbers)
                while not await self._sent(session, body, headers):
                    await asyncio.sleep(0.05 + self.random.random() * 0.1)
                self.answered |= dict.fromkeys(numbers, time.monotonic())
                await asyncio.sleep(self.random.random() * 0.02)

    def _batch(self, numbers: list[int]) -> tuple[bytes, dict[str, str]]:
        entries = [(time.time_ns() + n, f"INFO took {n % 97} ms id={n}") for n in numbers]
        if self.random.random() < 0.5:
            return snappy(push_request([(f'{{app="{self.name}"}}', entries)])), PROTOBUF
        values = [[str(ns), text] for ns, text in entries]
        body = json.dumps({"streams": [{"stream": {"app": self.name}, "values": values}]}).encode()
        packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return gzip.compress(body), packed

    async def _sent(
        self, session: aiohttp.ClientSession, body: bytes, headers: dict[str, str]
    ) -> bool:
        self.tries += 1
        impatient = self.random.random() < 0.1  # hangs up before the answer comes
        limit = aiohttp.ClientTimeout(total=0.02 if impatient else 5)
        try:
            async with session.post(self.url, data=body, headers=headers, timeout=limit) as answer:
                assert answer.status in (204, 503), await answer.text()
                return answer.status == 204
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


def agents(daemon: Daemon, chance: random.Random) -> list[Agent]:
    url, numbers = f"http://127.0.0.1:{daemon.port}/loki/api/v1/push", count()
    return [Agent(url, chance, f"agent-{n}", numbers) for n in range(4)]


async def pushed_through(daemon: Daemon, ways: tuple[str, ...], lives: int) -> list[Agent]:
    chance, going = random.Random(9), True
    daemon.write("sources: {pushed: {type: loki_push, answer_within: 4s}}\nwatch_all: off\n",
                 rules__test=RULES)  # fmt: skip
    await daemon.start(ready=False)
    crowd = agents(daemon, chance)
    running = [asyncio.create_task(one.run(lambda: going)) for one in crowd]
    try:
        await dies(daemon, chance, lives, ways)
    finally:
        going = False
        await asyncio.wait_for(asyncio.gather(*running), 60)
    return crowd


async def test_pushed_through_stops_and_reloads(daemon: Daemon) -> None:
    """Whatever happened to an answer: nothing is lost, and nothing counts twice."""
    crowd = await pushed_through(daemon, ("stop", "reload"), 8)
    sent = sum(len(one.answered) for one in crowd)
    told = await settled(daemon, sent)
    assert (told.missing(sent)[:20], told.doubled, told.entered) == ([], 0, sent)
    assert sum(one.tries for one in crowd) > 0.05 * sent / 25
    assert metric(daemon, "gaps", "pushed") == 0


async def pushed_through_kills(daemon: Daemon, kills: int, seed: int, checkpoint: str) -> None:
    """Killed at any moment: while it starts, learns again, answers or saves. What was answered 204
    is never sent again, and counts; what was not comes again, and counts once."""
    chance, going = random.Random(seed), True
    daemon.limits = f"checkpoint: {checkpoint}"
    daemon.write("sources: {pushed: {type: loki_push, answer_within: 4s}}\nwatch_all: off\n",
                 rules__test=RULES)  # fmt: skip
    await daemon.start(ready=False)
    crowd = agents(daemon, chance)
    running = [asyncio.create_task(one.run(lambda: going)) for one in crowd]
    try:
        for _ in range(kills):
            await asyncio.sleep(chance.random() ** 2 * 1.5)
            await daemon.kill()
            await daemon.start(ready=False)
    finally:
        going = False
        await asyncio.wait_for(asyncio.gather(*running), 60)
    sent = sum(len(one.answered) for one in crowd)
    told = await settled(daemon, sent)
    again = sum(int(line.partition("readings=")[2]) for line in daemon.log_lines("learned again"))
    tries = sum(one.tries for one in crowd)
    print(f"{kills} kills, {sent:,} lines in {tries:,} requests, {again:,} readings learned again")
    assert (told.missing(sent)[:20], told.doubled, told.entered) == ([], 0, sent)
    assert sent > 100 * kills
    assert again > kills
    assert metric(daemon, "gaps", "pushed") == 0
    assert not daemon.log_lines("Traceback")


async def test_pushed_through_kill_9(daemon: Daemon) -> None:
    await pushed_through_kills(daemon, 5, seed=9, checkpoint="1s")


@pytest.mark.skipif(not os.environ.get("AIOPSD_SOAK"), reason="twenty minutes; AIOPSD_SOAK=1")
@pytest.mark.parametrize("checkpoint", ["1s", "30s"])
async def test_pushed_through_hundreds_of_kills(daemon: Daemon, checkpoint: str) -> None:
    kills = int(os.environ.get("AIOPSD_SOAK_KILLS", "200"))
    await pushed_through_kills(
        daemon, kills, int(os.environ.get("AIOPSD_SOAK_SEED", "7")), checkpoint
    )
