"""All lines of one nanosecond that has more than a page.

Clocks of many loggers tick in seconds, so this is ordinary. Larger pages come first, then one
stream at a time, then each stream's lines in halves of halves, by what stands in them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from aiopsd.contracts import SourceContext
from aiopsd.model import Labels
from aiopsd.sources.fetch import TooLarge
from aiopsd.sources.loki_api import Found, LimitRefused, Page
from aiopsd.sources.loki_query import halves, narrowed

log = logging.getLogger(__name__)

Ask = Callable[[str, int], Awaitable[Page]]
"""A page of this query, of at most so many lines, of the nanosecond in question."""
_LARGEST_PAGE = 10**9
_DEEPEST = 40  # halvings; each takes away half of the lines, or shows that it cannot


class Crowd:
    def __init__(self, context: SourceContext, query: str, at_ns: int, ask: Ask) -> None:
        self._context = context
        self._query = query
        self._at_ns = at_ns
        self._ask = ask

    async def lines(
        self, limit: int, streams: Callable[[], Awaitable[Sequence[Labels]]]
    ) -> Sequence[Found]:
        """What does not fit a page of ``limit``; ``streams`` are asked for where they matter.

        Raises as ``ask`` does. What Loki will not show in any way is counted and passed over.
        """
        limit, found = await self._larger(limit)
        if found is None:
            found = await self._by_stream(await streams(), limit)
        return found

    async def _larger(self, limit: int) -> tuple[int, Sequence[Found] | None]:
        """The largest page that can be had, and all lines if they fit it."""
        most = _LARGEST_PAGE
        while limit < most:
            asked = min(limit * 2, most)
            try:
                page = await self._ask(self._query, asked)
            except LimitRefused as refusal:
                most = max(limit, min(refusal.maximum, asked - 1))
            except TooLarge:
                most = limit
            else:
                if not page.full:
                    return asked, page.found
                limit = asked
        return limit, None

    async def _by_stream(self, streams: Sequence[Labels], limit: int) -> list[Found]:
        names = {name for labels in streams for name in labels}
        found: list[Found] = []
        for labels in streams:
            found += await self._halved(narrowed(self._query, labels, names), limit, 0)
        return found

    async def _halved(self, query: str, limit: int, depth: int) -> list[Found]:
        page = await self._ask(query, limit)
        if not page.full:
            return list(page.found)
        cut = halves(query, [one.line.text for one in page.found])
        if cut is None or depth == _DEEPEST:
            self._context.count("lost_lines_suspected", 1)
            log.warning(
                "more lines in a nanosecond than Loki shows part=%s time_ns=%d shown=%d query=%s",
                self._context.name, self._at_ns, limit, query,
            )  # fmt: skip
            return list(page.found)
        first, second = cut
        return await self._halved(first, limit, depth + 1) + await self._halved(
            second, limit, depth + 1
        )
