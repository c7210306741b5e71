"""What a line belongs to: the id of a trace, request or job that other lines name as well."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from aiopsd.patterns import line_pattern

LABELS: Final = ("trace_id", "traceId", "traceID", "request_id", "requestId", "correlation_id",
                 "session_id", "sessionId")  # fmt: skip
"""Of streams and structured metadata, from sure to bold."""

_NAME: Final = r"(?i:(?:%s)[_-]?id)[\"']?\s{0,2}[=:]\s{0,2}[\"']?([\w.:-]{4,64})"
KNOWN: Final = {
    "trace id": _NAME % "trace",
    "request id": _NAME % "request|req|correlation|transaction|txn?|session|operation",
    "request in brackets": r"\b(req-[0-9a-f-]{8,36})\b",
    "job id": _NAME % "job|task|order|run|build|batch|workflow|message|msg",
    "uuid": r"(?<![\w-])([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w-])",
    "numbered name": r"(?<![\w-])([A-Za-z]{2,16}_-?\d{5,20}(?:_\d{1,6}){0,3})(?![\w-])",
    "long hexadecimal id": r"(?<![\w-])([0-9a-f]{32}|[0-9a-f]{16})(?![\w-])",
}
"""Patterns by what they find; the first group is the id."""

MIN_SHARE: Final = 0.3  # of the lines, that have an id which comes again
MIN_SESSIONS: Final = 10
NEAR: Final = 0.1  # shares this near are alike: then the surer pattern


def find(lines: Sequence[str]) -> str | None:
    """The name of the pattern that tells most of these lines' sessions; None where none does. An
    id that half of all lines have is no session's."""
    best, found = MIN_SHARE, None
    for name, pattern in KNOWN.items():
        share = _share(pattern, lines)
        if share > best + (NEAR if found else 0.0):
            best, found = share, name
    return found


def _share(pattern: str, lines: Sequence[str]) -> float:
    """Of lines whose id comes again, where there are enough different ones."""
    seen = Counter(filter(None, (next(ids(pattern, line), None) for line in lines)))
    again = {key: n for key, n in seen.items() if 1 < n <= len(lines) / 2}
    return sum(again.values()) / len(lines) if len(again) >= MIN_SESSIONS else 0.0


def ids(pattern: str, line: str) -> Iterator[str]:
    """In order: a line may be about several. ``pattern`` is one of ours or a person's; without a
    group the whole match counts. Raises ValueError on what is no pattern."""
    return _told_by(pattern)(line)


@lru_cache(100)
def _told_by(pattern: str) -> Callable[[str], Iterator[str]]:
    if pattern not in KNOWN.values():
        return line_pattern(pattern).told
    ours = re.compile(pattern)
    return lambda line: (found[1] for found in ours.finditer(line))
