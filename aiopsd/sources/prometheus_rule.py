"""One rule's way through time: which tick is due, whom to ask, what was missed."""

from __future__ import annotations

import asyncio
import math
import zlib
from dataclasses import dataclass

import numpy as np

from aiopsd.contracts import Query, SourceContext
from aiopsd.errors import Refused, Unreachable
from aiopsd.keys import UNKNOWN
from aiopsd.model import Batch, Floats, Indexes
from aiopsd.sources.fetch import pauses
from aiopsd.sources.merging import Put
from aiopsd.sources.prometheus_api import Matrix, PrometheusApi, Vector
from aiopsd.sources.prometheus_names import Names
from aiopsd.telemetry import log

MAX_POINTS = 10_000  # of a series in one answer; Prometheus itself refuses 11,000
BATCHES_A_READING = 64
LIVE_SECS = 600.0  # a missed tick this young is still news; an older one only teaches
HOLE_SECS = 86_400.0  # a hole is read again as far back as this, or as `history` says
SLOWEST_SECS = 300.0
ATTEMPTS = 3  # for one tick; then it is skipped, and counted
QUERIES_AT_ONCE = 4
WATCH_SECS = 15.0
BESIDE_LOOP = 1000  # names; more are looked up in a thread


@dataclass(frozen=True, slots=True)
class Pace:
    """``delay_secs`` behind the clock, and ``history_secs`` back at the very first start.

    ``aligned``: ticks at whole multiples of ``every_secs``, where Loki puts those of a range.
    """

    every_secs: float
    delay_secs: float = 0.0
    history_secs: float = 0.0
    aligned: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A rule's ticks in milliseconds: the same ones after every restart, spread by its name."""

    every_ms: int
    offset_ms: int

    @classmethod
    def of(cls, rule: str, every_secs: float) -> Grid:
        every_ms = max(1, round(every_secs * 1000))
        return cls(every_ms, zlib.crc32(rule.encode()) % every_ms)

    def at_or_before(self, time_s: float) -> int:
        time_ms = round(time_s * 1000)
        return time_ms - (time_ms - self.offset_ms) % self.every_ms


@dataclass(frozen=True, slots=True)
class Ticks:
    """What a rule read: its batches in order of time, and the tick up to which it has read."""

    rule: str
    batches: tuple[Batch, ...]
    upto_s: float


class Server:
    """Is it there? The first rule that gets no answer finds out for all."""

    def __init__(self, context: SourceContext, api: PrometheusApi, where: str) -> None:
        self.api = api
        self.returns = 0  # how often it has come back
        self.slots = asyncio.Semaphore(QUERIES_AT_ONCE)
        self._context = context
        self._where = where
        self._finding_out = asyncio.Lock()

    async def was_away(self, returns: int) -> bool:
        """True, and it is back: ask again. False: it is well, so one query is in trouble.

        ``returns`` as it was before the question that got no answer.
        """
        async with self._finding_out:
            if self.returns != returns:
                return True
            away = False
            for pause in pauses():
                trouble = await self._trouble()
                if not trouble:
                    break
                away = True
                self._context.health.gone(self._context.name, f"{self._where}: {trouble}")
                await asyncio.sleep(pause)
            self.returns += away
            self._context.health.back(self._context.name)
            return away

    async def _trouble(self) -> str:
        try:
            await self.api.instant("1", self._context.clock())
        except Unreachable as error:
            return str(error)
        except Refused:  # an answer all the same
            pass
        return ""

    async def watch(self, put: Put[Ticks]) -> None:  # noqa: ARG002 - it reads nothing
        """Without rules only playbooks ask; whether they could is still to be known."""
        while True:
            await self.was_away(self.returns)
            await asyncio.sleep(WATCH_SECS)


