"""One outbox a notifier: the newest state of each thing, told until it is heard.

A notifier that is away holds up nobody: what it has not heard waits here, one entry a thing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

from aiopsd.contracts import Notifier
from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Event, Incident, Run, Silence
from aiopsd.telemetry import Telemetry, log

FIRST_WAIT_SECS, LONGEST_WAIT_SECS = 1.0, 60.0


class Outbox:
    """Coalesces by thing; keeps the order in which things first had news.

    What is muted is not told. Who was ``told`` of it before hears that it is muted, and its end.
    """

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        telemetry: Telemetry,
        told: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.name = name
        self._notifier = notifier
        self._telemetry = telemetry
        self._told = told
        self._waiting: dict[tuple[str, str], Event] = {}
        self._unheard: set[tuple[str, str]] = set()  # told in vain: until heard, it is not back
        self._news = asyncio.Event()
        self._closing = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: Event) -> None:
        if isinstance(event, (Incident, Run)) or _warns(event):
            self._waiting[(type(event).__name__, event.id)] = event
            self._news.set()

    def close(self) -> None:
        self._closing.set()
        self._news.set()

    async def deliver(self) -> None:
        """Runs until closed; after that it tells what is left, once."""
        wait_secs = FIRST_WAIT_SECS
        while self._waiting or not self._closing.is_set():
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
                continue
            key = next(iter(self._waiting))
            event = self._waiting.pop(key)
            if isinstance(event, Incident) and event.muted and not self._told(event.id):
                self._unheard.discard(key)
                continue
            try:
                await self._notifier.notify(event)
            except Unreachable as error:
                self._waiting.setdefault(key, event)  # newer news may have come meanwhile
                self._unheard.add(key)
                self._telemetry.went(self.name, str(error))
                if self._closing.is_set():
                    return
                await self._pause(wait_secs * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
                wait_secs = min(2 * wait_secs, LONGEST_WAIT_SECS)
            except Refused as error:
                self._unheard.discard(key)
                self._telemetry.count("notices_refused", 1, self.name)
                log.error("refused part=%s event=%s reason=%s", self.name, event.id, error)
            else:
                wait_secs = FIRST_WAIT_SECS
                self._unheard.discard(key)
                if not self._unheard:  # one may succeed because there was nothing to say
                    self._telemetry.came(self.name)
                self._telemetry.count("notices", 1, self.name)

    async def _pause(self, secs: float) -> None:
        """A wait that closing cuts short."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), secs)


def _warns(event: Event) -> bool:
    """That it ends soon is for people; that it is there, they have said themselves."""
    return isinstance(event, Silence) and event.warned_s is not None and not event.closed
