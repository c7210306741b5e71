"""An incident and its runs as one story: the moments of all of them, in time order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from aiopsd.model import Incident, Moment, Run


@dataclass(frozen=True, slots=True)
class Line:
    """One moment. The mark is its identity: it stays when others come before it."""

    mark: str
    time_s: float
    what: str
    text: str


def story(incident: Incident, runs: Iterable[Run]) -> list[Line]:
    """Every moment once, oldest first; moments of the same second keep their order."""
    things: list[Incident | Run] = [incident, *runs]
    lines: dict[str, Line] = {}
    for thing in things:
        for moment in thing.moments:
            line = Line(_mark(thing.id, moment), moment.time_s, moment.what, moment.text)
            lines.setdefault(line.mark, line)
    return sorted(lines.values(), key=lambda line: line.time_s)


def _mark(thing: str, moment: Moment) -> str:
    # Not a position: an anomaly that joins late has an onset before moments already told.
    parts = (thing, repr(moment.time_s), moment.what, moment.text)
    return blake2b("\x00".join(parts).encode("utf-8", "replace"), digest_size=5).hexdigest()
