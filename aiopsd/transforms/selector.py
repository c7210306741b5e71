"""Prometheus' series selectors: ``http_requests_total{code=~"5..",job!="x"}``.

Source: prometheus.io/docs/prometheus/latest/querying/basics. Regexes are anchored at both ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiopsd.model import Labels

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_MATCHER = re.compile(
    r"\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')\s*(,?)\s*"
)
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\'": "'", r"\n": "\n", r"\t": "\t"}


@dataclass(frozen=True)
class Selector:
    """Matches label sets; ``name`` may be empty when a matcher on ``__name__`` says it."""

    name: str
    equal: tuple[tuple[str, str, bool], ...]  # label, value, wanted (False: !=)
    patterns: tuple[tuple[str, re.Pattern[str], bool], ...]

    def matches(self, labels: Labels) -> bool:
        """A label that is not there is the empty string, as in PromQL."""
        if self.name and labels.get("__name__") != self.name:
            return False
        if any((labels.get(k, "") == v) is not wanted for k, v, wanted in self.equal):
            return False
        return all(
            (p.fullmatch(labels.get(k, "")) is not None) is wanted for k, p, wanted in self.patterns
        )


def parse_selector(text: str) -> Selector:
    """Raises ValueError that names the column (from 1)."""
    start = len(text) - len(text.lstrip())
    name = _NAME.match(text, start)
    at = name.end() if name else start
    equal, patterns = [], []
    rest = text[at:].strip()
    if rest:
        at = text.index(rest[0], at)
        if rest[0] != "{":
            raise ValueError(f"column {at + 1}: expected {{ after the name, got {rest[0]!r}")
        if not rest.endswith("}"):
            raise ValueError(f"column {len(text.rstrip()) + 1}: the closing }} is missing")
        at, end, comma = at + 1, len(text.rstrip()) - 1, True
        while text[at:end].strip():
            found = _MATCHER.match(text, at, end)
            if not found or not comma:
                raise ValueError(f'column {at + 1}: expected label="value", got {text[at:end]!r}')
            label, operator, value = found[1], found[2], _unquote(found[3])
            comma, at = bool(found[4]), found.end()
            if operator in ("=", "!="):
                equal.append((label, value, operator == "="))
            else:
                patterns.append((label, _compile(value, found.start(3)), operator == "=~"))
    if not name and not any(w and v for _, v, w in equal) and not any(w for *_, w in patterns):
        raise ValueError("column 1: a selector names a metric, or a label that is not empty")
    return Selector(name[0] if name else "", tuple(equal), tuple(patterns))


def _compile(pattern: str, at: int) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"column {at + 1}: not a regular expression: {error}") from None


def _unquote(quoted: str) -> str:
    return re.sub(r"\\.", lambda m: _ESCAPES.get(m[0], m[0]), quoted[1:-1])
