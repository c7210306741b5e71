"""What a Slack workspace consists of, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

BOT_USER = "U0BOT"

Args: TypeAlias = dict[str, Any]
Blocks: TypeAlias = list[dict[str, Any]]


class SlackRefusal(Exception):
    """An error code, and what else Slack says about it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **more}


class RateLimited(SlackRefusal):
    def __init__(self) -> None:
        super().__init__("ratelimited")


@dataclass
class Channel:
    """The app may post while it is a member and nobody has archived the channel."""

    id: str
    name: str
    member: bool = True
    archived: bool = False


@dataclass
class Message:
    """A message as it stands now; `edits` counts its updates."""

    channel: str
    ts: str
    text: str
    user: str = BOT_USER
    blocks: Blocks = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: Args | None = None
    files: list[str] = field(default_factory=list)
    edits: int = 0

    def shown(self, metadata: bool = True) -> Args:
        """The message as the API tells it."""
        told: Args = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text}
        if self.user == BOT_USER:
            told["bot_id"] = "B0BOT"
        if self.blocks:
            told["blocks"] = self.blocks
        if self.thread_ts:
            told["thread_ts"] = self.thread_ts
        if self.files:
            told["files"] = [{"id": file_id} for file_id in self.files]
        if metadata and self.metadata:
            told["metadata"] = self.metadata
        return told


@dataclass
class File:
    """An upload: announced, then filled, then completed."""

    id: str
    filename: str
    length: int
    content: bytes | None = None
    complete: bool = False
