"""Many workers, one stream."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from aiopsd.sources.merging import Put, merged


class Count:
    """A worker that puts numbers, at most ``until``; remembers how it ended."""

    def __init__(self, until: int | None = None, then: Exception | None = None) -> None:
        self.until, self.then = until, then
        self.put = 0
        self.cancelled = False

    async def run(self, put: Put[int]) -> None:
        try:
            while self.until is None or self.put < self.until:
                self.put += 1
                await put(self.put)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.then:
            raise self.then


async def test_everything_in_each_workers_order_until_all_are_done() -> None:
    found = [one async for one in merged({"a": Count(5).run, "b": Count(3).run})]
    assert sorted(found) == [1, 1, 2, 2, 3, 3, 4, 5]


async def test_no_workers() -> None:
    assert [one async for one in merged({})] == []


async def test_a_failure_ends_the_stream_loudly_and_the_others() -> None:
    found: list[int] = []
    endless = Count()

    async def consume() -> None:
        async for one in merged({"a": Count(2, KeyError("bug")).run, "b": endless.run}):
            found.append(one)

    with pytest.raises(ExceptionGroup) as failure:
        await consume()
    assert isinstance(failure.value.exceptions[0], KeyError)
    assert 2 in found
    assert endless.cancelled


async def test_leaving_ends_the_workers() -> None:
    endless = Count()
    async with aclosing(merged({"a": endless.run})) as stream:
        assert await anext(stream) == 1
    assert endless.cancelled


async def test_cancelling_the_reader_ends_the_workers() -> None:
    async def never(_put: Put[int]) -> None:
        await asyncio.Event().wait()

    endless = Count()

    async def consume() -> None:
        async for _ in merged({"a": endless.run, "b": never}):
            await asyncio.sleep(0)

    reader = asyncio.create_task(consume())
    while endless.put < 10:
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    async with asyncio.timeout(60):
        while not endless.cancelled:  # the loop closes what its reader left
            await asyncio.sleep(0)


async def test_a_slow_reader_slows_the_workers() -> None:
    fast = Count()
    async with aclosing(merged({"a": fast.run}, capacity=2)) as stream:
        for wanted in (1, 2, 3):
            assert await anext(stream) == wanted
            for _ in range(20):
                await asyncio.sleep(0)
            assert fast.put <= wanted + 3
