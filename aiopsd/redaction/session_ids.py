"""Ids of sessions: who knows one is let in, and it tells which lines belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aiopsd.redaction.detector import Span
from aiopsd.redaction.secret_names import IS, QUOTE
from aiopsd.redaction.values import is_nothing

SESSIONS: Final = (
    "session_id", "sessionid", "session-id", "sessid", "sess_id",
    *(f"sid{sign}" for sign in "=:\"'\\"))  # fmt: skip
_SESSION: Final = re.compile(
    rf"(?:(?i:(?:session|sess)[_-]?id)|(?P<SHORT>(?<![A-Za-z])(?i:sid))){QUOTE}{IS}[\"'\\\[]{{0,4}}+"
    r"(?P<value>[\w%+/=.~!:@#^$*?-]{6,512}+)"
)
SESSION_KEY: Final = re.compile(r"(?i:.{0,40}?(?:session|sess)[_-]?id)")


def is_session(value: str) -> bool:
    """Not a number, ``0x`` or not: whoever counts sessions tells nobody how to enter one."""
    if is_nothing(value) or value[:2] in ("0x", "0X"):
        return False
    return any(map(str.isalpha, value)) and not (value.isalpha() and len(value) < 12)


def _is_opaque(value: str) -> bool:
    """``sid`` is also Oracle's name of a database, and Windows' of a user (S-1-5-21-...)."""
    return len(value) >= 16 and any(map(str.isdigit, value)) and value[:4] != "S-1-"


def session(text: str, place: int) -> Iterator[Span]:
    """The id of a session lets in whoever knows it, and tells which lines belong together."""
    found = _SESSION.match(text, place)
    if found is None or not is_session(found["value"]):
        return
    if found["SHORT"] is None or _is_opaque(found["value"]):
        yield Span(*found.span("value"), "session", found["value"])
