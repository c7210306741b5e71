"""Journal entries as log lines: whose they are, how bad, and which belong together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from aiopsd.line_events import begins
from aiopsd.model import Labels, LogLine
from aiopsd.sources.journal_export import Entry
from aiopsd.sources.journal_restarts import FIELDS as EVENT_FIELDS
from aiopsd.sources.journal_restarts import UnitEvent, event_of

FIELDS: Final = (
    "__CURSOR", "__REALTIME_TIMESTAMP", "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT",
    "_SYSTEMD_USER_UNIT", "UNIT", "_COMM", "_PID", "_HOSTNAME", "_TRANSPORT", "CONTAINER_NAME",
    *EVENT_FIELDS,
)  # fmt: skip
"""What is asked for; the two with ``__`` come unasked."""
TOGETHER_NS: Final = 10**9  # lines of one event come that close
_LEVELS: Final = {
    "0": "critical", "1": "critical", "2": "critical", "3": "error", "4": "warning", "7": "debug",
}  # fmt: skip
"""Of PRIORITY. What a service prints has 6 (info) whatever it says, so there the text decides; 5
(notice) is as good."""


class Read(NamedTuple):
    """One entry, as far as it is needed."""

    cursor: str
    time_ns: int
    labels: Labels
    process: str  # whose lines may belong together
    text: str
    event: UnitEvent | None = None  # it tells that a unit was started or stopped


def read(entry: Entry, more: Mapping[str, str]) -> Read | None:
    """None where it has no cursor or no time: then it is no entry of a journal."""
    said = {name: value.decode(errors="replace") for name, value in entry.items()}
    cursor, stamp = said.get("__CURSOR", ""), said.get("__REALTIME_TIMESTAMP", "")
    if not cursor or not stamp.isdecimal() or len(stamp) > 16:
        return None
    unit = said.get("UNIT") if said.get("_PID") == "1" else None  # systemd speaks of a unit
    unit = unit or said.get("_SYSTEMD_USER_UNIT") or said.get("_SYSTEMD_UNIT") or ""
    labels = {
        "service": _service(unit, said),
        "unit": unit,
        "container": said.get("CONTAINER_NAME", ""),
        "host": said.get("_HOSTNAME", ""),
        "level": _LEVELS.get(said.get("PRIORITY", ""), ""),
    }
    labels = {name: value for name, value in labels.items() if value} | dict(more)
    process = f"{unit} {said.get('_PID', '')} {said.get('SYSLOG_IDENTIFIER', '')}"
    time_ns, text = int(stamp) * 1000, said.get("MESSAGE", "").rstrip()
    event = event_of(said, labels.get("service", ""), time_ns)
    return Read(cursor, time_ns, labels, process, text, event)


def _service(unit: str, said: Mapping[str, str]) -> str:
    """``getty@tty1.service`` is the service getty; what runs in a session is called as it calls
    itself."""
    if unit.endswith(".service") and not unit.startswith("user@"):
        return unit.removesuffix(".service").partition("@")[0]
    own = said.get("SYSLOG_IDENTIFIER") or said.get("_COMM") or ""
    return own or ("kernel" if said.get("_TRANSPORT") == "kernel" else "")


def lines(entries: Sequence[Read]) -> list[LogLine]:
    """Those of a process that belong together, such as a stack trace, are one line; those of one
    kind share their labels. Empty ones say nothing."""
    found = [
        _line([entries[at] for at in event], entries[events[0][0]].labels)
        for events in _events(entries)
        for event in events
    ]
    return sorted((one for one in found if one.text), key=lambda one: one.time_ns)


def finished(entries: Sequence[Read], after_ns: int, held: int = 0) -> int:
    """How many can be handed on: those before an event that may go on, since its newest line came
    after that. ``held``: so many were waited with before, and are not again."""
    streams = list(_events(entries))
    going_on = [last[0] for *_, last in streams if entries[last[-1]].time_ns > after_ns]
    end = min((at for at in going_on if at >= held), default=len(entries))
    for event in sorted(chain.from_iterable(streams), reverse=True):
        if event[0] < end <= event[-1]:  # it would be cut: it waits as well
            end = event[0]
    return end if end >= held else len(entries)


def _events(entries: Sequence[Read]) -> Iterator[list[list[int]]]:
    """Of each process: its events, as places of their lines."""
    streams: dict[str, list[int]] = {}
    for at, one in enumerate(entries):
        streams.setdefault(f"{one.process} {sorted(one.labels.items())}", []).append(at)
    for stream in streams.values():
        events = [stream[:1]]
        first = begins([entries[at].text for at in stream])
        for before, at, anew in zip(stream, stream[1:], first[1:], strict=False):
            if anew or entries[at].time_ns - entries[before].time_ns > TOGETHER_NS:
                events.append([])
            events[-1].append(at)
        yield events


def _line(event: Sequence[Read], labels: Labels) -> LogLine:
    return LogLine(event[0].time_ns, labels, "\n".join(one.text for one in event if one.text))
