"""A Slack workspace in memory: channels, messages and files, and what the Web API does to them.

Source: docs.slack.dev/reference/methods, and errors quoted in public issues. Where Slack is lenient
and the message would be lost (a thread that isn't there), the workspace is strict.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .blocks import MAX_TOTAL_CHARS, problems, total_chars
from .slack_objects import (
    BOT_USER,
    Args,
    Blocks,
    Channel,
    File,
    Message,
    RateLimited,
    SlackRefusal,
)

POST_TEXT_CHARS = 40_000
UPDATE_TEXT_CHARS = 4000
HISTORY_PAGE = 100


class Workspace:
    """State, and one method per API method: arguments in, answer out, or SlackRefusal.

    `clock` gives the time in seconds, for the `ts` of messages and for the rate limit.
    """

    def __init__(
        self, channels: Mapping[str, str], limit_rate: bool, clock: Callable[[], float]
    ) -> None:
        self.channels = {name: Channel(id_, name) for name, id_ in channels.items()}
        self.messages: list[Message] = []
        self.ephemerals: list[Args] = []
        self.files: dict[str, File] = {}
        self._limit_rate = limit_rate
        self._clock = clock
        self._last_us = 0
        self._last_post_secs: dict[str, float] = {}
        self.methods: dict[str, Callable[[Args], Args]] = {
            "chat.postMessage": self.post,
            "chat.update": self.update,
            "chat.postEphemeral": self.post_ephemeral,
            "conversations.history": self.history,
            "conversations.replies": self.replies,
            "conversations.list": self.list_channels,
            "files.getUploadURLExternal": self.announce_upload,
            "files.completeUploadExternal": self.complete_upload,
        }

    # Messages

    def post(self, args: Args) -> Args:
        channel = self._writable(self.channel(given(args, "channel")))
        text, blocks = self.content(args)
        thread_ts, metadata = self._thread_ts(channel, args), _metadata(args)
        self._check_rate(channel)
        message = Message(channel.id, self.new_ts(), text[:POST_TEXT_CHARS], blocks=blocks)
        message.thread_ts, message.metadata = thread_ts, metadata
        message.broadcast = _flag(args, "reply_broadcast")
        self.messages.append(message)
        return {"channel": channel.id, "ts": message.ts, "message": message.shown()}

    def update(self, args: Args) -> Args:
        """A text without blocks takes the old blocks away; metadata stays until replaced."""
        channel = self._writable(self._by_id(given(args, "channel")))
        message = self._message(channel, given(args, "ts"))
        if message.user != BOT_USER:
            raise SlackRefusal("cant_update_message")
        text, blocks = self.content(args)
        if len(text) > UPDATE_TEXT_CHARS:
            raise SlackRefusal("msg_too_long")
        metadata = _metadata(args) or message.metadata
        message.text, message.blocks, message.metadata = text, blocks, metadata
        message.edits += 1
        told = message.shown()
        return {"channel": message.channel, "ts": message.ts, "text": text, "message": told}

    def post_ephemeral(self, args: Args) -> Args:
        self._writable(self.channel(given(args, "channel")))
        given(args, "user")
        self.content(args)
        self.ephemerals.append(args)
        return {"message_ts": self.new_ts()}

    def history(self, args: Args) -> Args:
        """The roots and broadcast replies of a channel, newest first, in pages."""
        channel = self._by_id(given(args, "channel"))
        found = [
            message
            for message in reversed(self.messages)
            if message.channel == channel.id
            and (message.thread_ts is None or message.broadcast)
            and _in_range(message.ts, args)
        ]
        return _paged(found, args)

    def replies(self, args: Args) -> Args:
        """A root and its thread, oldest first, in pages."""
        channel, ts = self._by_id(given(args, "channel")), given(args, "ts")
        found = [
            message
            for message in self.messages
            if message.channel == channel.id
            and ts in (message.ts, message.thread_ts)
            and _in_range(message.ts, {**args, "cursor": ""})  # newer ones follow, here
            and message.ts > str(args.get("cursor") or "")
        ]
        if not found and not any(message.ts == ts for message in self.messages):
            raise SlackRefusal("thread_not_found")
        return _paged(found, args)

    def list_channels(self, _args: Args) -> Args:
        channels = [
            {"id": c.id, "name": c.name, "is_member": c.member, "is_archived": c.archived}
            for c in self.channels.values()
        ]
        return {"channels": channels, "response_metadata": {"next_cursor": ""}}

    def content(self, args: Args) -> tuple[str, Blocks]:
        """Text and blocks of a message, if Slack would show them."""
        text, blocks = str(args.get("text") or ""), _decoded(args, "blocks", [])
        if not isinstance(blocks, list):
            raise SlackRefusal("invalid_blocks_format")
        if not text and not blocks:
            raise SlackRefusal("no_text")
        complete = {file.id for file in self.files.values() if file.complete}
        errors = problems(blocks, complete) if blocks else []
        if errors:
            told = {"messages": [f"[ERROR] {error}" for error in errors]}
            raise SlackRefusal("invalid_blocks", errors=errors, response_metadata=told)
        if total_chars(blocks) > MAX_TOTAL_CHARS:
            raise SlackRefusal("msg_blocks_too_long")
        return text, blocks

    def new_ts(self) -> str:
        """The time as Slack's name for a message: unique, growing, a string."""
        self._last_us = max(self._last_us + 1, int(self._clock() * 1e6))
        return f"{self._last_us // 10**6}.{self._last_us % 10**6:06}"

    # Files

    def announce_upload(self, args: Args) -> Args:
        file = File(
            f"F{len(self.files) + 1:04}", given(args, "filename"), int(given(args, "length"))
        )
        self.files[file.id] = file
        return {"file_id": file.id}

    def complete_upload(self, args: Args) -> Args:
        """Without a channel the files are there to be shown by blocks; with one they are posted."""
        wanted = _decoded(args, "files", [])
        files = [self.files.get(one["id"]) for one in wanted]
        if not files or any(file is None or file.content is None for file in files):
            raise SlackRefusal("file_not_found")
        if args.get("channel_id"):
            channel = self._writable(self._by_id(args["channel_id"]))
            text, thread_ts = str(args.get("initial_comment") or ""), self._thread_ts(channel, args)
            post = Message(channel.id, self.new_ts(), text, thread_ts=thread_ts)
            post.files = [one["id"] for one in wanted]
            self.messages.append(post)
        for file in files:
            if file is not None:
                file.complete = True
        return {"files": [{"id": one["id"], "title": one.get("title", "")} for one in wanted]}

    # Look-ups that refuse

    def channel(self, name_or_id: str) -> Channel:
        name = name_or_id.removeprefix("#")
        return self.channels.get(name) or self._by_id(name_or_id)

    def _by_id(self, channel_id: str) -> Channel:
        """Every method but the posting ones wants the id, not the name."""
        for channel in self.channels.values():
            if channel.id == channel_id:
                return channel
        raise SlackRefusal("channel_not_found")

    def _writable(self, channel: Channel) -> Channel:
        if channel.archived:
            raise SlackRefusal("is_archived")
        if not channel.member:
            raise SlackRefusal("not_in_channel")
        return channel

    def _message(self, channel: Channel, ts: str) -> Message:
        for message in self.messages:
            if (message.channel, message.ts) == (channel.id, ts):
                return message
        raise SlackRefusal("message_not_found")

    def _thread_ts(self, channel: Channel, args: Args) -> str | None:
        """A thread hangs on a root: Slack swallows replies to replies and to nothing."""
        ts: str | None = args.get("thread_ts") or None
        roots = {m.ts for m in self.messages if m.channel == channel.id and m.thread_ts is None}
        if ts is not None and ts not in roots:
            raise SlackRefusal("thread_not_found")
        return ts

    def _check_rate(self, channel: Channel) -> None:
        """One message a second and channel."""
        now = self._clock()
        if self._limit_rate and now - self._last_post_secs.get(channel.id, 0.0) < 1:
            raise RateLimited
        self._last_post_secs[channel.id] = now


