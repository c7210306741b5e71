"""One line to what it says: JSON and logfmt by structure, the rest as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

MAX_CHARS: Final = 8192  # a longer line is cut: what it is about stands at its beginning
HEAD_CHARS: Final = 120  # a level word further in is part of the message
MAX_FIELDS: Final = 40
MAX_DEPTH: Final = 4  # of causes within causes
UNKNOWN: Final = "unknown"

_LEVELS: Final = {
    "trace": "debug", "debug": "debug", "dbg": "debug", "info": "info", "information": "info",
    "wrn": "warning", "ftl": "critical",
    "notice": "info", "warn": "warning", "warning": "warning", "error": "error", "err": "error",
    "severe": "error", "critical": "critical", "crit": "critical", "fatal": "critical",
    "panic": "critical", "emerg": "critical", "emergency": "critical", "alert": "critical",
}  # fmt: skip
_CAUSE_SAYS: Final = ("message", "msg", "reason", "detail", "description", "name", "type", "code")
_CAUSED_BY: Final = ("cause", "caused_by", "causedBy", "error", "err", "exception", "inner")
_LEVEL_KEYS: Final = ("level", "detected_level", "severity", "lvl", "levelname", "log.level")
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


_decode: Final = msgspec.json.Decoder(_Fields).decode


def read_json(line: bytes) -> Line:
    """What a line in braces says; as prose when it is no JSON."""
    try:
        fields = _decode(line)
        said = _said(fields)
        return said if said.message else said._replace(message=_shape(msgspec.json.decode(line)))
    except (msgspec.DecodeError, RecursionError):
        text = line.decode(errors="replace")
        return Line(level_of_words(text), text)


def read_text(text: str) -> Line:
    """logfmt begins with a pair; the level is empty where no field tells it."""
    if not _BEGINS.match(text):
        return Line("", text)
    pairs = _PAIR.findall(text)
    inside = sum(len(key) + len(value) + 1 for key, value in pairs)
    if len(pairs) < 2 or 2 * inside < len(text):
        return Line("", text)
    fields = msgspec.convert({key: _unquoted(value) for key, value in pairs}, _Fields)
    said = _said(fields)
    return said if _message(fields) else said._replace(message=text)  # a cause alone is no message


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
        told = fields.get(key)
        if told and (level := _LEVELS.get(str(told).lower())):
            return level
    return ""


def level_of_words(text: str) -> str:
    head = text[:HEAD_CHARS]
    found = _WORD.search(head)
    if found:
        return _LEVELS[found[1].lower()]
    return "error" if _RAISED.search(head) else ""


def _said(fields: _Fields) -> Line:
    message = _message(fields)
    if fields.error or fields.err or fields.exception:
        causes = map(_cause, (fields.error, fields.err, fields.exception))
        message = _with_cause(message, next(filter(None, causes), ""))
    level = _LEVELS.get(fields.level) if type(fields.level) is str else None
    service = fields.service
    return Line(level or _level(fields), message, service if type(service) is str else "")


def _message(fields: _Fields) -> str:
    message = fields.message
    if type(message) is str and message:
        return message
    return _text(fields.msg, fields.event, fields.log, fields.body, fields.text,
                 fields.at_message, fields.journal)  # fmt: skip


def _level(fields: _Fields) -> str:
    told = (fields.level, fields.detected_level, fields.severity, fields.lvl, fields.levelname,
            fields.log_level)  # fmt: skip
    return next((found for one in told if one and (found := _LEVELS.get(str(one).lower()))), "")


def _text(*values: object) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")


def _cause(value: object, depth: int = 0) -> str:
    """A text, or what an object says of itself and then of what caused it; of many, the first."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict) or depth == MAX_DEPTH:
        return value if isinstance(value, str) else ""
    own = _text(*(value.get(key) for key in _CAUSE_SAYS))
    inner = next(filter(None, (_cause(value.get(key), depth + 1) for key in _CAUSED_BY)), "")
    return ": ".join(dict.fromkeys(filter(None, (own, inner))))


def _with_cause(message: str, cause: str) -> str:
    if not cause:
        return message
    cause = first_and_exception(cause)
    return f"{message}: {cause}" if message else cause


def _shape(fields: dict[str, Any]) -> str:
    """A message one level down, or the names of the fields."""
    for inner in list(fields.values())[:MAX_FIELDS]:
        if isinstance(inner, dict):
            one = _said(msgspec.convert(inner, _Fields))
            if one.message:
                return one.message
    return " ".join(f"{key}=<*>" for key in sorted(fields)[:MAX_FIELDS])


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    inside = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
    return inside.replace(r"\"", '"').replace(r"\n", "\n").replace(r"\\", "\\")
