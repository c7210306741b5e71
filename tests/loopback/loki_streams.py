"""Streams of log lines in memory, and the page of them that one query gets."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from .logql import LogQuery

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Labels in the order of their names, fit to be a key."""
TENANT = "__tenant_id__"
"""The label that tells streams of several tenants apart."""


def canonical(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def labels_text(labels: Mapping[str, str]) -> str:
    """The way Loki prints labels in errors, and by which it orders streams."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


@dataclass(frozen=True, slots=True)
class Entry:
    ns: int
    line: str
    metadata: Labels


def _ns(entry: Entry) -> int:
    return entry.ns


@dataclass
class Stream:
    """The lines under one set of labels, oldest first, each different one once."""

    labels: dict[str, str]
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.text = labels_text(self.labels)

    def add(self, entry: Entry) -> bool:
        """False: it was there already."""
        if not self.entries or self.entries[-1].ns < entry.ns:
            self.entries.append(entry)
            return True
        if entry in self.between(entry.ns, entry.ns + 1):
            return False
        insort_right(self.entries, entry, key=_ns)
        return True

    def between(self, start_ns: int, end_ns: int) -> list[Entry]:
        """From `start_ns` on, up to but without `end_ns`."""
        first = bisect_left(self.entries, start_ns, key=_ns)
        return self.entries[first : bisect_left(self.entries, end_ns, key=_ns)]

    def forward(self, start_ns: int, end_ns: int) -> Iterator[Entry]:
        """The same, one by one, for those who need few of many."""
        for at in range(bisect_left(self.entries, start_ns, key=_ns), len(self.entries)):
            entry = self.entries[at]
            if entry.ns >= end_ns:
                return
            yield entry

    def forget(self, before_ns: int) -> None:
        del self.entries[: bisect_left(self.entries, before_ns, key=_ns)]

    def under(self, tenant: str) -> Stream:
        """As one who asks for several tenants sees it."""
        return Stream(self.labels | {TENANT: tenant}, self.entries)


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
    chosen = [one for one in sorted(streams, key=lambda s: s.text) if query.selects(one.labels)]
    if window.forward:
        each = [_kept(stream, query, window) for stream in chosen]
        return list(islice(heapq.merge(*each, key=_stamp), window.limit))
    found = [pair for stream in chosen for pair in _kept(stream, query, window)]
    found.sort(key=_stamp, reverse=True)
    return found[: window.limit]


def _stamp(pair: tuple[Stream, Entry]) -> int:
    return pair[1].ns


def _kept(stream: Stream, query: LogQuery, window: Window) -> Iterator[tuple[Stream, Entry]]:
    for entry in stream.forward(window.start_ns, window.end_ns):
        if query.keeps(entry.line):
            yield stream, entry


def grouped(lines: Page, query: LogQuery, categorize: bool) -> list[dict[str, Any]]:
    """The `result` of an answer: metadata splits streams, unless it is kept apart per line."""
    groups: dict[tuple[int, Labels], tuple[dict[str, str], list[Any]]] = {}
    for stream, entry in lines:
        parsed = query.parsed(entry.line)
        value: list[Any] = [str(entry.ns), entry.line]
        apart: Labels = () if categorize else entry.metadata + canonical(parsed)
        if categorize:
            metadata = {"structuredMetadata": dict(entry.metadata)} if entry.metadata else {}
            value.append(metadata | ({"parsed": parsed} if parsed else {}))
        key = id(stream), apart
        if key not in groups:
            groups[key] = stream.labels | dict(apart), []
        groups[key][1].append(value)
    by_labels = sorted(groups.values(), key=lambda group: labels_text(group[0]))
    return [{"stream": labels, "values": values} for labels, values in by_labels]
