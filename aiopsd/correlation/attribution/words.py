"""Words of lines, alerts and diffs, and the few ideas that go by many words."""

from __future__ import annotations

import re
from typing import Final

_STOP_WORDS: Final = """
    the a an of to in for on and or is are was be with by from at it this that return err error
    nil func if else var const string int type import package context ctx true false null self
    new get set req res http service services go py ts yaml
"""
_STOP: Final = frozenset(_STOP_WORDS.split())
_HUMP: Final = re.compile(r"([a-z0-9])([A-Z])")
_WORD: Final = re.compile(r"[a-z][a-z0-9]{2,}|\d{2,}")
_QUOTED: Final = re.compile(r"\[([^\]]+)\]|\"([^\"]+)\"|'([^']+)'")
_IDEAS: Final = {
    idea: re.compile(pattern, re.IGNORECASE)
    for idea, pattern in {
        "time-out": r"time.?out|deadline|millisecond|\bttl\b|backoff",
        "null": r"\bnil\b|\bnull\b|undefined|dereference|none.?type",
        "schema": r"migration|schema|relation|column|mapping|\bfield",
        "capacity": r"capacity|quota|throughput|throttl|batch|pool|limit|max_|rate",
        "disk": r"disk|no space|file.?system|level|debug|sample_rate|retention",
        "query": r"\bselect\b|quer(y|ies)|rows|\bsql\b|getitem|per.?request|full scan",
        "access": r"auth|token|cert|permission|denied",
        "memory": r"memory|\boom|heap|cache|leak",
        "missing": r"not found|missing|regist|lookup",
    }.items()
}


def words(text: str) -> list[str]:
    """In lower case; camelCase and snake_case are taken apart; numbers of two digits or more."""
    parts = _HUMP.sub(r"\1 \2", text).lower().replace("_", " ")
    return [word for word in _WORD.findall(parts) if word not in _STOP]


def quoted(text: str) -> list[str]:
    """Words that a message quotes: names of tables, fields, keys."""
    return words(" ".join(part for parts in _QUOTED.findall(text) for part in parts))


def ideas(text: str) -> frozenset[str]:
    return frozenset(idea for idea, pattern in _IDEAS.items() if pattern.search(text))
