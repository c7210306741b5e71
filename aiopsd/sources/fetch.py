"""One bounded HTTP answer: how pull sources read from servers that may misbehave.

An answer has a ceiling in bytes and a deadline for the whole of it, so that neither a flood nor a
trickle holds us. No message names a credential.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from aiopsd.errors import ConfigError, Unreachable
from aiopsd.settings import SecretFile

_MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_SHOWN_CHARS = 300
_HEARTBEAT_SECS = 30.0


class TooLarge(Unreachable):
    """The answer is larger than we are willing to hold; it was not read to its end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whatever the status: what it means is the caller's to judge."""

    status: int
    content_type: str
    body: bytes
    retry_after_secs: float = 0.0  # the server's wish, with 429 and 503

    @property
    def is_web_page(self) -> bool:
        """A proxy or a login form stands in the way."""
        return "html" in self.content_type or self.body[:64].lstrip()[:1] == b"<"

    @property
    def said(self) -> str:
        """The server's words on one short line, for people."""
        if self.is_web_page:
            return "a web page"
        text = " ".join(self.body[: 4 * _SHOWN_CHARS].decode(errors="replace").split())
        return text[:_SHOWN_CHARS] or "nothing"


class Fetcher:
    """Asks with the same headers, deadline and ceiling. ``async with`` opens and closes it.

    Redirects are followed within one origin only: credentials never travel to another.
    """

    def __init__(
        self,
        *,
        timeout_secs: float,
        max_body_bytes: int,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.timeout_secs = timeout_secs
        self.max_body_bytes = max_body_bytes
        self._headers = dict(headers or {})
        self._tls = tls

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # ours covers redirects too
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, url: URL, *, max_body_bytes: int | None = None) -> Answer:
        """Raises Unreachable, or TooLarge where the body passes the ceiling."""
        return await self._ask("GET", url, None, max_body_bytes)

    async def post(
        self, url: URL, form: Mapping[str, str], *, max_body_bytes: int | None = None
    ) -> Answer:
        """As get, with a url-encoded form."""
        return await self._ask("POST", url, form, max_body_bytes)

    @asynccontextmanager
    async def socket(
        self, url: URL, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, whose messages have the ceiling of an answer. Raises Unreachable."""
        try:
            async with asyncio.timeout(self.timeout_secs):
                socket = await self._session.ws_connect(
                    url,
                    headers=headers,
                    heartbeat=_HEARTBEAT_SECS,
                    max_msg_size=self.max_body_bytes,
                )
        except TimeoutError:
            raise Unreachable(f"no answer within {self.timeout_secs:g} s") from None
        except aiohttp.WSServerHandshakeError as error:
            raise Unreachable(f"no WebSocket: status {error.status}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(_plain(error)) from None
        async with socket:
            yield socket

    async def _ask(
        self, method: str, url: URL, form: Mapping[str, str] | None, ceiling: int | None
    ) -> Answer:
        limit = min(ceiling or self.max_body_bytes, self.max_body_bytes)
        try:
            async with asyncio.timeout(self.timeout_secs):
                for _ in range(_MAX_REDIRECTS + 1):
                    async with self._session.request(
                        method, url, data=form, allow_redirects=False
                    ) as response:
                        if response.status not in _REDIRECTS:
                            return await _read(response, limit)
                        url = _next(url, response.headers.get("Location", ""))
        except TimeoutError:
            raise Unreachable(f"no answer within {self.timeout_secs:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(_plain(error)) from None
        raise Unreachable("redirects in a circle")


async def _read(response: aiohttp.ClientResponse, limit: int) -> Answer:
    announced = response.content_length
    if announced is not None and announced > limit:
        raise TooLarge(f"the answer has {announced:,} bytes, more than {limit:,}")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit:
            raise TooLarge(f"the answer is larger than {limit:,} bytes")
    kind = response.headers.get("Content-Type", "").lower()
    return Answer(response.status, kind, bytes(body), _retry_after_secs(response.headers))


def _retry_after_secs(headers: Mapping[str, str]) -> float:
    """Seconds, or a date by the server's own clock (RFC 9110, 10.2.3)."""
    wait = headers.get("Retry-After", "")
    if wait.isdecimal():
        return float(wait)
    try:
        until, now = (parsedate_to_datetime(one) for one in (wait, headers.get("Date", "")))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _next(url: URL, location: str) -> URL:
    try:
        target = url.join(URL(location))
        same = target.origin() == url.origin()
    except ValueError:
        raise Unreachable("redirects to what is no address") from None
    if not same:
        raise Unreachable(
            f"redirects to {redacted(target)}; write that address if it is the right one"
        )
    return target


def redacted(url: URL) -> str:
    """The address without user, password and query: these may hold secrets."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


def _plain(error: aiohttp.ClientError | OSError) -> str:
    """The library's words may quote the address with its password; these are ours."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"cannot resolve the name {error.host}"
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "")
            return f"its certificate is not trusted: {reason or 'see `ca_file`'}"
        case aiohttp.ClientSSLError():
            return "no TLS connection: does it speak plain http?"
        case aiohttp.ServerDisconnectedError():
            return "hung up without an answer"
        case aiohttp.ClientPayloadError():
            return "its answer was cut off"
        case aiohttp.ClientResponseError():
            return "its answer is not HTTP"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number).lower()
    return f"no connection ({type(error).__name__})"


def pauses() -> Iterator[float]:
    """Seconds between attempts: 1 doubling to 30, less up to a half so that crowds spread."""
    longest = 1.0
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311 - no secret hangs on it
        longest = min(2 * longest, 30.0)


# --- what settings of pull sources have in common ----------------------------------------


def checked_url(text: str) -> URL:
    """An http(s) address. Raises ValueError with a sentence."""
    try:
        url = URL(text)
    except ValueError:
        raise ValueError("`url` is not an address, such as http://127.0.0.1:9090") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("`url` must be like http://host:9090 or https://host")
    if url.user is not None or url.password is not None:
        raise ValueError("`url` holds a user or password; use `username` and `password_file`")
    return url


def checked_headers(headers: Mapping[str, str]) -> None:
    """Raises ValueError for what cannot be a header."""
    for name, value in headers.items():
        if not name.isascii() or not name.isprintable() or " " in name or ":" in name:
            raise ValueError(f"`headers`: {name!r} is not a header's name")
        if not value.isprintable():
            raise ValueError(f"`headers`: the value of {name} has a control character")


def authorization(
    base: Path, *, token_file: SecretFile | None, username: str, password_file: SecretFile | None
) -> dict[str, str]:
    """The header for a bearer token or for basic authentication (RFC 6750, RFC 7617)."""
    if token_file is not None:
        return {"Authorization": f"Bearer {_one_line(token_file, base)}"}
    if username and password_file is not None:
        pair = f"{username}:{_one_line(password_file, base)}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _one_line(secret_file: SecretFile, base: Path) -> str:
    secret = secret_file.read(base)
    if not secret.isprintable():
        raise ConfigError(f"secret file {secret_file} must hold one line of text")
    return secret


def trust(
    ca_file: str, base: Path, cert_file: str = "", key_file: str = ""
) -> ssl.SSLContext | None:
    """Trusts this authority only, or those of the system where none is named; shows our own
    certificate where there is one. None where neither is."""
    if not ca_file and not cert_file:
        return None
    try:
        context = ssl.create_default_context(cafile=str(base / ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"`ca_file: {ca_file}`: {error}") from None
    if cert_file:
        try:
            context.load_cert_chain(base / cert_file, base / key_file if key_file else None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"`cert_file: {cert_file}`: {error}") from None
    return context
