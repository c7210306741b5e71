"""Stamps that are not in nanoseconds: a client that writes seconds means now, and says 1970."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from aiopsd.model import LogLine
from aiopsd.telemetry import log

MOST_TOLD: Final = 200  # senders
_UNITS: Final = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6}
_SINCE_SECS, _UNTIL_SECS = 10**9, 10**10  # 2001 to 2286; no two units mean the same stamp
_MOST: Final = _UNTIL_SECS * 10**6  # of a stamp that is no nanoseconds


class Stamps:
    def __init__(self, name: str) -> None:
        self._name = name
        self._told: set[str] = set()

    def heed(self, lines: Sequence[LogLine], sender: str) -> int:
        """How many lines have a stamp in another unit; their sender is named once."""
        odd = [line.time_ns for line in lines if _SINCE_SECS <= line.time_ns < _MOST]
        meant = [(stamp, unit) for stamp in odd if (unit := unit_of(stamp))]
        if meant and sender not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(sender)
            stamp, unit = meant[0]
            log.warning(
                "source=%s stamps of %s are in %s, not in nanoseconds: %d says %s, and means %s; "
                "taken as of now", self._name, sender, unit, stamp, _date(stamp / 10**9),
                _date(stamp / _UNITS[unit]),
            )  # fmt: skip
        return len(meant)


def unit_of(stamp: int) -> str:
    """The unit by which a stamp is of our time; empty where it is none but nanoseconds."""
    fits = (u for u, many in _UNITS.items() if _SINCE_SECS <= stamp // many < _UNTIL_SECS)
    return next(fits, "")


def _date(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
