"""Patterns that people write, in the syntax of RE2: linear in the text, whatever they write.

Pure. Reference: https://github.com/google/re2/wiki/Syntax ; ``\\w``, ``\\d`` and ``\\b`` know ASCII
alone. What is no Unicode in a text is read as ``?``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Final, Protocol

import re2

MOST_STEPS: Final = 1000
"""Of a pattern over lines, as RE2 counts them; the worst costs 20 ns a step and character."""
MOST_MATCHES: Final = 500  # of one text, since each may have to look to its end
_MEMORY_BYTES: Final = 2 << 20  # of one compiled pattern; RE2 is slower beyond it, not larger
_EDGES: Final = (b"", b" ", b"\n", b"aa  a\n\n \na")  # what \b, ^ and the like tell apart
_ALONE: Final = re.compile(r"\\[AzQ]|\(\?\w*-")  # may know where a text begins, not only a line


class _Match(Protocol):
    def __getitem__(self, group: int) -> bytes: ...
    def groups(self) -> tuple[bytes | None, ...]: ...
    def span(self, group: int = 0) -> tuple[int, int]: ...


class _Compiled(Protocol):
    """What is used of re2, which has no types."""

    @property
    def programsize(self) -> int: ...
    @property
    def groupindex(self) -> dict[str, int]: ...
    def search(self, text: bytes, pos: int = 0) -> _Match | None: ...
    def fullmatch(self, text: bytes, pos: int, endpos: int) -> _Match | None: ...
    def finditer(self, text: bytes) -> Iterator[_Match]: ...


@dataclass(frozen=True)
class Pattern:
    """Made by ``line_pattern`` or ``label_pattern``."""

    text: str
    _re2: _Compiled = field(repr=False, compare=False)

    def found(self, text: str) -> bool:
        """Somewhere in it."""
        return self._re2.search(_bytes(text)) is not None

    def fits(self, text: str) -> bool:
        """All of it."""
        data = _bytes(text)
        return self._re2.fullmatch(data, 0, len(data)) is not None

    def told(self, text: str) -> Iterator[str]:
        """What each match says: its first group that is not empty, else all of it."""
        for match in islice(self._re2.finditer(_bytes(text)), MOST_MATCHES):
            yield next(filter(None, match.groups()), match[0]).decode(errors="replace")

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where each match says it: its first group that has a name, else all of it. What is
        beyond many of them is taken for one."""
        data = _bytes(text)
        places = _Places(data, plain=text.isascii())
        for n, match in enumerate(self._re2.finditer(data)):
            if n == MOST_MATCHES:
                yield places.of(match.span()[0]), len(text)
                return
            named = (match.span(group) for group in self._named)
            begin, end = next((span for span in named if span[0] >= 0), match.span())
            if begin < end:
                yield places.of(begin), places.of(end)

    def among(self, texts: Sequence[str]) -> Iterator[int]:
        """In which of these it may be found, by looking at all of them as one: none is missed."""
        if self._of_lines is None:
            yield from range(len(texts))
            return
        joined = "\n".join(texts)
        if joined.count("\n") >= len(texts):
            yield from (at for at, text in enumerate(texts) if "\n" in text)
            joined = "\n".join("" if "\n" in text else text for text in texts)
        data, at, begin = _bytes(joined), 0, 0
        while (match := self._of_lines.search(data, begin)) is not None:
            found = match.span()[0]
            at += data[begin:found].count(b"\n")
            yield at
            at, begin = at + 1, data.find(b"\n", found) + 1
            if not begin:
                return

    @cached_property
    def _named(self) -> list[int]:
        return sorted(self._re2.groupindex.values())

    @cached_property
    def _of_lines(self) -> _Compiled | None:
        """Matches within one line of a text, wherever it would match that line alone."""
        if _ALONE.search(self.text):
            return None
        return _compiled(f"(?m:{self.text})", never_nl=True, never_capture=True)


class _Places:
    """Places in bytes, asked for in order, as places in the text."""

    def __init__(self, data: bytes, *, plain: bool) -> None:
        self._data, self._plain = data, plain
        self._at = self._chars = 0

    def of(self, at: int) -> int:
        if self._plain:
            return at
        self._chars += len(self._data[self._at : at].decode(errors="replace"))
        self._at = at
        return self._chars


def _bytes(text: str) -> bytes:
    """A half of a surrogate pair is one character before and after."""
    return text.encode(errors="replace")


