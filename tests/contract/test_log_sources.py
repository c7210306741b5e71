"""What every source of lines promises (contracts.Source), each over what it reads."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from aiopsd.contracts import Source
from aiopsd.model import LogBatch, Reading
from aiopsd.settings import Duration
from aiopsd.sources.file import FileSettings
from aiopsd.sources.journal import JournalSettings
from aiopsd.sources.loki_push import LokiPushSettings
from tests.loopback.journal_export import said
from tests.unit.sources.witness import Witness

NOW_S = 1_795_421_700.0
NS = 10**9


class Room(ABC):
    """Somewhere that lines come from; each says a number."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.witness = folder, Witness(clock=lambda: NOW_S, base=folder)

    @abstractmethod
    def source(self) -> Source: ...

    @abstractmethod
    async def write(self, numbers: Iterator[int], many: int) -> None:
        """Returns when the lines are where the source will find them, or has them already."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        yield


class File(Room):
    def source(self) -> Source:
        (self.folder / "app.log").touch()
        settings = FileSettings(paths=("app.log",), every=Duration(0.01), from_start=True)
        return settings.build(self.witness.context())

    async def write(self, numbers: Iterator[int], many: int) -> None:
        with (self.folder / "app.log").open("a") as file:
            file.writelines(f"{next(numbers)}\n" for _ in range(many))


class Journal(Room):
    """A program that writes a file as journalctl does, from the entry after the cursor on."""

    PROGRAM = """#!{python}
import sys, time
after = [w.partition("=")[2].encode() for w in sys.argv if w.startswith("--after-cursor=")]
told = 0
while True:
    whole = open({file!r}, "rb").read()
    if after and not told:
        told = whole.find(b"__CURSOR=", whole.find(b"__CURSOR=" + after[0] + b"\\n") + 1)
        told = told if told >= 0 else len(whole)
    sys.stdout.buffer.write(whole[told:])
    sys.stdout.buffer.flush()
    told = len(whole)
    time.sleep(0.01)
"""

    def source(self) -> Source:
        program, file = self.folder / "journalctl", self.folder / "journal"
        file.touch()
        program.write_text(self.PROGRAM.format(python=sys.executable, file=str(file)))
        program.chmod(0o755)
        settings = JournalSettings(program=str(program), every=Duration(0.01))
        return settings.build(self.witness.context())

    async def write(self, numbers: Iterator[int], many: int) -> None:
        entries = b"".join(
            said(n, int(NOW_S * 1e6) + n, f"{n}") for n in (next(numbers) for _ in range(many))
        )
        with (self.folder / "journal").open("ab") as file:
            file.write(entries)


class LokiPush(Room):
    """An agent: what was not answered it sends again."""

    def source(self) -> Source:
        self.witness.routes.clear()
        source = LokiPushSettings(answer_within=Duration(2)).build(self.witness.context())
        self._unsent: list[bytes] = getattr(self, "_unsent", [])
        self._tasks: list[asyncio.Task[None]] = []
        return source

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        app = web.Application()
        ((path, handler),) = self.witness.routes.items()
        app.router.add_post(path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, auto_decompress=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._url = f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
        self._tasks = [asyncio.create_task(self._send(body)) for body in self._unsent]
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            ended = await asyncio.gather(*self._tasks, return_exceptions=True)
            await runner.cleanup()
            assert not [one for one in ended if isinstance(one, AssertionError)]

    async def write(self, numbers: Iterator[int], many: int) -> None:
        values = [[f"{int(NOW_S) * NS + n}", f"{n}"] for n in (next(numbers) for _ in range(many))]
        body = json.dumps({"streams": [{"stream": {"app": "a"}, "values": values}]}).encode()
        self._unsent.append(body)
        self._tasks.append(asyncio.create_task(self._send(body)))

    async def _send(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        async with ClientSession(headers=headers) as session:
            while True:
                async with session.post(self._url, data=gzip.compress(body)) as answer:
                    if answer.status == 204:
                        self._unsent.remove(body)
                        return
                    assert answer.status == 503, await answer.text()
                await asyncio.sleep(0.01)


ROOMS = [File, Journal, LokiPush]


@pytest.fixture(params=ROOMS, ids=lambda room: room.__name__)
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    made: Room = request.param(tmp_path)
    return made


def texts(reading: Reading) -> list[str]:
    items = [item for item in reading.items if isinstance(item, LogBatch)]
    assert len(items) == len(reading.items) > 0
    return [line.text for item in items for line in item.lines]


async def test_positions_are_json_and_lines_have_times(room: Room) -> None:
    source, numbers = room.source(), count()
    async with room.open(), aclosing(source.stream(None)) as stream:  # type: ignore[type-var]
        taking = asyncio.create_task(_first_lines(stream))
        await asyncio.sleep(0.05)
        await room.write(numbers, 3)
        reading = await asyncio.wait_for(taking, 30)
        assert json.loads(json.dumps(reading.position)) == reading.position
        await source.commit(reading.position)
        for item in reading.items:
            assert isinstance(item, LogBatch)
            assert item.time_s <= NOW_S
            assert all(line.time_ns > 0 for line in item.lines)


async def _first_lines(stream: AsyncIterator[Reading]) -> Reading:
    async for reading in stream:
        if texts(reading):
            return reading
    raise AssertionError("it ended")


async def test_each_line_once_whatever_position_it_goes_on_from(room: Room) -> None:
    """Even lives end in order. Odd ones crash: of what they handed on, a checkpoint has the first
    lines only, and the others are neither kept nor committed."""
    numbers, told, position = count(), [], None
    for life in range(5):
        source = room.source()
        async with room.open(), aclosing(source.stream(position)) as stream:  # type: ignore[type-var]
            writing = asyncio.create_task(_write(room, numbers))
            kept, seen = 0, 0
            while True:
                reading = await asyncio.wait_for(anext(stream), 60)
                found = texts(reading)
                seen += len(found)
                if life % 2 == 0 or not kept:
                    told += found
                    position = json.loads(json.dumps(reading.position))
                    await source.commit(reading.position)
                    kept += bool(found)
                if seen >= (20 if life % 2 else 40):
                    break
            await writing
    source = room.source()
    async with room.open(), aclosing(source.stream(position)) as stream:  # type: ignore[type-var]
        while len(told) < 200:
            reading = await asyncio.wait_for(anext(stream), 60)
            told += texts(reading)
            await source.commit(reading.position)
    assert sorted(map(int, told)) == list(range(200))


async def _write(room: Room, numbers: Iterator[int]) -> None:
    for _ in range(4):
        await room.write(numbers, 10)
        await asyncio.sleep(0.03)


async def test_it_ends_at_once_and_leaves_nothing_behind(room: Room) -> None:
    source = room.source()
    async with room.open():
        before = asyncio.all_tasks()
        stream = source.stream(None)
        taking = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        await asyncio.sleep(0.2)
        taking.cancel()
        await asyncio.wait([taking], timeout=10)
        assert taking.done()
        await asyncio.wait_for(stream.aclose(), 10)  # type: ignore[attr-defined]
        assert asyncio.all_tasks() == before
