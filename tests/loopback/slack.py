"""Slack as an app sees it: the Web API methods that an alert needs, file uploads, a webhook.

The Web API refuses with HTTP 200 and `"ok": false`, and says 429 only when it is asked too often;
the webhook refuses with 4xx and one word of plain text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from .server import Call, LoopbackServer, Route, json_response
from .slack_objects import BOT_USER, Args, File, Message, RateLimited, SlackRefusal
from .slack_workspace import Workspace

TOKEN = "xoxb-loopback"


class LoopbackSlack(LoopbackServer):
    """Slack on a free port; give `api_url` to a client as its base URL.

    `channels` maps names to ids. With `limit_rate` a channel takes one message a second. `clock`
    gives the time in seconds, for the `ts` of messages and for that limit. Tests look at
    `workspace`, and change it: `slack.workspace.channels["ops"].archived = True`.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        channels: Mapping[str, str] | None = None,
        limit_rate: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.token = token
        self.workspace = Workspace(channels or {"ops": "C0OPS"}, limit_rate, clock)
        self.log: list[tuple[str, Args]] = []
        self.hooked: list[Args] = []

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def hook_url(self) -> str:
        return f"{self.url}/hook"

    # What a test looks at

    def roots(self, channel: str) -> list[Message]:
        """The messages of a channel (name or id) that are no replies, oldest first."""
        channel_id = self.workspace.channel(channel).id
        messages = self.workspace.messages
        return [m for m in messages if m.channel == channel_id and m.thread_ts is None]

    def thread(self, ts: str) -> list[Message]:
        """The replies to a message, oldest first."""
        return [message for message in self.workspace.messages if message.thread_ts == ts]

    def args_of(self, method: str) -> list[Args]:
        """The arguments of each authenticated call of a method, refused or not, oldest first."""
        return [args for name, args in self.log if name == method]

    # What a test brings about

    def say(self, channel: str, text: str, user: str = "U0HUMAN") -> str:
        """Somebody else writes; returns the message's ts."""
        ts = self.workspace.new_ts()
        self.workspace.messages.append(
            Message(self.workspace.channel(channel).id, ts, text, user=user)
        )
        return ts

    def delete(self, ts: str) -> None:
        """Somebody deletes a message."""
        kept = [message for message in self.workspace.messages if message.ts != ts]
        self.workspace.messages = kept

    def add_file(self, file_id: str) -> None:
        """A file that was uploaded some time ago."""
        self.workspace.files[file_id] = File(file_id, f"{file_id}.png", 0, b"", complete=True)

    def refuse_next(self, error: str, times: int = 1, *, on: str = "") -> None:
        """Answer HTTP 200 with this error code instead of doing any work."""
        body = json.dumps({"ok": False, "error": error})
        self.fail_next(200, body, {"Content-Type": "application/json"}, times, on=on)

    def limit_next(self, retry_after_secs: int, times: int = 1, *, on: str = "") -> None:
        """Answer 429 with a Retry-After instead of doing any work."""
        headers = {"Content-Type": "application/json", "Retry-After": str(retry_after_secs)}
        self.fail_next(429, json.dumps(RateLimited().answer), headers, times, on=on)

    # Service

    def routes(self) -> Sequence[Route]:
        return [
            ("GET|POST", "/api/(?P<method>.+)", self._api),
            ("POST", "/upload/(?P<file_id>.+)", self._upload),
            ("POST", "/hook", self._hook),
        ]

    def _api(self, call: Call, method: str) -> web.Response:
        try:
            args = _args(call)
            self._authenticate(call, args)
            self.log.append((method, args))
            return json_response({"ok": True, **self._do(method, args)})
        except RateLimited as refusal:
            limited = json_response(refusal.answer, status=429)
            limited.headers["Retry-After"] = "1"
            return limited
        except SlackRefusal as refusal:
            return json_response(refusal.answer)

    def _authenticate(self, call: Call, args: Args) -> None:
        header = call.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") or args.get("token")
        if not token:
            raise SlackRefusal("not_authed")
        if token != self.token:
            raise SlackRefusal("invalid_auth")

    def _do(self, method: str, args: Args) -> Args:
        if method == "auth.test":
            who = {"user": "aiopsd", "user_id": BOT_USER, "bot_id": "B0BOT"}
            return {"url": f"{self.url}/", "team": "Loopback", "team_id": "T0LOOP", **who}
        if method not in self.workspace.methods:
            raise SlackRefusal("unknown_method", req_method=method)
        answer = self.workspace.methods[method](args)
        if method == "files.getUploadURLExternal":
            answer["upload_url"] = f"{self.url}/upload/{answer['file_id']}"
        return answer

    def _upload(self, call: Call, file_id: str) -> web.Response:
        file = self.workspace.files.get(file_id)
        if file is None:
            return web.Response(status=404, text="not found")
        if len(call.body) != file.length:
            return web.Response(status=400, text=f"{file.length} bytes were announced")
        file.content = call.body
        return web.Response(text=f"OK - {file.length}")

    def _hook(self, call: Call) -> web.Response:
        """An incoming webhook: no token, no ts in the answer, so nothing to edit later."""
        try:
            payload = call.json()
            self.workspace.content(payload)
        except (ValueError, AttributeError):
            return web.Response(status=400, text="invalid_payload")
        except SlackRefusal as refusal:
            return web.Response(status=400, text=str(refusal))
        self.hooked.append(payload)
        return web.Response(text="ok")


def _args(call: Call) -> Args:
    """Arguments from the query string, a form and a JSON body together."""
    args: Args = dict(call.params)
    if "json" in call.headers.get("Content-Type", ""):
        try:
            args.update(call.json())
        except ValueError as error:
            raise SlackRefusal("invalid_json") from error
    return args
