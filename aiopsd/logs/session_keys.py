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

_NAME: Final = r"(?i:(?:%s)[_-]?id)[\"']?\s{0,2}[=:]\s{0,2}[\"']?(?:<session:)?([\w.:-]{4,64})"
KNOWN: Final = {
    "trace id": _NAME % "trace",
    "request id": _NAME % "request|req|correlation|transaction|txn?|session|operation",
    "request in brackets": r"\b(req-[0-9a-f-]{8,36})\b",
    "numbered request": r"(?<![\w-])((?i:req(?:uest)?|sess(?:ion)?|te?xn?|trace|corr|conn|call|job"
    r"|task|order|op|flow|run|msg)[-_#:]?\d{3,20})(?![\w-])",
    "job id": _NAME % "job|task|order|run|build|batch|workflow|message|msg",
    "uuid": r"(?<![\w-])([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w-])",
    "numbered name": r"(?<![\w-])([A-Za-z]{2,16}_-?\d{5,20}(?:_\d{1,6}){0,3})(?![\w-])",
    "long hexadecimal id": r"(?<![\w-])([0-9a-f]{32}|[0-9a-f]{16})(?![\w-])",
}
"""Patterns by what they find; the first group is the id."""

MIN_SHARE: Final = 0.3  # of the lines, that have an id which comes again
MIN_SESSIONS: Final = 10
NEAR: Final = 0.1  # shares this near are alike: then the surer pattern

MOST_CANDIDATES: Final = 30
NEARBY: Final = 0.25  # of the stretch that as many lines would take, were they strewn by chance
MOST: Final = 0.8  # of the ids

_LOOKS: Final = (
    ("field", re.compile(r"(?<![\w.-])([A-Za-z][\w.-]{0,30})[\"']?[=:] ?[\"']?[\w/-]*\d")),
    ("numbered", re.compile(r"(?<![\w-])([A-Za-z][A-Za-z_]{0,15}[-_#:/]?)\d{1,20}(?![\w-])")),
)
_PATTERNS: Final = {
    "field": r"(?:^|[^\w.-])%s[\"']?[=:] ?[\"']?([\w./:-]{1,64})",
    "numbered": r"(?:^|[^\w-])(%s\d{1,20})\b",
}
_FORMS: Final = (
    ("word in brackets", r"[\[(<]([A-Za-z]*\d[\w-]{3,40}|[a-f]+\d[\w-]{3,40})[\])>]"),
    ("hexadecimal id", r"\b([0-9a-f]{8,40})\b"),
)
_TIMES: Final = re.compile(r"(?i)time|date|^ts$|stamp|^t$|elapsed|duration")
"""Lines of one moment share it as well."""


def find(lines: Sequence[str]) -> str | None:
    """The name of the pattern that tells most of these lines' sessions; None where none does. An
    id that half of all lines have is no session's."""
    best, found = MIN_SHARE, None
    for name, pattern in KNOWN.items():
        share = _share(pattern, lines)
        if share > best + (NEAR if found else 0.0):
            best, found = share, name
    return found


def find_bold(lines: Sequence[str]) -> tuple[str, str] | None:
    """Where people say that there are sessions: the name and pattern of what tells most of them,
    be it any field or any numbered name. An id is seen near where it was seen before; a host, a
    worker or a status all over."""
    best, found = MIN_SHARE, None
    for name, pattern in _candidates(lines):
        share = _share(pattern, lines)
        if share > best + (NEAR if found else 0.0) and _is_local(pattern, lines):
            best, found = share, (name, pattern)
    return found


def _candidates(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Those that enough lines have, the most frequent first."""
    counted = Counter(
        (kind, one) for line in lines for kind, look in _LOOKS for one in set(look.findall(line))
    )
    for (kind, one), n in counted.most_common(MOST_CANDIDATES):
        if n > MIN_SHARE * len(lines) and not _TIMES.search(one):
            yield f"{kind} {one}".rstrip(), _PATTERNS[kind] % re.escape(one)
    yield from _FORMS


def _is_local(pattern: str, lines: Sequence[str]) -> bool:
    places: dict[str, list[int]] = {}
    for at, line in enumerate(lines):
        for one in set(ids(pattern, line)):
            places.setdefault(one, []).append(at)
    again = [found for found in places.values() if len(found) > 1]
    near = [n for n in again if n[-1] - n[0] < NEARBY * len(lines) * (len(n) - 1) / (len(n) + 1)]
    return len(near) > MOST * len(again)


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
