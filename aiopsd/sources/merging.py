"""Many workers, one stream: each puts what it reads, the stream hands it on in that order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from aiopsd.channel import Channel

T = TypeVar("T")

Put = Callable[[T], Awaitable[None]]
"""Waits while the reader of the stream is slow."""


async def merged(
    workers: Mapping[str, Callable[[Put[T]], Coroutine[Any, Any, None]]], *, capacity: int = 4
) -> AsyncGenerator[T, None]:
    """What the workers put, until all have returned. Leaving the stream ends them.

    A worker that raises ends the stream with its exception (in an ExceptionGroup), after what was
    put before.
    """
    channel: Channel[T] = Channel("merged", capacity)
    running = asyncio.create_task(_work(workers, channel), name="merged")
    try:
        async for item in channel:
            yield item
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _work(
    workers: Mapping[str, Callable[[Put[T]], Coroutine[Any, Any, None]]], channel: Channel[T]
) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for name, work in workers.items():
                group.create_task(work(channel.put), name=name)
    finally:
        await channel.close()
