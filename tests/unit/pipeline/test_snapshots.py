"""A checkpoint is written beside the readings that come after it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from aiopsd.app import House
from aiopsd.config import load
from aiopsd.errors import JournalFailed
from aiopsd.model import Batch, Position, Reading
from aiopsd.stores import MemoryStore, SqliteStore

CONFIG = """
sources: {src: {type: scrape, targets: ["http://127.0.0.1:1/metrics"]}}
limits: {checkpoint: 2s, grace: 5s}
"""


class SlowStore(MemoryStore):
    """Its checkpoints take as long as they are let."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.begun: list[Mapping[str, bytes]] = []
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def save_checkpoint(self, parts: Mapping[str, bytes]) -> None:
        self.begun.append(parts)
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        await super().save_checkpoint(parts)


class Steady:
    """A reading a second, by the loop's clock."""

    def __init__(self) -> None:
        self.read = 0

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        while True:
            await asyncio.sleep(1.0)
            self.read += 1
            batch = Batch("", float(self.read), np.zeros(0, np.int32), np.zeros(0))
            yield Reading((batch,), {"read": self.read})

    async def commit(self, position: Position) -> None:
        return None


async def begin(folder: Path) -> tuple[House, SlowStore, Steady]:
    (folder / "aiopsd.yaml").write_text(CONFIG)
    store, source = SlowStore(), Steady()
    now = asyncio.get_running_loop().time
    house = House(load(folder / "aiopsd.yaml"), now, cast("SqliteStore", store))
    house.sources = {"src": source}
    await house.restore()
    return house, store, source


def positions(parts: Mapping[str, bytes]) -> Any:
    return parts["positions"]


@pytest.mark.looptime
async def test_readings_go_on_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    house, store, source = await begin(tmp_path)
    stopping = asyncio.Event()
    living = asyncio.create_task(house.pipeline.run(stopping))
    await asyncio.sleep(30.0)
    assert len(store.begun) == 1, "one at a time"
    assert house.detection.positions["src"]["read"] >= 28
    store.may_end.set()
    await asyncio.sleep(10.0)
    assert len(store.begun) == 1, "it took half a minute: not again for ten"
    stopping.set()
    await living
    assert positions(await store.load_checkpoint()) == b'{"src":{"read":%d}}' % source.read


@pytest.mark.looptime
async def test_a_quick_checkpoint_comes_as_often_as_asked_for(tmp_path: Path) -> None:
    house, store, _ = await begin(tmp_path)
    store.may_end.set()
    stopping = asyncio.Event()
    living = asyncio.create_task(house.pipeline.run(stopping))
    await asyncio.sleep(20.0)
    stopping.set()
    await living
    assert 8 <= len(store.begun) <= 12


@pytest.mark.looptime
async def test_a_checkpoint_that_cannot_be_kept_ends_the_daemon(tmp_path: Path) -> None:
    house, store, _ = await begin(tmp_path)
    store.failure = JournalFailed("no space")
    store.may_end.set()
    with pytest.raises(ExceptionGroup) as failures:
        await house.pipeline.run(asyncio.Event())
    assert failures.group_contains(JournalFailed, match="no space")


async def test_a_damaged_checkpoint_is_said_and_learning_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "aiopsd.yaml").write_text(CONFIG)
    config = load(tmp_path / "aiopsd.yaml")
    store = SqliteStore(tmp_path / "journal.db", lambda: 1.0)
    house = House(config, lambda: 1.0, store)
    house.table.intern("", {"n": "1"})
    house.detection.positions["src"] = {"read": 7}
    await store.save_checkpoint(house.detection.save())
    half = House(config, lambda: 1.0, store)
    await half.restore()
    assert (len(half.table), half.detection.positions) == (1, {"src": {"read": 7}})
    flip = "update pieces set body = cast(x'00' || substr(body, 2) as blob) where length(body) > 0"
    await store._call(lambda db: db.execute(flip))
    anew = House(config, lambda: 1.0, store)
    await anew.restore()
    assert (len(anew.table), anew.detection.positions) == (0, {})
    assert "checkpoint not usable, learning anew: its part " in caplog.text
    await store.close()


@pytest.mark.looptime
async def test_who_fills_the_table_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house, store, _ = await begin(tmp_path)
    store.may_end.set()
    house.table.shares.limit = 5
    seen = {name: house.table.seen_by(name) for name in ("greedy", "modest")}
    for name, series in (("greedy", 40), ("modest", 2)):
        for n in range(series):
            seen[name].intern("", {"n": str(n), "of": name})
    stopping = asyncio.Event()
    living = asyncio.create_task(house.pipeline.run(stopping))
    await asyncio.sleep(20.0)
    stopping.set()
    await living
    assert caplog.text.count("no room for new series") == 1
    assert "(5 of source=greedy, refused most: 35 of source=greedy)" in caplog.text
