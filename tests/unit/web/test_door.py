"""The door on a real socket: a client who does not read, one who hangs about, a full house."""

import asyncio

import pytest
from aiohttp import web

from aiopsd.errors import ConfigError
from aiopsd.sources.pushed import Wrong, body_of
from aiopsd.web import door
from tests.e2e.daemon import free_port


async def _much(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 50_000_000)


async def _never(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


def application() -> web.Application:
    app = web.Application()
    app.router.add_get("/much", _much)
    app.router.add_get("/never", _never)
    return app


async def left_alone(port: int, asked: bytes) -> None:
    """Returns when the other side hangs up on somebody who reads nothing before."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.transport.pause_reading()
    writer.write(asked)
    closed = asyncio.create_task(writer.wait_closed())
    async with asyncio.timeout(20):
        while not closed.done():
            try:
                writer.write(b"GET / HTTP/1.1\r\n")  # who only listens does not hear of an abort
            except OSError:
                break
            await asyncio.sleep(0.05)
    closed.cancel()


@pytest.mark.parametrize("path", ["/much", "/never"])
async def test_an_answer_has_a_deadline(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ANSWER_SECS", 0.5)
    port = free_port()
    async with door.serving(application(), "127.0.0.1", port):
        await left_alone(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


async def test_a_body_that_breaks_later_is_not_waited_for_after_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The parser ends the connection's reading, and tells the handler nothing of it."""
    monkeypatch.setattr(door, "LINGER_SECS", 0.1)
    came = asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        came.set()
        try:
            await body_of(request, limit_bytes=1000, within_secs=0.2)
        except Wrong as wrong:
            return wrong.response()
        raise AssertionError

    app, port = web.Application(), free_port()
    app.router.add_post("/push", take)
    async with asyncio.timeout(20), door.serving(app, "127.0.0.1", port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST /push HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"5\r\nhello\r\n")
        await came.wait()
        writer.write(b"no size\r\n")
        begun = asyncio.get_running_loop().time()
        answer = await reader.read()  # all of it: the connection ends
        took = asyncio.get_running_loop().time() - begun
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert took < 8  # aiohttp would wait for 10 s more


async def test_a_broken_header_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """aiohttp would show its bytes, and they may be a token."""
    port = free_port()
    async with asyncio.timeout(20), door.serving(application(), "127.0.0.1", port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /much HTTP/1.1\r\nAuthorization: Bearer s3cr3t\x01\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"400"
        writer.close()
    assert caplog.text == ""


async def test_who_hangs_up_before_the_answer_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        asked.set()
        while request.transport is not None:  # None once the other side is seen to be gone
            await asyncio.sleep(0.01)
        return web.Response(text="late")

    app, port = web.Application(), free_port()
    app.router.add_get("/slow", slow)
    async with asyncio.timeout(20), door.serving(app, "127.0.0.1", port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await asked.wait()
        writer.transport.abort()
    assert caplog.text == ""


async def test_leaving_does_not_wait_for_slow_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LEAVE_SECS", 0.2)
    port = free_port()
    async with asyncio.timeout(20):
        async with door.serving(application(), "127.0.0.1", port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.transport.pause_reading()
            writer.write(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.1)
    writer.transport.abort()


async def test_a_port_that_is_taken_is_said() -> None:
    port = free_port()
    async with door.serving(application(), "127.0.0.1", port):
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{port}: "):
            async with door.serving(application(), "127.0.0.1", port):
                raise AssertionError
