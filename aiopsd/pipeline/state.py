"""What is true now: the journal folded up. Everyone may read it, only the stages write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from aiopsd.contracts import Store
from aiopsd.model import AnyEvent, Decision, Delivery, Halt, Incident, Run, Silence

T = TypeVar("T", bound=msgspec.Struct)

TROUBLE_SECS = 86400.0  # then the detectors may learn that it is usual
REMEMBER_SECS = 86400.0  # closed incidents and runs stay in view for a day
SILENCES_SECS = 40 * 86400.0  # longer than any lasts: a window that was ended stays ended


@dataclass
class State:
    """Newest version of each incident, run, decision and delivery, and what is halted."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    halts: dict[str, Halt] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)

    def apply(self, event: AnyEvent) -> None:
        match event:
            case Incident():
                self.incidents[event.id] = event
            case Run():
                self.runs[event.id] = event
            case Decision():
                self.decisions[event.id] = event
            case Delivery():
                self.deliveries[event.id] = event
            case Halt():
                self.halts[event.id] = event
            case Silence():
                self.silences[event.id] = event

    def troubled(self, now_s: float) -> frozenset[str]:
        """Services with an open incident, and those that maintenance names; what lasts for long is
        how things are."""
        mended = frozenset(
            one.value
            for silence in list(self.silences.values())
            if silence.kind == "maintenance"
            and not silence.closed
            and 0 <= now_s - silence.starts_s < TROUBLE_SECS
            for one in silence.matchers
            if (one.label, one.op) == ("service", "=")
        )
        return mended | frozenset(
            service
            for incident in list(self.incidents.values())
            if not incident.closed and now_s - incident.opened_s < TROUBLE_SECS
            for service in incident.services
        )

    def halted(self, target: str = "*") -> str:
        """Why nothing may be done to this target; empty when it may."""
        for name in ("*", target):
            halt = self.halts.get(name)
            if halt is not None and halt.on:
                return f"halted by {halt.by}: {halt.reason}" if halt.reason else f"by {halt.by}"
        return ""

    def forget(self, before_s: float) -> None:
        """Drops closed things, so that months of life do not pile up."""
        for name, incident in list(self.incidents.items()):
            if incident.closed and incident.updated_s < before_s:
                del self.incidents[name]
        for name, run in list(self.runs.items()):
            if run.closed and (run.ended_s or run.started_s) < before_s:
                del self.runs[name]
        for name, decision in list(self.decisions.items()):
            if decision.time_s < before_s and decision.incident not in self.incidents:
                del self.decisions[name]
        for name, silence in list(self.silences.items()):
            if silence.closed and silence.ends_s < before_s:
                del self.silences[name]
        for name in [n for n in self.deliveries if not self._knows(n)]:
            del self.deliveries[name]

    def _knows(self, delivery: str) -> bool:
        """Whether the incident, run or silence that a notifier spoke of is still in view."""
        thing = delivery.split("/", 1)[1]
        return thing in self.incidents or thing in self.runs or thing in self.silences


async def restore(store: Store, now_s: float) -> State:
    """The state as the journal knows it."""
    state = State()
    since_s = now_s - REMEMBER_SECS
    for kind in (Incident, Run, Decision, Delivery, Halt):
        for event in await store.current(kind, since_s=since_s):
            state.apply(rewound(event, now_s))
    for silence in await store.current(Silence, since_s=now_s - SILENCES_SECS):
        state.apply(_begun(silence, now_s))
    return state


def _begun(one: Silence, now_s: float) -> Silence:
    """What was made by a clock that was ahead has begun; when it ends people have said."""
    if one.created_s <= now_s:
        return one
    starts_s = now_s if one.starts_s <= one.created_s else one.starts_s
    return msgspec.structs.replace(one, created_s=now_s, starts_s=starts_s)


def rewound(thing: T, now_s: float) -> T:
    """The same, from now where it is from the future: the clock was ahead when it was written.

    Moments keep their times: by these, people are told each of them once. What ends is yet to.
    """
    past: dict[str, Any] = {}
    for name in thing.__struct_fields__:
        value = getattr(thing, name)
        if name.endswith("_s") and name != "until_s" and isinstance(value, float) and value > now_s:
            past[name] = now_s
        elif isinstance(value, msgspec.Struct):
            past[name] = rewound(value, now_s)
        elif isinstance(value, tuple) and name != "moments":
            past[name] = tuple(
                rewound(one, now_s) if isinstance(one, msgspec.Struct) else one for one in value
            )
    return msgspec.structs.replace(thing, **past)
