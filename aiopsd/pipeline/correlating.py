"""Findings to incidents: group, rank again when there is news, publish."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from aiopsd.contracts import Evidence, Ranker
from aiopsd.correlation.changes import Ledger
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.topology import Topology
from aiopsd.model import AnyEvent, Incident
from aiopsd.pipeline.detection import Findings

CHANGES_SECS = 3600.0  # how long before an incident a change still counts as evidence
RERANK_SECS = 5.0


class Publish(Protocol):
    def __call__(self, *events: AnyEvent) -> Awaitable[None]: ...


class Correlating:
    """The correlate stage; holds the engines, journals through ``publish``."""

    def __init__(
        self, grouping: Grouping, topology: Topology, ledger: Ledger, ranker: Ranker
    ) -> None:
        self.grouping = grouping
        self._topology = topology
        self._ledger = ledger
        self._ranker = ranker
        self._ranked_s: dict[str, float] = {}

    async def absorb(
        self, found: Findings, now_s: float, publish: Publish, *, blind: bool = False
    ) -> list[Incident]:
        """Journals and returns every incident that changed. ``blind``: a source is away."""
        for labels in found.labels:
            self._topology.learn(labels, now_s)
        for change in found.changes:
            self._ledger.add(change)
        edges = self._topology.edges(now_s)
        # Also those of before: the service may have joined its incident only now.
        changes = self._ledger.between(now_s - CHANGES_SECS, now_s)
        touched = self.grouping.absorb(found.anomalies, edges, changes, now_s)
        touched += self.grouping.tick(now_s, blind=blind)
        newest = {incident.id: incident for incident in touched}
        for incident in [*newest.values(), *self.grouping.open]:
            ranked = self._rank(newest.get(incident.id, incident), now_s, incident.id in newest)
            if ranked is not None:
                newest[incident.id] = ranked
        if newest:
            await publish(*newest.values())
        return list(newest.values())

    def _rank(self, incident: Incident, now_s: float, news: bool) -> Incident | None:
        due = not 0 <= now_s - self._ranked_s.get(incident.id, 0.0) < RERANK_SECS
        if incident.closed:
            self._ranked_s.pop(incident.id, None)
            return None
        if not news and not due:
            return None
        self._ranked_s[incident.id] = now_s
        changes = self._ledger.between(incident.onset_s - CHANGES_SECS, now_s)
        evidence = Evidence(now_s, self._topology.edges(now_s), changes)
        return self.grouping.suspects(incident, self._ranker.rank(incident, evidence), now_s)
