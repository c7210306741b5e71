"""Prometheus' vector selector: ``http_requests_total{code=~"5..",job!="x"}``.

Grammar and meaning: https://prometheus.io/docs/prometheus/latest/querying/basics/ . Patterns are
anchored at both ends; a label that a series lacks is the empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from aiopsd.patterns import Pattern, label_pattern

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR: Final = re.compile(r"=~|!~|!=|=")
_TEXT: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"' + r"|'((?:[^'\\\n]|\\.)*)'" + r"|`([^`]*)`")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}


@dataclass(frozen=True)
class Matcher:
    """One condition on one label."""

    label: str
    operator: str
    text: str
    pattern: Pattern | None = None

    def matches(self, value: str) -> bool:
        hit = self.pattern.fits(value) if self.pattern else value == self.text
        return hit != self.operator.startswith("!")


@dataclass(frozen=True)
class Selector:
    """Every matcher must hold."""

    matchers: tuple[Matcher, ...]

    @property
    def name(self) -> str | None:
        """The metric name, when there can be only one."""
        return next((m.text for m in self._naming if m.operator == "="), None)

    @cached_property
    def _naming(self) -> tuple[Matcher, ...]:
        return tuple(m for m in self.matchers if m.label == "__name__")

    @cached_property
    def _others(self) -> tuple[Matcher, ...]:
        return tuple(m for m in self.matchers if m.label != "__name__")

    def names(self, name: str) -> bool:
        """Does this metric name fit?"""
        return all(m.matches(name) for m in self._naming)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Do name and labels fit?"""
        return self.names(labels.get("__name__", "")) and self.suits(labels)

    def suits(self, labels: Mapping[str, str]) -> bool:
        """Do all labels but the name fit?"""
        return not self._others or all(m.matches(labels.get(m.label, "")) for m in self._others)


def parse_selector(text: str) -> Selector:
    """Raises ValueError ``column 12: ...`` (from 1) at the first thing that is not understood."""
    return _Parser(text).selector()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def selector(self) -> Selector:
        matchers: list[Matcher] = []
        self._blanks()
        name = _NAME.match(self.text, self.at)
        if name:
            matchers.append(Matcher("__name__", "=", name[0]))
            self.at = name.end()
        self._blanks()
        if self._take("{"):
            matchers += self._braces()
        elif not name:
            self._fail("expected a metric name or {")
        self._blanks()
        if self.at < len(self.text):
            hint = "; a window is written `window: 5m`" if self.text[self.at] == "[" else ""
            self._fail(f"{self.text[self.at]!r} is not part of a selector{hint}")
        if all(m.matches("") for m in matchers):
            self.at = 0
            self._fail("a selector names a metric, or a label that is not empty")
        return Selector(tuple(matchers))

    def _braces(self) -> list[Matcher]:
        found: list[Matcher] = []
        self._blanks()
        while not self._take("}"):
            found.append(self._matcher())
            self._blanks()
            if not self._take(",") and self.text[self.at : self.at + 1] != "}":
                self._fail("expected , or }")
            self._blanks()
        return found

    def _matcher(self) -> Matcher:
        label = self._match(_LABEL, "expected a label name")[0]
        self._blanks()
        operator = self._match(_OPERATOR, "expected one of = != =~ !~")[0]
        self._blanks()
        began = self.at
        quoted = self._match(_TEXT, "expected a quoted text")
        text = quoted[3] if quoted[3] is not None else _unescape(quoted[1] or quoted[2] or "")
        if not operator.endswith("~"):
            return Matcher(label, operator, text)
        try:
            return Matcher(label, operator, text, label_pattern(text))
        except ValueError as error:
            self.at = began
            self._fail(f"not a regular expression: {error}")
            raise AssertionError from error

    def _match(self, pattern: re.Pattern[str], complaint: str) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if found is None:
            self._fail(complaint)
            raise AssertionError
        self.at = found.end()
        return found

    def _take(self, character: str) -> bool:
        found = self.text.startswith(character, self.at)
        self.at += found
        return found

    def _blanks(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def _fail(self, complaint: str) -> None:
        here = self.text[self.at : self.at + 1]
        got = f", got {here!r}" if here and "expected" in complaint else ""
        end = "" if here or "expected" not in complaint else ", but the text ends"
        raise ValueError(f"column {self.at + 1}: {complaint}{got}{end}")


def _unescape(text: str) -> str:
    """``\\d`` stays as it is: Prometheus refuses it, people mean the pattern."""
    return _ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[0]), text)
