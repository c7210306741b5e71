"""What the incident says in words: new bad lines, the alert, the names of odd metrics."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aiopsd.correlation.attribution.changes import Line, Story
from aiopsd.correlation.attribution.words import ideas, quoted, words
from aiopsd.correlation.ranking.lines import BAD

BEFORE_SECS: Final = 900.0  # lines that far before the onset are of the time before
_NUMBERS: Final = re.compile(r"[0-9a-f]{8,}|\d+")
_RECORD: Final = re.compile(r"(id|offset|key|tenant|partition|user)\w*=")
_MANY: Final = 10  # equal lines, from which on it tells that all are about one record


@dataclass(frozen=True, slots=True)
class Telling:
    words: frozenset[str]  # but names of services: they say nothing about the cause
    quoted: frozenset[str]
    ideas: frozenset[str]
    one_record: float  # share of the commonest new line that repeats itself word for word


def telling(
    story: Story, onset_s: float, services: Iterable[str], odd_metrics: Iterable[str]
) -> Telling:
    new, same = _new(story.lines, onset_s)
    told = [line.text + " " + line.more for line in new] + [story.alert.text]
    text = " ".join(told)
    names = {name.lower() for name in services}
    found = {w for w in words(text) if not any(w in name or name in w for name in names)}
    return Telling(
        frozenset(found),
        frozenset(w for one in told for w in quoted(one)),
        ideas(" ".join([text, *odd_metrics])),
        same,
    )


def _new(lines: tuple[Line, ...], onset_s: float) -> tuple[list[Line], float]:
    """Bad lines since shortly before the onset; and how far they are all about one record."""
    before: set[tuple[str, str]] = set()
    new: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if line.is_info and not BAD.search(line.text):
            continue
        kind = line.service, _NUMBERS.sub("#", line.text)
        if line.time_s < onset_s - BEFORE_SECS:
            before.add(kind)
        else:
            new.setdefault(kind, []).append(line)
    unseen = {kind: found for kind, found in new.items() if kind not in before}
    commonest = max(unseen, key=lambda kind: (len(unseen[kind]), kind), default=None)
    same = 0.0
    if commonest and len(unseen[commonest]) >= _MANY and _RECORD.search(commonest[1]):
        texts = Counter(line.text for line in unseen[commonest])
        same = 1 - len(texts) / texts.total()
    return [line for found in new.values() for line in found], same