def given(args: Args, name: str) -> str:
    """An argument that must be there."""
    if args.get(name) in (None, ""):
        missing = {"messages": [f"[ERROR] missing required field: {name}"]}
        raise SlackRefusal("invalid_arguments", response_metadata=missing)
    return str(args[name])


def _decoded(args: Args, name: str, default: Any) -> Any:
    """A structure: as such in a JSON request, as JSON text in a form."""
    value = args.get(name) or default
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise SlackRefusal(f"invalid_{name}_format") from error


def _metadata(args: Args) -> Args | None:
    metadata = _decoded(args, "metadata", None)
    if metadata is None:
        return None
    fits = isinstance(metadata, dict) and isinstance(metadata.get("event_payload"), dict)
    if not fits or not metadata.get("event_type"):
        raise SlackRefusal("invalid_metadata_format")
    return dict(metadata)


def _flag(args: Args, name: str) -> bool:
    return str(args.get(name, "")).lower() in ("1", "true")


def _paged(found: Sequence[Message], args: Args) -> Args:
    limit = int(args.get("limit") or HISTORY_PAGE)
    page, rest = found[:limit], found[limit:]
    metadata = _flag(args, "include_all_metadata")
    return {
        "messages": [message.shown(metadata) for message in page],
        "has_more": bool(rest),
        "response_metadata": {"next_cursor": page[-1].ts if rest else ""},
    }


def _in_range(ts: str, args: Args) -> bool:
    at = float(ts)
    oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or "inf")
    cursor = float(args.get("cursor") or "inf")
    inclusive = _flag(args, "inclusive") and at in (oldest, latest)
    return (oldest < at < latest or inclusive) and at < cursor
