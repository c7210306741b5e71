"""How strange the lines, sessions or minutes of a log are, judged one after the other as the daemon
would: by those before, and without labels."""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeAlias

from aiopsd.errors import Refused
from aiopsd.failure_words import fails
from aiopsd.logs import session_keys
from aiopsd.logs.reader import MAX_LINE, Reader
from aiopsd.logs.surprise import WARM, Judged, Reason, Surprise
from aiopsd.logs.templates import Templates
from aiopsd.offline.line_moments import LineMoments

Batches: TypeAlias = Iterable[Sequence[bytes]]
MAX_TEMPLATES: Final = 10_000
MAX_SESSIONS: Final = 500_000  # that are not judged yet; then the one that began first is
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

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def of(self, line: bytes) -> list[str]:
        return self.ids(line[:MAX_LINE].decode(errors="replace"))

    def ids(self, text: str) -> list[str]:
        return session_keys.ids(self._pattern, text)

    @classmethod
    def found(cls, first: Iterable[bytes]) -> tuple[Key, str] | None:
        """The one that most of the first lines have, and what it is called."""
        name = session_keys.find([line[:MAX_LINE].decode(errors="replace") for line in first])
        return (cls(re.compile(session_keys.KNOWN[name])), name) if name else None


class ByLine:
    """A line is named by its number. It is strange as its template is."""

    def __init__(self) -> None:
        self._mined = Mined("lines")

    def scores(self, batches: Batches) -> Iterator[Score]:
        number = 0
        for batch in batches:
            for template in self._mined.read(batch):
                number += 1
                yield self._mined.score(str(number), {template: 1})


class BySession:
    """A session is named by its id. It is judged, in the order in which they began, when all lines
    were read, so that it is whole."""

    def __init__(self, key: Key) -> None:
        self._mined, self._key = Mined("sessions"), key

    def scores(self, batches: Batches) -> Iterator[Score]:
        begun: OrderedDict[str, Counter[int]] = OrderedDict()
        for batch in batches:
            for line, template in zip(batch, self._mined.read(batch), strict=True):
                for name in self._key.of(line):
                    begun.setdefault(name, Counter())[template] += 1
            while len(begun) > MAX_SESSIONS:
                yield self._mined.score(*begun.popitem(last=False))
        while begun:
            yield self._mined.score(*begun.popitem(last=False))


class _Session(NamedTuple):
    window_s: int  # in which it began
    counts: Counter[int]


class ByWindow:
    """A window is named by the second it begins. Where lines belong to sessions, it is as strange
    as many sessions that began in it are strange for one reason that is new; else as its counts
    are."""

    def __init__(self, key: Key | None, window_secs: float) -> None:
        self._key, self._secs = key, window_secs
        self._mined = Mined("sessions") if key else Mined("windows", WARM_WINDOWS)
        self._told: dict[int, int] = {}  # reason -> the window that had enough of it last

    def scores(self, batches: Batches) -> Iterator[Score]:
        windows, sessions = self._read(batches)
        if not windows:
            raise Refused("no line has a time that can be read; by line or by session?")
        if not self._key:
            for window, counts in sorted(windows.items()):
                yield self._mined.score(str(window), counts)
            return
        odd: dict[int, list[Reason]] = {}
        for began, counts in sorted(sessions.values(), key=lambda one: one.window_s):
            odd.setdefault(began, []).extend(self._mined.judge(counts).why[:1])
        for window in sorted(windows):
            yield self._window(window, odd.get(window, []))

    def _read(self, batches: Batches) -> tuple[dict[int, Counter[int]], dict[str, _Session]]:
        windows: dict[int, Counter[int]] = {}
        sessions: dict[str, _Session] = {}
        moments = LineMoments()
        for batch in batches:
            texts = [line[:MAX_LINE].decode(errors="replace") for line in batch]
            times_s = moments.of(texts).tolist()
            for text, template, time_s in zip(texts, self._mined.read(batch), times_s, strict=True):
                if math.isnan(time_s):  # before the first time
                    continue
                window = int(time_s // self._secs * self._secs)
                windows.setdefault(window, Counter())[template] += 1
                for name in self._key.ids(text) if self._key else ():
                    sessions.setdefault(name, _Session(window, Counter())).counts[template] += 1
        return windows, sessions

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
