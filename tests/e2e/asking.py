"""Questions to a running daemon that several tests ask."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.e2e.daemon import Daemon


def metric(daemon: Daemon, name: str, part: str) -> float:
    """The daemon's own ``aiopsd_<name>_total`` of one part; 0 when it never counted."""
    _, text = daemon.get("/metrics")
    series = f'aiopsd_{name}_total{{part="{part}"}} '
    values = [line.removeprefix(series) for line in text.splitlines() if line.startswith(series)]
    return float(values[0]) if values else 0.0


def memory_mb(daemon: Daemon, kind: str = "VmHWM") -> float:
    """The most that the daemon ever held in memory (VmHWM), or holds now (VmRSS)."""
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    found = re.search(rf"{kind}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


async def newest(daemon: Daemon, kind: type[Any]) -> list[Any]:
    """The last version of each thing of this kind in the journal."""
    found = {e.id: e for e in await daemon.events() if isinstance(e, kind)}
    return list(found.values())


async def eventually(daemon: Daemon, ask: Callable[[], Awaitable[Any]]) -> Any:
    """As ``daemon.until``, of something that must be awaited."""
    loop = asyncio.get_running_loop()
    return await daemon.until(
        lambda: asyncio.run_coroutine_threadsafe(_awaited(ask), loop).result()
    )


async def _awaited(ask: Callable[[], Awaitable[Any]]) -> Any:
    return await ask()


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on for the length of the block."""
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
