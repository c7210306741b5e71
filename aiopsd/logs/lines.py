"""One line to what it says: JSON and logfmt by structure, the rest by words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

MAX_CHARS: Final = 8192  # a longer line is cut: what it is about stands at its beginning
HEAD_CHARS: Final = 120  # a level word further in is part of the message
UNKNOWN: Final = "unknown"

_LEVELS: Final = {
    "trace": "debug", "debug": "debug", "dbg": "debug", "info": "info", "information": "info",
    "notice": "info", "warn": "warning", "warning": "warning", "error": "error", "err": "error",
    "severe": "error", "critical": "critical", "crit": "critical", "fatal": "critical",
    "panic": "critical", "emerg": "critical", "emergency": "critical", "alert": "critical",
}  # fmt: skip
_LEVEL_KEYS: Final = ("level", "detected_level", "severity", "lvl", "levelname", "log.level")
_MESSAGE_KEYS: Final = ("msg", "message", "event", "log", "body", "text")
_CAUSE_KEYS: Final = ("error", "err", "exception")
_WORD: Final = re.compile(r"(?<![\w-])(" + "|".join(_LEVELS) + r")(?![\w-])", re.IGNORECASE)
_RAISED: Final = re.compile(r"Traceback \(most|(?:Error|Exception)\b")
_PAIR: Final = re.compile(r'(?<![\w.-])([A-Za-z_][\w.-]{0,60})=("(?:[^"\\]|\\.)*"?|[^\s"]*)')


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says; ``level`` is debug, info, warning, error, critical or empty."""

    level: str
    message: str
    service: str = ""  # where the structure names one


def read_line(text: str) -> Line:
    """The structure knows the level best, then the words at the beginning."""
    text = text[:MAX_CHARS].strip()
    fields = _fields(text)
    if not fields:
        return Line(_level_of_words(text), _core(text))
    message = _first(fields, _MESSAGE_KEYS)
    cause = _first(fields, _CAUSE_KEYS)
    parts = [_core(message)] if message else []
    parts += [f"error={_core(cause)}"] if cause else []
    said = " ".join(parts) or " ".join(f"{key}=<*>" for key in sorted(fields)[:40])
    service = fields.get("service")
    return Line(level_of(fields), said, service if isinstance(service, str) else "")


def level_of(fields: Mapping[str, Any]) -> str:
    """By a label or field that is made for it; empty when there is none."""
    for key in _LEVEL_KEYS:
        level = _LEVELS.get(str(fields.get(key, "")).lower())
        if level:
            return level
    return ""


def _level_of_words(text: str) -> str:
    found = _WORD.search(text[:HEAD_CHARS])
    if found:
        return _LEVELS[found[1].lower()]
    return "error" if _RAISED.search(text[:HEAD_CHARS]) else ""


def _core(text: str) -> str:
    """One line of many: the first, or what a traceback ends with."""
    if "\n" not in text:
        return text
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    return lines[-1] if lines[0].startswith("Traceback (most recent call") else lines[0]


def _first(fields: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    found = (fields.get(key) for key in keys)
    return next((value for value in found if isinstance(value, str) and value), "")


def _fields(text: str) -> dict[str, Any]:
    """Fields of a structured line; empty for prose."""
    if text.startswith("{") and text.endswith("}"):
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
    pairs = _PAIR.findall(text)
    inside = sum(len(key) + len(value) + 1 for key, value in pairs)
    if len(pairs) < 2 or 2 * inside < len(text):  # prose that happens to hold an `=`
        return {}
    return {key: _unquoted(value) for key, value in pairs}


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    inside = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
    return inside.replace(r"\"", '"').replace(r"\n", "\n").replace(r"\\", "\\")
