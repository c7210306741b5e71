"""The daemon as a process that the test can start, stop, kill and ask."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from aiopsd.model import AnyEvent
from aiopsd.stores import SqliteStore

PATIENCE_SECS = 60.0  # shared machines are slow; nothing waits this long when all is well


class Daemon:
    """``aiopsd run`` on a folder that the test has filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        self.log_path = folder / "daemon.log"
        self.limits = "checkpoint: 1s"
        self.module = "aiopsd"

    def write(self, config: str, **files: str) -> None:
        """``rules/x.yaml`` is written ``rules__x=...``; executable where it begins with ``#!``."""
        for room in ("rules", "playbooks"):
            (self.folder / room).mkdir(exist_ok=True)
        web = f"web: {{listen: 127.0.0.1:{self.port}}}\nlimits: {{{self.limits}}}\n"
        (self.folder / "aiopsd.yaml").write_text(config + web)
        for name, text in files.items():
            room, _, stem = name.rpartition("__")
            path = self.folder / room / (f"{stem}.yaml" if room else stem)
            path.write_text(text)
            if text.startswith("#!"):
                path.chmod(0o755)

    async def start(self, *, ready: bool = True) -> None:
        with self.log_path.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.module, "run", "-c", str(self.folder / "aiopsd.yaml")),
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )
        await self.until(lambda: self.get("/readyz" if ready else "/healthz")[0] == 200)

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        self.process = None

    async def stop(self) -> int:
        assert self.process is not None
        self.signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.process.wait(), PATIENCE_SECS)
        self.process = None
        return code

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    def listing(self, what: str) -> list[dict[str, Any]]:
        status, text = self.get(f"/api/v1/{what}")
        return json.loads(text) if status == 200 else []

    def open_incidents(self) -> list[dict[str, Any]]:
        return [i for i in self.listing("incidents") if i.get("state", "open") == "open"]

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def log_lines(self, *words: str) -> list[str]:
        return [line for line in self.log().splitlines() if all(w in line for w in words)]

    async def events(self) -> list[AnyEvent]:
        store = SqliteStore(self.folder / "state" / "journal.db", time.time, read_only=True)
        try:
            return [event for _, _, event in await store.events(limit=100_000)]
        finally:
            await store.close()

    async def until(self, condition: Callable[[], Any], within_secs: float = PATIENCE_SECS) -> Any:
        """The condition's first true answer; with the daemon's log when it never comes."""
        deadline = time.monotonic() + within_secs
        while time.monotonic() < deadline:
            found = await asyncio.to_thread(condition)
            if found:
                return found
            assert self.process is None or self.process.returncode is None, self.log()
            await asyncio.sleep(0.05)
        raise AssertionError(f"it never came true; the daemon said:\n{self.log()[-5000:]}")


@asynccontextmanager
async def daemon_in(folder: Path) -> AsyncIterator[Daemon]:
    """Ends the process with the block, whatever happened."""
    daemon = Daemon(folder)
    try:
        yield daemon
    finally:
        if daemon.process is not None:
            await daemon.kill()


_PORTS = count(20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))


def free_port() -> int:
    """Of our worker's own, below those that the kernel gives to whoever connects."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable")
