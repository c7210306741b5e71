"""The six methods of the Slack Web API that we use, and what their errors mean.

What is no yes is ``SlackSaysNo`` (not done, do not retry), ``NotDone`` (not done, retry) or another
``Unreachable`` (nobody knows, retry). Methods and error codes: docs.slack.dev/reference/methods.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from aiopsd.errors import ConfigError, Refused, Unreachable

PASSING = {"fatal_error", "internal_error", "ratelimited", "request_timeout", "service_unavailable"}
ADVICE = {
    "account_inactive": "the app or its user was removed: install it again, put in the new token",
    "channel_not_found": "no such channel, or a private one without the app: /invite @aiopsd there",
    "invalid_auth": "Slack does not know this token: copy the Bot User OAuth Token again",
    "is_archived": "the channel is archived: choose another one",
    "missing_scope": "the app lacks a scope: add it under OAuth & Permissions, then reinstall",
    "not_authed": "the token file holds no token",
    "not_in_channel": "invite the app in that channel: /invite @aiopsd",
    "restricted_action": "the workspace does not let apps post there",
    "token_expired": "the token has expired: turn token rotation off or put in a new one",
    "token_revoked": "the token was revoked: install the app again, put in the new token",
}
PAGE = 200
PAGES = 25


class SlackSaysNo(Refused):
    """Slack understood, and did nothing."""

    def __init__(self, method: str, code: str, needed: str) -> None:
        self.code = code
        why = ADVICE.get(code, "see docs.slack.dev/reference/methods/" + method)
        scope = f" (it needs {needed})" if needed else ""
        super().__init__(f"Slack refuses {method}: {code}{scope}; {why}")


class NotDone(Unreachable):
    """Slack did nothing, now; later it may."""


class SlackApi:
    """One app in one workspace."""

    def __init__(self, token: str, base_url: str, timeout_secs: float) -> None:
        if not re.fullmatch(r"[!-~]+", token):
            raise ConfigError("the Slack token file must hold one token and nothing else")
        # No retries inside: the SDK's own would repeat a post whose answer got lost.
        self._client = AsyncWebClient(
            token=token,
            base_url=base_url,
            timeout=timeout_secs,  # type: ignore[arg-type] # seconds of aiohttp, may be broken
            retry_handlers=[],
        )
        self._timeout_secs = timeout_secs
        self._silent_until: dict[str, float] = {}

    async def post(self, channel: str, **message: Any) -> tuple[str, str]:
        """The message's (channel id, ts)."""
        answer = await self._call("chat.postMessage", json={"channel": channel, **message})
        try:
            return str(answer["channel"]), str(answer["ts"])
        except KeyError:
            raise Unreachable("Slack took a message but did not say where it is") from None

    async def update(self, channel: str, ts: str, **message: Any) -> None:
        await self._call("chat.update", json={"channel": channel, "ts": ts, **message})

    async def history(self, channel: str, oldest: str) -> AsyncIterator[dict[str, Any]]:
        """Messages after ``oldest``, newest first, with metadata."""
        wanted = {"channel": channel, "oldest": oldest, "include_all_metadata": "1"}
        async for message in self._pages("conversations.history", "messages", wanted):
            yield message

    async def replies(self, channel: str, ts: str) -> AsyncIterator[dict[str, Any]]:
        """The message and its thread, oldest first, with metadata."""
        wanted = {"channel": channel, "ts": ts, "include_all_metadata": "1"}
        async for message in self._pages("conversations.replies", "messages", wanted):
            yield message

    async def channel_id(self, name: str) -> str | None:
        """The id of a channel by its name."""
        wanted = {"types": "public_channel,private_channel", "exclude_archived": "1"}
        async for channel in self._pages("conversations.list", "channels", wanted):
            if channel.get("name") == name.removeprefix("#"):
                return str(channel.get("id"))
        return None

    async def _pages(
        self, method: str, key: str, wanted: dict[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        cursor = ""
        for _ in range(PAGES):
            params = {**wanted, "limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            answer = await self._call(method, params=params)
            found, after = answer.get(key), answer.get("response_metadata")
            for one in found if isinstance(found, list) else []:
                if isinstance(one, dict):
                    yield one
            cursor = str(after.get("next_cursor") or "") if isinstance(after, dict) else ""
            if not cursor:
                return

    async def _call(self, method: str, **request: Any) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        if (left := self._silent_until.get(method, 0.0) - loop.time()) > 0:
            raise NotDone(f"Slack wants no {method} for another {left:.0f} s")
        verb = "POST" if "json" in request else "GET"
        try:
            answer = await self._client.api_call(method, http_verb=verb, **request)
        except SlackApiError as error:
            raise self._meaning(method, error.response) from None
        except TimeoutError:
            raise Unreachable(f"no answer from Slack within {self._timeout_secs:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise NotDone(f"Slack cannot be reached: {error}") from None
        except aiohttp.ClientError as error:
            raise Unreachable(f"Slack: {type(error).__name__} {error}") from None
        except (AttributeError, ValueError):
            # The SDK trips over an answer that is no JSON object, such as a proxy's page.
            raise Unreachable(f"the answer to {method} is not Slack's") from None
        return dict(answer.data)  # type: ignore[arg-type] # a dict: it had "ok"

    def _meaning(self, method: str, response: Any) -> Unreachable | SlackSaysNo:
        """``response`` is the SDK's, or aiohttp's own where the SDK could not read the body."""
        status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
        if status == 429:
            wait_secs = _seconds(response.headers.get("Retry-After", ""))
            self._silent_until[method] = asyncio.get_running_loop().time() + wait_secs
            return NotDone(f"Slack wants no {method} for {wait_secs:.0f} s (429)")
        data = getattr(response, "data", None)
        code = str(data.get("error") or "") if isinstance(data, dict) else ""
        if not code or code in PASSING or status >= 500:
            return Unreachable(f"Slack answers {method} with {status} {code}".rstrip())
        needed = str(data.get("needed") or "") if isinstance(data, dict) else ""
        return SlackSaysNo(method, code, needed)


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 1.0
