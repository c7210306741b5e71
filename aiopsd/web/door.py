"""Lets clients in to the application, and out again: none of them can keep the others out.

A client has a deadline for asking and one for taking its answer; when too many are here, the
oldest makes room for the newest. Handlers bound themselves what they wait for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from aiopsd.contracts import Handler
from aiopsd.errors import ConfigError

ASK_SECS = 30.0  # for a whole header, from the first byte or since the last answer
ANSWER_SECS = 60.0  # for a handler, and the client's reading of what it says
MAX_CONNECTIONS = 256  # a process may have 1024 files, and sources need theirs
LINGER_SECS = 2.0  # for the rest of a body that nobody waits for, after the answer to it
LEAVE_SECS = 2.0  # for requests under way when the daemon stops


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[None]:
    """For the length of the block. Raises ConfigError when the address cannot be had."""
    app.middlewares.insert(0, _in_time)
    logging.getLogger("aiohttp.server").addFilter(_tellable)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=ASK_SECS,
        lingering_time=LINGER_SECS,
        shutdown_timeout=LEAVE_SECS,
        auto_decompress=False,  # handlers do it: they bound it, count it and say what is wrong
    )
    await runner.setup()
    try:
        listener = await _listen(runner, host, port)
        try:
            yield
        finally:
            listener.close()
    finally:
        await runner.cleanup()


def _tellable(record: logging.LogRecord) -> bool:
    """What is no HTTP is told its sender; here its bytes, perhaps a token, would come with it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    server = runner.server
    assert server is not None  # noqa: S101 - it is set up

    def let_in() -> asyncio.Protocol:
        oldest_first = server.connections
        for one in oldest_first[: max(0, len(oldest_first) + 1 - MAX_CONNECTIONS)]:
            if one.transport is not None:
                one.transport.abort()
        return server()

    try:
        return await asyncio.get_running_loop().create_server(let_in, host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from None


@web.middleware
async def _in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Sends the answer itself, so that the deadline covers that too."""
    response: web.StreamResponse
    try:
        async with asyncio.timeout(ANSWER_SECS):
            response = await handler(request)
            with suppress(ConnectionError):  # who asked has gone: aiohttp sees it, and is silent
                await response.prepare(request)
                await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise
    return response
