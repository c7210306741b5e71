"""What a diff really changes, and how risky such a change is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiopsd.correlation.attribution.changes import Commit

_HARMLESS: Final = re.compile(
    r"(\.(css|scss|md|txt|svg|png|html|sum)|_test\.\w+|\.test\.\w+|/docs?/|/tests?/|testdata)",
    re.IGNORECASE,
)
_TRIVIAL: Final = re.compile(
    r"^(docs|test|style|chore\(deps\)|ci)\b|#?deps\b|\bbump\b|restyle|palette|css|typo|gofmt"
    r"|version constant|access log",
    re.IGNORECASE,
)
_TIDY: Final = re.compile(r"\b(tidy|extract|rename|helper|dto)", re.IGNORECASE)
_CONFIG: Final = re.compile(r"\.(ya?ml|toml|ini|env|json|properties)$", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+(?:\.\d+)?")
_COMMENT: Final = re.compile(r"(//|#\s).*$")


@dataclass(frozen=True, slots=True)
class Delta:
    """Tokens that really come or go: a tidy-up that only moves code has few of them."""

    come: frozenset[str]
    gone: frozenset[str]
    kept: float  # share of tokens that are on both sides
    added: int  # lines
    removed: int


def delta(diff: str) -> Delta:
    added = [line[1:] for line in diff.split("\n") if line[:1] == "+" and line[:3] != "+++"]
    removed = [line[1:] for line in diff.split("\n") if line[:1] == "-" and line[:3] != "---"]
    new, old = _tokens(added), _tokens(removed)
    kept = len(new & old) / max(1, len(new | old))
    return Delta(new - old, old - new, kept, len(added), len(removed))


def risk(commit: Commit, changed: Delta) -> float:
    """Nats, by what kind of change it is."""
    only_harmless = all(_HARMLESS.search(file) for file in commit.files)
    if not commit.diff or only_harmless or _TRIVIAL.search(commit.message):
        return -3.0  # docs, tests, styles and bumps break little
    nats = 0.8 * (1 - changed.kept) - 0.4  # moved code keeps its tokens
    if changed.gone and changed.removed and (not changed.added or changed.removed > changed.added):
        nats += 0.4  # something is simply gone
    if _TIDY.search(commit.message):
        nats -= 0.8
    if any(_CONFIG.search(file) for file in commit.files):
        nats += 0.5  # configuration is tested least
    return nats


def _tokens(lines: list[str]) -> frozenset[str]:
    return frozenset(_TOKEN.findall(" ".join(_COMMENT.sub("", line) for line in lines)))
