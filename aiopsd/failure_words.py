"""Whether words speak of failure: what people wrote a line for, before anything is learned of it.

A prior, and no verdict: a failure is told in words, while a new operation that works is told in
others. The words are those of programs in general; none is taken from one log.
"""

from __future__ import annotations

import re
from typing import Final

LEVELS: Final = frozenset({"warning", "error", "critical"})

_HARMLESS: Final = re.compile(
    r"\b(?:no|zero|without|0)(?: any)? (?:errors?|failures?|exceptions?|problems?)\b"
    r"|\b(?:errors?|failures?|failed|retries|exception)(?:[=:] ?| is )"
    r"(?:0|null|nil|none|false|\"\")(?!\w)"
    r"|\bfail(?:over|fast|safe)\b|\berror (?:handler|reporting|budget)\b",
    re.IGNORECASE,
)
_FAILURE: Final = re.compile(
    r"(?:Exception|Error)s?\b"  # also at the end of NullPointerException
    r"|\b(?i:err(?:or)?s?|exceptions?|fail(?:s|ed|ing|ures?)?|faults?|fatal|panic(?:ked)?"
    r"|traceback|abort(?:s|ed|ing)?|crash(?:es|ed)?|killed|died|oom|corrupt(?:ed|ion)?|broken|bad"
    r"|invalid|illegal|malformed|unexpected(?:ly)?|unable|cannot|can't|couldn't|could not|can not"
    r"|did not|does not|refused|denied|rejected|forbidden|unauthori[sz]ed|unreachable|unavailable"
    r"|not found|no such|missing|lost|dropped|time-?outs?|timed out|deadlock|overflow|exhausted"
    r"|exceed(?:s|ed)|out of memory|stale|expired|conflict|mismatch|redundant|duplicate|incomplete"
    r"|giv(?:es?|ing) up|gave up|retry(?:ing)?|retries|reset by peer|rolled back|rollback"
    r"|unhealthy)\b"
)


def fails(text: str, level: str = "") -> bool:
    """Of a template, and the level of its lines where that is known."""
    return level in LEVELS or bool(_FAILURE.search(_HARMLESS.sub(" ", text)))
