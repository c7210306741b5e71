"""What every loopback server shares: its life on one port, its memory, and its misbehaviour.

A loopback server stands for a service that can't run in the tests. It listens on a free port of
127.0.0.1, remembers what it was asked, and goes wrong when told to::

    async with LoopbackLoki() as loki:
        loki.fail_next(500, "ingester is gone", times=2)
        loki.hang_next(30, on="/query_range")       # only requests whose path ends so
        async with loki.away():                     # connection refused, then back on the same port
            ...
        assert len(loki.asked("/query_range")) == 3

Faults are used up in the order in which they were given, one per request that they fit.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from aiohttp import web
from multidict import CIMultiDictProxy, MultiDict

from . import faults
from .faults import Fault

MAX_REQUEST_BYTES = 64 * 2**20
GRACE_SECS = 0.05
"""How long stop() waits for requests under way; zero would mean for ever."""


@dataclass(frozen=True)
class Call:
    """One request as it arrived; `params` holds query string and url-encoded form together."""

    method: str
    path: str
    params: MultiDict[str]
    headers: CIMultiDictProxy[str]
    body: bytes

    @classmethod
    async def read(cls, request: web.Request) -> Call:
        body = await request.read()
        params = MultiDict(request.query)
        if request.content_type == "application/x-www-form-urlencoded":
            params.extend({k: v for k, v in (await request.post()).items() if isinstance(v, str)})
        return cls(request.method, request.path, params, request.headers, body)

    def json(self) -> Any:
        return json.loads(self.body)


Handler: TypeAlias = Callable[..., web.Response]
"""Takes the Call and, by name, the groups of its route's pattern."""
Route: TypeAlias = tuple[str, str, Handler]
"""Methods joined by `|`, a pattern that the whole path must match, who answers."""


@dataclass
class _Planned:
    fault: Fault
    on: str
    times: int


class LoopbackServer(ABC):
    """An HTTP server on 127.0.0.1; `async with` starts and ends it."""

    def __init__(self) -> None:
        self.port = 0
        self.calls: list[Call] = []
        self._arrival = asyncio.Condition()
        self._planned: list[_Planned] = []
        self._socket: socket.socket | None = None
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """What the server answers; the first fitting route wins."""

    # Life

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def start(self) -> None:
        """Listen: the first time on a free port, from then on always on the same one."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A client that hangs up ends its handler, so that a hanging request can't delay stop().
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=GRACE_SECS
        )
        await self._runner.setup()
        listening = self._socket or _bind(0)
        self.port = listening.getsockname()[1]
        await web.SockSite(self._runner, listening).start()
        self._socket = None

    async def stop(self) -> None:
        """Cut every connection and refuse new ones; start() brings the server back."""
        if self._runner is None:
            return
        await self._runner.cleanup()
        self._runner = None
        # Bound but not listening refuses connections and keeps the port from everybody else.
        self._socket = _bind(self.port)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Be gone for the length of the block."""
        await self.stop()
        try:
            yield
        finally:
            await self.start()

    # Memory

    def asked(self, on: str = "") -> list[Call]:
        """The requests so far whose path ends with `on`, oldest first."""
        return [call for call in self.calls if call.path.endswith(on)]

    async def wait_asked(
        self, times: int = 1, *, on: str = "", within_secs: float = 20.0
    ) -> list[Call]:
        """The first `times` requests, as soon as they are there; TimeoutError when they are not."""
        async with asyncio.timeout(within_secs), self._arrival:
            await self._arrival.wait_for(lambda: len(self.asked(on)) >= times)
        return self.asked(on)[:times]

    # Misbehaviour

    def fail_next(
        self,
        status: int,
        body: str | bytes = "",
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        *,
        on: str = "",
    ) -> None:
        """Answer so instead of doing any work."""
        self.plan(faults.fail(status, body, headers or {}), times, on)

    def html_next(self, status: int = 200, times: int = 1, *, on: str = "") -> None:
        """Answer with the page of a proxy or a login form that stands in the way."""
        page = "<html><body><h1>Sign in</h1></body></html>"
        headers = {"Content-Type": "text/html; charset=utf-8"}
        self.plan(faults.fail(status, page, headers), times, on)

    def hang_next(self, secs: float, times: int = 1, *, on: str = "") -> None:
        """Do nothing for `secs`, then answer as usual; one who hangs up before was never served."""
        self.plan(faults.hang(secs), times, on)

    def trickle_next(self, secs: float, times: int = 1, *, on: str = "") -> None:
        """Send the usual body in ten pieces spread over `secs`."""
        self.plan(faults.trickle(secs), times, on)

    def truncate_next(self, times: int = 1, *, clean: bool = False, on: str = "") -> None:
        """Send half of the usual body, then cut the connection.

        With `clean` the half is announced as the whole: HTTP is satisfied, only a parser notices.
        """
        self.plan(faults.truncate(clean), times, on)

    def lose_answer_next(self, times: int = 1, *, on: str = "") -> None:
        """Do the work, then hang up without an answer: the client can't know.

        A GET may come twice then: aiohttp's client asks again by itself.
        """
        self.plan(faults.lose_answer, times, on)

    def plan(self, fault: Fault, times: int, on: str) -> None:
        """Let `fault` reply to the next `times` requests whose path ends with `on`."""
        self._planned.append(_Planned(fault, on, times))

    def _take_fault(self, path: str) -> Fault | None:
        for planned in self._planned:
            if path.endswith(planned.on):
                planned.times -= 1
                if planned.times == 0:
                    self._planned.remove(planned)
                return planned.fault
        return None

    # Service

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = await Call.read(request)
        await self._remember(call)

        def answer() -> web.Response:
            return self._answer(call)

        fault = self._take_fault(call.path)
        if fault is not None:
            return await fault(request, answer)
        response = answer()
        if response.body and "gzip" in call.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _remember(self, call: Call) -> None:
        self.calls.append(call)
        async with self._arrival:
            self._arrival.notify_all()

    def _answer(self, call: Call) -> web.Response:
        known_path = False
        for methods, pattern, handler in self.routes():
            match = re.fullmatch(pattern, call.path)
            if match and call.method in methods.split("|"):
                return handler(call, **match.groupdict())
            known_path = known_path or match is not None
        return self.wrong_method() if known_path else self.not_found()

    def not_found(self) -> web.Response:
        """What servers written in Go say."""
        return text_response(404, "404 page not found\n")

    def wrong_method(self) -> web.Response:
        return text_response(405, "Method Not Allowed\n")


def text_response(status: int, text: str) -> web.Response:
    """Plain text the way Go's `http.Error` writes it."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(status=status, body=text.encode(), headers=headers)


def json_response(
    content: Any, status: int = 200, content_type: str = "application/json"
) -> web.Response:
    """Compact JSON under exactly this content type."""
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return web.Response(status=status, body=body, headers={"Content-Type": content_type})


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
