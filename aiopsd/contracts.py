"""The promises that the rooms of the house make to one another, on one page."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from aiopsd.model import (
    AnyEvent,
    Batch,
    Change,
    Delivery,
    Event,
    Floats,
    Incident,
    Indexes,
    Kept,
    Labels,
    Position,
    Reading,
    Scores,
    Suspect,
)

Clock = Callable[[], float]
"""Wall-clock seconds since the epoch. Passed in, so that tests own the time."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a rule asks of a source that has a query language."""

    rule: str
    promql: str
    every_secs: float
    keep: tuple[str, ...] = ()  # labels to keep; empty keeps all


class Keys(Protocol):
    """Raw bytes that name series, remembered, so that known ones cost no work on labels."""

    def find(self, raw: Sequence[bytes]) -> Indexes:
        """The index of each, as fresh as if interned; -1: decode, intern and ``learn`` it; -2:
        refused before, and there is still no room (counted)."""
        ...

    def learn(self, raw: Sequence[bytes], indexes: Sequence[int] | Indexes) -> None:
        """``indexes`` as ``intern`` gave them just now, -1 as well."""
        ...


class Series(Protocol):
    """The table that turns labels into indexes (see ``series.SeriesTable``)."""

    def intern(self, rule: str, labels: Labels, *, clean: bool = False) -> int:
        """Index of this series, new or known; -1 where there is no room for it (counted).
        ``clean``: its labels are those of series that are in the table."""
        ...

    def room(self, rule: str, many: int) -> int:
        """For how many of so many that it refused before there is room now; the others are counted
        again."""
        ...

    def seen_by(self, part: str) -> Series:
        """The same, for a part of who holds this: none may have nearly all of the table."""
        ...

    def labels(self, index: int) -> Labels: ...

    def keys(self, rule: str = "") -> Keys:
        """For series that are interned under ``rule``; each source keeps its own."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """Tells that the other side went away and came back; each is logged once."""

    gone: Callable[[str, str], None]  # (part, reason)
    back: Callable[[str], None]


Handler = Callable[[Any], Awaitable[Any]]
"""An aiohttp handler: request -> response."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """All that a source may know of the house."""

    name: str
    table: Series
    clock: Clock
    health: Health
    count: Callable[[str, float], None]  # (what, how many): own metrics of this source
    queries: Sequence[Query] = ()
    history_secs: float = 0.0  # how far back to read before speaking
    base: Path = Path()  # relative paths and secret files are looked for here
    key: bytes = b""  # secret, for hashes of what was read that a position keeps; always the same
    routes: dict[str, Handler] = field(default_factory=dict)  # POST path -> handler, for push
    types: dict[str, str] = field(default_factory=dict)  # metric -> counter, gauge, histogram ...
    gauge: Callable[[str, Callable[[], float]], None] = lambda _what, _read: None
    room: Callable[[], bool] = lambda: True  # whether more may be handed on that is to be kept


class Source(Protocol):
    """Yields readings; ``commit`` comes after the journal's commit of what a reading caused."""

    def stream(self, resume: Position | None) -> AsyncIterator[Reading]: ...

    async def commit(self, position: Position) -> None: ...


@runtime_checkable
class Unasked(Protocol):
    """A source that nobody can ask again for what it handed on. Its readings carry ``news`` and are
    kept; after a crash they are learned from again, before it streams."""

    def again(self, before: Position, kept_s: float, news: Position | None) -> Position:
        """Where it stands after a reading of then; ``news`` None: it was damaged, and is lost."""
        ...


class Querier(Protocol):
    """A source that can also be asked: what is this now?"""

    async def instant(self, promql: str) -> Sequence[tuple[Labels, float]]:
        """Finite samples only. Raises Unreachable or Refused."""
        ...


class Detector(Protocol):
    """Pure. Scores against the state before the batch, then learns from it."""

    def observe(self, batch: Batch) -> Scores: ...

    def forget(self, series: Indexes) -> None:
        """These indexes now mean other series."""
        ...

    def save(self) -> bytes: ...

    def load(self, saved: bytes) -> None: ...


@runtime_checkable
class Explaining(Protocol):
    """A detector that can say more of its newest judgement than the numbers in ``Scores``."""

    def explain(self, series: int) -> Sequence[str]:
        """Sentences for people: which member spoke, how rare this is on the series' own past."""
        ...


@runtime_checkable
class Needing(Protocol):
    """A detector that a rule may give series of which it can judge none, ever."""

    def lacks(self) -> str:
        """What all series that it has met lack, such as ``peer needs at least 4 in a group; the
        largest here has 2``; empty where it can judge some, or has met none."""
        ...


@runtime_checkable
class Doubting(Protocol):
    """A detector that learns less, or nothing, from services in trouble."""

    def troubled(self, services: Collection[str]) -> None:
        """All that have an open incident now, for less than a day."""
        ...


