"""An event loop whose time leaps to what comes next, once nothing is at work.

Threads, child processes, files and the journal are real, and while one of them works no time
passes: what happens is the same on a slow machine as on a fast one.
"""

from __future__ import annotations

import asyncio
import selectors
from asyncio import SubprocessTransport
from collections.abc import Callable
from typing import Any

LOOK_SECS = 0.05  # of real time, between looks at what is at work


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.jobs = 0
        self.children: list[SubprocessTransport] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        self.children = [one for one in self.children if one.get_returncode() is None]
        if self.jobs or self.children:
            return super().select(LOOK_SECS)
        ready = super().select(0)
        if not ready:
            self.now_s += timeout
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its clock begins at zero."""

    def __init__(self) -> None:
        self._leaping = _Selector()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        done = super().run_in_executor(executor, func, *args)
        self._leaping.jobs += 1
        done.add_done_callback(self._rest)
        return done

    def _rest(self, _: object) -> None:
        self._leaping.jobs -= 1

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        self._leaping.jobs += 1
        try:
            transport, protocol = await super().subprocess_exec(*args, **kwargs)
        finally:
            self._leaping.jobs -= 1
        self._leaping.children.append(transport)
        return transport, protocol


def run_leaping(main: Callable[[], Any]) -> Any:
    """Runs the coroutine function to its end."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(main())
