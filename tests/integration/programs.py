"""Real servers as processes on loopback ports; each ends with the test that started it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from aiohttp import ClientConnectionError, ClientSession, ClientTimeout

from tests.e2e.daemon import free_port

READY_SECS = 90.0


class Program:
    """A server that keeps its port and its folder, so that it can die and come back.

    ``{port}`` in its arguments is filled in; ``ready`` is the path that says 200 when it is.
    """

    def __init__(self, folder: Path, *argv: str, ready: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._argv = [arg.replace("{port}", str(self.port)) for arg in argv]
        self._ready = ready
        self._log = folder / f"{Path(argv[0]).name}.log"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Program:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Returns when it is ready; AssertionError with its log when it never is."""
        program = shutil.which(self._argv[0])
        assert program is not None, self._argv[0]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                program, *self._argv[1:], stdout=log, stderr=log
            )
        async with ClientSession(timeout=ClientTimeout(total=READY_SECS)) as session:
            deadline_s = asyncio.get_running_loop().time() + READY_SECS
            while not await self._is_ready(session):
                alive = self._process.returncode is None
                in_time = asyncio.get_running_loop().time() < deadline_s
                assert alive, self._log.read_text()
                assert in_time, self._log.read_text()
                await asyncio.sleep(0.05)

    async def _is_ready(self, session: ClientSession) -> bool:
        try:
            async with session.get(self.url + self._ready) as response:
                return response.status == 200
        except ClientConnectionError:
            return False

    async def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