class Follower:
    """Asks at each tick of its grid. One missed tick or many are read by a range query.

    What the server refuses, or cannot answer while it is well, is said once, tried again ever
    more slowly, and keeps no other rule from going on.
    """

    def __init__(
        self,
        context: SourceContext,
        server: Server,
        query: Query,
        pace: Pace,
        done_s: float | None,
    ) -> None:
        self._context = context
        self._server = server
        self._query = query
        self._pace = pace
        self._grid = Grid.of("" if pace.aligned else query.rule, pace.every_secs)
        self._names = Names(context.table, query)
        self._points = MAX_POINTS  # what one answer may hold; less once it was too much
        self._failures = 0
        self._said: set[str] = set()
        self._done_ms, self._silent_until_ms = self._begin(done_s)

    def _begin(self, done_s: float | None) -> tuple[int, int]:
        """The last tick that is already known, and until when we only learn."""
        now_ms = self._due_ms()
        if done_s is None:
            start_s = self._context.clock() - self._pace.delay_secs - self._pace.history_secs
            before_ms = now_ms - self._grid.every_ms
            return min(before_ms, self._grid.at_or_before(start_s)), before_ms
        return min(now_ms, self._grid.at_or_before(done_s)), 0  # the clock may have been ahead

    def _due_ms(self) -> int:
        return self._grid.at_or_before(self._context.clock() - self._pace.delay_secs)

    async def run(self, put: Put[Ticks]) -> None:
        while True:
            due_ms = self._due_ms()
            if due_ms <= self._done_ms:
                await asyncio.sleep(self._until_next_secs())
                continue
            self._skip_to(due_ms - self._oldest_ms())
            for ticks in await self._read(due_ms):
                await put(ticks)

    def _oldest_ms(self) -> int:
        """How far back a hole is read, in whole ticks."""
        reach_ms = 1000 * max(HOLE_SECS, self._pace.history_secs)
        return math.ceil(reach_ms / self._grid.every_ms) * self._grid.every_ms

    def _until_next_secs(self) -> float:
        """Never longer than a tick, so that a clock that jumped is seen."""
        next_s = (self._done_ms + self._grid.every_ms) / 1000 + self._pace.delay_secs
        return min(max(next_s - self._context.clock(), 0.001), self._pace.every_secs)

    async def _read(self, due_ms: int) -> list[Ticks]:
        """The next ticks, as many as one answer may hold; none when there was trouble."""
        every_ms, first_ms = self._grid.every_ms, self._done_ms + self._grid.every_ms
        points = min(self._points, (due_ms - first_ms) // every_ms + 1)
        last_ms = first_ms + (points - 1) * every_ms
        returns = self._server.returns
        try:
            async with self._server.slots:
                if points == 1:
                    batches = [await self._instant(last_ms)]
                else:
                    batches = await self._range(first_ms, last_ms)
        except Unreachable as error:
            if not await self._server.was_away(returns):
                await self._hold_back(points, error)
            return []
        except Refused as error:
            await self._hold_back(points, error)
            return []
        self._well(points, last_ms)
        return self._portions(batches, last_ms)

    def _well(self, points: int, last_ms: int) -> None:
        self._context.health.back(self._context.name)
        if points > 1 and self._done_ms >= self._silent_until_ms:
            self._context.count("reread_ticks", points)
        if "trouble" in self._said:
            self._said.remove("trouble")
            log.info("answered again source=%s rule=%s", self._context.name, self._query.rule)
        self._failures = 0
        self._done_ms = last_ms
        self._points = min(2 * max(points, self._points), MAX_POINTS)

    async def _hold_back(self, points: int, error: Unreachable | Refused) -> None:
        """Less at a time first; then, said once, ever more slowly and without the oldest ticks."""
        self._context.count("failed_queries", 1)
        if points > 1:
            self._points = max(1, points // 4)
            return
        self._failures += 1
        if self._failures == 1 and isinstance(error, Unreachable):
            return  # one hiccup is no news
        what = "refused" if isinstance(error, Refused) else "not answered"
        self._say_once("trouble", f"{what}: {error}")
        every_secs = self._pace.every_secs
        await asyncio.sleep(
            min(every_secs * 2 ** min(self._failures - 1, 16), max(SLOWEST_SECS, every_secs))
        )
        if self._failures >= ATTEMPTS:  # what cannot be had must not keep us from what can
            self._skip_to(self._due_ms() - self._grid.every_ms)

    def _skip_to(self, last_ms: int) -> None:
        if last_ms > self._done_ms:
            skipped = (last_ms - self._done_ms) // self._grid.every_ms
            self._context.count("skipped_ticks", skipped)
            self._done_ms = last_ms

    def _say_once(self, about: str, text: str) -> None:
        if about not in self._said:
            self._said.add(about)
            log.warning("source=%s rule=%s %s", self._context.name, self._query.rule, text)

    async def _instant(self, time_ms: int) -> Batch:
        vector = await self._server.api.instant(self._query.promql, time_ms / 1000)
        self._heed(vector)
        series = await self._indexed(vector.names)
        return self._batch(time_ms, series[series >= 0], vector.values[series >= 0])

    async def _range(self, first_ms: int, last_ms: int) -> list[Batch]:
        every_ms = self._grid.every_ms
        points = (last_ms - first_ms) // every_ms + 1
        matrix = await self._server.api.range(
            self._query.promql, first_ms / 1000, last_ms / 1000, every_ms / 1000
        )
        self._heed(matrix)
        series = (await self._indexed(matrix.names))[matrix.series]
        tick = np.rint((matrix.times_s * 1000 - first_ms) / every_ms).astype(np.int64)
        order = np.argsort(tick, kind="stable")
        order = order[(series[order] >= 0) & (tick[order] >= 0) & (tick[order] < points)]
        if not len(order):
            return []
        ticks, starts = np.unique(tick[order], return_index=True)
        return [
            self._batch(first_ms + int(one) * every_ms, series[rows], matrix.values[rows])
            for one, rows in zip(ticks, np.split(order, starts[1:]), strict=True)
        ]

    def _batch(self, time_ms: int, series: Indexes, values: Floats) -> Batch:
        """What came before we began, or long ago, only teaches."""
        time_s = time_ms / 1000
        old = time_s < self._context.clock() - self._pace.delay_secs - LIVE_SECS
        history = time_ms <= self._silent_until_ms or old
        return Batch(self._query.rule, time_s, series, values, history)

    def _portions(self, batches: list[Batch], last_ms: int) -> list[Ticks]:
        """Some batches at a time, so that a checkpoint can come between."""
        cuts = range(0, len(batches), BATCHES_A_READING)
        parts = [tuple(batches[cut : cut + BATCHES_A_READING]) for cut in cuts]
        upto = [part[-1].time_s for part in parts[:-1]] + [last_ms / 1000]
        return [
            Ticks(self._query.rule, part, upto_s)
            for part, upto_s in zip(parts or [()], upto, strict=True)
        ]

    async def _indexed(self, names: list[bytes]) -> Indexes:
        """The index of each, -1 where the table is full or the labels came before."""
        many = len(names) > BESIDE_LOOP
        find = self._names.find
        found = await asyncio.to_thread(find, names) if many else find(names)
        inside = np.sort(found[found >= 0])
        if (inside[1:] == inside[:-1]).any():
            again = np.ones(len(found), bool)
            again[np.unique(found, return_index=True)[1]] = False
            again &= found >= 0
            self._context.count("duplicate_series", int(again.sum()))
            self._say_once("duplicates", f"{again.sum()} series share their labels with another")
            found[again] = UNKNOWN
        return found

    def _heed(self, answer: Vector | Matrix) -> None:
        if answer.warnings:
            self._context.count("query_warnings", len(answer.warnings))
            self._say_once("warnings", f"warning: {'; '.join(answer.warnings)}")
        if answer.histograms:
            self._context.count("native_histograms", answer.histograms)
            self._say_once("histograms", "native histograms ignored: use histogram_quantile()")
