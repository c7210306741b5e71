"""Reading a Loki over HTTP: credentials, faults of the wire, a server that goes away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from aiopsd.model import LogBatch, LogLine, Position
from aiopsd.settings import Duration, SecretFile
from aiopsd.sources.loki import LokiSettings
from tests.e2e.asking import beside
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

    def running(self) -> AbstractAsyncContextManager[None]:
        return beside(self._run())

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


async def test_several_tenants_are_read_together(tmp_path: Path) -> None:
    """With a crowd of lines, so that streams of one tenant must be asked for alone."""
    async with LoopbackLoki(auth=True, multi_tenant=True, max_entries=50) as loki:
        at_ns = int((time.time() - 30) * NS)
        for tenant in ("team-a", "team-b", "team-c"):
            lines = [(at_ns, f"{tenant} {i}", None) for i in range(40)]
            loki.push({"app": "shop"}, lines, tenant)
        reader = Reader(quick(loki, tenant="team-a|team-b"), House(base=tmp_path))
        async with reader.running():
            await reader.until(*(f"{t} {i}" for t in ("team-a", "team-b") for i in range(40)))
        assert {line.labels["__tenant_id__"] for line in reader.lines} == {"team-a", "team-b"}
        assert not reader.house.counts["lost_lines_suspected"]


async def test_several_tenants_where_that_is_not_allowed_are_told() -> None:
    async with LoopbackLoki(auth=True) as loki:
        reader = Reader(quick(loki, tenant="team-a|team-b"))
        async with reader.running():
            assert "multiple org IDs present" in await reader.until_gone()


async def test_a_password_and_what_a_cache_should_know_are_sent(
    loki: LoopbackLoki, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    push(loki, "line", ago_s=1)
    settings = quick(loki, username="me", password_file=SecretFile("password"))
    reader = Reader(settings, House(base=tmp_path))
    async with reader.running():
        await reader.until("line")
    headers = loki.asked("/query_range")[0].headers
    assert headers["Authorization"] == "Basic bWU6czNjcmV0"
    assert headers["Cache-Control"] == "no-cache", "no lines a moment ago may be some by now"
    assert "gzip" in headers["Accept-Encoding"]
    assert headers["X-Loki-Response-Encoding-Flags"] == "categorize-labels"


async def test_a_long_query_is_posted(loki: LoopbackLoki) -> None:
    push(loki, "line", ago_s=1)
    reader = Reader(quick(loki, query=f'{{app=~"shop|{"x" * 3000}"}}'))
    async with reader.running():
        await reader.until("line")
    assert loki.asked("/query_range")[0].method == "POST"


async def test_a_wish_for_patience_may_be_a_date(loki: LoopbackLoki) -> None:
    push(loki, "line", ago_s=1)
    now_s = time.time()
    loki.fail_next(
        429,
        "too many outstanding requests",
        {"Retry-After": formatdate(now_s + 3, usegmt=True), "Date": formatdate(now_s, usegmt=True)},
    )
    reader = Reader(quick(loki))
    async with reader.running():
        await reader.until("line")
    assert time.time() - now_s > 2.9


# --- a tail -------------------------------------------------------------------------------


def rung(loki: LoopbackLoki, **more: Any) -> LokiSettings:
    """Would poll every ten minutes."""
    return quick(loki, every=Duration(600), tail=True, **more)


@asynccontextmanager
async def listening(loki: LoopbackLoki, reader: Reader, tails: int = 1) -> AsyncIterator[None]:
    async with reader.running(), asyncio.timeout(DEADLINE_SECS):
        await until_tails(loki, tails)
        yield


async def until_tails(loki: LoopbackLoki, tails: int = 1) -> None:
    while len(loki.tails) < tails:
        await asyncio.sleep(0.01)


async def test_a_tail_lets_a_line_be_read_at_once(loki: LoopbackLoki) -> None:
    reader = Reader(rung(loki))
    async with listening(loki, reader):
        push(loki, "one")
        await reader.until("one")
        push(loki, "two", "three")
        await reader.until("one", "two", "three")
    asked = loki.asked("/tail")[0]
    assert asked.params["query"] == '{service_name=~".+"}'


@pytest.mark.parametrize(
    ("code", "reason"), [(1011, "reached tail max duration limit"), (1006, "")]
)
async def test_a_tail_that_ends_begins_again(loki: LoopbackLoki, code: int, reason: str) -> None:
    reader = Reader(rung(loki))
    async with listening(loki, reader):
        push(loki, "one")
        await reader.until("one")
        if code == 1011:
            loki.end_tails(code, reason)
        else:
            await loki.stop()  # cut off without a word
            await loki.start()
        async with asyncio.timeout(DEADLINE_SECS):
            await loki.wait_asked(2, on="/tail")
            await until_tails(loki)
        push(loki, "two")
        await reader.until("one", "two")
    assert reader.house.counts["tails_ended"] >= 1


async def test_what_a_tail_drops_is_read_all_the_same(loki: LoopbackLoki) -> None:
    reader = Reader(rung(loki))
    texts = [f"line {i}" for i in range(3000)]
    async with listening(loki, reader):
        push(loki, *texts)
        await reader.until(*texts)
        push(loki, "after")
        await reader.until(*texts, "after")
    assert reader.house.counts["tail_dropped_lines"] == 1000


async def test_nonsense_on_a_tail_rings_too(loki: LoopbackLoki) -> None:
    reader = Reader(rung(loki))
    async with listening(loki, reader):
        loki.tails[0].nonsense = "{[<html>"
        push(loki, "one")
        await reader.until("one")


async def test_without_a_tail_lines_come_at_their_ordinary_time(loki: LoopbackLoki) -> None:
    loki.fail_next(400, "max concurrent tail requests limit exceeded", times=10**6, on="/tail")
    reader = Reader(quick(loki, tail=True))
    async with reader.running():
        push(loki, "one")
        await reader.until("one")
        await loki.wait_asked(2, on="/tail")
    assert reader.house.gone[0] == "no WebSocket: status 400"


async def test_each_of_several_tenants_has_a_tail() -> None:
    async with LoopbackLoki(auth=True, multi_tenant=True) as loki:
        reader = Reader(rung(loki, tenant="team-a|team-b"))
        async with listening(loki, reader, tails=2):
            push(loki, "a", tenant="team-a")
            await reader.until("a")
            push(loki, "b", tenant="team-b")
            await reader.until("a", "b")
