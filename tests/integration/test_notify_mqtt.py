"""The MQTT notifier against a real mosquitto."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest
from msgspec.structs import replace

from aiopsd.contracts import Notifier
from aiopsd.errors import ConfigError, Unreachable
from aiopsd.model import Event, Gap, Incident, Run
from aiopsd.notifiers.mqtt import MqttSettings
from aiopsd.settings import Duration, SecretFile
from tests.unit.notifiers import stories
from tests.unit.notifiers.house import House

pytestmark = pytest.mark.mosquitto
PATIENCE_SECS = 60.0


class Mosquitto:
    """One broker on one port; it forgets everything when it stops."""

    def __init__(self, folder: Path, *config: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._file = folder / "mosquitto.conf"
        anonymous = () if "allow_anonymous false" in config else ("allow_anonymous true",)
        lines = (f"listener {self.port} 127.0.0.1", *anonymous, *config)
        self._file.write_text("\n".join(lines) + "\n")
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = shutil.which("mosquitto") or "mosquitto"
        self.process = await asyncio.create_subprocess_exec(
            program, "-c", str(self._file), stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(PATIENCE_SECS):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                return

    async def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


class Listener:
    """All that is published, as (topic, payload, was it retained before we came)."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._news = asyncio.Condition()

    async def listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            self.heard.append((str(message.topic), payload, message.retain))
            async with self._news:
                self._news.notify_all()

    def on(self, topic: str) -> list[bytes]:
        return [payload for one, payload, _ in self.heard if one == topic]

    async def until(self, topic: str, *payloads: bytes | None) -> None:
        """The newest on this topic, in this order; None is any."""

        def there() -> bool:
            found = self.on(topic)[-len(payloads) :]
            return len(found) == len(payloads) and all(
                want in (None, got) for want, got in zip(payloads, found, strict=True)
            )

        async with asyncio.timeout(PATIENCE_SECS), self._news:
            await self._news.wait_for(there)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def listener(broker: Mosquitto) -> AsyncIterator[Listener]:
    async with listening(broker) as heard:
        yield heard


class listening:  # noqa: N801 - reads as a verb: async with listening(broker)
    """A client that has subscribed to everything."""

    def __init__(self, broker: Mosquitto) -> None:
        self._client = aiomqtt.Client("127.0.0.1", broker.port)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Listener:
        await self._client.__aenter__()
        await self._client.subscribe("#", qos=1)
        heard = Listener()
        self._task = asyncio.create_task(heard.listen(self._client))
        return heard

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._client.__aexit__(None, None, None)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
async def build(broker: Mosquitto, house: House) -> AsyncIterator[Any]:
    """Makes notifiers as fresh processes do, and closes them."""
    made: list[Notifier] = []

    def building(**different: Any) -> Notifier:
        wanted = {"host": "127.0.0.1", "port": broker.port, "timeout": Duration(20)}
        made.append(MqttSettings(**(wanted | different)).build(house.context()))
        return made[-1]

    yield building
    for notifier in made:
        await notifier.close()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=60, capture_output=True)


async def until_heard(notifier: Notifier, event: Event) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while True:
            try:
                return await notifier.notify(event)
            except Unreachable:
                await asyncio.sleep(0.05)


async def test_the_newest_state_is_retained(broker: Mosquitto, build: Any) -> None:
    notifier = build(topic="plant/aiopsd")
    for event in (stories.opened(), stories.ranked(), stories.acting(), stories.resolved()):
        await notifier.notify(event)
    async with listening(broker) as late:
        await late.until("plant/aiopsd/incident/INC-2041", None)
        await late.until("plant/aiopsd/run/INC-2041%2Frollback%2F1", None)
        await late.until("plant/aiopsd/status", b"online")
    incident = late.on("plant/aiopsd/incident/INC-2041")[0]
    run = late.on("plant/aiopsd/run/INC-2041%2Frollback%2F1")[0]
    assert msgspec.json.decode(incident, type=Incident) == stories.resolved()
    assert msgspec.json.decode(run, type=Run) == stories.acting()
    assert all(retained for _, _, retained in late.heard)


async def test_the_same_state_is_published_once(
    listener: Listener, build: Any, house: House
) -> None:
    for event in (stories.opened(), stories.opened(), stories.ranked(), stories.acting()):
        await build().notify(event)
    again = build()
    for event in (stories.acting(), stories.ranked(), stories.resolved()):
        await again.notify(event)
    await listener.until("aiopsd/incident/INC-2041", None, None, None)
    assert len(listener.on("aiopsd/run/INC-2041%2Frollback%2F1")) == 1
    assert len(listener.on("aiopsd/incident/INC-2041")) == 3
    assert b"" not in [payload for _, payload, _ in listener.heard], "nothing is ever cleared"


async def test_online_before_the_first_event_and_offline_after_close(
    listener: Listener, build: Any
) -> None:
    notifier = build()
    await listener.until("aiopsd/status", b"online")
    await notifier.close()
    await listener.until("aiopsd/status", b"online", b"offline")


async def test_the_last_will_of_a_killed_process(broker: Mosquitto, listener: Listener) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mqtt_teller", str(broker.port)
    )
    await listener.until("aiopsd/status", b"online")
    process.kill()
    await process.wait()
    await listener.until("aiopsd/status", b"online", b"offline")
    async with listening(broker) as late:
        await late.until("aiopsd/status", b"offline")


