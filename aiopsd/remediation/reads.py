"""What an expression reads: paths below the roots, and comparisons with literals. Pure text.

CEL's own check stops at the roots, because what stands below them is dynamic. This scanner
sees the rest, so that ``incident.scroe`` is found at noon and not at night.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<text>[rR]?(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?u?)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<sign>==|!=|<=|>=|&&|\|\||\S)""",
    re.VERBOSE | re.DOTALL,
)
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_NOT_ROOTS = frozenset({"true", "false", "null", "in", "second", "minute", "hour", "day"})
_STARTS = frozenset({"", "(", "[", "&&", "||", "?", ":", ","})
_ENDS = frozenset({"", ")", "]", "&&", "||", "?", ":", ","})


@dataclass(frozen=True)
class Token:
    kind: str  # text, number, word, sign; "" at the edges
    text: str
    column: int  # from 1


@dataclass(frozen=True)
class Read:
    """One path that is read; ``parts[0]`` is the root."""

    parts: tuple[str, ...]
    column: int

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class Comparison:
    """A path and the literals that it is compared with by ``==``, ``!=`` or ``in``."""

    read: Read
    sign: str
    literals: tuple[str | float, ...]


def reads(text: str) -> tuple[Read, ...]:
    """Every path, in order; variables of ``all``, ``exists`` and the like are none."""
    tokens = _tokens(text)
    return tuple(read for _, _, read in _spans(tokens))


def comparisons(text: str) -> Iterator[Comparison]:
    """Only those that stand alone between ``&&``, ``||`` and brackets: those are provable."""
    tokens = _tokens(text)
    for first, after, read in _spans(tokens):
        if _at(tokens, first - 1).text not in _STARTS:
            continue
        sign = _at(tokens, after).text
        if sign in ("==", "!="):
            literals, end = _literals(tokens, after + 1, single=True)
        elif sign == "in" and _at(tokens, after + 1).text == "[":
            literals, end = _literals(tokens, after + 2, single=False)
        else:
            continue
        if literals and _at(tokens, end).text in _ENDS:
            yield Comparison(read, sign, literals)


def _tokens(text: str) -> list[Token]:
    return [
        Token(str(m.lastgroup), m.group(), m.start() + 1)
        for m in _TOKEN.finditer(re.sub(r"//[^\n]*", lambda c: " " * len(c.group()), text))
    ]


def _at(tokens: list[Token], index: int) -> Token:
    return tokens[index] if 0 <= index < len(tokens) else Token("", "", 0)


def _spans(tokens: list[Token]) -> Iterator[tuple[int, int, Read]]:
    """(index of the first token, index after the last, what is read)."""
    bound = {
        _at(tokens, i + 2).text
        for i, token in enumerate(tokens)
        if token.text in _MACROS and _at(tokens, i + 1).text == "("
    }
    for index, token in enumerate(tokens):
        if token.kind != "word" or token.text in _NOT_ROOTS or token.text in bound:
            continue
        if _at(tokens, index - 1).text == "." or _at(tokens, index + 1).text == "(":
            continue
        if _at(tokens, index + 1).text == ":" and _at(tokens, index - 1).text in ("{", ","):
            continue  # a field of a literal
        parts, after = _below(tokens, index)
        yield index, after, Read(tuple(parts), token.column)


def _below(tokens: list[Token], index: int) -> tuple[list[str], int]:
    parts, at = [tokens[index].text], index + 1
    while True:
        if _at(tokens, at).text == "." and _at(tokens, at + 1).kind == "word":
            if _at(tokens, at + 2).text == "(":  # a method of what was read so far
                return parts, at
            parts.append(tokens[at + 1].text)
            at += 2
        elif _at(tokens, at).text == "[" and _at(tokens, at + 2).text == "]":
            if _at(tokens, at + 1).kind != "text":
                return parts, at
            parts.append(_unquoted(tokens[at + 1].text))
            at += 3
        else:
            return parts, at


def _literals(tokens: list[Token], at: int, *, single: bool) -> tuple[tuple[str | float, ...], int]:
    found: list[str | float] = []
    while True:
        token = _at(tokens, at)
        if token.kind == "text":
            found.append(_unquoted(token.text))
        elif token.kind == "number":
            found.append(float(token.text.rstrip("u")))
        else:
            return (), at
        following = _at(tokens, at + 1).text
        if single:
            return tuple(found), at + 1
        if following == "]":
            return tuple(found), at + 2
        if following != ",":
            return (), at
        at += 2


def _unquoted(text: str) -> str:
    text = text.lstrip("rR")
    quotes = 3 if text[:3] in ('"""', "'''") else 1
    return text[quotes:-quotes]
