"""Units that somebody stopped, restarted or reloaded, by what systemd itself writes. Pure.

A crash and the restart after it are a symptom, and no change; what ends by itself is neither.
Source of the ids: systemd's ``sd-messages.h``, https://systemd.io/JOURNAL_MESSAGE_IDS (catalog).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiopsd.model import Change

STARTED: Final = "39f53479d3a045ac8e11786248231fbf"
STOPPING: Final = "de5b426a63be47a7b6ac3eaac82e2f6f"
STOPPED: Final = "9d1aaa27d60140bd96365438aad20286"
RELOADED: Final = "7b05ebc668384222baa8881179cfda54"
FAILED: Final = "d9b373ed55a64feb8242e02dbe79a49c"
COMING_BACK: Final = "5eb03494b6584870a536b337290809b3"  # a restart by systemd is scheduled
FIELDS: Final = ("MESSAGE_ID", "JOB_RESULT")
_IDS: Final = frozenset({STARTED, STOPPING, STOPPED, RELOADED, FAILED, COMING_BACK})
_AGAIN_SECS: Final = 600.0  # stopped for longer, a start is a change of its own
_MOST_UNITS: Final = 2000
MOST_A_MINUTE: Final = 10  # of a host that goes down, the first; the others say nothing more


class UnitEvent(NamedTuple):
    """What systemd said of a unit."""

    time_s: float
    unit: str
    service: str
    host: str
    what: str  # one of the ids


@dataclass(slots=True)
class _Unit:
    stopped_s: float = -math.inf  # by somebody, who was told of, and not started since
    is_stopping: bool = False  # then it may end badly: many do when they are asked to end
    is_failing: bool = False


def event_of(said: Mapping[str, str], service: str, time_ns: int) -> UnitEvent | None:
    """``said``: the fields of an entry. None where it is nothing of this kind, or did not work."""
    what, unit = said.get("MESSAGE_ID", ""), said.get("UNIT", "")
    if what not in _IDS or said.get("_PID") != "1" or not unit.endswith(".service"):
        return None
    if said.get("JOB_RESULT", "done") != "done":
        return None
    return UnitEvent(time_ns / 1e9, unit, service, said.get("_HOSTNAME", ""), what)


class Restarts:
    """Remembers of each unit whether it is failing, or was stopped by somebody."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._units: dict[str, _Unit] = {}
        self._lately: list[float] = []  # when changes were told
        self.left_out = 0

    def changes(self, events: Sequence[UnitEvent]) -> list[Change]:
        """In order of time."""
        return [change for one in events if (change := self._change(one)) is not None]

    def _change(self, one: UnitEvent) -> Change | None:
        unit = self._unit(f"{one.host}/{one.unit}")
        if one.what == STOPPING:
            unit.is_stopping, unit.is_failing = True, False
        elif one.what in (FAILED, COMING_BACK):
            unit.is_failing = not unit.is_stopping
        elif one.what == STOPPED and not unit.is_failing:
            unit.is_stopping = False
            change = self._told(one, one.time_s, "stopped")
            unit.stopped_s = one.time_s if change is not None else -math.inf
            return change
        elif one.what == STARTED:
            stopped_s, unit.stopped_s = unit.stopped_s, -math.inf
            unit.is_stopping = unit.is_failing = False
            if 0 <= one.time_s - stopped_s < _AGAIN_SECS:
                return self._told(one, stopped_s, "restarted")
            return self._told(one, one.time_s, "started") if math.isfinite(stopped_s) else None
        elif one.what == RELOADED:
            return self._told(one, one.time_s, "reloaded")
        return None

    def _unit(self, name: str) -> _Unit:
        unit = self._units.pop(name, None) or _Unit()
        self._units[name] = unit  # the newest last
        if len(self._units) > _MOST_UNITS:
            del self._units[next(iter(self._units))]
        return unit

    def _told(self, one: UnitEvent, since_s: float, state: str) -> Change | None:
        """A restart has the id of the stop that it began with: it is the same change."""
        self._lately = [s for s in self._lately if abs(one.time_s - s) < 60.0]
        if state != "restarted" and len(self._lately) >= MOST_A_MINUTE:
            self.left_out += 1
            return None
        self._lately.append(one.time_s)
        labels = {"unit": one.unit, "host": one.host, "state": state}
        return Change(
            id=f"{self._source}:{one.host}/{one.unit}/{int(since_s)}",
            kind="config" if state == "reloaded" else "restart",
            time_s=since_s,
            service=one.service,
            source=self._source,
            labels={name: value for name, value in labels.items() if value},
        )
