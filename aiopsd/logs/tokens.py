"""A masked line as tokens, and how likely each is to vary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final

MAX_TOKENS: Final = 160

_MARKS: Final = r"""\s,;:=()\[\]{}|"'\#&<>"""
_TOKEN: Final = re.compile(
    rf"\s*(?:\.{{4,}}(?=<\w+>)|(?:(?!\.{{4}})[^{_MARKS}])+(?=\.{{4,}}<)"
    rf"|[^{_MARKS}]*<[\w*]+>[.!?*]*|[^{_MARKS}]+|[{_MARKS[2:]}])"
)
_CAMEL: Final = re.compile(r"[a-z][A-Z]")
_THINGS: Final = """
    uid gid host hostname node interface name username account domain device driver
    module service app application package pkg process program command job task queue topic table database
    db file port via component container image pod volume unit group role bucket partition thread
    class channel key session"""
_NOUNS: Final = frozenset(_THINGS.split())
_MEASURES: Final = "bytes B KB MB GB TB KiB MiB GiB kB ms us ns sec secs seconds s"
UNITS: Final = frozenset(_MEASURES.split())
_TELLING: Final = re.compile(
    r"""(?:ed|ing|ly|able|ful|less|tion|ment|ure|ss|n't)\W*$
    |^(?:GET|PUT|POST|DELETE|HEAD|PATCH|up|down|on|off|in|out|to|from|by|for|of|at|is|was|has|are
    |not|no|and|or|with|as|the|a|an|ok|online|offline|open|opens?|closes?|starts?|stops?|begins?
    |ends?|enters?|leaves?|reads?|writes?|sent|sends?|lost|found|fails?|errors?|timeout|ready|idle
    |busy|full|empty|alive|dead|unknown|valid|invalid|new|old|low|high|name|id|data|space|mode
    |agent)\W*$""",
    re.VERBOSE | re.IGNORECASE,
)


class Kind(IntEnum):
    PLAIN = 0  # a word of the language
    MARK = 1  # punctuation
    NAME = 2  # looks like an identifier
    SLOT = 3  # stands behind a noun such as `container`
    SOFT = 4  # all but surely a value
    VALUE = 5  # masked


def tokens(masked: str) -> list[str]:
    """At least one; each with the blanks before it, so that joined they are the line."""
    return _TOKEN.findall(masked)[:MAX_TOKENS] or [""]


@lru_cache(20_000)
def is_telling(word: str) -> bool:
    """Verb-like forms, states, function words: they tell events apart rather than name things."""
    return _TELLING.search(word) is not None


def kinds(line: Sequence[str]) -> list[Kind]:
    found: list[Kind] = []
    before = ""
    for place, token in enumerate(line):
        word = token.lstrip()
        kind = _alone(word)
        if kind in (Kind.PLAIN, Kind.NAME):
            after = line[place + 1] if place + 1 < len(line) else ""
            kind = _among(kind, word, place, before, after, found[-1:])
        found.append(kind)
        before = word if kind == Kind.MARK else word.lower()
    return found


def _among(
    kind: Kind, word: str, place: int, before: str, after: str, kind_before: Sequence[Kind]
) -> Kind:
    if place == 0 or after in {"(", "{", "["}:  # a call, a type
        return Kind.PLAIN
    if before == "=" or (word in UNITS and kind_before == [Kind.VALUE]):
        return Kind.SOFT
    if before == "user" and not is_telling(word):
        return Kind.SOFT
    if before in {'"', "'"} and after.lstrip() == before:
        return Kind.NAME
    return Kind.SLOT if before in _NOUNS else kind


@lru_cache(20_000)
def _alone(word: str) -> Kind:
    if "<n>" in word:
        return Kind.NAME
    if "<" in word and len(word) > 2:
        return Kind.VALUE
    bare = word.rstrip(".!?*")
    if not any(map(str.isalnum, bare)):
        return Kind.MARK
    if bare[0] == "/" or "@" in bare or "$" in bare or "\\" in bare[:-1] or bare.count("/") >= 2:
        return Kind.SOFT
    if "_" in bare or "." in bare or _CAMEL.search(bare) or any(map(str.isdigit, bare)):
        return Kind.NAME
    return Kind.PLAIN
