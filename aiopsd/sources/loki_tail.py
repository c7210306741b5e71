"""``/tail`` as a bell: a line came, so it is worth asking. Nothing of it is taken as data.

It drops lines for a slow reader and after a reconnect, ends after an hour, and tells of errors
after it has said yes; so all of that only means that the next poll comes at its ordinary time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress

import aiohttp
import msgspec

from aiopsd.contracts import SourceContext
from aiopsd.errors import Unreachable
from aiopsd.sources.fetch import pauses

Socket = Callable[[], AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]]
"""Opens a tail. Raises Unreachable."""
LASTED_SECS = 60.0  # a tail that lived so long was no failure


class _Dropped(msgspec.Struct):
    dropped_entries: list[msgspec.Raw] | None = None


_decoded = msgspec.json.Decoder(_Dropped).decode


class Bell:
    """Rings when a line may have come; ``every_secs`` at the latest, rung or not."""

    def __init__(self, context: SourceContext, every_secs: float, settle_secs: float) -> None:
        self._context = context
        self._every_secs = every_secs
        self._settle_secs = settle_secs
        self._rung = asyncio.Event()

    async def wait(self) -> None:
        """Until the next poll is worth it: a line that came is left ``settle_secs`` to be
        searchable."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every_secs):
                await self._rung.wait()
                self._rung.clear()
                await asyncio.sleep(self._settle_secs)

    async def listen(self, sockets: Sequence[Socket]) -> None:
        """For ever, on one tail a tenant."""
        async with asyncio.TaskGroup() as group:
            for socket in sockets:
                group.create_task(self._follow(socket))

    async def _follow(self, socket: Socket) -> None:
        loop, part = asyncio.get_running_loop(), f"{self._context.name}/tail"
        waits = pauses()
        while True:
            began = loop.time()
            try:
                async with socket() as tail:
                    self._context.health.back(part)
                    self.ring()  # what came while nobody listened
                    async for message in tail:
                        self._heed(message)
            except Unreachable as error:
                self._context.health.gone(part, str(error))
            except (aiohttp.ClientError, OSError):  # it broke off, as every tail does some day
                pass
            self._context.count("tails_ended", 1)
            if loop.time() - began > LASTED_SECS:
                waits = pauses()
            await asyncio.sleep(next(waits))

    def _heed(self, message: aiohttp.WSMessage) -> None:
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return
        self.ring()
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            dropped = _decoded(message.data).dropped_entries
            if dropped:
                self._context.count("tail_dropped_lines", len(dropped))

    def ring(self) -> None:
        self._rung.set()
