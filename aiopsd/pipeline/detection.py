"""Readings to findings: raw samples through transforms and the bank, log lines through the miner.

Pure but for a lock: the stage calls it in a thread, where numpy runs beside the loop.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from aiopsd.contracts import Doubting, Lesson, Needing, Sparing, Teachable
from aiopsd.correlation.changes import VersionWatch
from aiopsd.correlation.ties import Tie
from aiopsd.detectors.watch import Watch
from aiopsd.logs import ODD_SESSIONS, Miner
from aiopsd.model import (
    Anomaly,
    Batch,
    Change,
    Indexes,
    Item,
    Kept,
    Labels,
    LogBatch,
    Position,
)
from aiopsd.pipeline.cleaning import Cleaning
from aiopsd.pipeline.edges import Edges
from aiopsd.pipeline.keeping import packed
from aiopsd.redaction import Redactor
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms


@dataclass
class Findings:
    """What one reading gave."""

    anomalies: list[Anomaly] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    ties: list[Tie] = field(default_factory=list)  # who calls whom, what runs where
    keep: Kept | None = None  # what it was, where nobody can be asked for it again

    def __bool__(self) -> bool:
        return bool(self.anomalies or self.changes or self.ties)


@dataclass(frozen=True, slots=True)
class Hearing:
    """How many series a rule has, and what they lack for it to judge any of them."""

    series: int
    lacks: str = ""
    beyond: int = 0  # samples left out, see ``contracts.Sparing``
    selected: tuple[int, ...] = ()  # raw series that these are made of, by side
    waits: bool = False  # too little was read so far for it to have any


class Detection:
    """All that learns: one checkpoint of it holds together with the sources' positions."""

    def __init__(
        self,
        table: SeriesTable,
        miner: Miner,
        transforms: Transforms,
        watches: Mapping[str, Watch],
        versions: Mapping[str, VersionWatch],
        cleaning: Cleaning | None = None,
    ) -> None:
        self.table = table
        self.miner = miner
        self.transforms = transforms
        self.watches = watches
        self.versions = versions
        self.positions: dict[str, Position] = {}
        self.taught: dict[str, str] = {}  # rule -> the PromQL whose long history was fitted
        self.samples = 0
        self.kept = 0  # number of the newest reading that was to be kept
        self.moved: Callable[[], None] = lambda: None  # told between two pieces of work
        self._cleaning = cleaning or Cleaning(Redactor(detectors=()))
        self._lock = threading.Lock()
        self._edges = Edges(table.labels)

    def troubled(self, services: Collection[str]) -> None:
        """Services with an open incident: what comes from there now is no lesson in what is usual.
        Who knows what to make of it is told."""
        with self._lock:
            if self.miner.odd is not None:
                self.miner.odd.troubled = services
            for watch in self.watches.values():
                if isinstance(watch.detector, Doubting):
                    watch.detector.troubled(services)

    def observe(
        self, source: str, items: Sequence[Item], position: Position, news: Position | None = None
    ) -> Findings:
        with self._lock:
            found = Findings()
            clean = self._cleaning.item if news is None else self._cleaning.stored
            items = [clean(item) for item in items]
            if news is not None:
                found.keep = self._to_keep(source, items, news)
            for item in items:
                self._one(item, found)
            self.positions[source] = position
            return found

    def _to_keep(self, source: str, items: Sequence[Item], news: Position) -> Kept:
        self.kept += 1
        newest_s = max((one.time_s for one in items if isinstance(one, LogBatch)), default=0.0)
        return Kept(self.kept, source, newest_s, packed(items, news))

    def again(self, kept: Kept, items: Sequence[Item], position: Position) -> Findings:
        """What was kept, after a crash; what it taught is lost with the state of then."""
        self.kept = kept.number
        return self.observe(kept.source, items, position)

    def tick(self, now_s: float) -> Findings:
        """What has waited for company for long enough, though nothing more came."""
        with self._lock:
            found = Findings()
            for derived in self.transforms.tick(now_s):
                self._rule(derived, found)
            return found

    def _one(self, item: Item, found: Findings) -> None:
        self.moved()
        match item:
            case Anomaly():
                found.anomalies.append(item)
            case Change():
                found.changes.append(item)
            case LogBatch():
                self._raw(self.miner.feed(item), found)
            case Batch(rule=""):
                self._raw(item, found)
            case Batch():
                self._rule(item, found)

    def _raw(self, batch: Batch, found: Findings) -> None:
        batch = self.table.record(batch)
        self.samples += len(batch.series)
        for derived in self.transforms.feed(batch):
            self._rule(derived, found)
        found.ties += self._edges.observe(batch)

    def _rule(self, batch: Batch, found: Findings) -> None:
        """Empty ticks go on as well: what is absent shows by them."""
        self.moved()
        if batch.rule in self.transforms.unruled:  # raw series: the table has recorded them
            found.anomalies += self.watches[batch.rule].observe(batch)
            return
        batch = self.table.record(batch)
        self.samples += len(batch.series)
        watch, version = self.watches.get(batch.rule), self.versions.get(batch.rule)
        if watch is not None:
            found.anomalies += watch.observe(batch)
        if version is not None:
            live = [self.table.labels(int(i)) for i in batch.series]
            values = batch.values.tolist()
            found.changes += version.observe(batch.time_s, live, values, history=batch.history)
        found.ties += self._edges.observe(batch)

    def adopt(self, anomalies: Iterable[Anomaly]) -> list[Anomaly]:
        """Open anomalies of the journal; the ones that no rule of today can end are returned."""
        with self._lock:
            strangers = []
            for anomaly in anomalies:
                watch, name = self.watches.get(anomaly.rule), (anomaly.rule, anomaly.labels)
                if anomaly.rule in self.transforms.unruled:
                    name = self.transforms.named(*name)
                index = self.table.intern(*name) if watch else -1
                if watch is not None and index >= 0:
                    watch.adopt(index, anomaly)
                else:
                    strangers.append(anomaly)
            return strangers

    def teach(self, rule: str, promql: str, lessons: Sequence[tuple[Labels, Lesson]]) -> None:
        """What a fit found in the history of this rule's series; a full table takes no more."""
        with self._lock:
            detector = self.watches[rule].detector
            if isinstance(detector, Teachable):
                known = [(self.table.intern(rule, labels), one) for labels, one in lessons]
                detector.teach([replace(one, series=index) for index, one in known if index >= 0])
            self.taught[rule] = promql

    def latest(self, rule: str, where: Labels, since_s: float) -> list[tuple[Labels, float]]:
        """Asked on the loop, which must not wait for a tick or a checkpoint."""
        return self.table.latest(rule, where, since_s)

    def hearing(self) -> dict[str, Hearing]:
        """By rule, without the built-in ones."""
        with self._lock:
            series: Counter[str] = Counter()
            for (_, rule), count in self.table.counts().items():
                series[rule] += count
            judges: dict[str, object] = {
                name: watch.detector
                for name, watch in self.watches.items()
                if name not in self.transforms.unruled
            }
            odd = self.miner.odd
            waiting = self.transforms.looking_at(ODD_SESSIONS) if odd and odd.looking else ()
            return {
                name: Hearing(
                    series[name],
                    one.lacks() if isinstance(one, Needing) and series[name] else "",
                    one.beyond if isinstance(one, Sparing) else 0,
                    self.transforms.selected(name),
                    name in waiting,
                )
                for name, one in (judges | dict(self.versions)).items()
            }

    def expire(self, before_s: float) -> Indexes:
        """Forgets series that nobody has seen for long."""
        with self._lock:
            gone = self.table.expire(before_s)
            for watch in self.watches.values():
                watch.forget(gone)
            self.transforms.forget(gone)
            self._edges.forget(gone)
            return gone

    def save(self) -> dict[str, bytes]:
        with self._lock:
            parts = {f"version/{name}": one.save() for name, one in self.versions.items()}
            for name, watch in self.watches.items():  # first: these need most room on the way
                parts |= _within(f"watch/{name}", watch.save())
            parts |= _within("table", self.table.save())
            if self.miner.odd is not None:
                parts["sessions"] = self.miner.odd.save()
            return parts | {
                "miner": self.miner.save(),
                "transforms": self.transforms.save(),
                "positions": msgspec.json.encode(self.positions),
                "taught": msgspec.json.encode(self.taught),
                "kept": msgspec.json.encode(self.kept),
            }

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Raises ValueError when the parts do not fit; then begin anew.

        A rule that is new since the checkpoint starts cold, one that is gone is dropped.
        """
        with self._lock:
            self.table.load(_below("table", parts))
            self.miner.load(parts["miner"])
            if self.miner.odd is not None and "sessions" in parts:
                self.miner.odd.load(parts["sessions"])
            self.transforms.load(parts["transforms"])
            self.positions = msgspec.json.decode(parts["positions"], type=dict[str, Position])
            self.taught = msgspec.json.decode(parts.get("taught", b"{}"), type=dict[str, str])
            self.kept = msgspec.json.decode(parts.get("kept", b"0"), type=int)
            for name, watch in self.watches.items():
                saved = _below(f"watch/{name}", parts)
                if saved:
                    watch.load(saved)
            for name, version in self.versions.items():
                if f"version/{name}" in parts:
                    version.load(parts[f"version/{name}"])

    def rewind(self, now_s: float) -> None:
        """What comes from the future, because the clock was ahead, is from now."""
        with self._lock:
            for learned in (self.table, self.miner, self.transforms):
                learned.rewind(now_s)


def _within(room: str, parts: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{room}/{name}": one for name, one in parts.items()}


def _below(room: str, parts: Mapping[str, bytes]) -> dict[str, bytes]:
    head = f"{room}/"
    return {name.removeprefix(head): one for name, one in parts.items() if name.startswith(head)}
