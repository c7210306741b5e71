"""One line to what it says: JSON and logfmt by structure, the rest as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

MAX_CHARS: Final = 8192  # a longer line is cut: what it is about stands at its beginning
HEAD_CHARS: Final = 120  # a level word further in is part of the message
MAX_FIELDS: Final = 40
UNKNOWN: Final = "unknown"

_LEVELS: Final = {
    "trace": "debug", "debug": "debug", "dbg": "debug", "info": "info", "information": "info",
    "notice": "info", "warn": "warning", "warning": "warning", "error": "error", "err": "error",
    "severe": "error", "critical": "critical", "crit": "critical", "fatal": "critical",
    "panic": "critical", "emerg": "critical", "emergency": "critical", "alert": "critical",
}  # fmt: skip
_LEVEL_KEYS: Final = ("level", "detected_level", "severity", "lvl", "levelname", "log.level")
_MESSAGE_KEYS: Final = ("msg", "message", "event", "log", "body", "text", "@message", "MESSAGE")
_CAUSE_KEYS: Final = ("error", "err", "exception")
_WORD: Final = re.compile(r"(?<![\w-])(" + "|".join(_LEVELS) + r")(?![\w-])", re.IGNORECASE)
_RAISED: Final = re.compile(r"Traceback \(most|(?:Error|Exception)\b")
_TRACEBACK: Final = "Traceback (most recent call"
_EXCEPTION: Final = re.compile(
    r"^(?:Caused by: |Exception in thread \S+ )?((?:[\w$]+\.)*[A-Z]\w*(?:Error|Exception|Exit))\b",
    re.MULTILINE,
)
_BEGINS: Final = re.compile(r"[\w.@-]{1,40}=\S")
_PAIR: Final = re.compile(r'(?<![\w.-])([A-Za-z_@][\w.-]{0,60})=("(?:[^"\\]|\\.)*"?|[^\s"]*)')


class Line(NamedTuple):
    """``level`` is debug, info, warning, error, critical or empty."""

    level: str
    message: str
    service: str = ""  # where the structure names one


class _Fields(msgspec.Struct):
    """Of a JSON line: what is not named here is skipped without being built."""

    msg: Any = None
    message: Any = None
    event: Any = None
    log: Any = None
    body: Any = None
    text: Any = None
    at_message: Any = msgspec.field(name="@message", default=None)
    journal: Any = msgspec.field(name="MESSAGE", default=None)
    level: Any = None
    detected_level: Any = None
    severity: Any = None
    lvl: Any = None
    levelname: Any = None
    log_level: Any = msgspec.field(name="log.level", default=None)
    error: Any = None
    err: Any = None
    exception: Any = None
    service: Any = None


_names: Final = tuple(field.encode_name for field in msgspec.structs.fields(_Fields))
_decode: Final = msgspec.json.Decoder(_Fields).decode


def read_json(line: bytes) -> Line:
    """What a line in braces says; as prose when it is no JSON."""
    try:
        fields = dict(zip(_names, msgspec.structs.astuple(_decode(line)), strict=True))
        said = _said(fields)
        if not said.message:
            said = said._replace(message=_shape(msgspec.json.decode(line)))
    except (msgspec.DecodeError, RecursionError):
        text = line.decode(errors="replace")
        return Line(level_of_words(text), text)
    return said


def read_text(text: str) -> Line:
    """logfmt begins with a pair; the level is empty where no field tells it."""
    if not _BEGINS.match(text):
        return Line("", text)
    pairs = _PAIR.findall(text)
    inside = sum(len(key) + len(value) + 1 for key, value in pairs)
    if len(pairs) < 2 or 2 * inside < len(text):
        return Line("", text)
    said = _said({key: _unquoted(value) for key, value in pairs})
    return said if said.message else said._replace(message=text)


def first_and_exception(text: str) -> str:
    """An event of many lines: its first, and the exception it was. A trace is the same event
    wherever it went through."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    raised = _EXCEPTION.findall(text)
    if first.startswith(_TRACEBACK):
        last = text.rstrip().rpartition("\n")[2].strip()
        return last if not last.startswith(_TRACEBACK) else first
    if raised and raised[0] not in first:
        return f"{first} {raised[0]}"
    return first


def level_of(fields: Mapping[str, Any]) -> str:
    """By a label or field that is made for it; empty when there is none."""
    for key in _LEVEL_KEYS:
        level = _LEVELS.get(str(fields.get(key, "")).lower())
        if level:
            return level
    return ""


def level_of_words(text: str) -> str:
    head = text[:HEAD_CHARS]
    found = _WORD.search(head)
    if found:
        return _LEVELS[found[1].lower()]
    return "error" if _RAISED.search(head) else ""


def _said(fields: Mapping[str, Any]) -> Line:
    message, cause = _first(fields, _MESSAGE_KEYS), _first(fields, _CAUSE_KEYS)
    service = fields.get("service")
    if cause:
        cause = first_and_exception(cause)
        message = f"{message}: {cause}" if message else cause
    return Line(level_of(fields), message, service if isinstance(service, str) else "")


def _first(fields: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    found = (fields.get(key) for key in keys)
    return next((value for value in found if isinstance(value, str) and value), "")


def _shape(fields: dict[str, Any]) -> str:
    """A message one level down, or the names of the fields."""
    for inner in list(fields.values())[:MAX_FIELDS]:
        if isinstance(inner, dict) and (message := _first(inner, _MESSAGE_KEYS)):
            return message
    return " ".join(f"{key}=<*>" for key in sorted(fields)[:MAX_FIELDS])


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    inside = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
    return inside.replace(r"\"", '"').replace(r"\n", "\n").replace(r"\\", "\\")
