"""``http.request``: one request to a server that the configuration allows.

Inputs: ``method``, ``url``; optional ``headers``, ``bearer``, ``json``, ``body``,
``expect_status`` and, in the author's words, ``probe`` and ``undo``, each with the same keys.
Every request carries an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import msgspec

from aiopsd.contracts import Action
from aiopsd.errors import Refused, Uncertain, Unreachable
from aiopsd.settings import Settings, complain

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
KNOWN = (
    "method", "url", "headers", "bearer", "json", "body", "expect_status", "probe", "undo",
    "idempotency_key",
)  # fmt: skip
MAX_ANSWER_BYTES = 64 * 1024
TRY_LATER = (408, 425, 429, 502, 503, 504)


class HttpSettings(Settings, frozen=True, kw_only=True, tag="http"):
    """Where requests may go: URL prefixes. Empty allows none, so that no playbook can be
    talked into calling a metadata server or a neighbour."""

    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        complain(
            f"`allow: {prefix}` must be like https://host/path/ or https://host/"
            for prefix in self.allow
            if not _is_prefix(prefix)
        )

    def build(self, base: Path) -> HttpExecutor:  # noqa: ARG002 - executors are built alike
        return HttpExecutor(self)


def _is_prefix(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.netloc and parts.path)


class HttpExecutor:
    """Follows no redirects: an allowed server must not send us elsewhere."""

    actions = frozenset({"request"})

    def __init__(self, settings: HttpSettings) -> None:
        self._allow = settings.allow

    def lint(self, verb: str, inputs: Mapping[str, Any]) -> Sequence[str]:
        wrong = [f"unknown input {key!r}; known: {', '.join(KNOWN)}"
                 for key in inputs if key not in KNOWN]  # fmt: skip
        url, method = inputs.get("url"), inputs.get("method", "GET")
        if not isinstance(url, str):
            return [*wrong, "`url` is missing"]
        if method not in METHODS and "${" not in str(method):
            wrong.append(f"`method: {method}`; known: {', '.join(METHODS)}")
        if "${" not in url and not self._allowed(url):
            wrong.append(self._not_allowed(url))
        for key in ("probe", "undo"):
            if key in inputs:
                nested = inputs[key]
                ok = isinstance(nested, Mapping)
                wrong += (
                    [f"`{key}`: {t}" for t in self.lint(verb, nested)]
                    if ok
                    else [f"`{key}` must be a request: method, url ..."]
                )
        return wrong

    async def plan(self, action: Action) -> dict[str, Any]:
        return {"method": action.inputs.get("method", "GET"), "url": action.inputs["url"]}

    async def before(self, action: Action) -> dict[str, Any]:  # noqa: ARG002
        return {}

    async def apply(self, action: Action) -> dict[str, Any]:
        return await self._send(action.inputs, action)

    async def probe(self, action: Action, before: Mapping[str, Any]) -> bool | None:  # noqa: ARG002
        if "probe" not in action.inputs:
            return None
        try:
            await self._send(action.inputs["probe"], action)
        except Refused:
            return False
        except Unreachable:
            return None
        return True

    async def undo(self, action: Action, before: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        if "undo" not in action.inputs:
            raise Refused("this request says no `undo`: it has no way back")
        return await self._send(action.inputs["undo"], action)

    async def _send(self, inputs: Mapping[str, Any], action: Action) -> dict[str, Any]:
        url = str(inputs["url"])
        if not self._allowed(url):
            raise Refused(self._not_allowed(url))
        given = inputs.get("headers") or {}
        if not isinstance(given, Mapping):
            raise Refused("headers must be a mapping of names to values")
        headers = {str(k): str(v) for k, v in given.items()}
        headers.setdefault("Idempotency-Key", str(inputs.get("idempotency_key") or action.key))
        if "bearer" in inputs:
            headers["Authorization"] = f"Bearer {inputs['bearer']}"
        data = msgspec.json.encode(inputs["json"]) if "json" in inputs else inputs.get("body")
        if "json" in inputs:
            headers.setdefault("Content-Type", "application/json")
        timeout = aiohttp.ClientTimeout(total=action.timeout_secs)
        method = str(inputs.get("method", "GET"))
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method, url, headers=headers, data=data, allow_redirects=False
                ) as answer,
            ):
                text = await _read(answer.content)
                return _judged(answer.status, text, inputs.get("expect_status"))
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"{urlsplit(url).netloc}: {error}") from None
        except (ValueError, TypeError) as error:  # a line break in a header, a list as body ...
            raise Refused(f"not a request that can be sent: {error}") from None
        except (TimeoutError, aiohttp.ClientError) as error:
            what = f"{method} {urlsplit(url).netloc}: sent, but no answer ({type(error).__name__})"
            raise Uncertain(what) from None

    def _allowed(self, url: str) -> bool:
        """A prefix, and no way to climb out of it by dots, encoded or not."""
        try:
            path = unquote(unquote(urlsplit(url).path)).replace("\\", "/")
        except ValueError:  # such as http://[bad/
            return False
        climbs = ".." in path.split("/")
        return not climbs and any(url.startswith(prefix) for prefix in self._allow)

    def _not_allowed(self, url: str) -> str:
        try:
            where = urlsplit(url)
        except ValueError:
            return f"{url} is no address, so it is not allowed"
        meant = f"{where.scheme}://{where.netloc}/"
        return f"{meant} is not allowed; write executors: http: {{type: http, allow: [{meant}]}}"


async def _read(content: aiohttp.StreamReader) -> bytes:
    """The whole answer. One that is too long is left out: a cut could go through a secret."""
    text = b""
    async for chunk in content.iter_any():
        text += chunk
        if len(text) > MAX_ANSWER_BYTES:
            return b"(the answer is longer than is kept)"
    return text


def _judged(status: int, text: bytes, expected: Any) -> dict[str, Any]:
    # Whole: what is cut before secrets are taken out may keep a part of one.
    result: dict[str, Any] = {"status": status, "text": text.decode(errors="replace")}
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        result["json"] = msgspec.json.decode(text)
    wanted = expected if isinstance(expected, list) else ([expected] if expected else [])
    if status in wanted or (not wanted and 200 <= status < 300):
        return result
    if status in TRY_LATER:
        raise Unreachable(f"status {status}")
    raise Refused(f"status {status}: {result['text']}")
