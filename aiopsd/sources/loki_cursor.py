"""Where reading a log stands, and which lines of the part that may still change were read.

Lines before ``floor_ns`` are final. Those from there to ``cursor_ns`` were read, but late ones
may still turn up among them, so their keys are remembered; nothing from ``cursor_ns`` on was
read, save lines of that very nanosecond where a page was cut. Pure: time comes in as data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from aiopsd.model import LogLine, Position
from aiopsd.sources.loki_api import Found

_KEY_CHARS = _TIME_CHARS = 16
_MAX_KEYS = 500_000
"""About 65 MB; at more lines than this, late ones are looked for over a shorter time."""


@dataclass(frozen=True, slots=True)
class _Read:
    """The keys of lines that were read together, as text: so a position costs next to nothing."""

    newest_ns: int
    keys: str

    def split(self) -> list[str]:
        return [self.keys[i : i + _KEY_CHARS] for i in range(0, len(self.keys), _KEY_CHARS)]


@dataclass(slots=True)
class Cursor:
    cursor_ns: int
    floor_ns: int
    live_ns: int  # lines before are history
    forgotten: int = 0  # keys given up too early, because there were too many
    mark: str = ""  # of what the keys are made with
    _reads: list[_Read] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, now_ns: int, history_ns: int, mark: str = "") -> Self:
        return cls(now_ns - history_ns, now_ns - history_ns, now_ns, mark=mark)

    @classmethod
    def restore(cls, saved: Position, mark: str = "") -> Self:
        """Of keys with another mark nobody can tell which lines were read: the part that may still
        change is then taken for final."""
        cursor_ns, live_ns = int(saved["cursor"]), int(saved["live"])
        if saved.get("mark", "") != mark:
            return cls(cursor_ns, cursor_ns, live_ns, mark=mark)
        reads = [_Read(int(r[:_TIME_CHARS], 16), r[_TIME_CHARS:]) for r in saved["seen"]]
        known = {key for read in reads for key in read.split()}
        return cls(
            cursor_ns=cursor_ns,
            floor_ns=int(saved["floor"]),
            live_ns=live_ns,
            mark=mark,
            _reads=reads,
            _known=known,
        )

    def position(self) -> Position:
        """JSON only; nanoseconds as strings, since not every reader of JSON has 64 bits."""
        return {
            "cursor": str(self.cursor_ns),
            "floor": str(self.floor_ns),
            "live": str(self.live_ns),
            "mark": self.mark,
            "seen": [f"{read.newest_ns:0{_TIME_CHARS}x}{read.keys}" for read in self._reads],
        }

    def advance(self, found: Iterable[Found], to_ns: int, final_ns: int) -> tuple[LogLine, ...]:
        """The lines that are new, after everything before ``to_ns`` has been read.

        ``final_ns``: no line before it will come any more, by the time at which this was asked.
        """
        if self.floor_ns == self.cursor_ns:  # nothing behind us is in doubt: catching up
            self.floor_ns = max(self.floor_ns, min(to_ns, final_ns))
        self.cursor_ns = to_ns
        return self.late(found)

    def late(self, found: Iterable[Found]) -> tuple[LogLine, ...]:
        """Those of these lines that were not read before."""
        fresh = []
        for one in found:
            if one.key not in self._known:
                self._known.add(one.key)
                fresh.append(one)
        self._remember(fresh)
        return tuple(one.line for one in fresh)

    def swept(self, final_ns: int) -> None:
        """Everything from ``floor_ns`` to ``cursor_ns`` was read once more."""
        self.floor_ns = max(self.floor_ns, min(self.cursor_ns, final_ns))
        self._forget()

    def step_back(self, to_ns: int) -> None:
        """The clock went back: what is written from there on is new."""
        self.cursor_ns = min(self.cursor_ns, to_ns)
        self.floor_ns = min(self.floor_ns, self.cursor_ns)
        self.live_ns = min(self.live_ns, self.cursor_ns)

    def _remember(self, fresh: list[Found]) -> None:
        doubtful = [one for one in fresh if one.line.time_ns >= self.floor_ns]
        if len(doubtful) < len(fresh):
            self._known.difference_update(
                one.key for one in fresh if one.line.time_ns < self.floor_ns
            )
        if doubtful:
            newest_ns = max(one.line.time_ns for one in doubtful)
            self._reads.append(_Read(newest_ns, "".join(one.key for one in doubtful)))
        self._forget()

    def _forget(self) -> None:
        """Drops keys that can't come again; and the oldest where they are too many."""
        self._drop_before(self.floor_ns)
        while len(self._known) > _MAX_KEYS:
            oldest_ns = min(read.newest_ns for read in self._reads)
            if oldest_ns >= self.cursor_ns:  # of the nanosecond where a page was cut: needed
                break
            self.floor_ns = max(self.floor_ns, oldest_ns + 1)
            self.forgotten += self._drop_before(self.floor_ns)

    def _drop_before(self, before_ns: int) -> int:
        """How many keys went."""
        dropped = [read for read in self._reads if read.newest_ns < before_ns]
        keys = [key for read in dropped for key in read.split()]
        if dropped:
            self._reads = [read for read in self._reads if read.newest_ns >= before_ns]
            self._known.difference_update(keys)
        return len(keys)
