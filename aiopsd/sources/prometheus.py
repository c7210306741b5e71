"""``prometheus``: asks each rule's PromQL at its own cadence, and reads again what it missed.

Works with whatever speaks the Prometheus query API: Thanos, Mimir (``tenant``), VictoriaMetrics
(``delay: 5s`` for its buffers; before 1.85.2, which freezes the newest half minute of a range,
``delay: 30s``).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from yarl import URL

from aiopsd.contracts import Query, SourceContext
from aiopsd.model import Labels, Position, Reading
from aiopsd.settings import Duration, SecretFile, Settings
from aiopsd.sources.fetch import (
    Fetcher,
    authorization,
    checked_headers,
    checked_url,
    redacted,
    trust,
)
from aiopsd.sources.merging import merged
from aiopsd.sources.prometheus_api import PrometheusApi
from aiopsd.sources.prometheus_rule import Follower, Pace, Server


class PrometheusSettings(Settings, frozen=True, kw_only=True, tag="prometheus"):
    """Where the query API is, and who we are there."""

    url: str  # with the path before /api/v1, e.g. http://mimir/prometheus
    every: Duration = Duration(15)  # cadence of a rule that does not say its own
    timeout: Duration = Duration(10)
    delay: Duration = Duration(0)  # ask about this long ago: for stores that hide what is newest
    history: Duration | None = None  # read back before speaking; else the daemon's own
    token_file: SecretFile | None = None
    username: str = ""
    password_file: SecretFile | None = None
    ca_file: str = ""
    tenant: str = ""  # X-Scope-OrgID
    headers: dict[str, str] = {}
    max_body_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        checked_url(self.url)
        checked_headers(self.headers | {"X-Scope-OrgID": self.tenant})
        if self.every <= 0 or self.timeout <= 0:
            raise ValueError("`every` and `timeout` must be longer than 0s")
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("`username` and `password_file` belong together")
        if self.username and self.token_file:
            raise ValueError("`token_file` and `username` exclude each other")
        if self.max_body_bytes < 1:
            raise ValueError("`max_body_bytes` must be at least 1")

    def build(self, context: SourceContext) -> PrometheusSource:
        return PrometheusSource(self, context)

    def headers_for(self, base: Path) -> dict[str, str]:
        """What every request carries, secrets included."""
        headers = self.headers | authorization(
            base,
            token_file=self.token_file,
            username=self.username,
            password_file=self.password_file,
        )
        return headers | {"X-Scope-OrgID": self.tenant} if self.tenant else headers


class PrometheusSource:
    """A Source, and a Querier for those who want one number now.

    Its position holds the last tick of every rule, so that a rule which is new reads its history
    while the others go on. A tick is one Batch, even when it has no series; a tick that is read
    later (the server was away, or we were) has one only if there is a value.
    """

    def __init__(self, settings: PrometheusSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._url = URL(settings.url)
        self._tls = trust(settings.ca_file, context.base)
        self._headers = settings.headers_for(context.base)

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        async with self._fetcher() as fetcher:
            server = Server(self._context, PrometheusApi(fetcher, self._url), redacted(self._url))
            done = self._resumed(resume)
            workers = {
                query.rule: self._follower(server, query, done.get(query.rule)).run
                for query in self._context.queries
            }
            async for tick in merged(workers or {"watch": server.watch}):
                done[tick.rule] = tick.upto_s
                yield Reading(tick.batches, {"time": max(done.values()), "rules": dict(done)})

    async def commit(self, position: Position) -> None:
        """Nothing to do: the server keeps its data."""

    async def instant(self, promql: str) -> Sequence[tuple[Labels, float]]:
        """Finite samples, without ``__name__``. Raises Unreachable or Refused, and never waits
        longer than ``timeout``; it has its own connection, so that no rule can delay it."""
        async with self.asking() as api:
            at_s = self._context.clock() - float(self._settings.delay)
            vector = await api.instant(promql, at_s)
        found = zip(vector.labels, vector.values.tolist(), strict=True)
        return [(labels, value) for labels, value in found if math.isfinite(value)]

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[PrometheusApi]:
        """The query API on a connection of its own."""
        async with self._fetcher() as fetcher:
            yield PrometheusApi(fetcher, self._url)

    def _fetcher(self) -> Fetcher:
        return Fetcher(
            timeout_secs=float(self._settings.timeout),
            max_body_bytes=self._settings.max_body_bytes,
            headers=self._headers,
            tls=self._tls,
        )

    def _follower(self, server: Server, query: Query, done_s: float | None) -> Follower:
        history = self._settings.history
        pace = Pace(
            every_secs=query.every_secs or float(self._settings.every),
            delay_secs=float(self._settings.delay),
            history_secs=self._context.history_secs if history is None else float(history),
        )
        return Follower(self._context, server, query, pace, done_s)

    def _resumed(self, resume: Position | None) -> dict[str, float]:
        """The last tick of each rule that we still have; a rule that is new has none."""
        rules = (resume or {}).get("rules", {})
        return {q.rule: float(rules[q.rule]) for q in self._context.queries if q.rule in rules}
