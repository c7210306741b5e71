"""Streams of log lines in memory, and the page of them that one query gets."""

from __future__ import annotations

from bisect import bisect_left, insort_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .logql import LogQuery

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Labels in the order of their names, fit to be a key."""


def canonical(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def labels_text(labels: Mapping[str, str]) -> str:
    """The way Loki prints labels in errors, and by which it orders streams."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


@dataclass(frozen=True)
class Entry:
    ns: int
    line: str
    metadata: Labels


@dataclass
class Stream:
    """The lines under one set of labels, oldest first, each different one once."""

    labels: dict[str, str]
    entries: list[Entry] = field(default_factory=list)
    _known: set[Entry] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        if entry not in self._known:
            self._known.add(entry)
            insort_right(self.entries, entry, key=lambda other: other.ns)

    def between(self, start_ns: int, end_ns: int) -> list[Entry]:
        """From `start_ns` on, up to but without `end_ns`."""
        first = bisect_left(self.entries, start_ns, key=lambda entry: entry.ns)
        last = bisect_left(self.entries, end_ns, key=lambda entry: entry.ns)
        return self.entries[first:last]


@dataclass(frozen=True)
class Window:
    """From `start_ns` (inclusive) to `end_ns` (exclusive), at most `limit` lines."""

    start_ns: int
    end_ns: int
    limit: int
    forward: bool


Page: TypeAlias = list[tuple[Stream, Entry]]


def page(streams: Iterable[Stream], query: LogQuery, window: Window) -> Page:
    """The oldest (forward) or newest `limit` lines over all streams together.

    Lines of one nanosecond come in the order of their streams' labels, then of their arrival;
    the limit may cut between them.
    """
    found = [
        (stream, entry)
        for stream in sorted(streams, key=lambda stream: labels_text(stream.labels))
        if query.selects(stream.labels)
        for entry in stream.between(window.start_ns, window.end_ns)
        if query.keeps(entry.line)
    ]
    found.sort(key=lambda pair: pair[1].ns, reverse=not window.forward)
    return found[: window.limit]


def grouped(lines: Page, categorize: bool) -> list[dict[str, Any]]:
    """The `result` of an answer: metadata splits streams, unless it is kept apart per line."""
    groups: dict[Labels, list[list[Any]]] = {}
    for stream, entry in lines:
        shown = stream.labels if categorize else stream.labels | dict(entry.metadata)
        value: list[Any] = [str(entry.ns), entry.line]
        if categorize:
            value.append({"structuredMetadata": dict(entry.metadata)} if entry.metadata else {})
        groups.setdefault(canonical(shown), []).append(value)
    by_labels = sorted(groups.items(), key=lambda group: labels_text(dict(group[0])))
    return [{"stream": dict(labels), "values": values} for labels, values in by_labels]
