"""Waits for one another: requests of several connections that belong to one tick.

A sender spreads the series of one scrape over its shards, each with a connection of its own that
sends its next request when this one is answered. So nobody is left to wait for once every
connection that writes has a request here; and nobody waits longer than ``wait_secs``. At first
nobody knows who writes: everyone waits, so that no shard runs ahead of the others through what
they could not send while we were away.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Generic, TypeVar

T = TypeVar("T")
WRITES_SECS = 10.0  # who wrote this lately may write again; senders fill a batch for 5 s
STRANGE_SECS = 5.0  # after the first request; the longest pause of a sender that was refused


class Gathering(Generic[T]):
    """One reader takes what many writers bring. A writer is a connection."""

    def __init__(self, wait_secs: float) -> None:
        self._wait_secs = wait_secs
        self._held: list[T] = []
        self._writers: dict[Any, float] = {}  # who wrote lately, and when
        self._here: set[Any] = set()  # whose request waits for its answer
        self._changed = asyncio.Event()
        self._known_after = math.inf  # of the loop's clock: by then everyone has written

    def begin(self) -> None:
        """Nobody has written yet."""
        self._known_after = math.inf

    def comes(self, writer: Any) -> None:
        """A request begins."""
        if writer is None:  # who has hung up already
            return
        now = self._writers[writer] = asyncio.get_running_loop().time()
        if self._known_after == math.inf:
            self._known_after = now + STRANGE_SECS

    def bring(self, writer: Any, item: T) -> None:
        """The request is here, and its writer waits."""
        self._held.append(item)
        self._here.add(writer)
        self._changed.set()

    def leave(self, writer: Any) -> None:
        """Its answer goes out, whatever it is."""
        self._here.discard(writer)
        self._changed.set()

    async def gathered(self) -> list[T]:
        """What has come, once there is anything."""
        loop = asyncio.get_running_loop()
        while not self._held:
            await self._news(None)
        until = loop.time() + self._wait_secs
        while self._missing(loop.time()) and loop.time() < until:
            await self._news(until - loop.time())
        return self.take()

    def take(self) -> list[T]:
        held, self._held = self._held, []
        return held

    def _missing(self, now: float) -> bool:
        """May there be a connection that writes, and has nothing here?"""
        gone = [w for w, at in self._writers.items() if now - at > WRITES_SECS or w.is_closing()]
        for writer in gone:
            del self._writers[writer]
        return now < self._known_after or not self._here.issuperset(self._writers)

    async def _news(self, within_secs: float | None) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(within_secs):
                await self._changed.wait()
        except TimeoutError:
            return
