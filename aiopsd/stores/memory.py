"""A store that forgets with the process: for tests and for trying rules out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from aiopsd.contracts import Clock
from aiopsd.model import AnyEvent, Event, Kept


class MemoryStore:
    """Keeps the promises of ``contracts.Store``, but for durability."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: list[tuple[int, float, AnyEvent]] = []
        self._checkpoint: dict[str, bytes] = {}
        self._kept: list[Kept] = []

    async def append(self, *events: AnyEvent, keep: Kept | None = None) -> None:
        now = self._clock()
        if keep is not None:
            self._kept.append(keep)
        for event in events:
            self._events.append((len(self._events) + 1, now, event))

    async def current(self, kind: type[Event], *, since_s: float = math.inf) -> Sequence[Any]:
        newest: dict[str, tuple[float, AnyEvent]] = {}
        for _, time_s, event in self._events:
            if isinstance(event, kind):
                newest.pop(event.id, None)
                newest[event.id] = (time_s, event)
        return [e for time_s, e in newest.values() if not e.closed or time_s >= since_s]

    async def events(
        self, *, after: int = 0, limit: int = 1000
    ) -> Sequence[tuple[int, float, AnyEvent]]:
        return self._events[after : after + limit]

    async def kept(self, *, after: int) -> Sequence[Kept]:
        return [one for one in self._kept if one.number > after]

    async def drop_kept(self, upto: int) -> None:
        self._kept = [one for one in self._kept if one.number > upto]

    async def save_checkpoint(self, parts: Mapping[str, bytes]) -> None:
        self._checkpoint = dict(parts)

    async def load_checkpoint(self) -> Mapping[str, bytes]:
        return dict(self._checkpoint)

    async def prune(self, before_s: float) -> int:  # noqa: ARG002 - it forgets soon enough
        return 0

    async def close(self) -> None:
        return None
