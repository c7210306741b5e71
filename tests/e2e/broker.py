"""A real MQTT broker that dies and comes back, and what it holds."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.e2e.daemon import PATIENCE_SECS, free_port


class Broker:
    """mosquitto on one port. It keeps nothing: what is retained dies with it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.kill()

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            shutil.which("mosquitto") or "mosquitto",
            *("-c", str(self._config)),
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(PATIENCE_SECS):
            while not await self._listens():
                await asyncio.sleep(0.02)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        from aiomqtt import Client

        async with Client("127.0.0.1", self.port) as client:
            await client.publish(topic, payload, qos=1, retain=retain)

    async def retained(self, below: str) -> dict[str, Any]:
        """Topic to JSON of all that is retained below this topic, as a newcomer gets it."""
        from aiomqtt import Client

        found: dict[str, Any] = {}
        async with Client("127.0.0.1", self.port) as client:
            await client.subscribe(f"{below}/#", qos=1)
            # A message of our own comes after all that is retained.
            await client.subscribe("test/end", qos=1)
            await client.publish("test/end", "", qos=1)
            async with asyncio.timeout(PATIENCE_SECS):
                async for message in client.messages:
                    if message.topic.matches("test/end"):
                        break
                    payload = message.payload
                    assert isinstance(payload, bytes)
                    if payload[:1] == b"{":
                        found[str(message.topic)] = msgspec.json.decode(payload)
        return found
