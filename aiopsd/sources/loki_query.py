"""LogQL, as far as one who asks has to understand it: checked, narrowed, cut in two. Pure.

Source: the reference of LogQL in Loki's documentation; its refusals are recorded in
tests/recordings/loki.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from aiopsd.model import Labels

_SELECTOR = re.compile(r'\s*\{(?:[^"`}]|"(?:\\.|[^"\\])*"|`[^`]*`)*\}', re.DOTALL)
_TOKEN = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*"|`[^`]*`)|(?P<note>#[^\n]*)|(?P<range>\[[^\[\]]*\])'
    r'|(?P<word>[A-Za-z_][\w.:]*)|(?P<open>[({])|(?P<close>[)}])|(?P<wrong>\\.|["`\[\]])',
    re.DOTALL,
)
_PAIRS = {"(": ")", "{": "}"}
_LINES = "selects lines; a rule needs a number, such as sum by (service) (rate({...} [1m]))"
_MAX_PLACE = 1000  # a regular expression of Loki repeats no more often than this


def selector(query: str) -> str:
    """The stream selector that a log query begins with. Raises ValueError without one."""
    found = _SELECTOR.match(query)
    if not found:
        raise ValueError('a log query begins with a stream selector such as {app="shop"}')
    return found[0].strip()


def checked_metric(query: str) -> None:
    """Raises ValueError for what Loki would refuse as a metric query, as far as can be told."""
    if query.lstrip().startswith("{"):
        raise ValueError(f"`logql` {_LINES}")
    expected: list[tuple[str, bool]] = []  # what closes, and whether it is that of a function
    kinds = Counter[str]()
    before = ""
    for token in _TOKEN.finditer(query):
        kind, text = token.lastgroup or "", token[0]
        kinds["{" if text == "{" else kind] += 1
        if kind == "open":
            expected.append((_PAIRS[text], before == "word"))
        elif kind == "wrong" or (kind == "close" and (not expected or expected.pop()[0] != text)):
            raise ValueError(f"`logql`: {text} at column {token.start() + 1} has no counterpart")
        elif kind == "range" and not (expected and expected[-1][1]):
            raise ValueError(f"`logql`: {text} belongs into a function, such as rate(...)")
        before = kind
    if expected:
        raise ValueError(f"`logql` ends where {expected[-1][0]} is missing")
    if not kinds["{"]:
        raise ValueError('`logql` names no stream, such as {app="shop"}')
    if kinds["range"] < kinds["{"]:
        raise ValueError("`logql`: each stream selector needs a range, such as [1m]")


def narrowed(query: str, labels: Labels, names: Iterable[str]) -> str:
    """The query for one stream alone; ``names`` are the labels that any of the streams has."""
    streams = selector(query)
    matchers = ", ".join(f"{name}={_quoted(labels.get(name, ''))}" for name in sorted(names))
    return query.replace(streams, f"{streams[:-1]}, {matchers}}}", 1)


def halves(query: str, texts: Sequence[str]) -> tuple[str, str] | None:
    """Two queries that share all lines of this one among them, whatever these lines are.

    ``texts`` are some of them: by these the halves come out about equal. None when they are all
    the same, as far as a filter looks.
    """
    place = _telling_place(texts)
    if place is None:
        return None
    letters = sorted(text[place] for text in texts if len(text) > place)
    middle = letters[len(letters) // 2]
    lower = [letter for letter in dict.fromkeys(letters) if letter < middle] or [middle]
    pattern = _quoted(f"^(?s:.{{{place}}})[{''.join(map(_in_class, lower))}]")
    return f"{query}\n|~ {pattern}", f"{query}\n!~ {pattern}"


def _telling_place(texts: Sequence[str]) -> int | None:
    """Where the commonest letter, or the lack of one, is least common."""
    best, fewest = None, len(texts)
    ends = zip(min(texts), max(texts), strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    for place in range(same, min(max(map(len, texts)), _MAX_PLACE + 1)):
        most = Counter(text[place : place + 1] for text in texts).most_common(1)[0][1]
        if most < fewest:
            best, fewest = place, most
        if 2 * fewest <= len(texts):
            break
    return best


def _in_class(letter: str) -> str:
    if letter.isascii() and not letter.isalnum():
        return f"\\x{ord(letter):02x}"
    return letter


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def words(query: str) -> Iterator[str]:
    """Functions, labels and keywords, in order; nothing that stands in quotes."""
    for token in _TOKEN.finditer(query):
        if token.lastgroup == "word":
            yield token[0]
