"""Publishes incidents and runs to an MQTT broker, where edge gateways and dashboards listen.

``<topic>/incident/<id>`` and ``<topic>/run/<id>`` hold the newest state as JSON, retained, QoS 1;
the resolved incident and the closed run stay there, nothing is ever cleared. ``<topic>/status`` is
``online`` while the daemon is connected, else ``offline`` (by last will when it dies). Ids are
percent-encoded, so that no id makes a topic of its own.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from aiopsd.contracts import Notifier, NotifierContext
from aiopsd.errors import ConfigError, MissingExtra, Unreachable
from aiopsd.model import Event, Incident, Run
from aiopsd.notifiers.said import Said, as_json, digest
from aiopsd.settings import Duration, SecretFile, Settings

if TYPE_CHECKING:
    from aiomqtt import Client

ONLINE, OFFLINE = b"online", b"offline"
KEEPALIVE_SECS = 20
FIRST_WAIT_SECS, LONGEST_WAIT_SECS = 1.0, 30.0


class MqttSettings(Settings, frozen=True, kw_only=True, tag="mqtt"):
    """A broker, and the topic below which everything is published."""

    host: str
    port: int = 1883
    topic: str = "aiopsd"
    username: str = ""
    password_file: SecretFile | None = None
    tls: bool = False
    ca_file: str = ""  # relative to aiopsd.yaml; empty: the authorities of the system
    timeout: Duration = Duration(5)

    def __post_init__(self) -> None:
        if not self.host.strip() or not 0 < self.port < 65536:
            raise ValueError(f"`host: {self.host}`, `port: {self.port}` name no broker")
        if not re.fullmatch(r"[^+#$/\0][^+#\0]*", self.topic) or self.topic.endswith("/"):
            raise ValueError(f"`topic: {self.topic}` must be a plain topic, without + # or end /")
        if self.password_file and not self.username:
            raise ValueError("`password_file` needs a `username`")
        if self.ca_file and not self.tls:
            raise ValueError("`ca_file` needs `tls: true`")
        if not 0 < self.timeout <= 60:
            raise ValueError(f"`timeout: {self.timeout}` must be more than 0s and at most 60s")

    def extra(self) -> str:
        return "mqtt"

    def build(self, context: NotifierContext) -> Notifier:
        """Connects at once where an event loop runs, else with the first event."""
        notifier = Mqtt(self._connecting(context), self, context)
        with suppress(RuntimeError):
            notifier.start()
        return notifier

    def _connecting(self, context: NotifierContext) -> Callable[[], Client]:
        try:
            from aiomqtt import Client, Will
        except ModuleNotFoundError:
            raise MissingExtra("mqtt", "mqtt") from None
        password = self.password_file.read(context.base) if self.password_file else None
        tls = self._tls(context) if self.tls else None
        return lambda: Client(
            self.host,
            self.port,
            username=self.username or None,
            password=password,
            tls_context=tls,
            will=Will(f"{self.topic}/status", OFFLINE, qos=1, retain=True),
            timeout=float(self.timeout),
            keepalive=KEEPALIVE_SECS,
        )

    def _tls(self, context: NotifierContext) -> ssl.SSLContext:
        path = context.base / self.ca_file if self.ca_file else None
        try:
            return ssl.create_default_context(cafile=path)
        except OSError as error:
            raise ConfigError(f"ca_file {path}: {error}") from None


class Mqtt:
    """Keeps the promise of ``contracts.Notifier``, and one connection."""

    def __init__(
        self, connecting: Callable[[], Client], settings: MqttSettings, context: NotifierContext
    ) -> None:
        self._connecting = connecting
        self._topic = settings.topic
        self._where = f"{settings.host}:{settings.port}"
        self._timeout_secs = float(settings.timeout)
        self._name = context.name
        self._said = Said(context)
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._trouble = "not connected yet"
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Raises RuntimeError where no event loop runs."""
        loop = asyncio.get_running_loop()
        self._keeper = self._keeper or loop.create_task(self._keep(), name=f"mqtt {self._name}")

    async def notify(self, event: Event) -> None:
        if not isinstance(event, (Incident, Run)):
            return
        kind = "run" if isinstance(event, Run) else "incident"
        state = as_json(event)
        mark = digest(state)
        if mark == self._said.digest(event.id):
            return
        await self._publish(f"{kind}/{quote(event.id, safe='')}", state)
        await self._said.record(event.id, digest=mark)

    async def close(self) -> None:
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    async def _publish(self, below: str, payload: bytes) -> None:
        from aiomqtt import MqttError

        try:
            await self._retain(await self._connected(), below, payload)
        except MqttError as error:
            raise Unreachable(f"MQTT broker {self._where}: {error}") from None

    async def _retain(self, client: Client, below: str, payload: bytes) -> None:
        await client.publish(
            f"{self._topic}/{below}", payload, qos=1, retain=True, timeout=self._timeout_secs
        )

    async def _connected(self) -> Client:
        self.start()
        if self._keeper is not None and self._keeper.done():
            self._keeper.result()
        try:
            async with asyncio.timeout(self._timeout_secs):
                await self._up.wait()
        except TimeoutError:
            raise Unreachable(f"MQTT broker {self._where}: {self._trouble}") from None
        assert self._client is not None  # noqa: S101 - up says so
        return self._client

    async def _keep(self) -> None:
        """Connects again and again; the connection itself tells when it is lost."""
        from aiomqtt import MqttError

        wait_secs = FIRST_WAIT_SECS
        while not self._closed:
            try:
                async with self._connecting() as client:
                    wait_secs = FIRST_WAIT_SECS
                    await self._serve(client)
            except MqttError as error:
                self._trouble = str(error)
            if not self._closed:
                await asyncio.sleep(wait_secs * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            wait_secs = min(2 * wait_secs, LONGEST_WAIT_SECS)

    async def _serve(self, client: Client) -> None:
        """Until the connection is lost (MqttError) or the task is cancelled."""
        from aiomqtt import MqttError

        try:
            await self._retain(client, "status", ONLINE)
            self._client = client
            self._up.set()
            async for _ in client.messages:
                pass
        finally:
            self._client = None
            self._up.clear()
            with suppress(MqttError):  # whoever leaves in good order leaves no last will
                await self._retain(client, "status", OFFLINE)
