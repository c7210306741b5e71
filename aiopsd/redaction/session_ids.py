"""Ids of sessions: who knows one is let in, and it tells which lines belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aiopsd.redaction.detector import Span
from aiopsd.redaction.secret_names import IS, QUOTE
from aiopsd.redaction.values import is_nothing

SESSIONS: Final = ("session_id", "sessionid", "session-id", "sessid", "sess_id")
_SESSION: Final = re.compile(
    rf"(?i:(?:session|sess)[_-]?id){QUOTE}{IS}[\"'\\\[]{{0,4}}+"
    r"(?P<value>[\w%+/=.~!:@#^$*?-]{6,512}+)"
)
SESSION_KEY: Final = re.compile(r"(?i:.{0,40}?(?:session|sess)[_-]?id)")


def is_session(value: str) -> bool:
    """Not a number, ``0x`` or not: whoever counts sessions tells nobody how to enter one."""
    if is_nothing(value) or value[:2] in ("0x", "0X"):
        return False
    return any(map(str.isalpha, value)) and not (value.isalpha() and len(value) < 12)


def session(text: str, place: int) -> Iterator[Span]:
    """The id of a session lets in whoever knows it, and tells which lines belong together."""
    found = _SESSION.match(text, place)
    if found is not None and is_session(found["value"]):
        yield Span(*found.span("value"), "session", found["value"])
