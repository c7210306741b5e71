"""Reading a Loki over HTTP: credentials, faults of the wire, a server that goes away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aiopsd.model import LogBatch, LogLine, Position
from aiopsd.settings import Duration, SecretFile
from aiopsd.sources.loki import LokiSettings
from tests.loopback.loki import NO_TENANT, LoopbackLoki
from tests.unit.sources.house import House

NS = 10**9
DEADLINE_SECS = 60


@pytest.fixture
async def loki() -> AsyncIterator[LoopbackLoki]:
    async with LoopbackLoki() as server:
        yield server


def push(loki: LoopbackLoki, *texts: str, ago_s: float = 0.0, tenant: str = NO_TENANT) -> None:
    ns = int((time.time() - ago_s) * NS)
    loki.push({"app": "shop"}, [(ns + i, text, None) for i, text in enumerate(texts)], tenant)


def quick(loki: LoopbackLoki, **more: Any) -> LokiSettings:
    fast = {"every": Duration(0.02), "delay": Duration(0.02), "late": Duration(20)}
    return LokiSettings(url=loki.url, **{**fast, **more})


@dataclass
class Reader:
    """Runs a source in the background; its lines and its last position."""

    written: LokiSettings
    house: House = field(default_factory=House)
    lines: list[LogLine] = field(default_factory=list)
    position: Position | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        source = self.written.build(self.house.context())
        async with aclosing(source.stream(self.position)) as stream:
            async for reading in stream:
                self.position = json.loads(json.dumps(reading.position))
                for item in reading.items:
                    assert isinstance(item, LogBatch)
                    self.lines += item.lines

    async def until(self, *texts: str) -> None:
        """Waits for these lines, and makes sure that no other came."""
        async with asyncio.timeout(DEADLINE_SECS):
            while len(self.lines) < len(texts):
                await asyncio.sleep(0.01)
        assert [line.text for line in self.lines] == list(texts)

    async def until_gone(self) -> str:
        async with asyncio.timeout(DEADLINE_SECS):
            while not self.house.away:
                await asyncio.sleep(0.01)
        return self.house.gone[-1]


async def test_lines_are_read_as_they_come(loki: LoopbackLoki) -> None:
    reader = Reader(quick(loki))
    push(loki, "before", ago_s=60)
    async with reader.running():
        await reader.until("before")
        push(loki, "one", "two")
        await reader.until("before", "one", "two")
        push(loki, "late", ago_s=10)
        await reader.until("before", "one", "two", "late")
    assert reader.house.gone == []
    asked = loki.asked("/query_range")[0]
    assert asked.params["direction"] == "forward"
    assert "interval" not in asked.params


async def test_tenant_token_and_headers_are_sent(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    async with LoopbackLoki(auth=True) as loki:
        push(loki, "mine", ago_s=1, tenant="team-a")
        push(loki, "theirs", ago_s=1, tenant="team-b")
        written = quick(
            loki, tenant="team-a", token_file=SecretFile("token"), headers={"X-Probe": "1"}
        )
        reader = Reader(written, House(base=tmp_path))
        async with reader.running():
            await reader.until("mine")
        headers = loki.asked("/query_range")[0].headers
        assert headers["Authorization"] == "Bearer s3cret"
        assert headers["X-Probe"] == "1"


async def test_a_missing_tenant_is_told_in_the_servers_words() -> None:
    async with LoopbackLoki(auth=True) as loki:
        reader = Reader(quick(loki))
        async with reader.running():
            assert "401: no org id" in await reader.until_gone()


async def test_a_wrong_query_is_told_in_the_servers_words(loki: LoopbackLoki) -> None:
    reader = Reader(quick(loki, query='{app=~".*"}'))
    async with reader.running():
        assert "empty-compatible" in await reader.until_gone()
        assert len(loki.calls) == 1


@pytest.mark.parametrize("fault", ["cut", "half", "html", "429", "503"])
async def test_a_fault_on_the_wire_loses_and_doubles_nothing(
    loki: LoopbackLoki, fault: str
) -> None:
    texts = [f"line {i}" for i in range(50)]
    push(loki, *texts, ago_s=30)
    for _ in range(2):
        loki.hang_next(0)  # nothing: the fault is to hit between good pages
        match fault:
            case "cut":
                loki.truncate_next()
            case "half":
                loki.truncate_next(clean=True)
            case "html":
                loki.html_next()
            case _:
                loki.fail_next(int(fault), "try later", {"Retry-After": "1"})
    reader = Reader(quick(loki, limit=20))
    async with reader.running():
        await reader.until(*texts)
    assert len(reader.house.gone) == 2


async def test_a_timeout_halves_what_is_asked_for(loki: LoopbackLoki) -> None:
    push(loki, "line", ago_s=60)
    loki.hang_next(30)
    reader = Reader(quick(loki, timeout=Duration(0.5)))
    async with reader.running():
        await reader.until("line")
    assert "no answer within 0.5 s" in reader.house.gone[0]
    widths = [
        (int(c.params["end"]) - int(c.params["start"])) // NS for c in loki.asked("/query_range")
    ]
    assert widths[:2] == [299, 149]


async def test_limits_of_the_server_are_learnt_and_large_pages_are_cut() -> None:
    async with LoopbackLoki(max_entries=30) as loki:
        texts = [f"{'x' * 300} {i}" for i in range(100)]
        push(loki, *texts, ago_s=30)
        reader = Reader(quick(loki, max_body_bytes=4096))
        async with reader.running():
            await reader.until(*texts)
        assert reader.house.gone == []
        assert [int(c.params["limit"]) for c in loki.asked()[:4]] == [5000, 30, 15, 7]


async def test_a_crowded_nanosecond_is_read_stream_by_stream() -> None:
    async with LoopbackLoki(max_entries=50) as loki:
        at_ns = int((time.time() - 30) * NS)
        texts = [f"{app}{i}" for app in "ab" for i in range(40)]
        for text in texts:
            loki.push({"app": text[0]}, [(at_ns, text, None)])
        reader = Reader(quick(loki))
        async with reader.running():
            await reader.until(*texts)


async def test_a_server_that_was_away_is_read_from_where_it_stopped(loki: LoopbackLoki) -> None:
    reader = Reader(quick(loki))
    async with reader.running():
        push(loki, "before")
        await reader.until("before")
        async with loki.away():
            assert await reader.until_gone() == "connection refused"
            push(loki, "meanwhile")
        await reader.until("before", "meanwhile")
    assert len(reader.house.gone) == 1


async def test_a_reader_that_was_away_goes_on_where_it_stopped(loki: LoopbackLoki) -> None:
    reader = Reader(quick(loki))
    push(loki, "before", ago_s=30)
    async with reader.running():
        await reader.until("before")
    push(loki, "meanwhile")
    push(loki, "late", ago_s=10)
    async with reader.running():
        await reader.until("before", "late", "meanwhile")
