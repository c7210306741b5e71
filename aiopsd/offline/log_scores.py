"""How strange the lines, sessions or minutes of a log are, judged one after the other as the daemon
would: by those before, and without labels."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple, Protocol, TypeAlias

from aiopsd.errors import Refused
from aiopsd.failure_words import fails
from aiopsd.logs import session_keys
from aiopsd.logs.reader import MAX_LINE, Reader
from aiopsd.logs.surprise import WARM, Judged, Reason, Surprise
from aiopsd.logs.templates import Templates
from aiopsd.offline.line_moments import LineMoments
from aiopsd.offline.log_events import Events

Batches: TypeAlias = Iterable[Events]
MAX_TEMPLATES: Final = 10_000
MAX_SESSIONS: Final = 200_000  # that are not judged yet; then those that began first are
MANY: Final = 64  # lines of a session, from which on they are only counted
TEXT_CHARS: Final = 120  # of a template, in a reason
ALIKE: Final = 2  # sessions of a window that are strange for one reason
SAME_SECS: Final = 600.0  # a reason that comes again by then is the same trouble
WARM_WINDOWS: Final = 20


class Score(NamedTuple):
    unit: str
    score: float
    flag: bool
    why: str = ""


class Scoring(Protocol):
    """Learns on from log to log."""

    of: str  # what is scored: lines, sessions or windows

    def scores(self, batches: Batches) -> Iterator[Score]: ...


class Mined:
    """Lines read: their templates, and what these say. Counts of templates are judged by it."""

    def __init__(self, of: str, warm: int = WARM) -> None:
        self._of = of
        self.reader = Reader(Templates(MAX_TEMPLATES))
        self._surprise = Surprise(self._speaks, warm)
        self._levels: dict[int, str] = {}
        self._fails = lru_cache(50_000)(fails)

    def read(self, lines: Sequence[bytes]) -> list[int]:
        known = self.reader.read(lines)
        self._levels |= {one.template: one.level for one in set(known) if one.level}
        return [one.template for one in known]

    def _speaks(self, template: int) -> bool:
        canon = self.reader.templates.canon(template)
        level = self._levels.get(template) or self._levels.get(canon, "")
        return self._fails(self.reader.templates.text(canon), level)

    def judge(self, counts: Mapping[int, int]) -> Judged:
        """Templates as they are known by now."""
        joins = self.reader.templates.joins
        self._surprise.join(joins)
        if joins.keys().isdisjoint(counts):
            return self._surprise.observe(counts)
        found: Counter[int] = Counter()
        for template, n in counts.items():
            found[joins.get(template, template)] += n
        return self._surprise.observe(found)

    def score(self, unit: str, counts: Mapping[int, int]) -> Score:
        found = self.judge(counts)
        return Score(unit, found.score, found.flag, self.said(found.why))

    def said(self, why: Iterable[Reason]) -> str:
        text = self.reader.templates.text
        told = (one.said(_short(text(one.template).strip() or "<empty>"), self._of) for one in why)
        return "; ".join(told)


class Key:
    """Which sessions a line belongs to: its ids."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def of(self, line: bytes) -> list[str]:
        return self.ids(line[:MAX_LINE].decode(errors="replace"))

    def ids(self, text: str) -> list[str]:
        return list(dict.fromkeys(session_keys.ids(self._pattern, text)))

    @classmethod
    def found(cls, first: Iterable[bytes], *, bold: bool = False) -> tuple[Key, str] | None:
        """The one that most of the first lines have, and what it is called. ``bold``: there are
        sessions, whatever names them."""
        lines = [line[:MAX_LINE].decode(errors="replace") for line in first]
        name = session_keys.find(lines)
        if name:
            return cls(session_keys.KNOWN[name]), name
        found = session_keys.find_bold(lines) if bold else None
        return (cls(found[1]), found[0]) if found else None


class ByLine:
    """A line is named by its number. It is strange as its template is; those of a stack trace as
    the event is that they belong to."""

    of = "lines"

    def __init__(self) -> None:
        self._mined = Mined(self.of)

    def scores(self, batches: Batches) -> Iterator[Score]:
        number = 0
        for texts, lines in batches:
            for template, many in zip(self._mined.read(texts), lines, strict=True):
                found = self._mined.score("", {template: 1})
                for _ in range(many):
                    number += 1
                    yield found._replace(unit=str(number))