@runtime_checkable
class Sparing(Protocol):
    """A detector that leaves out what is more than it may take on."""

    @property
    def beyond(self) -> int:
        """Samples that it left out."""
        ...


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a fit over long history found of one series, in its own units.

    ``season``: 336 deviations from ``level``, one a half hour of the week from Monday 00:00 UTC;
    NaN where none was seen; all 0 where ``period`` is "none".
    """

    series: int
    level: float
    scale: float  # typical |residual|: its median
    season: Floats
    period: Literal["none", "day", "week"]
    samples: int


@runtime_checkable
class Teachable(Protocol):
    """A detector that begins with what a fit has found, instead of cold."""

    def teach(self, lessons: Sequence[Lesson]) -> None:
        """Takes no lesson for a series that has learned more by itself."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a ranker may look at besides the incident itself."""

    now_s: float
    edges: frozenset[tuple[str, str]]  # (caller, callee)
    changes: tuple[Change, ...]


class Ranker(Protocol):
    """Pure: the same evidence gives the same suspects, best first."""

    def rank(self, incident: Incident, evidence: Evidence) -> tuple[Suspect, ...]: ...


@dataclass(frozen=True, slots=True)
class Metrics:
    """How remediation asks for numbers. Each answers None where there is no data.

    No data means: no series, only NaN, or older than it should be. Raises Unreachable.
    """

    promql: Callable[[str], Awaitable[float | None]]
    rule: Callable[[str, Labels], Awaitable[float | None]]  # newest value of a rule's series


@dataclass(frozen=True, slots=True)
class Action:
    """One filled-in step, as an executor sees it."""

    name: str  # e.g. systemd.restart
    inputs: Mapping[str, Any]
    timeout_secs: float
    key: str  # idempotency key


class Executor(Protocol):
    """Does things to the world. Raises Refused (do not retry) or Unreachable (may retry).

    A timeout is the caller's: it cancels ``apply``, whose result is then unknown.
    """

    @property
    def actions(self) -> frozenset[str]:
        """The verbs it knows, e.g. ``{"restart", "stop", "start"}``."""
        ...

    def lint(self, verb: str, inputs: Mapping[str, Any]) -> Sequence[str]:
        """What is wrong with these inputs, before anything runs."""
        ...

    async def plan(self, action: Action) -> dict[str, Any]:
        """Dry run: what apply would do. Changes nothing."""
        ...

    async def before(self, action: Action) -> dict[str, Any]:
        """The before-image: what undo needs to put things back."""
        ...

    async def apply(self, action: Action) -> dict[str, Any]: ...

    async def probe(self, action: Action, before: Mapping[str, Any]) -> bool | None:
        """Did apply happen? None when that cannot be known."""
        ...

    async def undo(self, action: Action, before: Mapping[str, Any]) -> dict[str, Any]:
        """Puts the before-image back; raises Refused when the action has no inverse."""
        ...


class Notifier(Protocol):
    """Tells people. Called again with the newest state until it succeeds; must not repeat itself.

    Raises Unreachable to be called again later, Refused to give this event up.
    """

    async def notify(self, event: Event) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NotifierContext:
    """All that a notifier may know of the house."""

    name: str
    clock: Clock
    count: Callable[[str, float], None]
    delivered: Mapping[str, Delivery]  # by id ``name/incident``: what was already said
    record: Callable[[Delivery], Awaitable[None]]  # journals what is being said; durable on return
    base: Path = Path()
    page_url: str = ""  # of the daemon's own page, for links


class Store(Protocol):
    """The journal: append-only events, and one checkpoint of all that is learned."""

    async def append(self, *events: AnyEvent, keep: Kept | None = None) -> None:
        """One durable transaction: when it returns, the events, and what is to be kept, survive
        kill -9."""
        ...

    async def kept(self, *, after: int) -> Sequence[Kept]:
        """Some of what was kept after this number, in order; empty where there is no more."""
        ...

    async def drop_kept(self, upto: int) -> None: ...

    async def current(self, kind: type[Event], *, since_s: float = math.inf) -> Sequence[Any]:
        """Newest version of each thing of this kind, oldest first.

        Things that are still open, and closed ones written at or after ``since_s``.
        """
        ...

    async def events(
        self, *, after: int = 0, limit: int = 1000
    ) -> Sequence[tuple[int, float, AnyEvent]]:
        """(sequence number, time written, event), in order."""
        ...

    async def save_checkpoint(self, parts: Mapping[str, bytes]) -> None:
        """All parts in one transaction: after a crash they belong together."""
        ...

    async def load_checkpoint(self) -> Mapping[str, bytes]:
        """What was saved last, empty before. Raises ValueError where it is not as it was saved."""
        ...

    async def prune(self, before_s: float) -> int:
        """Forgets what was written before; returns how many events."""
        ...

    async def close(self) -> None: ...
