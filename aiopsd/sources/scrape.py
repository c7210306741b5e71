"""``scrape``: reads /metrics of each target itself, where no Prometheus does.

Raw samples (rule ``""``) with ``instance`` and the target's labels added, and beside them ``up``
and ``scrape_duration_seconds``, as Prometheus would have them.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from yarl import URL

from aiopsd.contracts import SourceContext
from aiopsd.errors import Unreachable
from aiopsd.model import Batch, Floats, Indexes, Labels, Position, Reading
from aiopsd.settings import Duration, SecretFile, Settings, complain
from aiopsd.sources.exposition import Exposition, Parser
from aiopsd.sources.fetch import Answer, Fetcher, authorization, checked_url, trust
from aiopsd.sources.merging import Put, merged
from aiopsd.telemetry import log

# What Prometheus asks for, so that series have the names that people know from there.
_ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LINES_AT_ONCE = 5_000  # then the loop gets its turn


class Target(Settings, frozen=True, kw_only=True):
    """An address, and labels that win over those of its series (renamed ``exported_...``)."""

    url: str
    labels: dict[str, str] = {}

    def __post_init__(self) -> None:
        checked_url(self.url)
        complain(
            f"`labels`: {name}={value!r} is not a label of a target"
            for name, value in self.labels.items()
            if not _LABEL_NAME.fullmatch(name) or name.startswith("__") or not value
        )

    @property
    def named(self) -> Labels:
        url = URL(self.url)
        return {"instance": f"{url.host_subcomponent}:{url.port}", **self.labels}


class ScrapeSettings(Settings, frozen=True, kw_only=True, tag="scrape"):
    """Targets, each an address or ``{url, labels}``."""

    targets: tuple[str | Target, ...]
    every: Duration = Duration(5)
    timeout: Duration | None = None  # for the whole answer; else 5s, or `every` where it is shorter
    token_file: SecretFile | None = None
    ca_file: str = ""
    max_body_bytes: int = 16 * 2**20

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("`targets` is empty")
        if self.every <= 0 or self.max_body_bytes < 1:
            raise ValueError("`every` and `max_body_bytes` must be more than nothing")
        if self.timeout is not None and not 0 < self.timeout <= self.every:
            raise ValueError(f"`timeout` must be longer than 0s and at most `every: {self.every}`")
        names = [target.named for target in self.known]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise ValueError(
                    f"two targets are called {name['instance']}: give one of them `labels`"
                )

    @property
    def known(self) -> tuple[Target, ...]:
        return tuple(t if isinstance(t, Target) else Target(url=t) for t in self.targets)

    @property
    def timeout_secs(self) -> float:
        return float(self.timeout if self.timeout is not None else min(self.every, 5.0))

    def build(self, context: SourceContext) -> ScrapeSource:
        return ScrapeSource(self, context)


class ScrapeSource:
    """What a target said before cannot be asked again: there is nothing to resume."""

    def __init__(self, settings: ScrapeSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._tls = trust(settings.ca_file, context.base)
        self._headers = {"Accept": _ACCEPT} | _bearer(settings.token_file, context.base)

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:  # noqa: ARG002
        fetcher = Fetcher(
            timeout_secs=self._settings.timeout_secs,
            max_body_bytes=self._settings.max_body_bytes,
            headers=self._headers,
            tls=self._tls,
        )
        async with fetcher:
            every_secs = float(self._settings.every)
            workers = {
                f"{target.url} {number}": Scraper(self._context, fetcher, target, every_secs).run
                for number, target in enumerate(self._settings.known)
            }
            async for batch in merged(workers):
                yield Reading((batch,), {"time": batch.time_s})

    async def commit(self, position: Position) -> None:
        """Nothing to do: a target keeps no past."""


def _bearer(token_file: SecretFile | None, base: Path) -> dict[str, str]:
    return authorization(base, token_file=token_file, username="", password_file=None)


class Scraper:
    """One target, on its own: no other one delays it."""

    def __init__(
        self, context: SourceContext, fetcher: Fetcher, target: Target, every_secs: float
    ) -> None:
        self._context = context
        self._fetcher = fetcher
        self._url = URL(target.url)
        self._labels = target.named
        self._part = f"{context.name}/{self._labels['instance']}"
        self._every_secs = every_secs
        self._offset_secs = zlib.crc32(repr(self._labels).encode()) / 2**32 * every_secs
        self._table = context.table.seen_by(self._labels["instance"])
        self._parser = Parser(self._interned, self._table.keys(), context.types)
        self._bad_said = False

    async def run(self, put: Put[Batch]) -> None:
        tick = self._tick()
        while True:
            await asyncio.sleep(self._until_secs(tick + 1))
            now = self._tick()
            if now > tick + 1:
                self._context.count("skipped_scrapes", now - tick - 1)
            if now != tick:  # a clock that went back must not stop us
                tick = now
                await put(await self._scrape())

    def _tick(self) -> int:
        """Number of the running interval; its start is spread by the target's labels."""
        return int((self._context.clock() - self._offset_secs) // self._every_secs)

    def _until_secs(self, tick: int) -> float:
        start_s = tick * self._every_secs + self._offset_secs
        return min(max(start_s - self._context.clock(), 0.001), self._every_secs)

    async def _scrape(self) -> Batch:
        time_s, loop = self._context.clock(), asyncio.get_running_loop()
        begun = loop.time()
        try:
            found, up = await self._read(), 1.0
        except Unreachable as error:
            found, up = Exposition(), 0.0
            self._context.health.gone(self._part, str(error))
        else:
            self._context.health.back(self._part)
        own = {"up": up, "scrape_duration_seconds": loop.time() - begun}
        indexes = [self._interned({"__name__": name}) for name in own]
        series = np.concatenate((np.array(indexes, np.int32), found.series))
        values = np.concatenate((np.array(list(own.values())), found.values))
        return self._batch(time_s, series, values)

    async def _read(self) -> Exposition:
        answer = await self._fetcher.get(self._url)
        if answer.status != 200 or answer.is_web_page:
            raise Unreachable(f"status {answer.status}: {answer.said}")
        found = await self._parsed(answer)
        if found.bad_lines and not len(found.series):
            raise Unreachable(f"answers no metrics: {found.first_bad}")
        if "openmetrics" in answer.content_type and not found.ended:
            raise Unreachable("its answer was cut off: no `# EOF`")
        self._complain(found)
        return found

    async def _parsed(self, answer: Answer) -> Exposition:
        found, lines = Exposition(), answer.body.split(b"\n")
        for start in range(0, len(lines), _LINES_AT_ONCE):
            self._parser.feed(lines[start : start + _LINES_AT_ONCE], found)
            await asyncio.sleep(0)
        return found

    def _complain(self, found: Exposition) -> None:
        if found.bad_lines:
            self._context.count("bad_lines", found.bad_lines)
        if found.bad_lines and not self._bad_said:
            log.warning("target=%s bad_lines=%d %s", self._part, found.bad_lines, found.first_bad)
        self._bad_said = found.bad_lines > 0

    def _interned(self, labels: Labels) -> int:
        for name, value in self._labels.items():
            if name in labels:
                other = f"exported_{name}"
                while other in labels:
                    other = f"exported_{other}"
                labels[other] = labels.pop(name)
            labels[name] = value
        return self._table.intern("", labels)

    def _batch(self, time_s: float, series: Indexes, values: Floats) -> Batch:
        """Without what the table could not take; of a series that comes twice, the first."""
        known = np.flatnonzero(series >= 0)
        first = known[np.sort(np.unique(series[known], return_index=True)[1])]
        if len(first) < len(known):
            self._context.count("duplicate_samples", len(known) - len(first))
        return Batch("", time_s, series[first], values[first])
