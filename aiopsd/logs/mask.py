"""Words of a message, with what varies by its shape masked: numbers, ids, times, addresses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_WORDS: Final = 60
MAX_WORD_CHARS: Final = 120
BLOB: Final = "<blob>"

_MONTH: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_HEAD: Final = re.compile(
    r"(?:<\d{1,3}>\d?\s?)?\[?(?:"  # syslog priority
    r"\d{4}[-/.]\d\d[-/.]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\s?(?:Z|[+-]\d\d:?\d\d)?"
    rf"|(?:[A-Z][a-z]{{2}},? )?(?:{_MONTH}) {{1,2}}\d{{1,2}} \d\d:\d\d:\d\d"
    r"(?:\.\d{1,9})?(?: \d{4})?"
    r"|\d{10}(?:\.\d{1,9}|\d{3})?(?!\d)"
    r"|\d{6} \d{6}(?!\d)"
    r")\]?[\s:,|-]{0,3}"
)
_QUOTED: Final = re.compile(r'"[^"\n]{0,400}"')
_SHAPES: Final = re.compile(
    r"(?P<id>(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z]))"
    r"|(?P<time>\b\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b\d{1,4}(?::\d+)+(?:[.,]\d+)?\b)"
    r"|(?P<ip>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5}|/\d{1,2})?(?![\w.])"
    r"|\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b)"
    r"|(?P<num>(?:(?<![^\W_])[-+])?\b\d+(?:[.,_]\d+)*|\d+)"
)
_WHOLE: Final = (  # words that are one value when a part of them is
    (re.compile(r"<num>[A-Za-z]+(?:<num>[A-Za-z]*)+"), "<id>"),
    (re.compile(r"(?<![\w.-])[\w<>-]+(?:\.[\w<>-]+)+:<num>"), "<host>"),
    (re.compile(r"(?<![\w<>])(?:[.~\w<>-]*/){2,}[^\s\"'(),:;=\]]*"), "<path>"),
)


def words(message: str) -> tuple[str, ...]:
    """At most 60 masked words; a time at the beginning says nothing, nor does a repetition."""
    head = _HEAD.match(message)
    if head:
        message = message[head.end() :]
    message = _QUOTED.sub(_many_words, message)
    masked = [_masked(word) for word in message.split(None, MAX_WORDS)[:MAX_WORDS]]
    return tuple(
        word for word, before in zip(masked, ["", *masked], strict=False) if word != before
    )


def _many_words(quoted: re.Match[str]) -> str:
    return '"<str>"' if " " in quoted[0] else quoted[0]


@lru_cache(20_000)
def _masked(word: str) -> str:
    if len(word) > MAX_WORD_CHARS:
        return BLOB
    shaped = _SHAPES.sub(lambda m: f"<{m.lastgroup}>", word)
    if shaped != word:
        for pattern, name in _WHOLE:
            shaped = pattern.sub(name, shaped)
    return shaped
