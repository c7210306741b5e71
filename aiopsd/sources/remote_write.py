"""``remote_write``: Prometheus, or an agent, writes its samples here as it scrapes them.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ (1.0) and remote_write_spec_2_0/.
A sender tries again after 5xx and drops the samples after any other error, 429 included; so what
may be our own trouble is answered 503, and 2xx means that the samples were scored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from aiopsd.contracts import SourceContext
from aiopsd.errors import ConfigError
from aiopsd.model import Position, Reading
from aiopsd.settings import Duration, SecretFile, Settings
from aiopsd.sources.protobuf import Malformed
from aiopsd.sources.pushed import Coming, Wrong, allowed, body_of
from aiopsd.sources.pushed_course import Course
from aiopsd.sources.pushed_refusals import Refusals
from aiopsd.sources.pushed_senders import Senders
from aiopsd.sources.pushed_snappy import unpacked
from aiopsd.sources.pushed_waiting import Request, Waiting
from aiopsd.sources.remote_write_gather import Gathering
from aiopsd.sources.remote_write_intake import Counts, Written
from aiopsd.sources.remote_write_odd_times import OddTimes
from aiopsd.sources.remote_write_ticks import Ticks
from aiopsd.sources.remote_write_v1 import Version1
from aiopsd.sources.remote_write_v2 import Version2

AHEAD_SECS = 600.0  # a sender's clock may be ahead by this much
_AT_ONCE_BYTES = 2**20  # more is read in a thread, so that the loop goes on
_MOST_TYPES = 100_000  # and those of one request more
_MOST_NAME = 1_000  # characters of a metric whose type is remembered
_V1, _V2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"


class RemoteWriteSettings(Settings, frozen=True, kw_only=True, tag="remote_write"):
    """A path on the daemon's own address, for ``remote_write`` of Prometheus."""

    path: str = "/api/v1/write"
    token_file: SecretFile | None = None
    max_body_bytes: int = 16 * 2**20
    max_unpacked_bytes: int = 64 * 2**20
    waiting_samples: int = 1_000_000  # not yet scored; more requests are answered 503
    answer_within: Duration = Duration(10)
    gather: Duration = Duration(0.2)
    resolution: Duration = Duration(0.1)
    silent_after: Duration = Duration(300)

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or set("?#{} ") & set(self.path):
            raise ValueError(f"`path: {self.path}` must be like /api/v1/write")
        if min(self.max_body_bytes, self.max_unpacked_bytes, self.waiting_samples) < 1:
            raise ValueError(
                "`max_body_bytes`, `max_unpacked_bytes` and `waiting_samples` must be at least 1"
            )
        if not 0 <= self.gather <= 1:
            raise ValueError("`gather` must be at most 1s: senders wait for it")
        if self.answer_within <= 0 or self.silent_after <= 0:
            raise ValueError("`answer_within` and `silent_after` must be longer than 0s")

    def build(self, context: SourceContext) -> RemoteWriteSource:
        return RemoteWriteSource(self, context)


