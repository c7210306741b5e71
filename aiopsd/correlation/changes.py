"""Changes seen in metrics: a version label that was not there before.

``build_info``-like series tell of a release without anyone calling us.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from aiopsd.model import Change, Labels

KEEP_SECS = 86400.0
SWEEP_SECS = 3600.0
ChangeKind = Literal["deploy", "config", "scale", "flag"]


class VersionWatch:
    """One rule's entities and the versions of each that are live."""

    def __init__(
        self, rule: str, entity: tuple[str, ...], label: str, kind: ChangeKind = "deploy"
    ) -> None:
        self.rule = rule
        self._kind = kind
        self._entity = entity
        self._label = label
        self._live: dict[tuple[str, ...], dict[str, float]] = {}  # version -> last seen
        self._swept_s = 0.0

    def observe(
        self, time_s: float, series: Iterable[Labels], *, history: bool = False
    ) -> list[Change]:
        """Changes that this tick shows. A version gone for less than a minute is still live:
        a restart is not a release."""
        self._sweep(time_s)
        found = []
        before: dict[tuple[str, ...], dict[str, float]] = {}  # as it was, of what this tick shows
        for labels in series:
            version, name = labels.get(self._label, ""), labels.get(self._entity[0], "")
            if not version or not name:
                continue
            entity = tuple(labels.get(e, "") for e in self._entity)
            live = self._live.setdefault(entity, {})
            known = before.setdefault(entity, live.copy())
            if known and version not in live and not history:
                previous = max(known, key=lambda v: known[v])
                found.append(self._change(time_s, name, version, previous, labels))
            live[version] = time_s
        for entity in before:
            live = self._live[entity]
            for old in [v for v, seen_s in live.items() if seen_s < time_s - 60]:
                del live[old]
        return found

    def _sweep(self, time_s: float) -> None:
        """Now and then: entities that nobody has seen for long."""
        if 0 <= time_s - self._swept_s < SWEEP_SECS:
            return
        self._swept_s = time_s
        oldest = time_s - KEEP_SECS
        self._live = {k: live for k, live in self._live.items() if max(live.values()) >= oldest}

    def _change(
        self, time_s: float, name: str, version: str, previous: str, labels: Labels
    ) -> Change:
        return Change(
            id=f"{self.rule}/{name}/{version}/{int(time_s)}",
            kind=self._kind,
            time_s=time_s,
            service=labels.get("service", name),
            version=version,
            previous=previous,
            author=labels.get("author", ""),
            source=self.rule,
            labels={k: v for k, v in labels.items() if k != "__name__"},
        )

    def lacks(self) -> str:
        """Why it can see no version in any series it was given; empty where it sees some."""
        if self._live:
            return ""
        return (f"change needs the labels {self._label!r} and {self._entity[0]!r}; "
                "none of them has both")  # fmt: skip

    def save(self) -> bytes:
        return msgspec.msgpack.encode(self._live)

    def load(self, saved: bytes) -> None:
        shape = dict[tuple[str, ...], dict[str, float]]
        self._live = msgspec.msgpack.decode(saved, type=shape)


class Ledger:
    """The changes of the last day."""

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}

    def add(self, change: Change) -> None:
        self._changes[change.id] = change
        for old in [c.id for c in self._changes.values() if c.time_s < change.time_s - KEEP_SECS]:
            del self._changes[old]

    def between(self, from_s: float, until_s: float) -> tuple[Change, ...]:
        return tuple(c for c in self._changes.values() if from_s <= c.time_s <= until_s)
