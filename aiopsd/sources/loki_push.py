"""``loki_push``: whatever can write to Loki writes its lines here, as if we were Loki.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs . Promtail, Alloy
and the Docker driver try again after 429 and 5xx, Vector after 408 too, Fluent Bit after all but
400; any other error makes them drop the batch. So what may be our own trouble is answered 503, and
204 means that the lines were counted.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiohttp import web

from aiopsd.contracts import SourceContext
from aiopsd.errors import ConfigError
from aiopsd.model import LogBatch, LogLine, Position, Reading
from aiopsd.settings import Duration, SecretFile, Settings, complain
from aiopsd.sources.log_ticks import ticks
from aiopsd.sources.loki_push_body import pushed_in
from aiopsd.sources.loki_push_request import Pushed
from aiopsd.sources.loki_push_seen import Seen, digest
from aiopsd.sources.loki_push_stamps import Stamps
from aiopsd.sources.pushed import Coming, Wrong, allowed, body_of
from aiopsd.sources.pushed_course import Course
from aiopsd.sources.pushed_refusals import Refusals
from aiopsd.sources.pushed_senders import Senders
from aiopsd.sources.pushed_waiting import Request, Waiting

AHEAD_SECS = 600.0  # a client's clock may be ahead by this much, as Loki lets it
SLOT_SECS = 1.0  # clients send about as often as that
QUIET_SECS = 5.0  # that nothing came is news too
READING_LINES = 20_000  # of requests that go together; new streams cost 0.1 ms a line
_UNDER_WAY = 2  # readings; what comes meanwhile goes together, in one commit
_AT_ONCE_BYTES = 2**18  # more is read in a thread, so that the loop goes on
_TENANT = re.compile(r"[\w!.*'()-]{1,150}", re.ASCII)


class LokiPushSettings(Settings, frozen=True, kw_only=True, tag="loki_push"):
    """A path on the daemon's own address, for whatever writes to Loki."""

    path: str = "/loki/api/v1/push"
    token_file: SecretFile | None = None
    tenants: tuple[str, ...] = ()  # only these; empty: all, and who names none
    max_body_bytes: int = 16 * 2**20  # packed or not
    waiting_bytes: int = 64 * 2**20  # of lines not yet counted; more are answered 503
    answer_within: Duration = Duration(8)
    resent_within: Duration = Duration(600)
    silent_after: Duration = Duration(300)

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or set("?#{} ") & set(self.path):
            raise ValueError(f"`path: {self.path}` must be like /loki/api/v1/push")
        complain(
            f"`tenants`: {tenant!r} cannot be in X-Scope-OrgID"
            for tenant in self.tenants
            if not _TENANT.fullmatch(tenant)
        )
        if min(self.max_body_bytes, self.waiting_bytes) < 1:
            raise ValueError("`max_body_bytes` and `waiting_bytes` must be at least 1")
        if min(self.answer_within, self.resent_within, self.silent_after) <= 0:
            raise ValueError(
                "`answer_within`, `resent_within` and `silent_after` must be longer than 0s"
            )

    def build(self, context: SourceContext) -> LokiPushSource:
        return LokiPushSource(self, context)


class _Batch(NamedTuple):
    tenant: str
    digest: str
    pushed: Pushed


