"""One line to its level and its message: JSON and logfmt by structure, the rest by words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

MAX_CHARS = 8192  # a longer line is cut: what it is about stands at its beginning
HEAD_CHARS = 120  # a level word further in is part of the message

_LEVELS = {
    "trace": "debug", "debug": "debug", "dbg": "debug", "info": "info", "information": "info",
    "notice": "info", "warn": "warning", "warning": "warning", "error": "error", "err": "error",
    "severe": "error", "critical": "critical", "crit": "critical", "fatal": "critical",
    "panic": "critical", "emerg": "critical", "alert": "critical",
}  # fmt: skip
_LEVEL_KEYS = ("level", "lvl", "severity", "levelname", "detected_level", "log.level")
_MESSAGE_KEYS = ("msg", "message", "event", "log", "error", "err")
_WORD = re.compile(r"(?<![\w-])(" + "|".join(_LEVELS) + r")(?![\w-])", re.IGNORECASE)
_PAIR = re.compile(r'([A-Za-z_][\w.-]{0,60})=("(?:[^"\\]|\\.){0,8192}"|[^\s"]{0,8192})')


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says; ``level`` is one of debug, info, warning, error, critical or empty."""

    level: str
    message: str


def read_line(text: str, labels: Mapping[str, str]) -> Line:
    """Labels know the level best, then the structure, then the words at the beginning."""
    text = text[:MAX_CHARS].strip()
    fields = _fields(text)
    message = next((str(fields[k]) for k in _MESSAGE_KEYS if fields.get(k)), "")
    if fields and not message:
        message = " ".join(f"{key}=<*>" for key in sorted(fields))
    level = _level(labels) or _level(fields)
    if not fields:
        message = text
        found = _WORD.search(text[:HEAD_CHARS])
        level = level or (_LEVELS[found[1].lower()] if found else "")
    return Line(level, message)


def _level(fields: Mapping[str, Any]) -> str:
    for key in _LEVEL_KEYS:
        level = _LEVELS.get(str(fields.get(key, "")).lower())
        if level:
            return level
    return ""


def _fields(text: str) -> dict[str, Any]:
    """Fields of a structured line; empty for prose."""
    if text.startswith("{"):
        try:
            found = msgspec.json.decode(text)
        except msgspec.DecodeError:
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
    return value[1:-1].replace(r"\"", '"').replace(r"\n", "\n").replace(r"\\", "\\")
