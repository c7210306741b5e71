"""``changes``: what delivery tools post when they have done something.

One path for each sender. A request is believed when it is signed or brings the token, taken once,
and answered 2xx once the journal has what it told.
"""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from aiohttp import web
from msgspec.structs import replace

from aiopsd.contracts import SourceContext
from aiopsd.errors import ConfigError
from aiopsd.model import Change, ChangeKind, Position, Reading
from aiopsd.settings import Duration, SecretFile, Settings
from aiopsd.sources import (
    changes_argocd,
    changes_generic,
    changes_github,
    changes_gitlab,
    changes_jenkins,
)
from aiopsd.sources.changes_body import Body
from aiopsd.sources.changes_sender import Deliveries, Sender, check, signs
from aiopsd.sources.pushed import Coming, Wrong, body_of
from aiopsd.sources.pushed_encoding import decoded
from aiopsd.sources.pushed_refusals import Refusals

NEWS_SECS: Final = 86400.0  # what is older explains nothing of today
_FORM: Final = b"payload="
_READERS: Final[Mapping[str, Callable[[str, Body], Change | None]]] = {
    "github": changes_github.change_of,
    "gitlab": changes_gitlab.change_of,
    "argocd": changes_argocd.change_of,
    "jenkins": changes_jenkins.change_of,
}
_EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "github": changes_github.EVENTS,
    "gitlab": changes_gitlab.EVENTS,
    "argocd": changes_argocd.EVENTS,
    "jenkins": changes_jenkins.EVENTS,
    "generic": (),
}
_USUAL: Final = {
    "github": changes_github.USUAL,
    "gitlab": changes_gitlab.USUAL,
    "argocd": changes_argocd.USUAL,
    "jenkins": changes_jenkins.USUAL,
}
_EVENT_AT: Final = {"gitlab": "object_kind", "argocd": "phase", "jenkins": "build.phase"}


