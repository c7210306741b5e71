"""Listens to an MQTT broker: topics become series.

QoS 1 and a persistent session under a stable client id: what is published while we are away for
a while waits at the broker. A message is acknowledged when it is taken, not when it arrives; what
comes faster than we take it is left unacknowledged, and the broker sends it again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from aiopsd.contracts import SourceContext
from aiopsd.errors import MissingExtra
from aiopsd.model import Batch, Position, Reading
from aiopsd.settings import SecretFile, Settings
from aiopsd.sources.fetch import trust
from aiopsd.sources.mqtt_topic import Numbers, Pattern, metric_name, numbers

if TYPE_CHECKING:
    from aiomqtt import Client, Message

log = logging.getLogger(__name__)

_KEEPALIVE_SECS = 20
_TIMEOUT_SECS = 10.0
_FIRST_WAIT_SECS, _LONGEST_WAIT_SECS = 1.0, 30.0
_GATHER_SECS, _GATHER_MESSAGES = 0.2, 1000
_MAX_WAITING = 2000
_MAX_TOPICS = 10_000
_OLDEST_S, _AHEAD_SECS = 1e9, 600.0  # devices without a clock say 1970


class TopicSettings(Settings, frozen=True, kw_only=True):
    """``plant/+/{line}/{metric}``: segments in braces become labels, ``{metric}`` the name."""

    topic: str
    name: str = ""  # else {metric}, else the topic's last plain segment
    labels: dict[str, str] = {}

    def __post_init__(self) -> None:
        Pattern(self.topic, self.name, self.labels)


class MqttSettings(Settings, frozen=True, kw_only=True, tag="mqtt"):
    """A broker, and what to listen to there."""

    host: str
    port: int = 1883
    topics: tuple[TopicSettings, ...]
    username: str = ""
    password_file: SecretFile | None = None
    tls: bool = False
    ca_file: str = ""  # relative to aiopsd.yaml; empty: the authorities of the system
    client_id: str = ""  # else of this source's name and the host's; no two may share one

    def __post_init__(self) -> None:
        if not self.host.strip() or not 0 < self.port < 65536:
            raise ValueError(f"`host: {self.host}`, `port: {self.port}` name no broker")
        if not self.topics:
            raise ValueError("`topics` needs at least one topic")
        if self.password_file and not self.username:
            raise ValueError("`password_file` needs a `username`")
        if self.ca_file and not self.tls:
            raise ValueError("`ca_file` needs `tls: true`")

    def extra(self) -> str:
        return "mqtt"

    def build(self, context: SourceContext) -> MqttSource:
        try:
            import aiomqtt
        except ModuleNotFoundError:
            raise MissingExtra("mqtt", "mqtt") from None
        password = self.password_file.read(context.base) if self.password_file else None
        tls = None
        if self.tls:
            tls = trust(self.ca_file, context.base) or ssl.create_default_context()

        def connecting(inbox: Inbox) -> Client:
            return aiomqtt.Client(
                self.host,
                self.port,
                username=self.username or None,
                password=password,
                tls_context=tls,
                identifier=self.client_id or f"aiopsd-{context.name}-{socket.gethostname()}",
                clean_session=False,
                timeout=_TIMEOUT_SECS,
                keepalive=_KEEPALIVE_SECS,
                queue_type=cast("Any", lambda **_: inbox),
            )

        return MqttSource(self, context, connecting)


class Inbox(asyncio.Queue["Message"]):
    """What arrived and waits to be taken. Once full it closes: order is kept for what comes again.

    Not every broker keeps to its own limit of unacknowledged messages (mosquitto 2.0.11 doesn't).
    """

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__(_MAX_WAITING)
        self.overflown = False
        self._lost = lost

    def put_nowait(self, item: Message) -> None:
        self.overflown = self.overflown or self.full()
        if not self.overflown:
            super().put_nowait(item)
        elif item.qos == 0:  # nobody will send it again
            self._lost()


class MqttSource:
    """Position: the topics that the broker's session holds for us; it keeps our place itself."""

    def __init__(
        self, settings: MqttSettings, context: SourceContext, connecting: Callable[[Inbox], Client]
    ) -> None:
        self._where = f"{settings.host}:{settings.port}"
        self._context = context
        self._connecting = connecting
        self._patterns = [Pattern(one.topic, one.name, one.labels) for one in settings.topics]
        self._filters = list(dict.fromkeys(pattern.filter for pattern in self._patterns))
        self._newest: dict[bytes, bytes] = {}  # digest of the last payload, by that of the topic
        self._told_wrong = False
        self._failures = 0

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        from aiomqtt import MqttError

        past = set((resume or {}).get("topics", ())) - set(self._filters)
        gathering = Gathering()
        while True:
            listening, inbox = False, Inbox(lambda: self._context.count("dropped_messages", 1))
            try:
                async with _connected(self._connecting(inbox)) as client:
                    await self._subscribe(client, sorted(past))
                    listening = True
                    async for messages in _gathered(client, inbox, self._context.clock):
                        for message, arrived_s in messages:
                            self._take(message, arrived_s, gathering)
                        if batches := gathering.batches():
                            yield Reading(batches, {"topics": self._filters})
            except MqttError as error:
                # once connected, the library's words are of no help to anyone
                reason = "the connection was lost" if listening else str(error)
                self._context.health.gone(self._context.name, f"broker {self._where}: {reason}")
                await asyncio.sleep(self._wait_secs())
            else:
                self._context.count("overflows", 1)

    def _wait_secs(self) -> float:
        wait_secs = min(_LONGEST_WAIT_SECS, _FIRST_WAIT_SECS * 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        return wait_secs * (0.5 + random.random() / 2)  # noqa: S311 - jitter

    async def _subscribe(self, client: Client, past: list[str]) -> None:
        """Anew each time: a broker may have lost the session. It repeats what it retains."""
        from aiomqtt import MqttError

        if past:
            await client.unsubscribe(past)
        granted = await client.subscribe([(one, 1) for one in self._filters])
        for one, reason in zip(self._filters, granted, strict=True):
            if getattr(reason, "is_failure", False):
                raise MqttError(f"it refuses the topic {one}")
        self._failures = 0
        self._context.health.back(self._context.name)

    def _take(self, message: Message, arrived_s: float, gathering: Gathering) -> None:
        topic, payload = str(message.topic), bytes(message.payload)
        found = next(filter(None, (pattern.read(topic) for pattern in self._patterns)), None)
        if found is None or (self._known(topic, payload) and message.retain):
            return
        try:
            said = numbers(payload)
        except ValueError as error:
            self._wrong(topic, str(error))
            return
        name, labels = found
        time_s = self._time_s(said, arrived_s)
        for ending, value in said.values.items():
            series = {**labels, "__name__": metric_name(name, ending)}
            index = self._context.table.intern("", series)
            if index >= 0:
                gathering.add(index, value, time_s, arrived_s, message.retain)

    def _known(self, topic: str, payload: bytes) -> bool:
        """Whether this was the last on its topic. What is retained comes with each subscription."""
        digest = blake2b(payload, digest_size=8).digest()
        name = blake2b(topic.encode(), digest_size=16).digest()
        known = self._newest.pop(name, None) == digest
        self._newest[name] = digest
        if len(self._newest) > _MAX_TOPICS:
            del self._newest[next(iter(self._newest))]
        return known

    def _time_s(self, said: Numbers, arrived_s: float) -> float | None:
        if said.time_s is None or _OLDEST_S <= said.time_s <= arrived_s + _AHEAD_SECS:
            return said.time_s
        self._context.count("wrong_times", 1)
        return None

    def _wrong(self, topic: str, reason: str) -> None:
        self._context.count("wrong_payloads", 1)
        if not self._told_wrong:
            log.warning(
                "wrong payload part=%s topic=%s reason=%s", self._context.name, topic, reason
            )
        self._told_wrong = True

    async def commit(self, position: Position) -> None:
        """Nothing to do: messages are acknowledged when they are taken."""


class Gathering:
    """Samples that came together, as few batches, each with no series twice."""

    def __init__(self) -> None:
        self._said: dict[tuple[float, bool], dict[int, float]] = {}
        self._open: dict[bool, dict[int, float]] = {}  # without a time of their own
        self._last_s = -np.inf

    def add(
        self, series: int, value: float, time_s: float | None, arrived_s: float, history: bool
    ) -> None:
        if time_s is not None:
            self._said.setdefault((time_s, history), {})[series] = value
            return
        together = self._open.get(history)
        if together is None or series in together:
            self._last_s = max(arrived_s, self._last_s + 1e-6)
            together = self._said.setdefault((self._last_s, history), {})
            self._open[history] = together
        together[series] = value

    def batches(self) -> tuple[Batch, ...]:
        """By time; begins anew."""
        said, self._said, self._open = self._said, {}, {}
        return tuple(
            Batch(
                "",
                time_s,
                np.fromiter(values, np.int32, len(values)),
                np.fromiter(values.values(), np.float64, len(values)),
                history,
            )
            for (time_s, history), values in sorted(said.items(), key=lambda item: item[0])
        )


@asynccontextmanager
async def _connected(client: Client) -> AsyncIterator[Client]:
    """aiomqtt's own context would replace a GeneratorExit by the error of a broken farewell."""
    from aiomqtt import MqttError

    await client.__aenter__()
    try:
        # aiomqtt acknowledges on arrival, and offers no other way
        client._client.manual_ack_set(True)
        yield client
    finally:
        with suppress(MqttError):
            await client.__aexit__(None, None, None)


async def _gathered(
    client: Client, inbox: Inbox, clock: Callable[[], float]
) -> AsyncIterator[list[tuple[Message, float]]]:
    """What comes within a moment of the first, with its time of arrival.

    Ends when the inbox closed: it takes a new connection to be sent the rest. Raises MqttError.
    """
    loop, messages = asyncio.get_running_loop(), client.messages
    coming = asyncio.ensure_future(anext(messages))
    try:
        while not (inbox.overflown and inbox.empty() and not coming.done()):
            await asyncio.wait({coming})
            together, until = list[tuple["Message", float]](), loop.time() + _GATHER_SECS
            while len(together) < _GATHER_MESSAGES:
                if not coming.done():
                    await asyncio.wait({coming}, timeout=max(0.0, until - loop.time()))
                if not coming.done() or coming.exception():
                    break
                message = coming.result()
                client._client.ack(message.mid, message.qos)
                together.append((message, clock()))
                coming = asyncio.ensure_future(anext(messages))
            if together:
                yield together
            elif coming.done():
                coming.result()
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
