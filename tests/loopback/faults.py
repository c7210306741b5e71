"""The ways in which a loopback server goes wrong.

A fault replies to one request in the server's place. It gets the request and a function that does
the server's usual work and gives the usual answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

Answer: TypeAlias = Callable[[], web.Response]
Fault: TypeAlias = Callable[[web.Request, Answer], Awaitable[web.StreamResponse]]

PIECES = 10


def fail(status: int, body: str | bytes, headers: Mapping[str, str]) -> Fault:
    content = body.encode() if isinstance(body, str) else body
    sent = {"Content-Type": "text/plain; charset=utf-8", **headers}

    async def reply(_request: web.Request, _answer: Answer) -> web.StreamResponse:
        return web.Response(status=status, body=content, headers=sent)

    return reply


def hang(secs: float) -> Fault:
    async def reply(_request: web.Request, answer: Answer) -> web.StreamResponse:
        await asyncio.sleep(secs)
        return answer()

    return reply


def trickle(secs: float) -> Fault:
    async def reply(request: web.Request, answer: Answer) -> web.StreamResponse:
        response, body = _streamed(answer())
        await response.prepare(request)
        piece = len(body) // PIECES + 1
        for start in range(0, len(body), piece):
            await asyncio.sleep(secs / PIECES)
            await response.write(body[start : start + piece])
        return response

    return reply


def truncate(clean: bool) -> Fault:
    async def reply(request: web.Request, answer: Answer) -> web.StreamResponse:
        response, body = _streamed(answer())
        half = body[: len(body) // 2]
        response.content_length = len(half) if clean else len(body)
        await response.prepare(request)
        await response.write(half)
        if not clean:
            _hang_up(request)
        return response

    return reply


async def reset(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Some of the body, and then the connection is torn down."""
    response, body = _streamed(answer())
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 3])
    if request.transport is not None:
        request.transport.abort()
    return response


async def lose_answer(request: web.Request, answer: Answer) -> web.StreamResponse:
    answer()
    _hang_up(request)
    return web.Response()


def _streamed(full: web.Response) -> tuple[web.StreamResponse, bytes]:
    """The same answer, its body still to be sent."""
    headers = {"Content-Type": full.headers.get("Content-Type", "text/plain")}
    body = bytes(full.body) if isinstance(full.body, bytes | bytearray) else b""
    return web.StreamResponse(status=full.status, headers=headers), body


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