class ChangesSettings(Settings, frozen=True, kw_only=True, tag="changes"):
    """A path on the daemon's own address, for the webhooks of one sender."""

    sender: Sender
    secret_file: SecretFile
    path: str = ""
    events: tuple[str, ...] = ()
    only: dict[str, str | tuple[str, ...]] = {}  # dotted path -> what must stand there, * and ?
    services: dict[str, str | tuple[str, ...]] = {}  # repository, application or job -> ours
    kind: ChangeKind | None = None
    fields: dict[str, str] = {}  # of `generic`: what stands where
    signature: str = ""  # of `generic`: the header that signs the body
    max_body_bytes: int = 1_000_000
    waiting: int = 64
    answer_within: Duration = Duration(8)  # GitHub and GitLab wait for ten seconds

    def __post_init__(self) -> None:
        if not self.at.startswith("/") or set("?#{} ") & set(self.at):
            raise ValueError(f"`path: {self.path}` must be like /hooks/{self.sender}")
        known = _EVENTS[self.sender]
        for event in self.events:
            if event not in known:
                raise ValueError(f"`events`: {event!r} is none of {', '.join(known) or 'none'}")
        if self.sender != "generic" and (self.fields or self.signature):
            raise ValueError("`fields` and `signature` belong to `sender: generic`")
        for field in self.fields:
            if field not in changes_generic.FIELDS and not field.startswith("labels."):
                raise ValueError(f"`fields`: {field!r} is none of "
                                 f"{', '.join(changes_generic.FIELDS)}, labels.NAME")  # fmt: skip
        if self.max_body_bytes < 1 or self.waiting < 1 or self.answer_within <= 0:
            raise ValueError("`max_body_bytes`, `waiting`, `answer_within` must be more than 0")

    @property
    def at(self) -> str:
        return self.path or f"/hooks/{self.sender}"

    def build(self, context: SourceContext) -> ChangesSource:
        return ChangesSource(self, context)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that waits for its answer, or would, had its sender not given up."""

    delivery: str
    known_until_s: float
    answer: asyncio.Future[None]

    def refuse(self) -> None:
        if not self.answer.done():
            self.answer.set_exception(Wrong(503, "stopping"))


class ChangesSource:
    """Position: number of the newest request, and which deliveries were taken."""

    def __init__(self, settings: ChangesSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._secret = settings.secret_file.read(context.base)
        self._refusals = Refusals(context.name)
        self._coming = Coming(settings.max_body_bytes)
        self._number = 0
        self._deliveries = Deliveries(context.key)
        self._journalled: dict[int, _Waiting] = {}  # by number of the request
        self._readings: asyncio.Queue[Reading] | None = None  # none while nobody reads
        if settings.at in context.routes:
            raise ConfigError(f"source {context.name}: `path: {settings.at}` is taken already")
        context.routes[settings.at] = self.handle

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        was = resume or {}
        self._number = max(self._number, int(was.get("request", 0)))
        self._deliveries = Deliveries(self._context.key, was.get("deliveries"))
        readings: asyncio.Queue[Reading] = asyncio.Queue(self._settings.waiting)
        self._readings = readings
        try:
            while True:
                yield await readings.get()
        finally:
            self._readings = None
            while not readings.empty():  # what nobody took, its sender must keep
                self._journalled.pop(readings.get_nowait().position["request"]).refuse()

    async def commit(self, position: Position) -> None:
        """Whoever sent this request, or an earlier one, gets his 200."""
        for number in [n for n in self._journalled if n <= position["request"]]:
            one = self._journalled.pop(number)
            self._deliveries.add(one.delivery, one.known_until_s)
            if not one.answer.done():
                one.answer.set_result(None)

    async def handle(self, request: web.Request) -> web.Response:
        """POST of one event. Answers in sentences, for who reads the sender's list of them."""
        sender = request.remote or "unknown"
        try:
            said = await self._take(request)
        except Wrong as wrong:
            self._context.count("refused_requests", 1)
            if request.transport is not None:  # who hung up tries again
                self._refusals.tell(wrong, sender)
            return wrong.response()
        self._refusals.well(sender)
        return web.Response(text=f"{said}\n")

    async def _take(self, request: web.Request) -> str:
        settings, now_s = self._settings, self._context.clock()
        within_secs, most = float(settings.answer_within), settings.max_body_bytes
        believe = partial(check, settings.sender, request.headers, secret=self._secret,
                          signed=settings.signature, now_s=now_s)  # fmt: skip
        if not signs(settings.sender, self._secret, settings.signature):
            believe(body=b"")  # who is nobody takes no room with what he says
        with self._coming.room(request):
            raw = await body_of(request, limit_bytes=most, within_secs=within_secs)
            believe(body=raw)
            delivery, known_secs = self._deliveries.name(settings.sender, request.headers, raw)
            if self._deliveries.knows(delivery, now_s):
                self._context.count("repeated_deliveries", 1)
                return "known already"
            event, body = self._read(request, raw, now_s)
        changes = self._changes(event, body)
        if not changes:
            self._context.count("other_events", 1)
            return f"no change, or not of this day{f': {event}' if event else ''}"
        await self._hand_on(changes, delivery, now_s + known_secs)
        self._context.count("changes", len(changes))
        return f"{len(changes)} changes journalled"

    def _read(self, request: web.Request, raw: bytes, now_s: float) -> tuple[str, Body]:
        packed = request.headers.get("Content-Encoding", "")
        body = Body(_object(decoded(raw, packed, self._settings.max_body_bytes)), now_s)
        if self._settings.sender == "github":
            return request.headers.get("X-GitHub-Event", "")[:100], body
        return body.text(_EVENT_AT.get(self._settings.sender, "")).lower(), body

    def _changes(self, event: str, body: Body) -> tuple[Change, ...]:
        """None of an event that is not asked for, or is so old that it is no news."""
        settings, sender = self._settings, self._settings.sender
        if sender != "generic" and event not in (settings.events or _USUAL[sender]):
            return ()
        if not all(_fits(body.text(path), wanted) for path, wanted in settings.only.items()):
            return ()
        if sender == "generic":
            change = changes_generic.change_of(body, settings.fields)
        else:
            change = _READERS[sender](event, body)
        if change is None or change.time_s < body.now_s - NEWS_SECS:
            return ()
        if not change.service:
            raise Wrong(
                400, "it does not say what has changed: no repository, application, service"
            )
        if change.id.endswith("/"):
            raise Wrong(400, f"it does not say which {event or 'change'} it is: no id")
        return self._ours(change)

    def _ours(self, change: Change) -> tuple[Change, ...]:
        """Under the names of our services."""
        named, last = self._settings.services, change.service.rpartition("/")[2]
        found = named.get(change.service) or named.get(last) or last
        services = (found,) if isinstance(found, str) else found
        name = self._context.name
        return tuple(
            replace(
                change,
                id=f"{name}:{change.id}" + (f"/{service}" if len(services) > 1 else ""),
                kind=self._settings.kind or change.kind,
                service=service,
                source=name,
            )
            for service in services
        )

    async def _hand_on(self, changes: tuple[Change, ...], delivery: str, until_s: float) -> None:
        """Returns when they are journalled; only then the delivery is known."""
        if self._readings is None:
            raise Wrong(503, "not started yet, or stopping")
        if self._readings.full():
            raise Wrong(503, "too many events are waiting to be journalled")
        self._number += 1
        answer = asyncio.get_running_loop().create_future()
        self._journalled[self._number] = _Waiting(delivery, until_s, answer)
        self._readings.put_nowait(Reading(changes, self._position()))
        try:
            async with asyncio.timeout(float(self._settings.answer_within)):
                await answer
        except TimeoutError:
            raise Wrong(503, "taken, but not journalled in time") from None

    def _position(self) -> Position:
        known = Deliveries(self._context.key, self._deliveries.position())
        for one in self._journalled.values():
            known.add(one.delivery, one.known_until_s)
        return {"request": self._number, "deliveries": known.position()}


def _object(raw: bytes) -> Any:
    """GitHub may be told to post a form whose field ``payload`` is the JSON. What a request says of
    its type is not asked: curl calls JSON a form. Raises Wrong."""
    try:
        if raw.startswith(_FORM):
            raw = parse_qs(raw.decode(), max_num_fields=10).get("payload", [""])[0].encode()
        said = msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # or no UTF-8, or no form
        raise Wrong(400, f"not JSON: {error}") from None
    if not isinstance(said, dict):
        raise Wrong(400, "not a JSON object")
    return said


def _fits(said: str, wanted: str | tuple[str, ...]) -> bool:
    patterns = (wanted,) if isinstance(wanted, str) else wanted
    return any(fnmatch.fnmatchcase(said, pattern) for pattern in patterns)
