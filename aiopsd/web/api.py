"""/metrics, /healthz, /readyz, the state as JSON, and the hooks that sources have asked for.

Reads state, never reaches into the pipeline. Errors are problem+json (RFC 9457).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from aiohttp import web

from aiopsd.contracts import Handler

MAX_BODY_BYTES = 2_000_000


class Facts(Protocol):
    """What the page may ask of the house."""

    def alive(self) -> str:
        """Empty when well; otherwise what is wrong."""
        ...

    def ready(self) -> str:
        """Empty when it can see and act; otherwise why not yet."""
        ...

    def exposition(self) -> str: ...

    def listing(self, what: str) -> list[Any] | None:
        """Incidents, runs, decisions ... newest first; None for an unknown word."""
        ...


def application(facts: Facts, hooks: Mapping[str, Handler]) -> web.Application:
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_problems])
    app.router.add_get("/healthz", _check(facts.alive))
    app.router.add_get("/readyz", _check(facts.ready))
    app.router.add_get("/metrics", _metrics(facts))
    for path, handler in hooks.items():  # first: one may look like a listing
        app.router.add_route("*", path, _hook(handler))
    app.router.add_get("/api/v1/{what}", _listing(facts))
    return app


def _check(ask: Callable[[], str]) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        trouble = ask()
        return web.Response(text=(trouble or "ok") + "\n", status=503 if trouble else 200)

    return handler


def _metrics(facts: Facts) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=facts.exposition().encode(), headers={"Content-Type": kind})

    return handler


def _hook(take: Handler) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        answer: web.StreamResponse = await take(request)
        return answer

    return handler


def _listing(facts: Facts) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        found = facts.listing(request.match_info["what"])
        if found is None:
            known = "incidents, runs, decisions, changes, topology, silences, halts, health, mute"
            raise web.HTTPNotFound(text=f"known: {known}")
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    return handler


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal in one shape."""
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        body = {"title": error.reason, "status": error.status, "detail": error.text}
        return web.Response(
            body=msgspec.json.encode(body),
            status=error.status,
            headers={name: error.headers[name] for name in ("Allow",) if name in error.headers},
            content_type="application/problem+json",
        )
    return response
