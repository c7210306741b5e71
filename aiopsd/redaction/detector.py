"""What a detector is: where to look, and what it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiopsd.redaction.anchors import Anchor

Kind = str
"""What was found, as people read it in its place: ``email``, ``card``, or a name of their own."""

PLACEHOLDER: Final = re.compile(r"<[a-z][\w -]{0,79}(?::[0-9a-f]{10})?>")
"""What stands where something was taken out; a mark of a run's secret looks like one too."""


class Span(NamedTuple):
    """What is to be taken out; ``value`` is written alike wherever it means the same."""

    start: int
    end: int
    kind: Kind
    value: str


Find = Callable[[str, int], Iterable[Span]]
"""What is in a line, at this place or (``whole``) anywhere."""
Among = Callable[[Sequence[str]], Iterable[int]]
"""In which of these texts something may be; none is missed."""


def anywhere(texts: Sequence[str]) -> Iterable[int]:
    return range(len(texts))


@dataclass(frozen=True, slots=True)
class Detector:
    """``find`` is linear in what it looks at: our patterns give nothing back and are bounded, those
    of people are RE2's. Without ``anchors`` it looks where ``among`` says."""

    kind: Kind
    anchors: tuple[Anchor, ...]
    find: Find
    whole: bool = False
    prose: bool = False  # not in labels, where such a thing is a name
    among: Among = anywhere


def near(*texts: str, confirm: bytes = b"") -> tuple[Anchor, ...]:
    """Anchors that are confirmed alike."""
    confirmed = re.compile(confirm).match if confirm else None
    return tuple(Anchor(text, confirmed) for text in texts)


Value = Callable[[re.Match[str]], str | None]
"""The value as it is compared; None: it only looks like one."""


def taken(found: re.Match[str]) -> str:
    return found[_group(found)]


def _group(found: re.Match[str]) -> str | int:
    """Groups in capitals are for the detector itself."""
    name = found.lastgroup
    return name if name is not None and name.islower() else 0


def matching(kind: Kind, pattern: re.Pattern[str], value: Value = taken) -> Find:
    """What the pattern takes at the place: its group with a name in small letters, or all."""

    def find(text: str, place: int) -> Iterator[Span]:
        found = pattern.match(text, place)
        if found is not None:
            yield from _span(kind, found, value)

    return find


def searching(kind: Kind, pattern: re.Pattern[str], value: Value = taken) -> Find:
    """The same, wherever it matches in the line."""

    def find(text: str, _: int) -> Iterator[Span]:
        for found in pattern.finditer(text):
            yield from _span(kind, found, value)

    return find


def _span(kind: Kind, found: re.Match[str], value: Value) -> Iterator[Span]:
    said = value(found)
    if said:
        yield Span(*found.span(_group(found)), kind, said)
