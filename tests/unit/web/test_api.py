"""What is asked in the wrong way is said in one shape."""

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from aiopsd.web.api import application


class Facts:
    def alive(self) -> str:
        return ""

    ready = exposition = alive

    def listing(self, what: str) -> list[Any] | None:
        return [] if what == "incidents" else None


async def _taken(_: web.Request) -> web.Response:
    return web.Response(status=204)


@pytest.mark.parametrize("path", ["/api/v1/write", "/hooks/alertmanager"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_who_reads_where_others_write_is_told_how(path: str, method: str) -> None:
    """`/api/v1/write` looks like one of our own listings."""
    app = application(Facts(), {path: _taken})
    async with TestClient(TestServer(app)) as client:
        async with client.post(path) as answer:
            assert answer.status == 204
        async with client.request(method, path) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")
            assert answer.content_type == "application/problem+json"
            assert json.loads(await answer.text())["status"] == 405


async def test_an_unknown_listing_names_the_known_ones() -> None:
    async with TestClient(TestServer(application(Facts(), {}))) as client:
        async with client.get("/api/v1/incidents") as answer:
            assert await answer.json() == []
        async with client.get("/api/v1/write") as answer:
            assert answer.status == 404
            assert "incidents, runs" in await answer.text()