async def test_a_broker_that_comes_late_hears_the_newest_only(
    broker: Mosquitto, build: Any
) -> None:
    await broker.stop()
    notifier = build(timeout=Duration(0.5))
    for event in (stories.opened(), stories.ranked()):
        with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{broker.port}: .*refused"):
            await notifier.notify(event)
    await broker.start()
    async with listening(broker) as heard:
        await until_heard(notifier, stories.resolved())
        await heard.until("aiopsd/incident/INC-2041", None)
        await heard.until("aiopsd/status", b"online")
    (incident,) = heard.on("aiopsd/incident/INC-2041")
    assert msgspec.json.decode(incident, type=Incident).state == "resolved"


async def test_a_broker_that_dies_and_returns(broker: Mosquitto, build: Any) -> None:
    notifier = build(timeout=Duration(2))
    await notifier.notify(stories.opened())
    await broker.stop()
    with pytest.raises(Unreachable):
        await notifier.notify(stories.ranked())
    await broker.start()
    await until_heard(notifier, stories.ranked())
    async with listening(broker) as heard:
        await heard.until("aiopsd/incident/INC-2041", None)
        await heard.until("aiopsd/status", b"online")


async def test_a_broker_that_freezes_holds_up_nobody(broker: Mosquitto, build: Any) -> None:
    notifier = build(timeout=Duration(0.5))
    await until_heard(notifier, stories.opened())
    broker.send(signal.SIGSTOP)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Unreachable, match="timed out"):
        await notifier.notify(stories.ranked())
    assert loop.time() - began < 10
    await build(timeout=Duration(0.5)).close()
    broker.send(signal.SIGCONT)
    await until_heard(notifier, stories.ranked())
    broker.send(signal.SIGSTOP)
    began = loop.time()
    await notifier.close()
    assert loop.time() - began < 10
    broker.send(signal.SIGCONT)


async def test_hostile_ids_make_no_topics_of_their_own(listener: Listener, build: Any) -> None:
    odd = replace(stories.opened(), id="../#/+\u0000 <x>", title=stories.HOSTILE + "x" * 1_000_000)
    await build().notify(odd)
    await listener.until("aiopsd/incident/..%2F%23%2F%2B%00%20%3Cx%3E", None)


async def test_other_events_are_not_published(listener: Listener, build: Any) -> None:
    notifier = build()
    await notifier.notify(Gap(id="g", source="prom", from_s=0, until_s=1, reason="away"))
    await listener.until("aiopsd/status", b"online")
    await notifier.close()
    await listener.until("aiopsd/status", b"online", b"offline")
    assert {topic for topic, _, _ in listener.heard} == {"aiopsd/status"}


async def test_a_password(tmp_path: Path, house: House) -> None:
    passwords = tmp_path / "passwords"
    await asyncio.to_thread(_run, "mosquitto_passwd", "-b", "-c", str(passwords), "aiopsd", "r1ght")
    passwords.chmod(0o644)
    tmp_path.chmod(0o755)
    broker = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}", "user root")
    await broker.start()
    who = {"port": broker.port, "username": "aiopsd", "password_file": SecretFile("password")}
    try:
        (tmp_path / "password").write_text("wr0ng")
        wrong = MqttSettings(host="127.0.0.1", timeout=Duration(2), **who).build(house.context())
        with pytest.raises(Unreachable, match=r"(?i)not authori[sz]ed") as caught:
            await wrong.notify(stories.opened())
        assert "wr0ng" not in str(caught.value)
        await wrong.close()
        (tmp_path / "password").write_text("r1ght")
        right = MqttSettings(host="127.0.0.1", timeout=Duration(20), **who).build(house.context())
        await right.notify(stories.opened())
        await right.close()
    finally:
        await broker.stop()


async def test_tls_with_an_authority_of_ones_own(tmp_path: Path, house: House) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    await asyncio.to_thread(
        _run, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost",
        "-addext", names,
    )  # fmt: skip
    broker = Mosquitto(tmp_path, f"certfile {cert}", f"keyfile {key}", "user root")
    await broker.start()
    tls: dict[str, Any] = {"host": "127.0.0.1", "port": broker.port, "tls": True}
    try:
        unknown = MqttSettings(timeout=Duration(2), **tls).build(house.context())
        with pytest.raises(Unreachable, match=r"(?i)certificate"):
            await unknown.notify(stories.opened())
        await unknown.close()
        known = MqttSettings(timeout=Duration(20), ca_file="cert.pem", **tls)
        notifier = known.build(house.context())
        await notifier.notify(stories.opened())
        await notifier.close()
    finally:
        await broker.stop()


def test_a_missing_authority_is_named(house: House) -> None:
    settings = MqttSettings(host="127.0.0.1", tls=True, ca_file="none.pem")
    with pytest.raises(ConfigError, match=r"ca_file .*none\.pem: "):
        settings.build(house.context())


async def test_built_before_the_loop_runs(broker: Mosquitto, house: House) -> None:
    settings = MqttSettings(host="127.0.0.1", port=broker.port, timeout=Duration(20))
    notifier = await asyncio.to_thread(settings.build, house.context())
    await notifier.notify(stories.opened())
    await notifier.close()
