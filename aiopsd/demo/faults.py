"""What a release does to its service: works well, or is slow, fails, leaks or crashes.

Nothing here touches a metric: the symptoms are what really happens to the process.
"""

from __future__ import annotations

import asyncio
import math
import random

from aiopsd.demo.logfmt import LogFile
from aiopsd.errors import ConfigError

MB = 1024 * 1024
TOPICS = {
    "web": "Banner",
    "catalog": "Price",
    "checkout": "Promotion",
    "orders": "Stock",
    "payments": "Tax",
}


class WorkFailed(Exception):
    """The service's own work failed: it answers 500. The text is the root cause."""


class Healthy:
    """A good release: 5 to 15 ms of work (log-normal, median 8 ms), no failures."""

    def __init__(self, topic: str, rng: random.Random, log: LogFile) -> None:
        self.topic, self.rng, self.log = topic, rng, log

    async def work(self, order: str) -> None:  # noqa: ARG002 - faulty releases use it
        """The service's own share of one request; raises ``WorkFailed``."""
        await self.pause(median_secs=0.008)

    async def background(self) -> None:
        """Lives as long as the process; an exception in here is the process's end."""
        await asyncio.Event().wait()

    async def pause(self, median_secs: float) -> None:
        await asyncio.sleep(self.rng.lognormvariate(math.log(median_secs), 0.25))


class Slow(Healthy):
    """Each request takes some 400 ms longer; none fails."""

    async def work(self, order: str) -> None:
        await super().work(order)
        await self.pause(median_secs=0.4)
        if self.log.sample("slow", every_secs=0.5):
            message = f"slow query: full scan of table {self.topic.lower()}_rules, index missing"
            self.log.write("warn", message, order=order)


class Errors(Healthy):
    """Some 40 % of the requests fail."""

    async def work(self, order: str) -> None:
        await super().work(order)
        if self.rng.random() < 0.4:
            region = f"EU-{self.rng.randint(1, 9)}"
            raise WorkFailed(f"{self.topic}TableMissing: no row for region={region}")


class Leak(Healthy):
    """Keeps 8 MB more of touched memory each second, up to 600 MB."""

    async def background(self) -> None:
        kept: list[bytes] = []
        while len(kept) * 8 < 600:
            kept.append(b"\x01" * (8 * MB))  # written, not only reserved: the pages are resident
            if self.log.sample("leak", every_secs=2.0):
                cache = f"{self.topic.lower()} cache"
                self.log.write("warn", f"{cache} holds {len(kept) * 8} MB, eviction is off")
            await asyncio.sleep(1.0)
        await super().background()


class Crash(Healthy):
    """The first request later than 2 to 4 s after the start kills the process."""

    _poisoned = False

    async def work(self, order: str) -> None:
        await super().work(order)
        if self._poisoned:
            self._fatal_order.set_result(order)
            self._poisoned = False
            await asyncio.Event().wait()  # the process dies with this request unanswered

    async def background(self) -> None:
        self._fatal_order: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.rng.uniform(2.0, 4.0))
        self._poisoned = True
        order = await self._fatal_order
        message = f"{self.topic}EngineError: index 12 out of range, exiting"
        self.log.write("fatal", message, order=order)
        raise IndexError(message)


FAULTS: dict[str | None, type[Healthy]] = {
    None: Healthy,
    "slow": Slow,
    "errors": Errors,
    "leak": Leak,
    "crash": Crash,
}


def behaviour(fault: str | None, service: str, rng: random.Random, log: LogFile) -> Healthy:
    """What a release with this fault does; an unknown fault is a ``ConfigError``."""
    if fault not in FAULTS:
        known = ", ".join(name for name in FAULTS if name)
        raise ConfigError(f"unknown fault {fault!r}; there are: {known}")
    return FAULTS[fault](TOPICS.get(service, service.capitalize()), rng, log)
