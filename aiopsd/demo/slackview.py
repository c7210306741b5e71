"""A stand-in for Slack on this machine: the real notifier posts to it, a page shows the channel.

It speaks the methods of the Web API that an incident needs, and nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from aiopsd.demo.blockkit import blocks_html, mrkdwn_html

CHANNEL_ID = "C0DEMOOPS"
TOKEN = "xoxb-demo"  # noqa: S105 - opens nothing but this stand-in
PULSE_SECS = 15.0
STATIC = {"slackview.css": "text/css", "slackview.js": "text/javascript"}
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data: https: http:"
)


@dataclass
class Post:
    """One message as it stands now."""

    ts: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str = ""
    broadcast: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    edits: int = 0

    def told(self) -> dict[str, Any]:
        """As the Web API tells it."""
        told = {"type": "message", "bot_id": "B0DEMO", "ts": self.ts, "text": self.text}
        more = {"blocks": self.blocks, "metadata": self.metadata, "thread_ts": self.thread_ts}
        return told | {name: value for name, value in more.items() if value}


class SlackNo(Exception):
    """An error code of the Web API."""


class SlackView:
    """``async with SlackView() as view``: give ``api_url`` and ``token`` to the notifier, and
    ``page_url`` to a person."""

    def __init__(self, channel: str = "ops", port: int = 0, token: str = TOKEN) -> None:
        self.channel = channel
        self.token = token
        self.posts: list[Post] = []
        self._port = port
        self._last_us = 0
        self._news = asyncio.Condition()
        self._version = 0
        self._closing = False
        self._runner: web.AppRunner | None = None
        self._methods: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.list": self._list,
            "conversations.replies": self._replies,
        }

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    @property
    def api_url(self) -> str:
        return f"{self.page_url}api/"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=4_000_000)
        app.router.add_get("/", self._page)
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_route("*", "/api/{method}", self._api)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        await self._changed()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- the Web API ----------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.Response:
        # The token keeps web pages out: no browser sends this header without being allowed to.
        known = hmac.compare_digest(
            request.headers.get("Authorization", "").encode(), f"Bearer {self.token}".encode()
        )
        method = self._methods.get(request.match_info["method"])
        try:
            if not known or method is None:
                raise SlackNo("unknown_method" if known else "invalid_auth")
            answer = {"ok": True, **method(await _arguments(request))}
        except SlackNo as no:
            answer = {"ok": False, "error": str(no)}
        await self._changed()
        return web.json_response(answer)

    def _auth_test(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.page_url, "team": "demo", "user": "aiopsd", "bot_id": "B0DEMO"}

    def _post(self, args: dict[str, Any]) -> dict[str, Any]:
        self._here(args)
        thread_ts = str(args.get("thread_ts") or "")
        if thread_ts and not any(p.ts == thread_ts and not p.thread_ts for p in self.posts):
            raise SlackNo("thread_not_found")
        text, blocks = _content(args)
        post = Post(
            self._new_ts(), text, blocks, thread_ts,
            bool(args.get("reply_broadcast")), args.get("metadata") or {},
        )  # fmt: skip
        self.posts.append(post)
        return {"channel": CHANNEL_ID, "ts": post.ts, "message": post.told()}

    def _update(self, args: dict[str, Any]) -> dict[str, Any]:
        self._here(args)
        post = next((p for p in self.posts if p.ts == args.get("ts")), None)
        if post is None:
            raise SlackNo("message_not_found")
        post.text, post.blocks = _content(args)
        post.metadata = args.get("metadata") or post.metadata
        post.edits += 1
        return {"channel": CHANNEL_ID, "ts": post.ts, "text": post.text}

    def _history(self, args: dict[str, Any]) -> dict[str, Any]:
        self._here(args)
        after = float(args.get("oldest") or 0)
        found = [p.told() for p in self.posts if not p.thread_ts and float(p.ts) > after]
        return {"messages": found[::-1], "has_more": False}

    def _replies(self, args: dict[str, Any]) -> dict[str, Any]:
        self._here(args)
        found = [p.told() for p in self.posts if args.get("ts") in (p.ts, p.thread_ts)]
        return {"messages": found, "has_more": False}

    def _list(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"channels": [{"id": CHANNEL_ID, "name": self.channel, "is_member": True}]}

    def _here(self, args: dict[str, Any]) -> None:
        if str(args.get("channel", "")).removeprefix("#") not in (CHANNEL_ID, self.channel):
            raise SlackNo("channel_not_found")

    def _new_ts(self) -> str:
        self._last_us = max(self._last_us + 1, int(time.time() * 1e6))
        return f"{self._last_us // 10**6}.{self._last_us % 10**6:06}"

    # --- the page -------------------------------------------------------------------------

    async def _page(self, _: web.Request) -> web.Response:
        page = _file("slackview.html").replace("CHANNEL", escape(self.channel))
        shown = "".join(html for _, html in self._shown())
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        body = page.replace("<!-- messages -->", shown)
        return web.Response(text=body, content_type="text/html", headers=headers)

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in STATIC:
            raise web.HTTPNotFound
        return web.Response(text=_file(name), content_type=STATIC[name])

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: the whole channel after every change."""
        stream = web.StreamResponse(headers={"Cache-Control": "no-store"})
        stream.content_type = "text/event-stream"
        await stream.prepare(request)
        seen = -1
        with suppress(ConnectionResetError):
            while not self._closing:
                pulse = ": pulse" if seen == self._version else f"data: {json.dumps(self._shown())}"
                seen = self._version
                await stream.write(f"{pulse}\n\n".encode())
                await self._news_since(seen)
            await stream.write(b"event: end\ndata:\n\n")
        return stream

    async def _news_since(self, seen: int) -> None:
        """Waits for a change, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PULSE_SECS), self._news:
                await self._news.wait_for(lambda: self._closing or seen != self._version)

    async def _changed(self) -> None:
        async with self._news:
            self._version += 1
            self._news.notify_all()

    def _shown(self) -> list[tuple[str, str]]:
        """What stands in the channel, oldest first: (its identity, its HTML)."""
        shown = []
        for post in self.posts:
            if not post.thread_ts:
                thread = [p for p in self.posts if p.thread_ts == post.ts]
                shown.append((post.ts, _message_html(post, thread)))
            elif post.broadcast:
                root = next(p for p in self.posts if p.ts == post.thread_ts)
                shown.append((post.ts, _message_html(post, [], root)))
        return shown


def _message_html(post: Post, thread: list[Post], root: Post | None = None) -> str:
    body = (
        blocks_html(post.blocks)
        if post.blocks
        else f'<div class="told">{mrkdwn_html(post.text)}</div>'
    )
    above = ""
    if root is not None:
        above = f'<p class="from">replied to a thread: <b>{mrkdwn_html(root.text)}</b></p>'
    replies = "".join(f"<li>{mrkdwn_html(reply.text)}</li>" for reply in thread)
    count = f"{len(thread)} {'reply' if len(thread) == 1 else 'replies'}"
    below = (
        f'<section class="thread"><h3>{count}</h3><ul>{replies}</ul></section>' if thread else ""
    )
    return (
        f'<article id="m{post.ts}"><span class="avatar" aria-hidden="true"></span>'
        f'<div class="message"><p class="who"><b>aiopsd</b> <span class="app">APP</span> '
        f"{_when(post)}</p>{above}{body}{below}</div></article>"
    )


def _when(post: Post) -> str:
    at = mrkdwn_html(f"<!date^{post.ts.partition('.')[0]}^{{time}}|->")
    return at + (' <span class="edited">edited in place</span>' if post.edits else "")


async def _arguments(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        return dict(request.query)
    try:
        args = await request.json()
    except ValueError:
        raise SlackNo("invalid_json") from None
    if not isinstance(args, dict):
        raise SlackNo("invalid_json")
    return args


def _content(args: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    text, blocks = str(args.get("text") or ""), args.get("blocks") or []
    if not text and not blocks:
        raise SlackNo("no_text")
    if not isinstance(blocks, list) or not all(isinstance(one, dict) for one in blocks):
        raise SlackNo("invalid_blocks_format")
    return text, blocks


def _file(name: str) -> str:
    return (files("aiopsd.demo") / "static" / name).read_text(encoding="utf-8")