class LokiPushSource:
    """Position: the requests whose lines were handed on, and how far the source is."""

    def __init__(self, settings: LokiPushSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._token = settings.token_file.read(context.base) if settings.token_file else ""
        self._seen = Seen(float(settings.resent_within), context.key)
        self._senders = Senders(context.name, context.health, float(settings.silent_after))
        self._course = Course(kept=True)
        self._reading = asyncio.Lock()  # one request at a time: a few bytes can be many lines
        self._held: list[Request[_Batch]] = []  # not handed on yet
        self._waiting: Waiting[_Batch] = Waiting()  # not answered yet; their size: bytes
        self._coming = Coming(settings.max_body_bytes)
        self._refusals = Refusals(context.name)
        self._stamps = Stamps(context.name)
        self._come = asyncio.Event()
        self._under_way: deque[int] = deque()  # readings not committed: their newest requests
        self._newest = 0  # number of the newest request that was handed on
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
        self._streaming = True
        try:
            while True:
                yield self._handed_on(await self._requests())
        finally:
            self._streaming = False
            watch.cancel()
            for request in self._held:  # what nobody took, its client must keep
                self._waiting.refuse(request, Wrong(503, "stopping"))
            self._held = []
            self._course.end()
            await asyncio.gather(watch, return_exceptions=True)

    async def commit(self, position: Position) -> None:
        self._waiting.taken(position["request"])
        while self._under_way and self._under_way[0] <= position["request"]:
            self._under_way.popleft()
        if self._held:
            self._come.set()

    def again(self, before: Position, kept_s: float, news: Position | None) -> Position:
        """See ``contracts.Unasked``."""
        if news is None:
            return {"missed": before.get("newest", kept_s), **before}
        return {**before, **news, "taken": [*before.get("taken", ()), *news["taken"]]}

    def _resume(self, resume: Position) -> None:
        self._course.resume(resume)
        self._newest = self._course.request
        self._seen.restore(resume.get("taken", ()))
        self._context.count("gaps", self._course.gaps)
        self._context.count("gap_seconds", self._course.gap_secs)
        self._senders.begin(self._context.clock(), self._course.senders)

    async def _requests(self) -> list[Request[_Batch]]:
        """What has come; none after a while of silence."""
        try:
            async with asyncio.timeout(QUIET_SECS):
                await self._come.wait()
        except TimeoutError:
            pass
        self._come.clear()
        return self._some()

    def _some(self) -> list[Request[_Batch]]:
        """What is held, or as much of it as others may have to wait for; one request is whole."""
        many = count = 0
        for request in self._held:
            many += len(request.brought.pushed.lines)
            if count and many > READING_LINES:
                self._come.set()
                break
            count += 1
        some, self._held = self._held[:count], self._held[count:]
        return some

    def _handed_on(self, requests: list[Request[_Batch]]) -> Reading:
        now_s = self._context.clock()
        lines: list[LogLine] = []
        taken: list[str] = []
        for request in requests:
            tenant, name, pushed = request.brought
            taken += [] if name in self._seen else [name]
            fresh = self._seen.fresh(name, tenant, pushed.lines, now_s)
            self._context.count("resent_lines", len(pushed.lines) - len(fresh))
            lines += fresh
        self._context.count("lines", len(lines))
        self._context.count("keys_forgotten_early", self._seen.forgotten)
        self._seen.forgotten = 0
        latest_ns = int((now_s + AHEAD_SECS) * 1e9)
        self._context.count("ahead_lines", sum(line.time_ns > latest_ns for line in lines))
        batches = ticks(lines, now_s, SLOT_SECS) or (LogBatch(now_s, ()),)
        gap = self._course.reach(now_s) if lines else None
        if gap is not None:
            gap.tell(self._context, "lines")
        if requests:
            self._newest = requests[-1].number
            self._under_way.append(self._newest)
        position = self._course.position(self._newest, self._senders.addresses)
        news = {"request": self._newest, "newest": now_s, "taken": taken} if taken else None
        return Reading(batches, position | {"taken": self._seen.requests}, news)

    # --- towards the client ---------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.Response:
        """POST of one batch. Answers in sentences, for who reads the client's log."""
        sender = request.remote or "unknown"
        try:
            pushed = await self._take(request)
        except Wrong as wrong:
            self._context.count("refused_requests", 1)
            self._refusals.tell(wrong, sender)
            return wrong.response()
        if pushed.bad:
            partly = Wrong(400, f"{pushed.bad} streams refused, the others are counted: "
                                f"{pushed.complaint}")  # fmt: skip
            self._refusals.tell(partly, sender)
            return web.Response(status=400, text=f"{partly}\n")
        self._refusals.well(sender)
        return web.Response(status=204)

    async def _take(self, request: web.Request) -> Pushed:
        """Returns when its lines are counted."""
        if not allowed(request.headers.get("Authorization", ""), self._token):
            raise Wrong(401, "wrong or missing token")
        tenant = self._tenant(request)
        if not self._streaming:
            raise Wrong(503, "not started yet, or stopping")
        if self._waiting.size >= self._settings.waiting_bytes:
            raise Wrong(503, f"{self._waiting.size:,} bytes are waiting to be counted")
        if not self._context.room():
            raise Wrong(503, "more than can be kept waits for a checkpoint")
        body, pushed = await self._received(request)
        self._senders.hear(request.remote or "unknown", self._context.clock())
        self._context.count("cut_lines", pushed.cut)
        self._context.count("bad_streams", pushed.bad)
        odd_stamps = self._stamps.heed(pushed.lines, request.remote or "unknown")
        self._context.count("odd_stamps", odd_stamps)
        await self._counted(request.remote or "unknown", tenant, body, pushed)
        return pushed

    def _tenant(self, request: web.Request) -> str:
        tenant = request.headers.get("X-Scope-OrgID", "")
        if self._settings.tenants and not tenant:
            raise Wrong(401, "no org id")
        if self._settings.tenants and tenant not in self._settings.tenants:
            raise Wrong(403, f"tenant {tenant[:150]!r} may not write here")
        return tenant

    async def _received(self, request: web.Request) -> tuple[bytes, Pushed]:
        within_secs, most = float(self._settings.answer_within), self._settings.max_body_bytes
        try:
            with self._coming.room(request):
                body = await body_of(request, limit_bytes=most, within_secs=within_secs)
                async with self._reading:
                    return body, await self._read(request, body)
        except Wrong as wrong:  # a client drops what is answered 408
            raise Wrong(503, str(wrong)) if wrong.status == 408 else wrong from None

    async def _read(self, request: web.Request, body: bytes) -> Pushed:
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        limit_bytes = self._settings.max_body_bytes
        if len(body) > _AT_ONCE_BYTES or encoding in ("gzip", "deflate"):  # much may be in it
            return await asyncio.to_thread(pushed_in, body, kind, encoding, limit_bytes)
        return pushed_in(body, kind, encoding, limit_bytes)

    async def _counted(self, sender: str, tenant: str, body: bytes, pushed: Pushed) -> None:
        if not self._streaming:
            raise Wrong(503, "stopping")
        self._course.request += 1
        batch = _Batch(tenant, digest(self._context.key, tenant, body), pushed)
        one = self._waiting.add(self._course.request, sender, batch, pushed.size_bytes)
        self._held.append(one)
        if len(self._under_way) < _UNDER_WAY:
            self._come.set()
        await one.answered(float(self._settings.answer_within), "counted")