class RemoteWriteSource:
    """Answers 2xx once the samples are scored, and not before."""

    def __init__(self, settings: RemoteWriteSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._token = settings.token_file.read(context.base) if settings.token_file else ""
        self._readers: dict[str, Version1 | Version2] = {
            _V1: Version1(context.table),
            _V2: Version2(context.table),
        }
        self._ticks = Ticks(round(1000 * float(settings.resolution)))
        self._gathering: Gathering[Request[Written]] = Gathering(float(settings.gather))
        self._senders = Senders(context.name, context.health, float(settings.silent_after))
        self._reading = asyncio.Lock()  # one request at a time: keys are learned in order
        self._waiting: Waiting[Written] = Waiting()  # their size: samples
        self._coming = Coming(settings.max_body_bytes)
        self._refusals = Refusals(context.name)
        self._course = Course()
        self._odd_times = OddTimes(context.name, context.table)
        self._streaming = False
        if settings.path in context.routes:
            raise ConfigError(f"source {context.name}: `path: {settings.path}` is taken already")
        context.routes[settings.path] = self.handle

    # --- towards the pipeline -------------------------------------------------------------

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        self._resume(resume or {})
        watch = asyncio.create_task(
            self._senders.watch(self._context.clock), name=f"look {self._context.name}"
        )
        self._gathering.begin()
        self._streaming = True
        try:
            while True:
                yield self._handed_on(await self._gathering.gathered())
        finally:
            self._streaming = False
            watch.cancel()
            for request in self._gathering.take():  # what nobody took, its sender must keep
                self._waiting.refuse(request, Wrong(503, "stopping"))
            self._course.end()
            await asyncio.gather(watch, return_exceptions=True)

    async def commit(self, position: Position) -> None:
        self._waiting.taken(position["request"])

    def _resume(self, resume: Position) -> None:
        self._course.resume(resume)
        self._context.count("gaps", self._course.gaps)
        self._context.count("gap_seconds", self._course.gap_secs)
        self._senders.begin(self._context.clock(), self._course.senders)

    def _handed_on(self, requests: list[Request[Written]]) -> Reading:
        ticks = self._ticks
        late, ahead, thinned = ticks.late, ticks.ahead, ticks.thinned
        until_ms = int(1000 * (self._context.clock() + AHEAD_SECS))
        batches = ticks.batches([one.brought for one in requests], until_ms)
        self._context.count("late_samples", ticks.late - late)
        self._context.count("ahead_samples", ticks.ahead - ahead)
        self._context.count("thinned_samples", ticks.thinned - thinned)
        for one in requests:
            self._odd_times.look(one.sender, one.brought, until_ms)
            if ticks.thinned > thinned and ticks.crowd in one.brought.series:
                self._odd_times.thinned(one.sender, ticks.crowd)
        gap = self._course.reach(batches[-1].time_s) if batches else None
        if gap is not None:
            gap.tell(self._context, "samples")
        position = self._course.position(requests[-1].number, self._senders.addresses)
        return Reading(tuple(batches), position)

    # --- towards the sender ---------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.Response:
        """POST of one request. Answers in sentences, for who reads the sender's log."""
        writer, sender = request.transport, request.remote or "unknown"
        try:
            written = await self._take(request, writer)
        except Wrong as wrong:
            self._context.count("refused_requests", 1)
            self._senders.refuse(sender, str(wrong))
            self._refusals.tell(wrong, sender)
            return wrong.response()
        finally:
            self._gathering.leave(writer)
        self._refusals.well(sender)
        return _answer(written)

    async def _take(self, request: web.Request, writer: Any) -> Written:
        """Returns when its samples are scored."""
        if not allowed(request.headers.get("Authorization", ""), self._token):
            raise Wrong(401, "wrong or missing token")
        reader = self._readers[_protocol(request)]
        if not self._streaming:
            raise Wrong(503, "not started yet, or stopping")
        if self._waiting.size >= self._settings.waiting_samples:
            raise Wrong(503, f"{self._waiting.size} samples are waiting to be scored")
        self._gathering.comes(writer)
        written = await self._received(request, reader)
        self._senders.hear(request.remote or "unknown", self._context.clock())
        self._note(written.counts)
        if len(self._context.types) < _MOST_TYPES:
            short = ((name, kind) for name, kind in written.types.items() if len(name) < _MOST_NAME)
            self._context.types.update(short)
        await self._scored(written, writer, request.remote or "unknown")
        return written

    async def _received(self, request: web.Request, reader: Version1 | Version2) -> Written:
        within_secs, most = float(self._settings.answer_within), self._settings.max_body_bytes
        with self._coming.room(request):
            packed = await body_of(request, limit_bytes=most, within_secs=within_secs)
            async with self._reading:
                return await self._read(reader, packed)

    def _note(self, counts: Counts) -> None:
        count = self._context.count
        count("received_samples", counts.samples)
        count("received_histograms", counts.histograms)
        count("received_exemplars", counts.exemplars)
        count("received_metadata", counts.metadata)
        count("stale_markers", counts.stale)
        count("refused_samples", counts.refused)
        count("bad_series", counts.bad)

    async def _read(self, reader: Version1 | Version2, packed: bytes) -> Written:
        try:
            body = unpacked(packed, self._settings.max_unpacked_bytes)
            if len(body) > _AT_ONCE_BYTES:
                return await asyncio.to_thread(reader.read, body)
            return reader.read(body)
        except Malformed as error:
            raise Wrong(400, f"not a remote_write request: {error}") from None

    async def _scored(self, written: Written, writer: Any, sender: str) -> None:
        if not self._streaming:
            raise Wrong(503, "stopping")
        self._course.request += 1
        one = self._waiting.add(self._course.request, sender, written, len(written.series))
        self._gathering.bring(writer, one)
        await one.answered(float(self._settings.answer_within), "scored")


def _answer(written: Written) -> web.Response:
    """2.0 wants to know how many; a series without a proper name must come back as an error."""
    counts = written.counts
    headers = {
        "X-Prometheus-Remote-Write-Samples-Written": str(counts.samples),
        "X-Prometheus-Remote-Write-Histograms-Written": str(counts.histograms),
        "X-Prometheus-Remote-Write-Exemplars-Written": str(counts.exemplars),
    }
    if not counts.bad:
        return web.Response(status=204, headers=headers)
    text = f"{counts.bad} series refused, the others are scored: {written.complaint}\n"
    return web.Response(status=400, text=text, headers=headers)


def _protocol(request: web.Request) -> str:
    """Which message this is. Raises Wrong 415 where it is none that we read."""
    encoding = request.headers.get("Content-Encoding", "snappy")
    if encoding != "snappy":
        raise Wrong(415, f"Content-Encoding {encoding!r}: only snappy is read")
    kind, _, rest = request.headers.get("Content-Type", "application/x-protobuf").partition(";")
    words = dict(part.strip().partition("=")[::2] for part in rest.split(";"))
    message = words.get("proto", _V1)
    if kind.strip() != "application/x-protobuf" or message not in (_V1, _V2):
        raise Wrong(415, f"only application/x-protobuf of {_V1} or {_V2} is read")
    return message
