"""What somebody pushes to us over HTTP: a token, a bounded body, and a refusal in a sentence."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

COMING: Final = 8  # bodies of the largest size that may be on their way at once


class Wrong(Exception):
    """An answer that is no 2xx, with a sentence for who reads the sender's log."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    def response(self) -> web.Response:
        response = web.Response(status=self.status, text=f"{self}\n")
        if self.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="aiopsd"'
        if self.status == 503:
            response.headers["Retry-After"] = "1"
        response.force_close()  # its body may still be on the way
        return response


def allowed(header: str, token: str) -> bool:
    """The token as a bearer (RFC 6750) or as the password of any user (RFC 7617)."""
    if not token:
        return True
    scheme, _, given = header.partition(" ")
    secret = given.strip().encode(errors="surrogateescape")
    if scheme.lower() == "basic":
        try:
            secret = base64.b64decode(secret, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(secret, token.encode())


async def body_of(request: web.Request, *, limit_bytes: int, within_secs: float) -> bytes:
    """The whole body. Raises Wrong where it is too large, too slow or cut off."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_secs):
            async for piece in request.content.iter_any():
                body += piece
                if max(len(body), request.content_length or 0) > limit_bytes:
                    raise Wrong(413, f"a body of more than {limit_bytes:,} bytes")
    except TimeoutError:
        raise Wrong(408, "the body did not come in time") from None
    except (web.RequestPayloadError, OSError):
        raise Wrong(400, "the body was cut off") from None
    return bytes(body)


class Coming:
    """Memory is bounded: what cannot be held now comes again."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes  # of one body
        self.bytes = 0

    @contextmanager
    def room(self, request: web.Request) -> Iterator[None]:
        """While a body is read. Raises Wrong 503 where too many are on their way."""
        size = min(request.content_length or self._most_bytes, self._most_bytes)
        if self.bytes + size > COMING * self._most_bytes:
            raise Wrong(503, "too much is on its way at once")
        self.bytes += size
        try:
            yield
        finally:
            self.bytes -= size
