"""Requests go only where the configuration allows, and what is not known is said so."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aiopsd.contracts import Action
from aiopsd.errors import Refused, Uncertain, Unreachable
from aiopsd.executors.http import HttpExecutor, HttpSettings


class Shop:
    """A server that remembers, and misbehaves on demand."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], str]] = []
        self.nonsense = b""
        self.server = TestServer(self._app())

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(
            (request.method, request.path, dict(request.headers), await request.text())
        )
        path = request.path
        if path == "/redirect":
            raise web.HTTPFound("http://169.254.169.254/latest")
        if path == "/drop":
            assert request.transport is not None
            request.transport.abort()
        if path == "/nonsense":
            return web.Response(body=self.nonsense)
        if path.startswith("/status/"):
            return web.Response(status=int(path.removeprefix("/status/")), text="said so")
        return web.json_response({"ok": True})

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    one = Shop()
    await one.server.start_server()
    yield one
    await one.server.close()


def executor(shop: Shop) -> HttpExecutor:
    return HttpExecutor(HttpSettings(allow=(shop.url("/"),)))


def action(**inputs: Any) -> Action:
    return Action("http.request", inputs, timeout_secs=5, key="run/step/1")


async def test_a_request_carries_json_bearer_and_an_idempotency_key(shop: Shop) -> None:
    result = await executor(shop).apply(
        action(method="POST", url=shop.url("/switch"), json={"to": "b"}, bearer="s3cret")
    )
    assert result["json"] == {"ok": True}
    ((method, path, headers, body),) = shop.seen
    assert (method, path, body) == ("POST", "/switch", '{"to":"b"}')
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Idempotency-Key"] == "run/step/1"
    assert "s3cret" not in str(result)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1@evil.example/",
        "file:///etc/passwd",
        "http://[bad/",
        "",
    ],
)
async def test_other_places_are_refused(shop: Shop, url: str) -> None:
    with pytest.raises(Refused, match="is not allowed"):
        await executor(shop).apply(action(url=url))
    assert shop.seen == []


async def test_an_allowed_prefix_is_not_left_by_dots_or_a_longer_host(shop: Shop) -> None:
    one = HttpExecutor(HttpSettings(allow=(shop.url("/only/"),)))
    for url in (
        shop.url("/only/") + "../admin",
        shop.url("/only/") + "%2e%2e/admin",
        shop.url("/only/") + "..%2fadmin",
        shop.url("/only/") + "..\\admin",
        shop.url("/other"),
        shop.url("/only/").replace("/only/", ".evil.example/only/"),
    ):
        with pytest.raises(Refused, match="is not allowed"):
            await one.apply(action(url=url))
    assert shop.seen == []


async def test_redirects_are_not_followed(shop: Shop) -> None:
    with pytest.raises(Refused, match="status 302"):
        await executor(shop).apply(action(url=shop.url("/redirect")))
    assert len(shop.seen) == 1


async def test_an_answer_is_judged(shop: Shop) -> None:
    one = executor(shop)
    ok = await one.apply(action(url=shop.url("/status/409"), expect_status=[200, 409]))
    assert ok["status"] == 409
    with pytest.raises(Refused, match="status 404: said so"):
        await one.apply(action(url=shop.url("/status/404")))
    with pytest.raises(Unreachable, match="status 503"):
        await one.apply(action(url=shop.url("/status/503")))
    with pytest.raises(Refused, match="status 200"):
        await one.apply(action(url=shop.url("/"), expect_status=[202]))


async def test_a_lost_answer_is_uncertain_but_a_closed_port_is_not(shop: Shop) -> None:
    one = executor(shop)
    with pytest.raises(Uncertain, match="sent, but no answer"):
        await one.apply(action(method="POST", url=shop.url("/drop")))
    closed = shop.url("/")
    await shop.server.close()
    with pytest.raises(Unreachable):
        await one.apply(action(method="POST", url=closed))


async def test_probe_and_undo_are_the_authors_words(shop: Shop) -> None:
    one = executor(shop)
    plain = {"url": shop.url("/")}
    assert await one.probe(action(**plain), {}) is None
    assert await one.probe(action(**plain, probe={"url": shop.url("/status/200")}), {}) is True
    assert await one.probe(action(**plain, probe={"url": shop.url("/status/404")}), {}) is False
    assert await one.probe(action(**plain, probe={"url": shop.url("/status/503")}), {}) is None
    await one.undo(action(**plain, undo={"method": "DELETE", "url": shop.url("/x")}), {})
    assert shop.seen[-1][:2] == ("DELETE", "/x")
    with pytest.raises(Refused, match="no way back"):
        await one.undo(action(**plain), {})


def test_lint_says_what_to_allow() -> None:
    one = HttpExecutor(HttpSettings())
    (said,) = one.lint("request", {"url": "https://gw.example/aliases"})
    assert "allow: [https://gw.example/]" in said
    assert "unknown input 'jsn'" in one.lint("request", {"url": "${x}", "jsn": {}})[0]
    with pytest.raises(ValueError, match="must be like"):
        HttpSettings(allow=("gw.example",))


@pytest.mark.parametrize("body", [b'"\xff"', b"[" * 5_000 + b"]" * 5_000])
async def test_an_answer_of_nonsense_is_done_all_the_same(shop: Shop, body: bytes) -> None:
    shop.nonsense = body
    result = await executor(shop).apply(action(method="POST", url=shop.url("/nonsense")))
    assert result["status"] == 200
    assert "json" not in result


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"X-Service": "a\nb"}},
        {"bearer": "a\r\nX: y"},
        {"method": "GE T"},
        {"body": 7},
        {"headers": "text"},
    ],
)
async def test_what_is_no_request_is_refused(shop: Shop, more: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        await executor(shop).apply(action(**{"url": shop.url("/"), **more}))
    assert shop.seen == []
