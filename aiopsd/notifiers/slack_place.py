"""Where one incident is shown: a message that is edited, and a thread that grows.

What must survive a crash is in the journal before it is in Slack: the delivery is ``sending``
before the first post and ``sent`` after it. Whoever finds ``sending`` looks in the channel for a
message with the incident's id in its metadata before posting, so that no crash makes two.

Lines of the thread go the other way round: a hole in the story is worse than a line told twice, so
the post comes first; in doubt, the metadata of the thread's messages says what was told already.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from aiopsd.contracts import NotifierContext
from aiopsd.model import Delivery
from aiopsd.notifiers.said import Said
from aiopsd.notifiers.slack_api import NotDone, SlackApi, SlackSaysNo
from aiopsd.notifiers.slack_message import Message
from aiopsd.notifiers.slack_text import clock, said
from aiopsd.notifiers.story import Line

log = logging.getLogger(__name__)
T = TypeVar("T")

ROOT, STORY = "aiopsd_incident", "aiopsd_story"  # event types of our metadata
TOO_MUCH = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"}
GONE = {"cant_update_message", "edit_window_closed", "message_not_found"}
PLAIN = {"parse": "none"}  # no links or mentions made of bare words; an edit would make them
QUIET = {"unfurl_links": False, "unfurl_media": False, **PLAIN}
MARKS = 400  # told lines that the delivery remembers; an incident keeps 200 moments
LOOK_BACK_SECS = 3600.0  # their clock and ours differ
POST_CHARS, LINE_CHARS = 3000, 600


class Place:
    """One incident in one channel. Calls must not overlap."""

    def __init__(
        self, api: SlackApi, said: Said, channel: str, incident: str, context: NotifierContext
    ) -> None:
        self._api = api
        self._said = said
        self._channel = channel
        self._incident = incident
        self._clock = context.clock
        self._count = context.count
        self._sure = self._delivery is None  # Slack holds nothing that the journal does not know
        self._changed_at = -60.0  # loop time of the last post or edit

    @property
    def _delivery(self) -> Delivery | None:
        return self._said.about(self._incident)

    @property
    def _ref(self) -> dict[str, str]:
        return self._delivery.ref if self._delivery else {}

    @property
    def is_there(self) -> bool:
        """People have seen a message of it."""
        return bool(self._ref.get("ts"))

    @property
    def runs(self) -> list[str]:
        """The runs that the message speaks of."""
        return self._ref.get("runs", "").split()

    def shows(self, message: Message) -> bool:
        return self._said.digest(self._incident) == message.digest

    def rest_secs(self, every_secs: float) -> float:
        """Until it may be changed again."""
        return max(0.0, self._changed_at + every_secs - asyncio.get_running_loop().time())

    async def show(self, message: Message, runs: Iterable[str]) -> None:
        """Posts the message, or edits the one that is there."""
        if self._delivery is None:
            await self._note("sending", after=f"{self._clock() - LOOK_BACK_SECS:.6f}")
        if not self._ref.get("ts") and not self._sure:
            await self._find()
        if not (self._ref.get("ts") and await self._edit(message)):
            await self._post(message)
        self._changed_at = asyncio.get_running_loop().time()
        await self._note(digest=message.digest, runs=" ".join(runs))

    async def _edit(self, message: Message) -> bool:
        """False: the message is gone, or not ours to edit, and a new one must take its place."""
        channel, ts = self._ref["channel"], self._ref["ts"]
        metadata = {"event_type": ROOT, "event_payload": {"id": self._incident}}
        try:
            await self._sized(
                message, partial(self._api.update, channel, ts, metadata=metadata, **PLAIN)
            )
        except SlackSaysNo as no:
            if no.code not in GONE:
                raise
            log.info("message is gone incident=%s ts=%s code=%s", self._incident, ts, no.code)
            await self._note("sending", ts="", after=ts)
            return False
        self._count("slack_edits", 1)
        return True

    async def _post(self, message: Message) -> None:
        metadata = {"event_type": ROOT, "event_payload": {"id": self._incident}}
        post = partial(self._api.post, self._channel, metadata=metadata, **QUIET)
        channel, ts = await self._once(self._sized(message, post))
        await self._note(channel=channel, ts=ts)
        self._sure = True
        self._count("slack_posts", 1)

    async def _sized(self, message: Message, send: Callable[..., Awaitable[T]]) -> T:
        """Should Slack find the blocks too much after all, the text goes alone."""
        try:
            return await send(text=message.text, blocks=message.blocks)
        except SlackSaysNo as no:
            if no.code not in TOO_MUCH:
                raise
            log.warning("text only incident=%s: %s", self._incident, no)
            self._count("slack_text_only", 1)
            return await send(text=message.alone)

    async def _once(self, call: Awaitable[T]) -> T:
        """A call that must not be made twice: until it answers, nobody knows if it was done."""
        sure, self._sure = self._sure, False
        try:
            return await call
        except (NotDone, SlackSaysNo):
            self._sure = sure
            raise

    async def _find(self) -> None:
        """Looks for a message of ours whose post may have arrived without our knowing."""
        try:
            channel = await self._channel_id()
            if channel is None:
                return
            async for one in self._api.history(channel, self._ref.get("after", "0")):
                if _payload(one, ROOT).get("id") == self._incident:
                    await self._note(channel=channel, ts=str(one.get("ts") or ""))
                    return
        except SlackSaysNo as no:
            log.warning("cannot look for an earlier message, so it may be doubled: %s", no)

    async def _channel_id(self) -> str | None:
        if re.fullmatch(r"[CDG][A-Z0-9]{3,}", self._channel):
            return self._channel
        return await self._api.channel_id(self._channel)

    async def tell(self, lines: Sequence[Line], cry: str) -> None:
        """Every line that the thread does not have yet.

        The last of them is shown in the channel too if they ``cry`` for help, once for each cry.
        """
        told = self._ref.get("told", "").split()
        left = [line for line in lines if line.mark not in told]
        if left and not self._sure:
            found = await self._told_in_thread()
            left = [line for line in left if line.mark not in found]
            await self._heard(sorted(found - set(told)))
        for post in _posts(left):
            aloud = bool(cry) and cry != self._ref.get("cried") and post[-1] is left[-1]
            await self._once(self._reply(post, aloud))
            await self._heard([line.mark for line in post], cry if aloud else "")
            self._count("slack_replies", 1)

    async def _reply(self, lines: Sequence[Line], aloud: bool) -> None:
        told = " ".join(line.mark for line in lines)
        await self._api.post(
            self._ref["channel"],
            thread_ts=self._ref["ts"],
            text="\n".join(map(_said, lines)),
            metadata={"event_type": STORY, "event_payload": {"id": self._incident, "told": told}},
            **QUIET,
            **({"reply_broadcast": True} if aloud else {}),
        )

    async def _told_in_thread(self) -> set[str]:
        found: set[str] = set()
        try:
            async for one in self._api.replies(self._ref["channel"], self._ref["ts"]):
                payload = _payload(one, STORY)
                if payload.get("id") == self._incident:
                    found.update(str(payload.get("told", "")).split())
        except SlackSaysNo as no:
            log.warning("cannot read the thread, so a line may be doubled: %s", no)
        return found

    async def _heard(self, marks: Sequence[str], cry: str = "") -> None:
        told = [*self._ref.get("told", "").split(), *marks][-MARKS:]
        await self._note(told=" ".join(told), cried=cry or self._ref.get("cried", ""))
        self._sure = True

    async def _note(
        self,
        state: Literal["sending", "sent"] = "sent",
        *,
        digest: str | None = None,
        **ref: str,
    ) -> None:
        """Journals what is new about the delivery; an empty entry of ``ref`` is taken out."""
        if digest is None:
            digest = self._said.digest(self._incident) if state == "sent" else ""
        known = {key: value for key, value in {**self._ref, **ref}.items() if value}
        told = len(known.get("told", "").split())
        await self._said.record(self._incident, state, digest=digest, ref=known, told=told)


def _payload(message: dict[str, Any], event_type: str) -> dict[str, Any]:
    """What our metadata on a message says; empty where there is none of this type."""
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != event_type:
        return {}
    payload = metadata.get("event_payload")
    return payload if isinstance(payload, dict) else {}


def _said(line: Line) -> str:
    what, text = said(line.what.replace("_", " "), 40), said(line.text, LINE_CHARS)
    return f"{clock(line.time_s, secs=True)}  *{what}*  {text}"


def _posts(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """What came together is told together, as far as one message holds it."""
    post: list[Line] = []
    size = 0
    for line in lines:
        length = len(_said(line)) + 1
        if post and size + length > POST_CHARS:
            yield post
            post, size = [], 0
        post.append(line)
        size += length
    if post:
        yield post