def line_pattern(text: str, *, empty: bool = False) -> Pattern:
    """To look for in lines. Raises ValueError, as a sentence, where it is no pattern or a large
    one, or, but for ``empty``, matches where there is nothing."""
    compiled = _compiled(text)
    if not empty and any(
        compiled.fullmatch(one, at, at) for one in _EDGES for at in range(len(one) + 1)
    ):
        raise ValueError("it matches where there is nothing")
    if compiled.programsize > MOST_STEPS:
        raise ValueError(
            f"it is large, {compiled.programsize:,} steps where {MOST_STEPS:,} are the most: write "
            "+ or * for {1,200} and the like; they cost nothing here"
        )
    return Pattern(text, compiled)


def label_pattern(text: str) -> Pattern:
    """To hold whole values of labels against, as Prometheus does: ``.`` is any character. Raises
    ValueError, as a sentence, where it is no pattern."""
    return Pattern(text, _compiled(text, dot_nl=True))


def _compiled(text: str, **options: bool) -> _Compiled:
    for one in _SILENT.finditer(text):
        if one.lastgroup:
            raise ValueError(_said(text, one.start()))
    asked = re2.Options()
    asked.log_errors, asked.max_mem = False, _MEMORY_BYTES
    for name, value in options.items():
        setattr(asked, name, value)
    try:
        compiled: _Compiled = re2.compile(text, asked)
    except UnicodeEncodeError as error:
        raise ValueError(f"at character {error.start + 1}: that is no Unicode") from None
    except re2.error as error:
        raise ValueError(_fault(text, error.args[0].decode(errors="replace"))) from None
    return compiled


# --- what is wrong with a pattern, in a sentence ------------------------------------------

_SILENT: Final = re.compile(r"(?P<byte>\\C)|\\.|(?P<least>\{,\d+\})", re.DOTALL)
"""What RE2 would take, and mean something else by."""
_ABSENT: Final = (
    (r"\(\?[=!]", "lookahead", "match what follows too, with a group around what counts"),
    (r"\(\?<[=!]", "lookbehind", "match what stands before too, with a group around what counts"),
    (r"\\[1-9]|\\[kg](?=[<{])|\(\?P=\w*\)?", "reference back to a group",
     "write once more what may stand there"),
    (r"(?:[*+?]|\{\d+(?:,\d*)?\})\+", "possessive repetition",
     "leave out its last +, nothing is tried twice here"),
    (r"\(\?>", "atomic group", "write (?: , nothing is tried twice here"),
    (r"\(\?\(", "condition on a group", "write both ways, with | between them"),
    (r"\(\?#", "comment", "leave it out"),
    (r"\(\?[a-zA-Z]*[xauL]", "such flag", "there are i, m, s and U"),
    (r"\\Z", "such escape", r"write \z for the end of the text"),
    (r"\\[uUN]", "such escape", r"write the character itself, or \x{e4}"),
    (r"\\C", "such escape", "write . for any character"),
    (r"\{,\d+\}", "repetition without a least", r"write {0,9} for {,9}, or \{ for the character"),
)  # fmt: skip
"""What other kinds of patterns have: how it looks, what it is, what to write instead."""
_CODES: Final = {
    "bad repetition operator": "it repeats a repetition; write (?:...) around the inner one",
    "invalid repetition size": "repetitions end at 1000, those within one another multiplied",
    "no argument for repetition operator": "there is nothing before it to repeat",
    "invalid perl operator": "RE2 has no such group",
    "invalid escape sequence": "RE2 has no such escape",
}


def _fault(text: str, told: str) -> str:
    """``told`` by RE2, such as ``invalid escape sequence: \\Z``."""
    code, _, piece = told.partition(": ")
    at = text.find(piece)
    if piece == "(?P":  # which of them?
        at = text.find("(?P=", at)
    if code.startswith("trailing"):
        return f"at character {len(text)}: it ends with a \\ that stands before nothing"
    if code.endswith(")"):
        return f"{_unpaired(text)}{code}"
    return _said(text, at, f"`{piece}`: {_CODES.get(code, code)}")


def _said(text: str, at: int, otherwise: str = "") -> str:
    for look, name, instead in _ABSENT:
        found = re.compile(look).match(text, at) if at >= 0 else None
        if found is not None:
            return f"at character {at + 1}, `{found[0]}`: RE2 has no {name}; {instead}"
    return f"at character {at + 1}, {otherwise}" if at >= 0 else otherwise


def _unpaired(text: str) -> str:
    """RE2 does not say where."""
    try:
        re.compile(text)
    except re.error as error:
        if error.pos is not None and error.msg.startswith(("missing )", "unbalanced")):
            return f"at character {error.pos + 1}: "
    except (RecursionError, OverflowError):
        pass
    return ""
