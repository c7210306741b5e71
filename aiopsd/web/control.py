"""What people on this machine ask of the daemon, over a socket that only its owner and root open.

One line of JSON each way: ``{"do": "silence end", "id": ...}``, answered by ``{"done": ...}`` or
``{"refused": "why, as a sentence"}``. Who asks is known by the kernel, not by what they say.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from aiopsd.errors import Refused
from aiopsd.telemetry import log

NAME: Final = "control.sock"
MOST_BYTES: Final = 100_000  # of a request
ASK_SECS: Final = 10.0  # for a whole request
MOST_AT_ONCE: Final = 16

Command = Callable[[dict[str, Any], str], Awaitable[Any]]
"""(request, who asks) -> answer; raises Refused."""


@asynccontextmanager
async def listening(state: Path, commands: Mapping[str, Command]) -> AsyncIterator[None]:
    """For the length of the block. Only the daemon that holds the folder's lock may call this: a
    socket that is there is dead. Without a socket it goes on: the kill switch is a file."""
    asking: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it runs in one
        if len(asking) >= MOST_AT_ONCE:
            writer.close()
            return
        asking.add(task)
        try:
            with suppress(OSError, TimeoutError):  # who asked has gone
                writer.write(msgspec.json.encode(await _answer(reader, writer, commands)) + b"\n")
                async with asyncio.timeout(ASK_SECS):
                    await writer.drain()
        finally:
            asking.discard(task)
            writer.close()

    server: asyncio.Server | None = None
    try:
        listener = _bound(state)
        server = await asyncio.start_unix_server(serve, sock=listener, limit=MOST_BYTES)
    except OSError as error:
        log.error("cannot be asked: no socket %s: %s", state / NAME, error.strerror)
    try:
        yield
    finally:
        if server is not None:
            server.close()
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            (state / NAME).unlink(missing_ok=True)


def _bound(state: Path) -> socket.socket:
    """By way of the folder's descriptor: an address may have 108 bytes only."""
    (state / NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    before = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{NAME}")
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
        os.close(folder)
    return listener


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, commands: Mapping[str, Command]
) -> dict[str, Any]:
    try:
        async with asyncio.timeout(ASK_SECS):
            line = await reader.readline()
        request = msgspec.json.decode(line, type=dict[str, Any])
        command = commands.get(str(request.get("do")))
        if command is None:
            raise Refused(f"the daemon knows no {request.get('do')!r}; is it of this version?")
        return {"done": await command(request, _who(writer))}
    except Refused as error:
        return {"refused": str(error)}
    except (ValueError, msgspec.MsgspecError):
        return {"refused": "that is no request"}


def _who(writer: asyncio.StreamWriter) -> str:
    """By the credentials of the other end (unix(7), SO_PEERCRED)."""
    given = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    _, uid, _ = struct.unpack("3i", given)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
