"""``loki_push``: whatever can write to Loki writes its lines here, as if we were Loki.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs . Promtail, Alloy
and the Docker driver try again after 429 and 5xx, Vector after 408 too, Fluent Bit after all but
400; any other error makes them drop the batch. So what may be our own trouble is answered 503, and
204 means that the lines were counted.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from aiopsd.contracts import SourceContext
from aiopsd.errors import ConfigError
from aiopsd.model import LogBatch, LogLine, Position, Reading
from aiopsd.settings import Duration, SecretFile, Settings
from aiopsd.sources.log_ticks import ticks
from aiopsd.sources.loki_push_body import pushed_in
from aiopsd.sources.loki_push_request import Pushed
from aiopsd.sources.loki_push_seen import Seen, digest
from aiopsd.sources.pushed import Wrong, allowed, body_of
from aiopsd.sources.pushed_course import Course, Gap
from aiopsd.sources.pushed_senders import Senders

log = logging.getLogger(__name__)

AHEAD_SECS = 600.0  # a client's clock may be ahead by this much, as Loki lets it
SLOT_SECS = 1.0  # clients send about as often as that
QUIET_SECS = 5.0  # that nothing came is news too
_AT_ONCE_BYTES = 2**18  # more is read in a thread, so that the loop goes on
_COMING = 8  # bodies of the largest size that may be on their way at once
_MOST_TOLD = 200  # refusals; of a larger crowd, the first ones
_LOOKS = 4  # in `silent_after`
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
        for tenant in self.tenants:
            if not _TENANT.fullmatch(tenant):
                raise ValueError(f"`tenants`: {tenant!r} cannot be in X-Scope-OrgID")
        if min(self.max_body_bytes, self.waiting_bytes) < 1:
            raise ValueError("`max_body_bytes` and `waiting_bytes` must be at least 1")
        if min(self.answer_within, self.resent_within, self.silent_after) <= 0:
            raise ValueError(
                "`answer_within`, `resent_within` and `silent_after` must be longer than 0s"
            )

    def build(self, context: SourceContext) -> LokiPushSource:
        return LokiPushSource(self, context)


@dataclass
class _Request:
    """One that waits for its answer, or would, had its client not given up."""

    number: int
    tenant: str
    digest: str
    pushed: Pushed
    counted: asyncio.Future[None]


class LokiPushSource:
    """Position: the requests whose lines were handed on, and how far the source is."""

    def __init__(self, settings: LokiPushSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._token = settings.token_file.read(context.base) if settings.token_file else ""
        self._seen = Seen(float(settings.resent_within), context.key)
        self._senders = Senders(context.name, context.health, float(settings.silent_after))
        self._course = Course()
        self._reading = asyncio.Lock()  # one request at a time: a few bytes can be many lines
        self._held: list[_Request] = []  # not handed on yet
        self._waiting: dict[int, _Request] = {}  # not answered yet
        self._come = asyncio.Event()
        self._waiting_bytes = self._coming_bytes = 0
        self._newest = 0  # number of the newest request that was handed on
        self._told: set[tuple[str, int]] = set()  # clients, and how they were refused
        self._streaming = False
        if settings.path in context.routes:
            raise ConfigError(f"source {context.name}: `path: {settings.path}` is taken already")
        context.routes[settings.path] = self.handle

    # --- towards the pipeline -------------------------------------------------------------

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        self._resume(resume or {})
        watch = asyncio.create_task(self._look(), name=f"look {self._context.name}")
        self._streaming = True
        try:
            while True:
                yield self._handed_on(await self._requests())
        finally:
            self._streaming = False
            watch.cancel()
            for request in self._held:  # what nobody took, its client must keep
                self._done(request, Wrong(503, "stopping"))
            self._held = []
            self._course.end()
            await asyncio.gather(watch, return_exceptions=True)

    async def commit(self, position: Position) -> None:
        """Whoever sent these requests gets his answer."""
        for number in [n for n in self._waiting if n <= position["request"]]:
            self._done(self._waiting[number])

    def _done(self, request: _Request, wrong: Wrong | None = None) -> None:
        del self._waiting[request.number]
        self._waiting_bytes -= request.pushed.size_bytes
        if not request.counted.done():
            request.counted.set_exception(wrong) if wrong else request.counted.set_result(None)

    def _resume(self, resume: Position) -> None:
        self._course.resume(resume)
        self._newest = self._course.request
        self._seen.restore(resume.get("taken", ()))
        self._context.count("gaps", self._course.gaps)
        self._context.count("gap_seconds", self._course.gap_secs)
        self._senders.begin(self._context.clock(), self._course.senders)

    async def _requests(self) -> list[_Request]:
        """What has come; none after a while of silence."""
        try:
            async with asyncio.timeout(QUIET_SECS):
                await self._come.wait()
        except TimeoutError:
            pass
        self._come.clear()
        held, self._held = self._held, []
        return held

    def _handed_on(self, requests: list[_Request]) -> Reading:
        now_s = self._context.clock()
        lines: list[LogLine] = []
        for request in requests:
            fresh = self._seen.fresh(request.digest, request.tenant, request.pushed.lines, now_s)
            self._context.count("resent_lines", len(request.pushed.lines) - len(fresh))
            lines += fresh
        self._context.count("lines", len(lines))
        self._context.count("keys_forgotten_early", self._seen.forgotten)
        self._seen.forgotten = 0
        latest_ns = int((now_s + AHEAD_SECS) * 1e9)
        self._context.count("ahead_lines", sum(line.time_ns > latest_ns for line in lines))
        batches = ticks(lines, now_s, SLOT_SECS) or (LogBatch(now_s, ()),)
        gap = self._course.reach(now_s) if lines else None
        if gap is not None:
            self._say(gap)
        if requests:
            self._newest = requests[-1].number
        position = self._course.position(self._newest, self._senders.addresses)
        return Reading(batches, position | {"taken": self._seen.requests})

    def _say(self, gap: Gap) -> None:
        self._context.count("gaps", 1)
        self._context.count("gap_seconds", gap.until_s - gap.since_s)
        log.warning(
            "gap source=%s from=%s until=%s: after a crash, lines of this time may be missing in "
            "what was learned", self._context.name, _date(gap.since_s), _date(gap.until_s),
        )  # fmt: skip

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(float(self._settings.silent_after) / _LOOKS)
            self._senders.look(self._context.clock())

    # --- towards the client ---------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.Response:
        """POST of one batch. Answers in sentences, for who reads the client's log."""
        sender = request.remote or "unknown"
        try:
            pushed = await self._take(request)
        except Wrong as wrong:
            self._context.count("refused_requests", 1)
            self._tell(wrong, sender)
            return wrong.response()
        if pushed.bad:
            partly = Wrong(400, f"{pushed.bad} streams refused, the others are counted: "
                                f"{pushed.complaint}")  # fmt: skip
            self._tell(partly, sender)
            return web.Response(status=400, text=f"{partly}\n")
        self._told = {one for one in self._told if one[0] != sender}
        return web.Response(status=204)

    def _tell(self, wrong: Wrong, sender: str) -> None:
        """Once until it goes well again: what is refused for good, the client drops."""
        if wrong.status >= 500 or (sender, wrong.status) in self._told:
            return
        if len(self._told) < _MOST_TOLD:
            self._told.add((sender, wrong.status))
            log.warning("source=%s refused what %s wrote, which it now drops: %s (%d)",
                        self._context.name, sender, wrong, wrong.status)  # fmt: skip

    async def _take(self, request: web.Request) -> Pushed:
        """Returns when its lines are counted."""
        if not allowed(request.headers.get("Authorization", ""), self._token):
            raise Wrong(401, "wrong or missing token")
        tenant = self._tenant(request)
        if not self._streaming:
            raise Wrong(503, "not started yet, or stopping")
        if self._waiting_bytes >= self._settings.waiting_bytes:
            raise Wrong(503, f"{self._waiting_bytes:,} bytes are waiting to be counted")
        body, pushed = await self._received(request)
        self._senders.hear(request.remote or "unknown", self._context.clock())
        self._context.count("cut_lines", pushed.cut)
        self._context.count("bad_streams", pushed.bad)
        await self._counted(tenant, body, pushed)
        return pushed

    def _tenant(self, request: web.Request) -> str:
        tenant = request.headers.get("X-Scope-OrgID", "")
        if self._settings.tenants and not tenant:
            raise Wrong(401, "no org id")
        if self._settings.tenants and tenant not in self._settings.tenants:
            raise Wrong(403, f"tenant {tenant[:150]!r} may not write here")
        return tenant

    async def _received(self, request: web.Request) -> tuple[bytes, Pushed]:
        """Memory is bounded: what cannot be held now comes again."""
        most = self._settings.max_body_bytes
        size = min(request.content_length or most, most)
        if self._coming_bytes + size > _COMING * most:
            raise Wrong(503, "too much is on its way at once")
        self._coming_bytes += size
        try:
            within_secs = float(self._settings.answer_within)
            body = await body_of(request, limit_bytes=most, within_secs=within_secs)
            async with self._reading:
                return body, await self._read(request, body)
        except Wrong as wrong:
            raise Wrong(503, str(wrong)) if wrong.status == 408 else wrong from None
        finally:
            self._coming_bytes -= size

    async def _read(self, request: web.Request, body: bytes) -> Pushed:
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        limit_bytes = self._settings.max_body_bytes
        if len(body) > _AT_ONCE_BYTES:
            return await asyncio.to_thread(pushed_in, body, kind, encoding, limit_bytes)
        return pushed_in(body, kind, encoding, limit_bytes)

    async def _counted(self, tenant: str, body: bytes, pushed: Pushed) -> None:
        if not self._streaming:
            raise Wrong(503, "stopping")
        self._course.request += 1
        counted = asyncio.get_running_loop().create_future()
        name = digest(self._context.key, tenant, body)
        one = _Request(self._course.request, tenant, name, pushed, counted)
        self._waiting[one.number] = one
        self._waiting_bytes += one.pushed.size_bytes
        self._held.append(one)
        self._come.set()
        try:
            async with asyncio.timeout(float(self._settings.answer_within)):
                await counted
        except TimeoutError:  # it is counted all the same: sent again, it is known
            raise Wrong(503, "taken, but not counted in time") from None


def _date(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
