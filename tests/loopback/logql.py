"""The part of LogQL that selects lines: `{app="shop", level=~"error|warn"} |= "timeout" != "up"`.

A last stage `| json` is understood as well. Error texts are those of a real Loki
(tests/recordings/loki/err_400_*). Anything else of the language is `NotModelled`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise


class LogQLError(Exception):
    """The query is wrong; the text is what Loki answers with 400."""


class NotModelled(Exception):
    """The query may be right, but only a real Loki can answer it."""


NOT_JSON = {
    "__error__": "JSONParserErr",
    "__error_details__": "Value looks like object, but can't find closing '}' symbol",
}


@dataclass(frozen=True)
class Matcher:
    """`name op value` on a stream's labels; a missing label counts as empty."""

    name: str
    op: str
    value: str

    def accepts(self, text: str) -> bool:
        if "~" in self.op:
            return (re.fullmatch(self.value, text, re.DOTALL) is not None) == (self.op == "=~")
        return (text == self.value) == (self.op == "=")


@dataclass(frozen=True)
class LineFilter:
    """`op value` on a line; expressions may match anywhere in it."""

    op: str
    value: str

    def accepts(self, line: str) -> bool:
        found = re.search(self.value, line) if "~" in self.op else self.value in line
        return bool(found) == self.op.startswith("|")


@dataclass(frozen=True)
class LogQuery:
    matchers: tuple[Matcher, ...]
    filters: tuple[LineFilter, ...] = ()
    json: bool = False

    def selects(self, labels: Mapping[str, str]) -> bool:
        return all(matcher.accepts(labels.get(matcher.name, "")) for matcher in self.matchers)

    def keeps(self, line: str) -> bool:
        return all(line_filter.accepts(line) for line_filter in self.filters)

    def parsed(self, line: str) -> dict[str, str]:
        """Labels that come out of the line itself."""
        if not self.json:
            return {}
        try:
            fields = json.loads(line)
        except ValueError:
            return dict(NOT_JSON)
        return {name: str(value) for name, value in fields.items()}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int


_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<op>=~|!~|!=|\|=|\|~|=|[{},()|\[\]])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def parse(query: str) -> LogQuery:
    """Read a log query; LogQLError when Loki would refuse it."""
    tokens = [
        _Token(match.lastgroup or "", match[0], match.start() + 1)
        for match in _TOKEN.finditer(query)
        if match.lastgroup != "space"
    ]
    tokens.append(_Token("end", "$end", len(query) + 1))
    if tokens[0].text != "{":
        raise _metric_query(tokens)
    cursor = _Cursor(tokens)
    matchers = _matchers(cursor)
    if not any(not matcher.accepts("") for matcher in matchers):
        raise LogQLError(_empty_compatible(matchers))
    filters = _filters(cursor)
    return LogQuery(matchers, filters, _json(cursor))


class _Cursor:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> _Token:
        return self._tokens[self._at]

    def take(self, *allowed: str, expecting: str = "") -> _Token:
        """The next token, if its kind or text is allowed here."""
        token = self.peek()
        if token.kind not in allowed and token.text not in allowed:
            raise _unexpected(token, expecting)
        self._at += 1
        return token


def _matchers(cursor: _Cursor) -> tuple[Matcher, ...]:
    cursor.take("{")
    matchers: list[Matcher] = []
    while cursor.peek().text != "}":
        if matchers:
            cursor.take(",", expecting="} or ,")
        name = cursor.take("name").text
        op = cursor.take("=", "!=", "=~", "!~").text
        matchers.append(Matcher(name, op, _text(cursor.take("string"), regex="~" in op)))
    cursor.take("}")
    return tuple(matchers)


def _filters(cursor: _Cursor) -> tuple[LineFilter, ...]:
    filters: list[LineFilter] = []
    while cursor.peek().kind != "end" and cursor.peek().text != "|":
        if cursor.peek().text in ("[", "or"):
            raise NotModelled(f"pipeline stage at column {cursor.peek().column}")
        op = cursor.take("|=", "!=", "|~", "!~").text
        filters.append(LineFilter(op, _text(cursor.take("string"), regex="~" in op)))
    return tuple(filters)


def _json(cursor: _Cursor) -> bool:
    """Whether the query ends with this stage, the only one that is known here."""
    if cursor.peek().kind == "end":
        return False
    column = cursor.take("|").column
    if cursor.take("name", "end").text != "json" or cursor.peek().kind != "end":
        raise NotModelled(f"pipeline stage at column {column}")
    return True


def _text(token: _Token, regex: bool) -> str:
    text = token.text[1:-1]
    if token.text.startswith('"'):
        try:
            text = json.loads(token.text, strict=False)
        except ValueError as error:
            raise LogQLError(f"parse error at line 1, col {token.column}: {error}") from error
    if regex:
        try:
            re.compile(text)
        except re.error as error:
            raise LogQLError(f"parse error : error parsing regexp: {error}") from error
    return text


def _metric_query(tokens: list[_Token]) -> Exception:
    """Of metric queries only one mistake is known here: a selector without its `[range]`."""
    for token, following in pairwise(tokens):
        if token.text == "}" and following.text == ")":
            return _unexpected(following)
    if tokens[0].kind in ("name", "other") and len(tokens) > 1:
        return NotModelled("metric queries")
    return _unexpected(tokens[0])


def _unexpected(token: _Token, expecting: str = "") -> LogQLError:
    hint = f", expecting {expecting}" if expecting else ""
    return LogQLError(
        f"parse error at line 1, col {token.column}: syntax error: unexpected {token.text}{hint}"
    )


def _empty_compatible(matchers: tuple[Matcher, ...]) -> str:
    shown = ",".join(f'{m.name}{m.op}"{m.value}"' for m in matchers)
    better = shown.replace("*", "+")
    return (
        "parse error : queries require at least one regexp or equality matcher that does not "
        f"have an empty-compatible value. For instance, {shown} does not meet this requirement, "
        f"but {better} will"
    )
