"""``loki``: the lines of a log, each exactly once; and numbers that rules ask of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiopsd.contracts import SourceContext
from aiopsd.errors import Unreachable
from aiopsd.model import Position, Reading
from aiopsd.settings import Duration, SecretFile, Settings
from aiopsd.sources.fetch import (
    Answer,
    Fetcher,
    authorization,
    checked_headers,
    checked_url,
    trust,
)
from aiopsd.sources.kept_hash import mark
from aiopsd.sources.loki_api import CATEGORIZE, Fetch, LokiApi
from aiopsd.sources.loki_cursor import Cursor
from aiopsd.sources.loki_query import selector
from aiopsd.sources.loki_reader import Reader, Wanted
from aiopsd.sources.loki_rules import followers
from aiopsd.sources.loki_tail import Bell, Socket
from aiopsd.sources.merging import Put, merged
from aiopsd.sources.prometheus_rule import Ticks

_NS = 10**9
_TENANT = re.compile(r"[A-Za-z0-9!\-_.*'()]{1,150}")
_LONG_QUERY_CHARS = 1500  # what any proxy takes in a URL
_UNCACHED = {"Cache-Control": "no-cache"}  # "no lines" of a moment ago may be wrong by now
_SETTLE_SECS = 0.5  # a busy log rings all the time


class LokiSettings(Settings, frozen=True, kw_only=True, tag="loki"):
    """Where the log is, which lines of it, and how late a line may come."""

    url: str
    query: str = '{service_name=~".+"}'  # empty: no lines, only what rules ask
    every: Duration = Duration(5)
    delay: Duration = Duration(5)  # what is younger may not be searchable yet
    late: Duration = Duration(60)  # lines that come up to this late are found; 0s: none
    history: Duration = Duration(300)  # read before the first start, to learn from
    timeout: Duration = Duration(30)
    limit: int = 5000
    max_body_bytes: int = 64 * 2**20
    tail: bool = False  # polls as soon as a line comes
    tenant: str = ""  # several: a|b
    username: str = ""
    password_file: SecretFile | None = None
    token_file: SecretFile | None = None
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.query:
            selector(self.query)
        checked_url(self.url)
        checked_headers(self.headers)
        if self.every <= 0 or self.timeout <= 0:
            raise ValueError("every and timeout must be longer than 0s")
        if self.limit < 1 or self.max_body_bytes < 1024:
            raise ValueError("limit must be at least 1, max_body_bytes at least 1024")
        if self.tenant and not all(map(_TENANT.fullmatch, self.tenant.split("|"))):
            raise ValueError("tenant: letters, digits and !-_.*'() only; several as a|b")
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file come together")
        if self.username and self.token_file:
            raise ValueError("either username and password_file, or token_file")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file belongs to cert_file")

    def build(self, context: SourceContext) -> LokiSource:
        headers = CATEGORIZE | _UNCACHED | self.headers
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
            tls=trust(self.ca_file, context.base, self.cert_file, self.key_file),
        )
        return LokiSource(self, context, partial(_connected, self, fetcher))


@dataclass(frozen=True, slots=True)
class Wire:
    """What the server is asked by; ``fetcher`` answers rules, and is not there in some tests."""

    fetch: Fetch
    sockets: tuple[Socket, ...] = ()
    fetcher: Fetcher | None = None


@asynccontextmanager
async def _connected(settings: LokiSettings, fetcher: Fetcher) -> AsyncIterator[Wire]:
    url = checked_url(settings.url)

    async def fetch(path: str, params: Mapping[str, str]) -> Answer:
        if sum(map(len, params.values())) > _LONG_QUERY_CHARS:
            answer = await fetcher.post(url / path, params)
            if answer.status != 405:
                return answer
        return await fetcher.get((url / path).with_query(params))

    def tail(tenant: str) -> Socket:
        """Loki tails one tenant at a time."""
        headers = {"X-Scope-OrgID": tenant} if tenant else {}
        params = {"query": settings.query, "limit": "1"}
        return lambda: fetcher.socket((url / "loki/api/v1/tail").with_query(params), headers)

    sockets = tuple(map(tail, settings.tenant.split("|"))) if settings.tail else ()
    async with fetcher:
        yield Wire(fetch, sockets, fetcher)


Connect = Callable[[], AbstractAsyncContextManager[Wire]]
Work = Callable[[Put[Reading]], Coroutine[Any, Any, None]]


class LokiSource:
    """Position: the cursor, the floor below which all is final, the keys of lines between; and
    the last tick of each rule."""

    def __init__(self, settings: LokiSettings, context: SourceContext, connect: Connect) -> None:
        self._settings = settings
        self._context = context
        self._connect = connect

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        position: Position = dict(resume or {})
        async with self._connect() as wire:
            async for reading in merged(self._work(wire, position), capacity=1):
                rules = position.get("rules", {}) | reading.position.get("rules", {})
                position |= reading.position | ({"rules": rules} if rules else {})
                yield Reading(reading.items, dict(position))

    def _work(self, wire: Wire, resume: Position) -> dict[str, Work]:
        """The tail rings, the lines are read, each rule is asked; all at once."""
        settings, work = self._settings, dict[str, Work]()
        bell = Bell(self._context, float(settings.every), max(_SETTLE_SECS, float(settings.delay)))
        if wire.sockets and settings.query:
            work["tail"] = lambda _: bell.listen(wire.sockets)
        if settings.query:
            work["lines"] = lambda put: self._lines(wire.fetch, resume, bell, put)
        if wire.fetcher is not None and (self._context.queries or not work):
            url, delay_secs = checked_url(settings.url), float(settings.delay)
            done: dict[str, float] = resume.get("rules", {})
            asked = followers(self._context, wire.fetcher, url, delay_secs, done)
            work |= {f"rule {rule}": _as_readings(follow) for rule, follow in asked.items()}
        return work

    async def _lines(self, fetch: Fetch, resume: Position, bell: Bell, put: Put[Reading]) -> None:
        wanted = self._settings
        now_ns = int(self._context.clock() * _NS)
        history_ns = int(wanted.history * _NS)
        key = self._context.key
        if "cursor" in resume:
            cursor = Cursor.restore(resume, mark(key))
        else:
            cursor = Cursor.begin(now_ns, history_ns, mark(key))
        reader = Reader(
            Wanted(
                query=wanted.query,
                every_secs=float(wanted.every),
                delay_secs=float(wanted.delay),
                late_secs=float(wanted.late),
                limit=wanted.limit,
            ),
            self._context,
            LokiApi(fetch, key),
            cursor,
        )
        self._context.gauge("lag_seconds", reader.lag_secs)
        while True:
            try:
                async for reading in reader.read():
                    await put(reading)
            except Unreachable as trouble:  # of our own clock
                self._context.health.gone(self._context.name, str(trouble))
            await bell.wait()

    async def commit(self, position: Position) -> None:
        """Nothing to do: Loki keeps the lines, we keep the position."""


def _as_readings(follow: Callable[[Put[Ticks]], Coroutine[Any, Any, None]]) -> Work:
    """The position of one reading is that of its own rule."""

    async def work(put: Put[Reading]) -> None:
        async def tell(ticks: Ticks) -> None:
            await put(Reading(ticks.batches, {"rules": {ticks.rule: ticks.upto_s}}))

        await follow(tell)

    return work
