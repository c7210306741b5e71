"""When lines were written: the times that they begin with, else a guess by where they stand.

Pure. A time without a zone is one in the zone of whoever wrote it, and zones are whole quarters of
an hour: it is moved by as many as it takes for the last one to come as late as it can.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_NS: Final = 10**9
_DAY_NS: Final = 86_400 * _NS
_QUARTER_NS: Final = 900 * _NS
_AHEAD_NS: Final = 60 * _NS  # of two clocks of one machine, or a file server's
_FARTHEST_NS: Final = 15 * 3600 * _NS  # from UTC
_READ_CHARS: Final = 256
_ISO: Final = re.compile(
    r"\[?(\d{4})[-/](\d\d)[-/](\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?"
    r" ?([Zz]|[+-]\d\d:?\d\d)?(?!\d)"
)
_SYSLOG: Final = re.compile(r"(?:<\d+>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)\b")
_ACCESS: Final = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\]")
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"


def times_ns(lines: Sequence[str], since_ns: int, until_ns: int) -> list[int]:
    """Of lines written one after the other, about between these two times. A time that is more
    than a day away from them means something else. A line without one has that of the line before
    it; where none has one, they came evenly."""
    stamps = [_stamp(line[:_READ_CHARS], until_ns) for line in lines]
    zoneless = [ns for ns, zoned in filter(None, stamps) if not zoned]
    shift_ns = _shift(zoneless, until_ns)
    found = [
        None if stamp is None else stamp[0] + (0 if stamp[1] else shift_ns) for stamp in stamps
    ]
    told = [
        ns if ns is not None and since_ns - _DAY_NS <= ns <= until_ns + _DAY_NS else None
        for ns in found
    ]
    first = next((ns for ns in told if ns is not None), None)
    if first is None:
        step_ns = (until_ns - since_ns) / max(len(lines), 1)
        return [until_ns - int(step_ns * n) for n in reversed(range(len(lines)))]
    times, last = [], first
    for ns in told:
        last = last if ns is None else ns
        times.append(last)
    return times


def _shift(zoneless: Sequence[int], until_ns: int) -> int:
    if not zoneless:
        return 0
    shift_ns = (until_ns + _AHEAD_NS - max(zoneless)) // _QUARTER_NS * _QUARTER_NS
    return shift_ns if abs(shift_ns) <= _FARTHEST_NS else 0


def _stamp(text: str, until_ns: int) -> tuple[int, bool] | None:
    """Nanoseconds, and whether the zone was said."""
    if iso := _ISO.match(text):
        year, month, day, time, fraction, zone = iso.groups()
        second_ns = _second_ns(f"{year}-{month}-{day}T{time}{(zone or 'Z').upper()}")
        stamp = second_ns and second_ns + int((fraction or "0").ljust(9, "0"))
    elif access := _ACCESS.search(text):
        day, month, year, time, zone = access.groups()
        stamp = _second_ns(f"{year}-{_month(month)}-{day}T{time}{zone}")
    elif syslog := _SYSLOG.match(text):
        month, day, time = syslog.groups()
        stamp, zone = _this_year(f"-{_month(month)}-{int(day):02}T{time}Z", until_ns), None
    else:
        return None
    return (stamp, zone is not None) if stamp else None


def _this_year(rest: str, until_ns: int) -> int:
    """Of the two years around now, the one that puts it nearest."""
    year = datetime.fromtimestamp(until_ns / _NS, UTC).year
    known = [ns for one in (year - 1, year, year + 1) if (ns := _second_ns(f"{one}{rest}"))]
    return min(known, key=lambda ns: abs(ns - until_ns), default=0)


def _month(name: str) -> str:
    at = _MONTHS.find(name)
    return f"{at // 3 + 1:02}" if at % 3 == 0 else "00"


@lru_cache(maxsize=4096)
def _second_ns(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp()) * _NS
    except (ValueError, OverflowError):  # month 13
        return 0
