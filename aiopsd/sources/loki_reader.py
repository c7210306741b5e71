"""Reads the lines of a Loki window by window; never loses one, never hands one on twice.

``/tail`` alone drops lines for a slow reader and after a reconnect, so everything comes from
``query_range``. Windows of time have a fixed end and are read forward, page by page; a second,
slower pass finds the lines that came late.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiopsd.contracts import SourceContext
from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Labels, LogBatch, LogLine, Reading
from aiopsd.sources.fetch import TooLarge
from aiopsd.sources.loki_api import Found, LimitRefused, LokiApi, Page
from aiopsd.sources.loki_crowd import Crowd
from aiopsd.sources.loki_cursor import Cursor
from aiopsd.sources.loki_pace import Pace

log = logging.getLogger(__name__)
T = TypeVar("T")

_NS = 10**9
_LAGGING_NS = 600 * _NS
_CLOCK_BACK_NS = 86_400 * _NS


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines, and when. ``limit``: lines a page."""

    query: str
    every_secs: float
    delay_secs: float
    late_secs: float
    limit: int


class Reader:
    """Asks for window after window and adapts to what the server can take."""

    def __init__(
        self, wanted: Wanted, context: SourceContext, api: LokiApi, cursor: Cursor
    ) -> None:
        self._wanted = wanted
        self._context = context
        self._api = api
        self._cursor = cursor
        self._pace = Pace(wanted.limit)
        self._asked_ns = 0
        self._half_late_ns = int(wanted.late_secs * _NS) // 2
        self._next_sweep_ns = 0
        self._lagging = False

    async def read(self) -> AsyncIterator[Reading]:
        """Everything up to now, in order; and now and then what came late.

        Waits where the server is in trouble. Raises Unreachable where our clock is.
        """
        cursor, now_ns = self._cursor, self._now_ns()
        end_ns = now_ns - int(self._wanted.delay_secs * _NS)
        self._mind_the_clock(end_ns)
        if now_ns >= self._next_sweep_ns:
            async for reading in self._sweep():
                yield reading
            took_ns = self._now_ns() - now_ns
            self._next_sweep_ns = now_ns + took_ns + max(self._half_late_ns, 2 * took_ns)
        self._tell_lag(end_ns)
        while cursor.cursor_ns < end_ns:
            history = cursor.cursor_ns < cursor.live_ns
            stop_ns = min(end_ns, cursor.live_ns) if history else end_ns
            async for found, to_ns, final_ns in self._pages(cursor.cursor_ns, stop_ns):
                from_ns, lines = cursor.cursor_ns, cursor.advance(found, to_ns, final_ns)
                self._context.count("lines", len(lines))
                yield Reading(self._ticks(from_ns, to_ns, lines, history), cursor.position())
        self._pace.caught_up()
        self._tell_lag(end_ns)

    def _ticks(
        self, from_ns: int, to_ns: int, lines: Sequence[LogLine], history: bool
    ) -> tuple[LogBatch, ...]:
        """As they would have come, about ``every_secs`` apart: an hour of lines in one tick would
        be a flood that never was."""
        count = max(1, round((to_ns - from_ns) / _NS / self._wanted.every_secs))
        ends_ns = [from_ns + (to_ns - from_ns) * n // count for n in range(1, count + 1)]
        parts: list[list[LogLine]] = [[] for _ in ends_ns]
        for line in lines:
            parts[min(bisect_right(ends_ns, line.time_ns), count - 1)].append(line)
        return tuple(
            LogBatch(end_ns / _NS, tuple(part), history)
            for end_ns, part in zip(ends_ns, parts, strict=True)
        )

    async def _sweep(self) -> AsyncIterator[Reading]:
        """Reads what may still have changed once more, and hands on the lines that are new."""
        cursor, final_ns = self._cursor, self._final_ns()
        end_ns = cursor.cursor_ns
        async for found, _, _ in self._pages(cursor.floor_ns, end_ns):
            if lines := cursor.late(found):
                self._context.count("late_lines", len(lines))
                history = lines[-1].time_ns < cursor.live_ns
                yield Reading((LogBatch(end_ns / _NS, lines, history),), cursor.position())
        cursor.swept(final_ns)
        if cursor.forgotten:
            self._context.count("keys_forgotten_early", cursor.forgotten)
            cursor.forgotten = 0

    async def _pages(
        self, start_ns: int, end_ns: int
    ) -> AsyncIterator[tuple[Sequence[Found], int, int]]:
        """(lines, before which time all are read, before which time none will come any more).

        A page is cut inside a nanosecond, so the next one begins at that same nanosecond. Whatever
        goes wrong, what was read is not asked for again.
        """
        while start_ns < end_ns:
            final_ns = self._final_ns()
            stop_ns = min(end_ns, start_ns + self._pace.window_ns)
            try:
                page = await self._page(self._wanted.query, start_ns, stop_ns, self._pace.limit)
                found: Sequence[Found] = page.found
                newest_ns = stop_ns
                if page.full:
                    newest_ns = page.found[-1].line.time_ns
                    if newest_ns == start_ns:
                        found, newest_ns = await self._crowd(start_ns), start_ns + 1
                else:
                    self._pace.window_read()
            except (Refused, Unreachable) as trouble:
                await asyncio.sleep(self._wait_secs(trouble))
                continue
            yield found, newest_ns, final_ns
            start_ns = newest_ns

    async def _crowd(self, at_ns: int) -> Sequence[Found]:
        async def ask(query: str, limit: int) -> Page:
            return await self._insist(lambda: self._page(query, at_ns, at_ns + 1, limit))

        async def streams() -> Sequence[Labels]:
            query, around = self._wanted.query, (at_ns - _NS, at_ns + _NS)
            return await self._insist(lambda: self._api.streams(query, *around))

        crowd = Crowd(self._context, self._wanted.query, at_ns, ask)
        return await crowd.lines(self._pace.limit, streams)

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """One of many answers that are of use only together. Raises LimitRefused or TooLarge."""
        while True:
            try:
                return await ask()
            except (LimitRefused, TooLarge):
                raise
            except (Refused, Unreachable) as trouble:
                await asyncio.sleep(self._wait_secs(trouble))

    async def _page(self, query: str, start_ns: int, end_ns: int, limit: int) -> Page:
        self._asked_ns = end_ns - start_ns
        page = await self._api.lines(query, start_ns, end_ns, limit)
        self._pace.answered()
        self._context.health.back(self._context.name)
        return page

    def _wait_secs(self, trouble: Refused | Unreachable) -> float:
        """How long to wait before reading on, after adapting to what the server said."""
        if self._pace.adapted(trouble, self._asked_ns):
            return 0.0
        self._context.count("failed_requests", 1)
        self._context.health.gone(self._context.name, str(trouble))
        return self._pace.pause_secs(trouble, self._asked_ns)

    def _mind_the_clock(self, end_ns: int) -> None:
        back_ns = self._cursor.cursor_ns - end_ns
        if back_ns > _CLOCK_BACK_NS:
            raise Unreachable(f"our clock stands {back_ns / _NS:.0f} s before what was read last")
        if back_ns > 0:
            self._cursor.step_back(end_ns)
            self._next_sweep_ns = 0

    def _tell_lag(self, end_ns: int) -> None:
        behind_ns = end_ns - self._cursor.cursor_ns
        if not self._lagging and behind_ns > _LAGGING_NS:
            log.info("behind part=%s secs=%.0f", self._context.name, behind_ns / _NS)
            self._lagging = True
        elif self._lagging and behind_ns <= 0:
            log.info("caught up part=%s", self._context.name)
            self._lagging = False

    def lag_secs(self) -> float:
        """How far what was read is behind the clock; never less than the delay."""
        return (self._now_ns() - self._cursor.cursor_ns) / _NS

    def _now_ns(self) -> int:
        return int(self._context.clock() * _NS)

    def _final_ns(self) -> int:
        late_secs = self._wanted.late_secs + self._wanted.delay_secs
        return self._now_ns() - int(late_secs * _NS)
