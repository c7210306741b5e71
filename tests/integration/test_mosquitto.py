"""The MQTT source against a real broker that restarts, refuses, and is sent garbage."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from aiopsd.model import Batch, Position
from aiopsd.settings import SecretFile
from aiopsd.sources.mqtt import MqttSettings, TopicSettings
from tests.e2e.asking import beside
from tests.integration.programs import free_port
from tests.unit.sources.house import House

pytestmark = pytest.mark.mosquitto
DEADLINE_SECS = 120.0


class Broker:
    """A mosquitto that keeps its port and, when it is ended kindly, its sessions."""

    def __init__(self, folder: Path, *config: str) -> None:
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        anonymous = () if "allow_anonymous false" in config else ("allow_anonymous true",)
        lines = [
            "user root", "persistence true", f"persistence_location {folder}/",
            f"listener {self.port} 127.0.0.1", *anonymous, *config,
        ]  # fmt: skip
        self._file.write_text("\n".join(lines) + "\n")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = shutil.which("mosquitto") or "mosquitto"
        self._process = await asyncio.create_subprocess_exec(
            program, "-c", str(self._file), stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(DEADLINE_SECS):
            while True:
                assert self._process.returncode is None, "mosquitto did not start"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def publish(self, *messages: tuple[str, str | bytes], **more: Any) -> None:
        """QoS 1; each is sent again until the broker has it."""
        for topic, payload in messages:
            async with asyncio.timeout(DEADLINE_SECS):
                while not await self._published(topic, payload, more):
                    await asyncio.sleep(0.05)

    async def _published(self, topic: str, payload: str | bytes, more: dict[str, Any]) -> bool:
        try:
            async with aiomqtt.Client("127.0.0.1", self.port, timeout=5) as client:
                await client.publish(topic, payload, **{"qos": 1, **more})
        except aiomqtt.MqttError:
            return False
        return True


@asynccontextmanager
async def running(folder: Path, *config: str) -> AsyncIterator[Broker]:
    broker = Broker(folder, *config)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with running(tmp_path) as one:
        yield one


@dataclass
class Reader:
    """Runs a source in the background: what it read, as (name, labels, value, history)."""

    written: MqttSettings
    house: House = field(default_factory=House)
    read: list[tuple[str, dict[str, str], float, bool]] = field(default_factory=list)
    readings: int = 0
    position: Position | None = None
    pause: Callable[[], float] = lambda: 0.0

    def running(self) -> AbstractAsyncContextManager[None]:
        return beside(self._run())

    async def _run(self) -> None:
        source = self.written.build(self.house.context())
        async with aclosing(source.stream(self.position)) as stream:
            async for reading in stream:
                self.position, self.readings = reading.position, self.readings + 1
                for batch in reading.items:
                    assert isinstance(batch, Batch)
                    fresh = self.house.table.record(batch)
                    for index, value in zip(fresh.series, fresh.values, strict=True):
                        labels = self.house.table.labels(int(index))
                        name = labels.pop("__name__")
                        self.read.append((name, labels, float(value), batch.history))
                await asyncio.sleep(self.pause())

    @property
    def values(self) -> list[float]:
        return [value for _, _, value, _ in self.read]

    async def until(self, there: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECS):
            while not there():
                await asyncio.sleep(0.01)


def listening(broker: Broker, *topics: str, **more: Any) -> MqttSettings:
    wanted = tuple(TopicSettings(topic=topic) for topic in topics or ("plant/{line}/{metric}",))
    return MqttSettings(host="127.0.0.1", port=broker.port, topics=wanted, **more)


def counting(start: int, stop: int) -> list[tuple[str, str]]:
    return [("plant/7/count", str(number)) for number in range(start, stop)]


async def settled(broker: Broker, reader: Reader) -> None:
    """Waits until the source has surely subscribed; leaves nothing behind in what it read."""
    knocks = 0
    async with asyncio.timeout(DEADLINE_SECS):
        while not reader.read:
            knocks += 1
            await broker.publish(("plant/knock/knock", str(knocks)))
            await asyncio.sleep(0.3)
        while reader.values[-1] != knocks:
            await asyncio.sleep(0.01)
    reader.read.clear()


async def test_topics_become_series(broker: Broker) -> None:
    reader = Reader(listening(broker))
    before_s = time.time()
    async with reader.running():
        await settled(broker, reader)
        await broker.publish(
            ("plant/7/temp", "21.5"),
            ("plant/7/motor", '{"value": 3, "rpm": {"left": 100}, "state": "ok"}'),
            ("elsewhere/7/temp", "1"),
            ("plant/8/temp", b"22"),
        )
        await reader.until(lambda: len(reader.read) >= 4)
    assert reader.read == [
        ("temp", {"line": "7"}, 21.5, False),
        ("motor", {"line": "7"}, 3.0, False),
        ("motor_rpm_left", {"line": "7"}, 100.0, False),
        ("temp", {"line": "8"}, 22.0, False),
    ]
    assert reader.house.gone == []
    assert reader.house.table.latest("", {"line": "8"}, before_s)


async def test_garbage_is_counted_and_ends_nothing(broker: Broker) -> None:
    reader = Reader(listening(broker))
    async with reader.running():
        await settled(broker, reader)
        garbage = ["on", b"\xff\x00", "", "{", "[" * 5000, "x" * 100_000, '{"a": "b"}']
        await broker.publish(*(("plant/7/temp", one) for one in garbage), ("plant/7/temp", "1"))
        await reader.until(lambda: reader.values == [1.0])
    assert reader.house.counts["wrong_payloads"] == len(garbage)
    assert reader.house.gone == []


async def test_a_restart_of_the_broker_loses_no_message(broker: Broker) -> None:
    reader = Reader(listening(broker))
    async with reader.running():
        await settled(broker, reader)
        await broker.publish(*counting(0, 20))
        await broker.stop()
        await reader.until(lambda: reader.house.away)
        sending = asyncio.create_task(broker.publish(*counting(20, 60)))
        await broker.start()
        await sending
        await reader.until(lambda: set(reader.values) >= set(range(60)))
        assert not reader.house.away
    assert len(reader.house.gone) == 1
    assert "lost" in reader.house.gone[0]


async def test_what_is_sent_while_we_are_away_waits_at_the_broker(broker: Broker) -> None:
    reader = Reader(listening(broker))
    async with reader.running():
        await settled(broker, reader)
    await broker.publish(*counting(0, 30))
    await broker.stop()
    await broker.start()
    await broker.publish(*counting(30, 60))
    async with reader.running():
        await reader.until(lambda: len(reader.values) >= 60)
    assert reader.values == [float(number) for number in range(60)]


async def test_what_a_slow_pipeline_cannot_take_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiopsd.sources.mqtt._MAX_WAITING", 50)
    monkeypatch.setattr("aiopsd.sources.mqtt._GATHER_MESSAGES", 20)
    async with running(tmp_path, "max_inflight_messages 0") as broker:
        reader = Reader(listening(broker), pause=lambda: 0.05)
        async with reader.running():
            await settled(broker, reader)
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                for number in range(500):
                    await client.publish("plant/7/count", str(number), qos=1)
            await reader.until(lambda: len(reader.values) >= 500)
    assert reader.values == [float(number) for number in range(500)]
    assert reader.house.counts["overflows"] > 1
    assert reader.house.counts["dropped_messages"] == 0
    assert reader.house.gone == []


async def test_many_messages_make_few_readings(broker: Broker) -> None:
    reader = Reader(listening(broker))
    async with reader.running():
        await settled(broker, reader)
        before = reader.readings
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            for number in range(300):
                await client.publish(f"plant/{number}/temp", "1", qos=1)
        await reader.until(lambda: len(reader.values) >= 300)
    assert reader.readings - before < 100


async def test_what_is_retained_is_history_and_comes_once(broker: Broker) -> None:
    await broker.publish(("plant/7/temp", "20"), retain=True)
    reader = Reader(listening(broker))
    async with reader.running():
        await reader.until(lambda: bool(reader.read))
        await broker.stop()
        await reader.until(lambda: reader.house.away)
        await broker.start()
        await reader.until(lambda: not reader.house.away)
        await broker.publish(("plant/7/temp", "21"))
        await reader.until(lambda: len(reader.read) >= 2)
    assert [(value, history) for *_, value, history in reader.read] == [(20, True), (21, False)]


async def test_a_topic_that_is_no_longer_wanted_is_left(broker: Broker) -> None:
    reader = Reader(listening(broker, "plant/{line}/{metric}", "old/{metric}"))
    async with reader.running():
        await settled(broker, reader)
    again = Reader(listening(broker), position=reader.position)
    async with again.running():
        await settled(broker, again)
    await broker.publish(("old/temp", "1"), ("plant/7/temp", "2"))
    last = Reader(listening(broker, "plant/{line}/{metric}", "old/{metric}"))
    async with last.running():
        await last.until(lambda: bool(last.read))
    assert last.values == [2.0]


async def test_password_and_certificate(tmp_path: Path) -> None:
    key, certificate = make_certificate(tmp_path)
    make_users(tmp_path / "users")
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "wrong").write_text("guess\n")
    config = [
        "allow_anonymous false", f"password_file {tmp_path}/users",
        f"certfile {certificate}", f"keyfile {key}",
    ]  # fmt: skip
    async with running(tmp_path, *config) as broker:
        house = House(base=tmp_path)
        right = listening(
            broker, username="plant", password_file=SecretFile("password"), tls=True,
            ca_file="server.crt",
        )  # fmt: skip
        reader = Reader(right, house)
        async with reader.running():
            await publish_with_password(broker, reader, certificate)
        assert reader.read[0][0] == "temp"
        await refused(broker, house, "wrong", "server.crt", "authori")
        await refused(broker, House(base=tmp_path), "password", "", "certificate")


async def publish_with_password(broker: Broker, reader: Reader, certificate: Path) -> None:
    client = aiomqtt.Client(
        "127.0.0.1", broker.port, username="plant", password="s3cret",
        tls_params=aiomqtt.TLSParameters(ca_certs=str(certificate)),
    )  # fmt: skip
    async with client, asyncio.timeout(DEADLINE_SECS):
        while not reader.read:
            await client.publish("plant/7/temp", "1", qos=1)
            await asyncio.sleep(0.3)


async def refused(broker: Broker, house: House, password: str, ca_file: str, words: str) -> None:
    wrong = listening(
        broker, username="plant", password_file=SecretFile(password), tls=True, ca_file=ca_file
    )
    reader = Reader(wrong, house)
    async with reader.running():
        await reader.until(lambda: house.away)
    assert words in house.gone[-1].lower()
    assert "s3cret" not in house.gone[-1]
    assert "guess" not in house.gone[-1]


def make_users(file: Path) -> None:
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(file), "plant", "s3cret"], check=True)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "server.key", folder / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
         str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate
