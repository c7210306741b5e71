"""What all pull sources share: trust, patience, and no secret in any message."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from aiopsd.errors import ConfigError, Unreachable
from aiopsd.sources.fetch import Fetcher, pauses, redacted, trust


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with ``ca.pem`` and ``key.pem`` for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("not installed: openssl")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-keyout", "key.pem", "-out", "ca.pem", "-subj", "/CN=loopback",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path


@asynccontextmanager
async def https_server(folder: Path, *, of_friends: bool = False) -> AsyncIterator[URL]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    if of_friends:  # who shows no certificate is nobody
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.pem")

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield URL(f"https://127.0.0.1:{runner.addresses[0][1]}/")
    await runner.cleanup()


def fetcher(tls: ssl.SSLContext | None = None) -> Fetcher:
    return Fetcher(timeout_secs=30, max_body_bytes=1000, tls=tls)


async def test_only_a_named_authority_is_trusted(certificate: Path) -> None:
    async with https_server(certificate) as url:
        async with fetcher() as stranger:
            with pytest.raises(Unreachable, match="its certificate is not trusted: self"):
                await stranger.get(url)
        async with fetcher(trust("ca.pem", certificate)) as friend:
            assert (await friend.get(url)).body == b"hello"
            with pytest.raises(Unreachable, match=r"hung up|cut off|reset"):
                await friend.get(url.with_scheme("http"))


async def test_a_certificate_is_shown_to_who_asks_for_it(certificate: Path) -> None:
    async with https_server(certificate, of_friends=True) as url:
        async with fetcher(trust("ca.pem", certificate)) as stranger:
            with pytest.raises(Unreachable):
                await stranger.get(url)
        async with fetcher(trust("ca.pem", certificate, "ca.pem", "key.pem")) as friend:
            assert (await friend.get(url)).body == b"hello"
    with pytest.raises(ConfigError, match=r"cert_file: ca.pem"):
        trust("", certificate, "ca.pem")
    with pytest.raises(ConfigError, match=r"cert_file: gone.pem"):
        trust("", certificate, "gone.pem")


async def test_plain_http_is_no_tls() -> None:
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with fetcher() as one:
        with pytest.raises(Unreachable, match="does it speak plain http"):
            await one.get(URL(f"https://127.0.0.1:{runner.addresses[0][1]}/"))
    await runner.cleanup()


async def test_unknown_name() -> None:
    async with fetcher() as one:
        with pytest.raises(Unreachable, match=r"cannot resolve the name nowhere\.invalid"):
            await one.get(URL("http://user:s3cret@nowhere.invalid/?token=s3cret"))


def test_an_address_without_its_secrets() -> None:
    shown = redacted(URL("https://user:s3cret@host:9/path?token=s3cret#s3cret"))
    assert shown == "https://host:9/path"


def test_pauses_grow_and_differ() -> None:
    many = [list(islice(pauses(), 8)) for _ in range(50)]
    for column, longest in zip(zip(*many, strict=True), (1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert all(longest / 2 <= pause <= longest for pause in column)
        assert len(set(column)) > 1
