"""A house that remembers what its sources did: what they read, counted, and who was gone."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, web

from aiopsd.contracts import Clock, Handler, Health, Query, Source, SourceContext
from aiopsd.model import Batch, Labels, LogBatch, LogLine, Position, Reading
from aiopsd.series import SeriesTable

DEADLINE_SECS = 60.0


@dataclass
class Witness:
    """``edges`` holds each change of health once, as the daemon logs it."""

    clock: Clock = time.time
    base: Path = Path()
    queries: Sequence[Query] = ()
    history_secs: float = 0.0
    key: bytes = b"k" * 32
    table: SeriesTable = field(default_factory=SeriesTable)
    counts: Counter[str] = field(default_factory=Counter)
    edges: list[tuple[str, str]] = field(default_factory=list)  # ("gone" | "back", part)
    reasons: dict[str, str] = field(default_factory=dict)  # the newest, of every part that was gone
    routes: dict[str, Handler] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    def context(self, name: str = "src") -> SourceContext:
        return SourceContext(
            name=name,
            table=self.table,
            clock=self.clock,
            health=Health(self._gone, self._back),
            count=self._count,
            queries=self.queries,
            history_secs=self.history_secs,
            base=self.base,
            key=self.key,
            routes=self.routes,
            types=self.types,
        )

    def is_gone(self, part: str) -> bool:
        return ("gone", part) in self.edges and self.edges.count(("gone", part)) > self.edges.count(
            ("back", part)
        )

    def _gone(self, part: str, reason: str) -> None:
        if not self.is_gone(part):
            self.edges.append(("gone", part))
        self.reasons[part] = reason

    def _back(self, part: str) -> None:
        if self.is_gone(part):
            self.edges.append(("back", part))

    def _count(self, what: str, amount: float) -> None:
        self.counts[what] += int(amount)

    def named(self, batch: Batch) -> list[tuple[Labels, float]]:
        """Labels and value of each sample."""
        values = batch.values.tolist()
        return [
            (self.table.labels(int(index)), value)
            for index, value in zip(batch.series, values, strict=True)
        ]


@dataclass
class Readings:
    """What a source has yielded so far."""

    all: list[Reading] = field(default_factory=list)
    failed: asyncio.Task[None] | None = None

    def batches(self, rule: str | None = None) -> list[Batch]:
        items = [item for reading in self.all for item in reading.items]
        return [b for b in items if isinstance(b, Batch) and rule in (None, b.rule)]

    async def until(self, condition: Callable[[], object]) -> None:
        """TimeoutError when it never becomes true; the source's own exception if it ended."""
        async with asyncio.timeout(DEADLINE_SECS):
            while not condition():
                if self.failed is not None and self.failed.done():
                    self.failed.result()
                await asyncio.sleep(0.005)


@asynccontextmanager
async def read(source: Source, resume: Position | None = None) -> AsyncIterator[Readings]:
    """Runs the source for the length of the block, as the pipeline would."""
    readings = Readings()

    async def collect() -> None:
        async with aclosing(source.stream(resume)) as stream:  # type: ignore[type-var]
            async for reading in stream:
                readings.all.append(reading)

    readings.failed = asyncio.create_task(collect())
    try:
        yield readings
    finally:
        readings.failed.cancel()
        await asyncio.gather(readings.failed, return_exceptions=True)


async def commit_all(source: Source, readings: Readings) -> None:
    """As the pipeline does, one by one, for ever."""
    for number in count(1):
        await readings.until(lambda wanted=number: len(readings.all) >= wanted)
        await source.commit(readings.all[number - 1].position)


@asynccontextmanager
async def served(witness: Witness) -> AsyncIterator[tuple[str, ClientSession]]:
    """The one hook of its source behind a real server: its address, and who may ask."""
    app = web.Application(client_max_size=1000)
    ((path, handler),) = witness.routes.items()
    app.router.add_post(path, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(timeout=ClientTimeout(total=60)) as session:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{path}", session
    await runner.cleanup()


class ReadsLines:
    """What came, as lines."""

    readings: Readings

    @property
    def batches(self) -> list[LogBatch]:
        items = [item for reading in self.readings.all for item in reading.items]
        return [item for item in items if isinstance(item, LogBatch) and item.lines]

    @property
    def lines(self) -> list[LogLine]:
        return [line for batch in self.batches for line in batch.lines]

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.lines]
