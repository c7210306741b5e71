"""Lines of one request, trace or block put together, and judged when no more of them come.

By the times of lines alone, so that it does not matter how lines are cut into batches, or in which
order lines of one moment come.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aiopsd.logs.surprise import WARM, Judged, Surprise
from aiopsd.rows import pack, unpack

MAX_OPEN: Final = 20_000  # sessions; then the one that is silent for longest is over
MAX_KEY_CHARS: Final = 128


class Session(NamedTuple):
    """One that is over."""

    key: str
    first_s: float
    last_s: float
    judged: Judged


@dataclass(slots=True)
class _Open:
    first_s: float
    last_s: float
    counts: Counter[int] = field(default_factory=Counter)


class Sessions:
    """``fails`` says of a template whether it speaks of failure. A session is over when it was
    silent for ``idle_secs``, or lasts for ``longest_secs``."""

    def __init__(
        self,
        fails: Callable[[int], bool],
        idle_secs: float = 60.0,
        longest_secs: float = 3600.0,
        warm: int = WARM,
    ) -> None:
        self._idle_secs, self._longest_secs = idle_secs, longest_secs
        self._open: OrderedDict[str, _Open] = OrderedDict()  # silent for longest first
        self._begun: dict[str, None] = {}  # the same, in the order in which they began
        self._time_s = float("-inf")
        self.surprise = Surprise(fails, warm)

    def __len__(self) -> int:
        return len(self._open)

    def feed(
        self, time_s: float, key: str, template: int, *, trusted: bool = True
    ) -> list[Session]:
        """A line; returns the sessions that are over by then. ``trusted``: see ``Surprise``."""
        over = self.tick(time_s, trusted=trusted)
        key = key[:MAX_KEY_CHARS]
        one = self._open.get(key)
        if one is None:
            one = self._open[key] = _Open(self._time_s, self._time_s)
            self._begun[key] = None
        one.last_s = self._time_s
        one.counts[template] += 1
        self._open.move_to_end(key)
        if len(self._open) > MAX_OPEN:
            over += self._end([next(iter(self._open))], trusted)
        return over

    def tick(self, time_s: float, *, trusted: bool = True) -> list[Session]:
        """Time goes on, and never back."""
        now = self._time_s = max(time_s, self._time_s)
        over: dict[str, None] = {}
        for key, one in self._open.items():
            if one.last_s > now - self._idle_secs:
                break
            over[key] = None
        for key in self._begun:
            if self._open[key].first_s > now - self._longest_secs:
                break
            over[key] = None
        return self._end(over, trusted) if over else []

    def flush(self) -> list[Session]:
        """All that are open are over."""
        return self._end(list(self._open), trusted=True)

    def _end(self, keys: Iterable[str], trusted: bool) -> list[Session]:
        """In the order in which they fell silent; at once, by name."""
        ended = sorted(((self._open.pop(key), key) for key in keys), key=_order)
        for _, key in ended:
            del self._begun[key]
        return [
            Session(
                key, one.first_s, one.last_s, self.surprise.observe(one.counts, trusted=trusted)
            )
            for one, key in ended
        ]

    def join(self, joins: Mapping[int, int]) -> None:
        """Younger template -> the older one that it turned out to be."""
        self.surprise.join(joins)
        for one in self._open.values():
            for younger in one.counts.keys() & joins.keys():
                one.counts[joins[younger]] += one.counts.pop(younger)

    def rewind(self, now_s: float) -> None:
        """The clock was ahead when these lines came."""
        self._time_s = min(self._time_s, now_s)
        for one in self._open.values():
            one.first_s, one.last_s = min(one.first_s, now_s), min(one.last_s, now_s)

    def save(self) -> bytes:
        known = self._open.items()
        is_open = [(key, one.first_s, one.last_s, dict(one.counts)) for key, one in known]
        return pack("sessions", 1, self._time_s, is_open, list(self._begun), self.surprise.save())

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state."""
        opened = list[tuple[str, float, float, dict[int, int]]]
        shape = tuple[float, opened, list[str], bytes]
        time_s, is_open, begun, surprise = unpack("sessions", 1, saved, shape)
        self.surprise.load(surprise)
        self._time_s = time_s
        self._open = OrderedDict(
            (key, _Open(first_s, last_s, Counter(counts)))
            for key, first_s, last_s, counts in is_open
        )
        self._begun = {key: None for key in begun if key in self._open}


def _order(ended: tuple[_Open, str]) -> tuple[float, str]:
    return ended[0].last_s, ended[1]
