"""Reads the lines of a Loki by polling; never loses one, never hands one on twice.

``/tail`` alone drops lines for a slow reader and after a reconnect, so everything comes from
``query_range``. Windows of time have a fixed end and are read forward, page by page; a second,
slower pass finds the lines that came late.
"""

from __future__ import annotations

import asyncio
import logging
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from yarl import URL

from aiopsd.contracts import SourceContext
from aiopsd.errors import Refused, Unreachable
from aiopsd.model import LogBatch, LogLine, Position, Reading
from aiopsd.settings import Duration, SecretFile, Settings
from aiopsd.sources.fetch import (
    Fetcher,
    TooLarge,
    authorization,
    checked_headers,
    checked_url,
    trust,
)
from aiopsd.sources.loki_api import (
    CATEGORIZE,
    Busy,
    Fetch,
    Found,
    LimitRefused,
    LokiApi,
    Page,
    RangeRefused,
    narrowed,
    selector,
)
from aiopsd.sources.loki_cursor import Cursor

log = logging.getLogger(__name__)

Connect = Callable[[], AbstractAsyncContextManager[Fetch]]

_NS = 10**9
_LONGEST_NS = 3600 * _NS  # Loki splits queries at the hour anyway
_SHORTEST_NS = _NS
_FIRST_RETRY_SECS, _LAST_RETRY_SECS, _REFUSED_RETRY_SECS = 1.0, 30.0, 60.0
_LONGEST_WAIT_SECS = 300.0
_LAGGING_NS = 600 * _NS
_CLOCK_BACK_NS = 86_400 * _NS


class LokiSettings(Settings, frozen=True, kw_only=True, tag="loki"):
    """Where the log is, which lines of it, and how late a line may come."""

    url: str
    query: str = '{service_name=~".+"}'
    every: Duration = Duration(5)
    delay: Duration = Duration(5)  # what is younger may not be searchable yet
    late: Duration = Duration(60)  # lines that come up to this late are found; 0s: none
    history: Duration = Duration(300)  # read before the first start, to learn from
    timeout: Duration = Duration(30)
    limit: int = 5000
    max_body_bytes: int = 64 * 2**20
    tenant: str = ""
    username: str = ""
    password_file: SecretFile | None = None
    token_file: SecretFile | None = None
    ca_file: str = ""
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        selector(self.query)
        checked_url(self.url)
        checked_headers(self.headers)
        if self.every <= 0 or self.timeout <= 0:
            raise ValueError("every and timeout must be longer than 0s")
        if self.limit < 1 or self.max_body_bytes < 1024:
            raise ValueError("limit must be at least 1, max_body_bytes at least 1024")
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file come together")
        if self.username and self.token_file:
            raise ValueError("either username and password_file, or token_file")

    def build(self, context: SourceContext) -> LokiSource:
        headers = CATEGORIZE | self.headers
        headers |= {"X-Scope-OrgID": self.tenant} if self.tenant else {}
        headers |= authorization(
            context.base,
            token_file=self.token_file,
            username=self.username,
            password_file=self.password_file,
        )
        fetcher = Fetcher(
            timeout_secs=self.timeout,
            max_body_bytes=self.max_body_bytes,
            headers=headers,
            tls=trust(self.ca_file, context.base),
        )
        return LokiSource(self, context, lambda: _connection(fetcher, checked_url(self.url)))


@asynccontextmanager
async def _connection(fetcher: Fetcher, url: URL) -> AsyncIterator[Fetch]:
    async with fetcher:
        yield lambda path, params: fetcher.get((url / path).with_query(params))


class LokiSource:
    """Position: the cursor, the floor below which all is final, and the keys of lines between."""

    def __init__(self, settings: LokiSettings, context: SourceContext, connect: Connect) -> None:
        self._settings = settings
        self._context = context
        self._connect = connect

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        now_ns = int(self._context.clock() * _NS)
        history_ns = int(self._settings.history * _NS)
        cursor = Cursor.restore(resume) if resume else Cursor.begin(now_ns, history_ns)
        async with self._connect() as fetch:
            tail = _Tail(self._settings, self._context, LokiApi(fetch), cursor)
            while True:
                try:
                    async for reading in tail.read():
                        yield reading
                except (Refused, Unreachable) as trouble:
                    await asyncio.sleep(tail.wait_secs(trouble))
                else:
                    await asyncio.sleep(self._settings.every)

    async def commit(self, position: Position) -> None:
        """Nothing to do: Loki keeps the lines, we keep the position."""