@dataclass(slots=True)
class _Session:
    """Most have few lines, and there may be millions: templates one by one take the least."""

    began_s: int
    templates: array[int] | Counter[int]

    def add(self, template: int) -> None:
        if isinstance(self.templates, Counter):
            self.templates[template] += 1
        else:
            self.templates.append(template)
            if len(self.templates) >= MANY:
                self.templates = Counter(self.templates)

    @property
    def counts(self) -> Counter[int]:
        return Counter(self.templates)


class _Sessions(dict[str, _Session]):
    """Those that are not judged yet, in the order in which they began."""

    def add(self, name: str, template: int, time_s: int = 0) -> None:
        one = self.get(name)
        if one is None:
            self[name] = _Session(time_s, array("l", (template,)))
        else:
            one.add(template)

    def over(self) -> Iterator[tuple[str, _Session]]:
        """The first of too many; they are forgotten."""
        if len(self) > MAX_SESSIONS:
            yield from self._out(len(self) - MAX_SESSIONS * 9 // 10)

    def rest(self) -> Iterator[tuple[str, _Session]]:
        yield from self._out(len(self))

    def _out(self, many: int) -> Iterator[tuple[str, _Session]]:
        for name in list(islice(self, many)):
            yield name, self.pop(name)


class BySession:
    """A session is named by its id. It is judged, in the order in which they began, when all lines
    were read, so that it is whole."""

    of = "sessions"

    def __init__(self, key: Key) -> None:
        self._mined, self._key = Mined(self.of), key

    def scores(self, batches: Batches) -> Iterator[Score]:
        begun = _Sessions()
        for texts, _ in batches:
            for text, template in zip(texts, self._mined.read(texts), strict=True):
                for name in self._key.of(text):
                    begun.add(name, template)
            yield from (self._mined.score(name, one.counts) for name, one in begun.over())
        yield from (self._mined.score(name, one.counts) for name, one in begun.rest())


class ByWindow:
    """A window is named by the second it begins. Where lines belong to sessions, it is as strange
    as many sessions that began in it are strange for one reason that is new; else as its counts
    are."""

    of = "windows"

    def __init__(self, key: Key | None, window_secs: float) -> None:
        self._key, self._secs = key, window_secs
        self._mined = Mined("sessions") if key else Mined("windows", WARM_WINDOWS)
        self._told: dict[int, int] = {}  # reason -> the window that had enough of it last
        self._odd: dict[int, list[Reason]] = {}  # window -> why sessions that began in it are

    def scores(self, batches: Batches) -> Iterator[Score]:
        windows: dict[int, Counter[int]] = {}
        sessions = _Sessions()
        moments = LineMoments()
        for texts, _ in batches:
            self._read(texts, moments, windows, sessions)
            self._judge(sessions.over())
        self._judge(sessions.rest())
        if not windows:
            raise Refused("no line has a time that can be read; by line or by session?")
        for window, counts in sorted(windows.items()):
            if self._key:
                yield self._window(window, self._odd.pop(window, []))
            else:
                yield self._mined.score(str(window), counts)

    def _read(
        self,
        lines: Sequence[bytes],
        moments: LineMoments,
        windows: dict[int, Counter[int]],
        sessions: _Sessions,
    ) -> None:
        texts = [line[:MAX_LINE].decode(errors="replace") for line in lines]
        times_s = moments.of(texts).tolist()
        for text, template, time_s in zip(texts, self._mined.read(lines), times_s, strict=True):
            if math.isnan(time_s):  # before the first time
                continue
            window = int(time_s // self._secs * self._secs)
            counts = windows.setdefault(window, Counter())
            if self._key:
                for name in self._key.ids(text):
                    sessions.add(name, template, window)
            else:
                counts[template] += 1

    def _judge(self, sessions: Iterable[tuple[str, _Session]]) -> None:
        for _, one in sorted(sessions, key=lambda pair: pair[1].began_s):
            why = self._mined.judge(one.counts).why[:1]
            if why:
                self._odd.setdefault(one.began_s, []).extend(why)

    def _window(self, window: int, odd: Sequence[Reason]) -> Score:
        counted = Counter(one.template for one in odd)
        new = {
            template: n
            for template, n in counted.items()
            if not 0 <= window - self._told.get(template, -math.inf) <= SAME_SECS
        }
        self._told |= {template: window for template, n in counted.items() if n >= ALIKE}
        template, most = max(new.items(), key=lambda pair: pair[1], default=(0, 0))
        if most < ALIKE:
            return Score(str(window), float(most), False)
        why = self._mined.said([next(one for one in odd if one.template == template)])
        return Score(str(window), float(most), True, f"{most} sessions: {why}")


def _short(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 3] + "..."
