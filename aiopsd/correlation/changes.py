"""Changes seen in metrics: a version label that was not there before, or a number that is another
one; and the ledger of all changes, however they are known.

``build_info``-like series tell of a release without anyone calling us, ``kube_..._spec_replicas``
of scaling.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from aiopsd.correlation.same_change import merged, same
from aiopsd.model import Change, ChangeKind, Labels

KEEP_SECS = 86400.0
MOST = 5_000  # changes of a day; some 5 MB
MOST_NEAR = 100  # of one service, the newest: so many are looked at for the same
SWEEP_SECS = 3600.0
VALUE = ""  # in place of a label: the number itself


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
        self,
        time_s: float,
        series: Iterable[Labels],
        values: Sequence[float] = (),
        *,
        history: bool = False,
    ) -> list[Change]:
        """Changes that this tick shows. A version gone for less than a minute is still live:
        a restart is not a release. ``values``: of the series, where these are watched."""
        self._sweep(time_s)
        found = []
        before: dict[tuple[str, ...], dict[str, float]] = {}  # as it was, of what this tick shows
        for place, labels in enumerate(series):
            version, name = labels.get(self._label, ""), labels.get(self._entity[0], "")
            if self._label == VALUE:
                version = f"{values[place]:.12g}" if math.isfinite(values[place]) else ""
            if not version or not name:
                continue
            entity = tuple(labels.get(e, "") for e in self._entity)
            live = self._live.setdefault(entity, {})
            known = before.setdefault(entity, live.copy())
            if known and version not in live and not history:
                previous = max(known, key=lambda v: known[v])
                found.append(self._change(time_s, entity, version, previous, labels))
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
        self,
        time_s: float,
        entity: tuple[str, ...],
        version: str,
        previous: str,
        labels: Labels,
    ) -> Change:
        return Change(
            id=f"{self.rule}/{'/'.join(entity)}/{version}/{int(time_s)}",
            kind=self._kind,
            time_s=time_s,
            service=labels.get("service", entity[0]),
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
        if self._label == VALUE:
            return f"change needs the label {self._entity[0]!r}; none of them has it"
        return (f"change needs the labels {self._label!r} and {self._entity[0]!r}; "
                "none of them has both")  # fmt: skip

    def save(self) -> bytes:
        return msgspec.msgpack.encode(self._live)

    def load(self, saved: bytes) -> None:
        shape = dict[tuple[str, ...], dict[str, float]]
        self._live = msgspec.msgpack.decode(saved, type=shape)


class Ledger:
    """The changes of the last day, each once however many tell of it; bounded."""

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}
        self._ids: dict[str, str] = {}  # all that were told -> the one that they are part of
        self._of: defaultdict[str, list[str]] = defaultdict(list)  # service -> ids
        self._newest_s = self._swept_s = -math.inf

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, change: Change) -> Change:
        """As it stands now, together with what was known of it."""
        known = self._known(change)
        if known is None:
            self._of[change.service].append(change.id)
        whole = change if known is None else merged(known, change)
        self._ids[change.id] = whole.id
        self._changes[whole.id] = whole
        self._newest_s = max(self._newest_s, whole.time_s)
        if len(self._changes) > MOST or self._newest_s - self._swept_s >= SWEEP_SECS:
            self._forget()
        return whole

    def _known(self, change: Change) -> Change | None:
        """The same one, else the nearest in time that it may be."""
        if change.id in self._ids:
            return self._changes[self._ids[change.id]]
        lately = self._of.get(change.service, [])[-MOST_NEAR:]
        near = [one for name in lately if same(one := self._changes[name], change)]
        return min(near, key=lambda one: abs(one.time_s - change.time_s), default=None)

    def _forget(self) -> None:
        """What is old; of too many a tenth, so that it is not done for each."""
        self._swept_s = self._newest_s
        oldest_s = self._newest_s - KEEP_SECS
        gone = [one for one in self._changes.values() if one.time_s < oldest_s]
        if len(self._changes) - len(gone) > MOST:
            gone = sorted(self._changes.values(), key=lambda one: one.time_s)
            gone = gone[: len(gone) - MOST + MOST // 10]
        for one in gone:
            del self._changes[one.id]
        if gone:
            self._ids = {name: of for name, of in self._ids.items() if of in self._changes}
            self._of = defaultdict(list)
            for one in self._changes.values():
                self._of[one.service].append(one.id)

    def between(self, from_s: float, until_s: float) -> tuple[Change, ...]:
        return tuple(c for c in self._changes.values() if from_s <= c.time_s <= until_s)

    def newest(self) -> list[Change]:
        """All of them, the newest first."""
        return sorted(self._changes.values(), key=lambda c: (-c.time_s, c.id))
