"""Questions to Loki's query API, and its answers as lines that know their identity.

Source: the HTTP API reference of Loki, and recordings of a real one in tests/recordings/loki.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, TypeVar

import msgspec

from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Labels, LogLine
from aiopsd.settings import Duration
from aiopsd.sources.fetch import Answer
from aiopsd.sources.loki_query import selector

T = TypeVar("T")

CATEGORIZE = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
"""Without it, structured metadata comes as stream labels and splits the streams."""


class LimitRefused(Refused):
    """The server hands out fewer lines at a time than we asked for."""

    def __init__(self, text: str, maximum: int) -> None:
        super().__init__(text)
        self.maximum = maximum


class RangeRefused(Refused):
    """The server reads a shorter stretch of time at once than we asked for."""

    def __init__(self, text: str, longest_secs: float) -> None:
        super().__init__(text)
        self.longest_secs = longest_secs


class Costly(Unreachable):
    """The server reads no more than so many bytes at once; less time holds fewer of them."""


class Busy(Unreachable):
    """The server asks for patience, at least this long."""

    def __init__(self, text: str, wait_secs: float) -> None:
        super().__init__(text)
        self.wait_secs = wait_secs


_BESIDE_BYTES = 2**18
"""Larger pages are decoded beside the event loop, so that nothing else has to wait."""

Fetch = Callable[[str, Mapping[str, str]], Awaitable[Answer]]
"""GET of a path with parameters. Raises Unreachable, of which TooLarge is one kind."""


@dataclass(frozen=True, slots=True)
class Found:
    """A line and who it is: 64 bits over stream labels, time, structured metadata and text.

    Loki keeps lines that agree in all four once, and lines that differ in any of them apart.
    """

    key: str
    line: LogLine


@dataclass(frozen=True, slots=True)
class Page:
    found: tuple[Found, ...]  # by time; those of one nanosecond as the server gave them
    streams: tuple[Labels, ...]
    full: bool  # as many lines as asked for: there may be more


class LokiApi:
    """One tenant of one Loki. Every call raises Unreachable (try again) or Refused (don't)."""

    def __init__(self, fetch: Fetch, key: bytes = b"") -> None:
        """``key``: of the lines' identities."""
        self._fetch, self._key = fetch, key

    async def lines(self, query: str, start_ns: int, end_ns: int, limit: int) -> Page:
        """The oldest ``limit`` lines at or after ``start_ns`` and before ``end_ns``.

        A full page holds all lines before its newest nanosecond, but perhaps not all of that.
        """
        params = {
            "query": query,
            "start": str(start_ns),
            "end": str(end_ns),
            "limit": str(limit),
            "direction": "forward",
        }
        answer = await self._ask("loki/api/v1/query_range", params)
        if len(answer.body) > _BESIDE_BYTES:
            return await asyncio.to_thread(_page, answer, limit, self._key)
        return _page(answer, limit, self._key)

    async def streams(self, query: str, start_ns: int, end_ns: int) -> list[Labels]:
        """The labels of all streams with lines in this time; some without any may be among them."""
        params = {"match[]": selector(query), "start": str(start_ns), "end": str(end_ns)}
        answer = await self._ask("loki/api/v1/series", params)
        return _decoded(_Series, answer).data

    async def _ask(self, path: str, params: Mapping[str, str]) -> Answer:
        answer = await self._fetch(path, params)
        if answer.status != 200:
            raise _trouble(answer)
        return answer


# --- answers ------------------------------------------------------------------------------


class _Categories(msgspec.Struct, frozen=True, rename="camel"):
    structured_metadata: dict[str, str] = {}
    parsed: dict[str, str] = {}


class _Entry(msgspec.Struct, array_like=True):
    time_ns: int
    text: str
    categories: _Categories = _Categories()


class _Stream(msgspec.Struct):
    stream: Labels
    values: list[_Entry]


class _Result(msgspec.Struct):
    resultType: Literal["streams"]  # noqa: N815 - the API's spelling; no lines is not no answer
    result: list[_Stream]


class _Lines(msgspec.Struct):
    data: _Result


class _Series(msgspec.Struct):
    data: list[Labels] = []  # left out where nothing matches


def _decoded(wanted: type[T], answer: Answer) -> T:
    text = answer.body.decode(errors="replace")  # a bad byte in a line must not stop all others
    try:  # lax, because nanoseconds come as strings
        return msgspec.json.decode(text, type=wanted, strict=False)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreachable(f"not an answer of Loki: {error}: {answer.said}") from None


def _page(answer: Answer, limit: int, key: bytes) -> Page:
    result = _decoded(_Lines, answer).data.result
    found = [one for stream in result for one in _identified(stream, key)]
    found.sort(key=lambda one: one.line.time_ns)
    return Page(tuple(found), tuple(s.stream for s in result), len(found) >= limit)


def _identified(stream: _Stream, key: bytes) -> Iterator[Found]:
    """Stream labels win over metadata, metadata over what a parser stage found."""
    of_stream = blake2b(_canonical(stream.stream), digest_size=8, key=key)
    for entry in stream.values:
        metadata, parsed = entry.categories.structured_metadata, entry.categories.parsed
        identity = of_stream.copy()
        identity.update(b"%d%s" % (entry.time_ns, _canonical(metadata)))
        identity.update(entry.text.encode())
        labels = {**parsed, **metadata, **stream.stream} if metadata or parsed else stream.stream
        yield Found(identity.hexdigest(), LogLine(entry.time_ns, labels, entry.text))


def _canonical(labels: Labels) -> bytes:
    return msgspec.json.encode(sorted(labels.items())) if labels else b"[]"


_LIMIT = re.compile(r"max_entries_limit\w{0,40} \((?P<asked>\d+) > (?P<maximum>\d+)\)")
_RANGE = re.compile(
    r"time range exceeds the limit "
    r"\(query length: (?P<asked>[^,]{1,40}), limit: (?P<longest>[^)]{1,40})\)"
)
_COST = re.compile(
    r"too many bytes|too large to execute|reduc\w{1,9} the time range", re.IGNORECASE
)


def _trouble(answer: Answer) -> Unreachable | Refused:
    """Loki says what is wrong in plain text, a gateway before it perhaps in JSON or HTML."""
    text = f"HTTP {answer.status}: {answer.said}"
    if answer.status == 429 or (answer.status >= 500 and answer.retry_after_secs):
        return Busy(text, answer.retry_after_secs)
    if answer.status >= 500 or answer.status < 400 or answer.status == 408:
        return Unreachable(text)
    if (limit := _LIMIT.search(text)) and 0 < int(limit["maximum"]) < int(limit["asked"]):
        return LimitRefused(text, int(limit["maximum"]))
    if (stretch := _RANGE.search(text)) and (longest := _seconds(stretch["longest"])):
        return RangeRefused(text, longest)
    if answer.status in (400, 422) and _COST.search(text):
        return Costly(text)
    return Refused(text)


def _seconds(text: str) -> float:
    """A duration as Go or Prometheus write it; 0 when it is neither."""
    try:
        return Duration.parse(text)
    except ValueError:
        return 0.0
