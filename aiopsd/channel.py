"""A bounded, closable queue: the only place where two stages meet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class ChannelClosed(Exception):
    """Put after close."""


class Channel(Generic[T]):
    """A slow reader slows the writer. Closing lets the reader drain what is left.

    (``asyncio.Queue.shutdown`` does this from Python 3.13 on.)
    """

    def __init__(self, name: str, capacity: int = 64) -> None:
        self.name = name
        self.capacity = capacity
        self._items: deque[T] = deque()
        self._changed = asyncio.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        return len(self._items) >= self.capacity

    async def put(self, item: T) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self.full or self._closed)
            if self._closed:
                raise ChannelClosed(self.name)
            self._items.append(item)
            self._changed.notify_all()

    async def close(self) -> None:
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._items) or self._closed)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