class _Tail:
    """Asks for window after window and adapts to what the server can take."""

    def __init__(
        self, settings: LokiSettings, context: SourceContext, api: LokiApi, cursor: Cursor
    ) -> None:
        self._settings = settings
        self._context = context
        self._api = api
        self._cursor = cursor
        self._limit = self._most = settings.limit  # lines a page; and what the server allows
        self._window_ns = self._longest_ns = _LONGEST_NS
        self._asked_ns = 0
        self._failures = 0
        self._next_sweep_ns = 0
        self._lagging = False

    async def read(self) -> AsyncIterator[Reading]:
        """Everything up to now, in order; and now and then what came late.

        Raises Refused or Unreachable; calling it again goes on where it stopped.
        """
        cursor, now_ns = self._cursor, self._now_ns()
        end_ns = now_ns - int(self._settings.delay * _NS)
        self._mind_the_clock(end_ns)
        if now_ns >= self._next_sweep_ns:
            async for reading in self._sweep():
                yield reading
            self._next_sweep_ns = now_ns + int(self._settings.late * _NS) // 2
        while cursor.cursor_ns < end_ns:
            history = cursor.cursor_ns < cursor.live_ns
            stop_ns = min(end_ns, cursor.cursor_ns + self._window_ns)
            stop_ns = min(stop_ns, cursor.live_ns) if history else stop_ns
            self._tell_lag(end_ns)
            async for found, to_ns, final_ns in self._pages(cursor.cursor_ns, stop_ns):
                from_ns, lines = cursor.cursor_ns, cursor.advance(found, to_ns, final_ns)
                self._context.count("lines", len(lines))
                yield Reading(self._ticks(from_ns, to_ns, lines, history), cursor.position())
            self._window_ns = min(self._longest_ns, self._window_ns * 2)
        self._limit = min(self._most, self._limit * 2)  # it shrinks for large lines
        self._tell_lag(end_ns)

    def _ticks(
        self, from_ns: int, to_ns: int, lines: Sequence[LogLine], history: bool
    ) -> tuple[LogBatch, ...]:
        """As they would have come, about ``every`` apart: an hour of lines in one tick would be a
        flood that never was."""
        count = max(1, round((to_ns - from_ns) / _NS / self._settings.every))
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
        start_ns, end_ns = cursor.floor_ns, cursor.cursor_ns
        while start_ns < end_ns:
            stop_ns = min(end_ns, start_ns + self._window_ns)
            async for found, _, _ in self._pages(start_ns, stop_ns):
                if lines := cursor.late(found):
                    self._context.count("late_lines", len(lines))
                    history = lines[-1].time_ns < cursor.live_ns
                    yield Reading((LogBatch(end_ns / _NS, lines, history),), cursor.position())
            start_ns = stop_ns
        cursor.swept(final_ns)
        if cursor.forgotten:
            self._context.count("keys_forgotten_early", cursor.forgotten)
            cursor.forgotten = 0

    async def _pages(
        self, start_ns: int, end_ns: int
    ) -> AsyncIterator[tuple[Sequence[Found], int, int]]:
        """(lines, before which time all are read, before which time none will come any more).

        A page is cut inside a nanosecond, so the next one begins at that same nanosecond.
        """
        while start_ns < end_ns:
            final_ns = self._final_ns()
            page = await self._lines(self._settings.query, start_ns, end_ns, self._limit)
            newest_ns = page.found[-1].line.time_ns if page.full else end_ns
            if page.full and newest_ns == start_ns:
                newest_ns += 1
                yield await self._crowd(start_ns), newest_ns, final_ns
            else:
                yield page.found, newest_ns, final_ns
            start_ns = newest_ns

    async def _crowd(self, at_ns: int) -> Sequence[Found]:
        """All lines of a nanosecond that has more than a page: larger pages, then by stream."""
        limit, most = self._limit, _NS
        while limit < most:
            asked = min(limit * 2, most)
            try:
                page = await self._lines(self._settings.query, at_ns, at_ns + 1, asked)
            except LimitRefused as refusal:
                most = max(limit, min(refusal.maximum, asked - 1))
            except TooLarge:
                most = limit
            else:
                if not page.full:
                    return page.found
                limit = asked
        return await self._by_stream(at_ns, limit)

    async def _by_stream(self, at_ns: int, limit: int) -> Sequence[Found]:
        query, found = self._settings.query, list[Found]()
        streams = await self._api.streams(query, at_ns - _NS, at_ns + _NS)
        names = {name for labels in streams for name in labels}
        for labels in streams:
            alone = narrowed(query, labels, names)
            page = await self._lines(alone, at_ns, at_ns + 1, limit)
            found += page.found
            if page.full:
                self._context.count("lost_lines_suspected", 1)
                log.warning(
                    "more lines in a nanosecond than Loki shows part=%s time_ns=%d shown=%d "
                    "stream=%s", self._context.name, at_ns, limit, labels,
                )  # fmt: skip
        return found

    async def _lines(self, query: str, start_ns: int, end_ns: int, limit: int) -> Page:
        self._asked_ns = end_ns - start_ns
        page = await self._api.lines(query, start_ns, end_ns, limit)
        self._failures = 0
        self._context.health.back(self._context.name)
        return page

    def wait_secs(self, trouble: Refused | Unreachable) -> float:
        """How long to wait before reading on, after adapting to what the server said."""
        if self._adapted(trouble):
            return 0.0
        self._context.count("failed_requests", 1)
        self._context.health.gone(self._context.name, str(trouble))
        if isinstance(trouble, Refused):
            return _REFUSED_RETRY_SECS
        self._failures += 1
        pause = min(_LAST_RETRY_SECS, _FIRST_RETRY_SECS * 2.0 ** min(self._failures - 1, 10))
        pause *= 0.5 + random.random() / 2  # noqa: S311 - spreads load, guards nothing
        if isinstance(trouble, Busy):
            return max(pause, min(trouble.wait_secs, _LONGEST_WAIT_SECS))
        self._window_ns = max(_SHORTEST_NS, min(self._window_ns, self._asked_ns) // 2)
        return pause

    def _adapted(self, trouble: Refused | Unreachable) -> bool:
        match trouble:
            case LimitRefused(maximum=maximum) if maximum < self._limit:
                self._limit = self._most = maximum
            case RangeRefused(longest_secs=longest) if int(longest * _NS) < self._asked_ns:
                self._window_ns = self._longest_ns = int(longest * _NS)
            case TooLarge() if self._limit > 1:
                self._limit //= 2
            case _:
                return False
        return True

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

    def _now_ns(self) -> int:
        return int(self._context.clock() * _NS)

    def _final_ns(self) -> int:
        late_secs = self._settings.late + self._settings.delay
        return self._now_ns() - int(late_secs * _NS)
