"""Customers keep coming, whatever the shop does with them."""

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestServer

from aiopsd.demo.load import Load

DEADLINE_SECS = 30.0


async def test_slow_answers_hold_nobody_back_up_to_the_cap() -> None:
    arrived: list[str] = []

    async def never_answer(request: web.Request) -> web.Response:
        arrived.append(request.query["order"])
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/work", never_answer)
    async with TestServer(app) as server:
        load = Load(str(server.make_url("/work")), requests_per_sec=200, max_in_flight=5)
        running = asyncio.create_task(load.run())
        async with asyncio.timeout(DEADLINE_SECS):
            while load.answers["skipped"] < 20 or len(arrived) < 5:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
    assert running.cancelled()
    assert sorted(arrived) == ["1001", "1002", "1003", "1004", "1005"]
    assert set(load.answers) == {"skipped"}


async def test_what_customers_got_is_counted_and_no_failure_ends_the_load() -> None:
    async def answer(request: web.Request) -> web.Response:
        order = int(request.query["order"])
        if order % 3 == 0 and request.transport is not None:
            request.transport.abort()  # as a process that dies
        return web.Response(status=200 if order % 3 == 1 else 502)

    app = web.Application()
    app.router.add_get("/work", answer)
    async with TestServer(app) as server:
        load = Load(str(server.make_url("/work")), requests_per_sec=200)
        running = asyncio.create_task(load.run())
        async with asyncio.timeout(DEADLINE_SECS):
            while min(load.answers[kind] for kind in ("200", "502", "error")) < 5:
                await asyncio.sleep(0.01)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])
