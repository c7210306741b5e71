"""Posts every new state of an incident or a run to a URL, as JSON.

Body: ``{"event": "incident", "incident": {...}}`` or ``{"event": "run", "run": {...}}``. A receiver
can drop repetitions by ``Idempotency-Key`` (the same state has the same key) and check the sender
by ``X-Aiopsd-Signature: t=<unix seconds>,v1=<hex>``, where v1 is HMAC-SHA256 over ``<t>.<body>``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from aiopsd.contracts import Notifier, NotifierContext
from aiopsd.errors import ConfigError, Refused, Unreachable
from aiopsd.model import Event, Incident, Run
from aiopsd.notifiers.said import Said, as_json, digest
from aiopsd.settings import Duration, SecretFile, Settings

HERE = ("127.0.0.1", "::1", "localhost")
LATER = {408, 425, 429}


class WebhookSettings(Settings, frozen=True, kw_only=True, tag="webhook"):
    """A URL, and how the receiver knows that it is us."""

    url: str
    token_file: SecretFile | None = None
    secret_file: SecretFile | None = None
    timeout: Duration = Duration(10)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("`url` must be a full address, such as https://example.org/hook")
        if parts.username or parts.password:
            raise ValueError("`url` holds a name or a password: put a token into `token_file`")
        if self.token_file and parts.scheme == "http" and parts.hostname not in HERE:
            raise ValueError("`url` must be https: it carries the token")
        if not 0 < self.timeout <= 60:
            raise ValueError(f"`timeout: {self.timeout}` must be more than 0s and at most 60s")

    def build(self, context: NotifierContext) -> Notifier:
        token = self.token_file.read(context.base) if self.token_file else ""
        if not re.fullmatch(r"[!-~]*", token):
            raise ConfigError("the webhook's token file must hold one token and nothing else")
        secret = self.secret_file.read(context.base) if self.secret_file else ""
        return Webhook(self.url, token, secret, float(self.timeout), context)


class Webhook:
    """Keeps the promise of ``contracts.Notifier``."""

    def __init__(
        self, url: str, token: str, secret: str, timeout_secs: float, context: NotifierContext
    ) -> None:
        self._url = url
        self._host = urlsplit(url).netloc  # all that is shown of it: the path may be a secret
        self._token = token
        self._secret = secret
        self._timeout = aiohttp.ClientTimeout(total=timeout_secs)
        self._clock = context.clock
        self._said = Said(context)

    async def notify(self, event: Event) -> None:
        if not isinstance(event, (Incident, Run)):
            return
        kind = "run" if isinstance(event, Run) else "incident"
        state = as_json(event)
        mark = digest(state)
        if mark == self._said.digest(event.id):
            return
        body = msgspec.json.encode({"event": kind, kind: msgspec.Raw(state)})
        await self._post(body, f"{quote(event.id, safe='')}-{mark}")
        await self._said.record(event.id, digest=mark)

    async def close(self) -> None:
        """Every post has a connection of its own: nothing to close."""

    async def _post(self, body: bytes, key: str) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._secret:
            headers["X-Aiopsd-Signature"] = signature(self._secret, body, int(self._clock()))
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(self._url, data=body, headers=headers, allow_redirects=False) as reply,
            ):
                status = reply.status
        except TimeoutError:
            raise Unreachable(f"{self._host}: no answer in {self._timeout.total:g} s") from None
        except aiohttp.ClientError as error:
            raise Unreachable(f"{self._host}: {type(error).__name__}: {error}") from None
        if status in LATER or status >= 500:
            raise Unreachable(f"{self._host} answers {status}")
        if 300 <= status < 400:
            raise Refused(f"{self._host} answers {status}: write the address it redirects to")
        if status >= 400:
            raise Refused(f"{self._host} answers {status}: it does not take this event")


def signature(secret: str, body: bytes, time_s: int) -> str:
    """The value of X-Aiopsd-Signature."""
    signed = hmac.new(secret.encode(), f"{time_s}.".encode() + body, hashlib.sha256)
    return f"t={time_s},v1={signed.hexdigest()}"
