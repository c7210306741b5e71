"""Lines through the shipped rules to incidents, in virtual time: no loop, no clock, no disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from aiopsd.app import House
from aiopsd.config import load
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.topology import Layout
from aiopsd.model import Anomaly, Incident, Labels, LogBatch, LogLine
from aiopsd.stores import SqliteStore
from aiopsd.stores.memory import MemoryStore
from tests.docs.snippets import ROOT

BEGIN = 1_700_000_000.0


class LogWorld:
    """``folder`` gets a configuration. ``opened`` and ``closed``: when, in seconds."""

    def __init__(self, folder: Path) -> None:
        (folder / "rules").mkdir(exist_ok=True)
        (folder / "rules" / "logs.yaml").write_text((ROOT / "rules" / "logs.yaml").read_text())
        config = folder / "aiopsd.yaml"
        config.write_text("sources:\n  logs: {type: loki_push}\nwatch_all: 'off'\n")
        store = cast("SqliteStore", MemoryStore(lambda: BEGIN))
        self.house = House(load(config), lambda: BEGIN, store)
        self.grouping = Grouping()
        self.now = BEGIN
        self.incidents: dict[str, Incident] = {}
        self.anomalies: dict[str, Anomaly] = {}
        self.opened: dict[str, float] = {}
        self.closed: dict[str, float] = {}

    def tick(self, secs: float, lines: Iterable[tuple[Labels, str]]) -> None:
        """What came in these seconds."""
        self.now += secs
        read = tuple(LogLine(int(self.now * 1e9), labels, text) for labels, text in lines)
        self.feed(LogBatch(self.now, read))

    def feed(self, batch: LogBatch) -> None:
        self.now = batch.time_s
        found = self.house.detection.observe("logs", [batch], {"t": self.now}).anomalies
        self.anomalies |= {one.id: one for one in found}
        touched = self.grouping.absorb(found, Layout(), (), self.now)
        for one in [*touched, *self.grouping.tick(self.now)]:
            self.incidents[one.id] = one
            self.opened.setdefault(one.id, self.now)
            if one.closed:
                self.closed[one.id] = self.now
        troubled = {service for one in self.grouping.open for service in one.services}
        self.house.detection.troubled(troubled)
