"""How much a Loki is asked for at a time, and when again: learnt from what it says. Pure."""

from __future__ import annotations

import random

from aiopsd.errors import Refused, Unreachable
from aiopsd.sources.fetch import TooLarge
from aiopsd.sources.loki_api import Busy, Costly, LimitRefused, RangeRefused

_NS = 10**9
_LONGEST_NS = 3600 * _NS  # Loki splits queries at the hour anyway
_SHORTEST_NS = _NS
_FIRST_RETRY_SECS, _LAST_RETRY_SECS, _REFUSED_RETRY_SECS = 1.0, 30.0, 60.0
_LONGEST_WAIT_SECS = 300.0


class Pace:
    """``limit``: lines a page; ``window_ns``: how much time a question covers."""

    def __init__(self, limit: int) -> None:
        self.limit = self._most = limit
        self.window_ns = self._longest_ns = _LONGEST_NS
        self._failures = 0

    def answered(self) -> None:
        self._failures = 0

    def window_read(self) -> None:
        """What was halved after a timeout, or because it cost too much, grows again."""
        self.window_ns = min(self._longest_ns, self.window_ns * 2)

    def caught_up(self) -> None:
        """What was halved for large lines grows again."""
        self.limit = min(self._most, self.limit * 2)

    def adapted(self, trouble: Refused | Unreachable, asked_ns: int) -> bool:
        """True: the same can be asked again at once, now in smaller pieces."""
        match trouble:
            case LimitRefused(maximum=maximum) if maximum < self.limit:
                self.limit = self._most = maximum
            case RangeRefused(longest_secs=longest) if int(longest * _NS) < asked_ns:
                self.window_ns = self._longest_ns = int(longest * _NS)
            case Costly() if asked_ns > _SHORTEST_NS:
                self.window_ns = max(_SHORTEST_NS, asked_ns // 2)
            case TooLarge() if self.limit > 1:
                self.limit //= 2
            case _:
                return False
        return True

    def pause_secs(self, trouble: Refused | Unreachable, asked_ns: int) -> float:
        """How long to wait. What failed for no better reason is asked for over less time."""
        if isinstance(trouble, Refused):
            return _REFUSED_RETRY_SECS
        self._failures += 1
        pause = min(_LAST_RETRY_SECS, _FIRST_RETRY_SECS * 2.0 ** min(self._failures - 1, 10))
        pause *= 0.5 + random.random() / 2  # noqa: S311 - spreads load, guards nothing
        if isinstance(trouble, Busy):
            return max(pause, min(trouble.wait_secs, _LONGEST_WAIT_SECS))
        self.window_ns = max(_SHORTEST_NS, min(self.window_ns, asked_ns) // 2)
        return pause
