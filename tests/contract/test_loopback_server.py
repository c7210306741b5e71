"""What all loopback servers share: life on one port, memory, faults on command."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
    web,
)

from tests.loopback.server import Call, LoopbackServer, Route, json_response


class Echo(LoopbackServer):
    """Counts the work it did, apart from the calls that it got."""

    def __init__(self) -> None:
        super().__init__()
        self.worked = 0

    def routes(self) -> Sequence[Route]:
        return [("GET|POST", "/echo/(?P<word>.+)", self._echo)]

    def _echo(self, call: Call, word: str) -> web.Response:
        self.worked += 1
        return json_response({"word": word, "params": dict(call.params)})


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with Echo() as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as client:
        yield client


async def status_of(session: ClientSession, url: str) -> int:
    async with session.get(url) as response:
        await response.read()
        return response.status


async def test_routes_by_path_then_method(echo: Echo, session: ClientSession) -> None:
    assert await status_of(session, f"{echo.url}/echo/hi") == 200
    assert await status_of(session, f"{echo.url}/nosuch") == 404
    async with session.delete(f"{echo.url}/echo/hi") as response:
        assert (response.status, await response.text()) == (405, "Method Not Allowed\n")


async def test_remembers_query_string_and_form_together(echo: Echo, session: ClientSession) -> None:
    await session.post(f"{echo.url}/echo/hi?a=1", data={"b": "2"})
    (call,) = echo.asked("/hi")
    assert (call.method, dict(call.params)) == ("POST", {"a": "1", "b": "2"})


async def test_faults_are_used_up_in_order_by_the_requests_they_fit(
    echo: Echo, session: ClientSession
) -> None:
    echo.fail_next(500, times=2, on="/a")
    echo.fail_next(429, headers={"Retry-After": "7"})
    assert await status_of(session, f"{echo.url}/echo/b") == 429
    assert [await status_of(session, f"{echo.url}/echo/a") for _ in range(3)] == [500, 500, 200]
    assert (echo.worked, len(echo.calls)) == (1, 4)


async def test_away_refuses_then_serves_on_the_same_port(
    echo: Echo, session: ClientSession
) -> None:
    url = f"{echo.url}/echo/hi"
    assert await status_of(session, url) == 200
    for _ in range(3):
        async with echo.away():
            with pytest.raises((ClientConnectorError, ServerDisconnectedError)):
                await status_of(session, url)
            with pytest.raises(ClientConnectorError):
                await status_of(session, url)
            with socket.socket() as thief, pytest.raises(OSError, match="in use"):
                thief.bind(("127.0.0.1", echo.port))
        assert await status_of(session, url) == 200


async def test_port_is_free_after_the_end() -> None:
    async with Echo() as echo:
        pass
    with socket.socket() as successor:
        successor.bind(("127.0.0.1", echo.port))


async def test_hanging_request_is_dropped_when_its_client_hangs_up(
    echo: Echo, session: ClientSession
) -> None:
    echo.hang_next(0.3, on="/impatient")
    echo.hang_next(0.6, on="/patient")
    async with ClientSession(timeout=ClientTimeout(total=0.1)) as impatient:
        with pytest.raises(TimeoutError):
            await status_of(impatient, f"{echo.url}/echo/impatient")
    assert await status_of(session, f"{echo.url}/echo/patient") == 200
    assert echo.worked == 1


async def test_hanging_request_does_not_hold_up_the_end(session: ClientSession) -> None:
    async with asyncio.timeout(10):
        async with Echo() as echo:
            echo.hang_next(600)
            asking = asyncio.create_task(status_of(session, f"{echo.url}/echo/hi"))
            await echo.wait_asked()
        with pytest.raises(ClientConnectionError):
            await asking


async def test_lost_answer_did_the_work(echo: Echo, session: ClientSession) -> None:
    echo.lose_answer_next()
    with pytest.raises(ServerDisconnectedError):
        await session.post(f"{echo.url}/echo/hi")
    assert echo.worked == 1


async def test_waits_for_requests_to_come(echo: Echo, session: ClientSession) -> None:
    with pytest.raises(TimeoutError):
        await echo.wait_asked(within_secs=0.05)
    waiting = asyncio.create_task(echo.wait_asked(2, on="/b"))
    for word in "aabb":
        await status_of(session, f"{echo.url}/echo/{word}")
    assert [call.path for call in await waiting] == ["/echo/b", "/echo/b"]


async def test_answers_are_zipped_for_those_who_can_read_it(
    echo: Echo, session: ClientSession
) -> None:
    for accepted, encoding in (("gzip", "gzip"), ("identity", None)):
        headers = {"Accept-Encoding": accepted}
        async with session.get(f"{echo.url}/echo/hi", headers=headers) as response:
            assert response.headers.get("Content-Encoding") == encoding
            assert (await response.json())["word"] == "hi"
