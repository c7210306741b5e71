"""Sessions in the stream: how many of them were strange, for each thing that writes lines.

One series for each service (or what else names the writer): ``log_odd_sessions{service}``, the
number of strange sessions that were over by this tick. Which session a line belongs to says a label
such as ``trace_id``, a pattern that people give, or the one that finds most in the first lines.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from aiopsd.contracts import Series
from aiopsd.failure_words import fails
from aiopsd.logs import session_keys
from aiopsd.logs.entity import service_of
from aiopsd.logs.reader import Known
from aiopsd.logs.sessions import Session, Sessions
from aiopsd.logs.templates import Templates
from aiopsd.model import Labels, LogLine
from aiopsd.rows import pack, unpack

NAME: Final = "log_odd_sessions"
LOOK: Final = 2000  # lines of a writer, in which ids are looked for
MAX_WRITERS: Final = 200  # the one unheard for longest is forgotten
READ_CHARS: Final = 1024
IDLE_SECS, LONGEST_SECS = 60.0, 3600.0
TEXT_CHARS: Final = 120
WRITER: Final = ("service", "job", "app", "container", "unit", "host", "filename")
NONE: Final = ""  # no pattern finds sessions here

Name = tuple[str, str]
"""The label that names a writer, and its value; both empty where none does."""


class _Writer:
    """One service's sessions, and how its lines name them."""

    def __init__(self, speaks: Callable[[int], bool], pattern: str | None) -> None:
        self.sessions = Sessions(speaks, IDLE_SECS, LONGEST_SECS)
        self.pattern = pattern  # None: not known yet
        self.first: list[str] = []
        self.why = ""

    def key(self, line: LogLine) -> str:
        labels = line.labels
        if not labels.keys().isdisjoint(session_keys.LABELS):
            return next(filter(None, map(labels.get, session_keys.LABELS)), "")
        if self.pattern is None:
            self.first.append(line.text[:READ_CHARS])
            if len(self.first) >= LOOK:
                name = session_keys.find(self.first)
                self.pattern = session_keys.KNOWN[name] if name else NONE
                self.first = []
        if not self.pattern:
            return NONE
        return next(session_keys.ids(self.pattern, line.text[:READ_CHARS]), "")


class OddSessions:
    """``pattern``: how a session's id looks in a line; None to find it."""

    def __init__(
        self,
        table: Series,
        templates: Templates,
        clean: Callable[[str], str],
        pattern: str | None = None,
    ) -> None:
        self._table, self._templates, self._clean = table, templates, clean
        self._pattern = pattern
        self._writers: OrderedDict[Name, _Writer] = OrderedDict()
        self._levels: dict[int, str] = {}
        self._fails = lru_cache(10_000)(fails)
        self.troubled: Collection[str] = ()  # services with an open incident

    def feed(
        self, lines: Iterable[tuple[LogLine, Known]], now_s: float, *, history: bool = False
    ) -> Counter[int]:
        """How many strange sessions were over, by series; of each writer, zero too."""
        odd: Counter[int] = Counter()
        names: dict[tuple[int, str], Name] = {}  # by stream, and what its lines call themselves
        for line, known in sorted(lines, key=lambda pair: pair[0].time_ns):
            if known.level:
                self._levels[known.template] = known.level
            stream = id(line.labels), known.service
            name = names.get(stream) or names.setdefault(stream, _name(line.labels, known))
            writer = self._of(name)
            key = writer.key(line)
            if key:
                over = writer.sessions.feed(
                    line.time_ns / 1e9, key, known.template, trusted=name[1] not in self.troubled
                )
                if over:
                    self._count(name, writer, over, odd)
        joins = self._templates.joins
        for name, writer in self._writers.items():
            if writer.sessions.surprise.seen or len(writer.sessions):
                writer.sessions.join(joins)
                trusted = name[1] not in self.troubled
                over = [] if history else writer.sessions.tick(now_s, trusted=trusted)
                self._count(name, writer, over, odd)
        return odd

    def _of(self, name: Name) -> _Writer:
        writer = self._writers.get(name)
        if writer is None:
            writer = self._writers[name] = _Writer(self._speaks, self._pattern)
            if len(self._writers) > MAX_WRITERS:
                self._writers.popitem(last=False)
        self._writers.move_to_end(name)
        return writer

    def _count(
        self, name: Name, writer: _Writer, over: Sequence[Session], odd: Counter[int]
    ) -> None:
        index = self._table.intern("", {**_labels(name), "__name__": NAME})
        if index < 0:  # the table is full
            return
        strange = [session for session in over if session.judged.flag]
        odd[index] += len(strange)
        if strange:
            writer.why = self._said(max(strange, key=lambda session: session.judged.score))

    def _said(self, session: Session) -> str:
        told = [
            one.said(self._templates.text(one.template).strip()[:TEXT_CHARS])
            for one in session.judged.why[:2]
        ]
        return self._clean(f"{session.key}: {'; '.join(told)}")

    @property
    def looking(self) -> bool:
        """Of some writer too little was read to know what names its sessions."""
        return any(one.pattern is None for one in self._writers.values())

    def why(self, labels: Mapping[str, str]) -> str:
        """Of the worst of the newest strange sessions of this series: its id, and what came."""
        name = next(((one, labels[one]) for one in WRITER if labels.get(one)), ("", ""))
        writer = self._writers.get(name)
        return writer.why if writer else ""

    def _speaks(self, template: int) -> bool:
        canon = self._templates.canon(template)
        level = self._levels.get(template) or self._levels.get(canon, "")
        return self._fails(self._templates.text(canon), level)

    def rewind(self, now_s: float) -> None:
        for writer in self._writers.values():
            writer.sessions.rewind(now_s)

    def save(self) -> bytes:
        known = [
            (*name, one.pattern, one.why, one.sessions.save())
            for name, one in self._writers.items()
        ]
        levels = {number: level for number, level in self._levels.items()
                  if number in self._templates}  # fmt: skip
        self._levels = levels
        return pack("odd_sessions", 1, known, levels)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state."""
        writers = list[tuple[str, str, str | None, str, bytes]]
        known, self._levels = unpack("odd_sessions", 1, saved, tuple[writers, dict[int, str]])
        self._writers.clear()
        for label, value, pattern, why, sessions in known:
            found = pattern if pattern in (NONE, *session_keys.KNOWN.values()) else None
            writer = _Writer(self._speaks, self._pattern or found)
            writer.sessions.load(sessions)
            writer.why = why
            self._writers[label, value] = writer


def _name(labels: Mapping[str, str], known: Known) -> Name:
    if known.service and not labels.get("service"):
        return "service", known.service
    if service := service_of(labels):
        return "service", service
    return next(((name, labels[name]) for name in WRITER if labels.get(name)), ("", ""))


def _labels(name: Name) -> Labels:
    return {name[0]: name[1]} if name[0] else {}
