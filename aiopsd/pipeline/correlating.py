"""Findings to incidents: group, rank again when there is news, publish."""

from __future__ import annotations

from collections.abc import Sequence

from aiopsd.contracts import Evidence, Ranker
from aiopsd.correlation.changes import Ledger
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.topology import Link, Topology
from aiopsd.model import Incident
from aiopsd.pipeline.detection import Findings
from aiopsd.pipeline.publishing import Publish
from aiopsd.pipeline.quieting import Quieting

CHANGES_SECS = 3600.0  # how long before an incident a change still counts as evidence
RERANK_SECS = 5.0
REFRESH_SECS = 60.0  # members that go on as they were are news this often: all are written anew


class Correlating:
    """The correlate stage; holds the engines, journals through ``publish``."""

    def __init__(
        self,
        grouping: Grouping,
        topology: Topology,
        ledger: Ledger,
        ranker: Ranker,
        quieting: Quieting | None = None,
    ) -> None:
        self.grouping = grouping
        self._topology = topology
        self._ledger = ledger
        self._ranker = ranker
        self._quieting = quieting
        self._ranked_s: dict[str, float] = {}
        self._told: dict[str, Incident] = {}  # open ones, as they were published last

    def links(self, now_s: float) -> list[Link]:
        """Who calls whom and what runs where, with origin and age."""
        return self._topology.links(now_s)

    async def absorb(
        self, found: Findings, now_s: float, publish: Publish, *, blind: bool = False
    ) -> list[Incident]:
        """Journals and returns every incident with news. ``blind``: a source is away."""
        self._topology.learn_ties(found.ties, now_s)
        for change in found.changes:
            self._ledger.add(change)
        # Also those of before: the service may have joined its incident only now.
        changes = self._ledger.between(now_s - CHANGES_SECS, now_s)
        layout = self._topology.layout(now_s)
        touched = self.grouping.absorb(found.anomalies, layout, changes, now_s)
        touched += self.grouping.tick(now_s, blind=blind)
        if self._quieting is not None:
            touched += self._quieting.storm(self.grouping, layout, touched, now_s)
        newest = {incident.id: incident for incident in touched}
        for incident in [*newest.values(), *self.grouping.open]:
            ranked = self._rank(newest.get(incident.id, incident), now_s, incident.id in newest)
            if ranked is not None:
                newest[incident.id] = ranked
        newest |= {one.id: one for one in await self._muted(now_s, publish)}
        news = [incident for incident in newest.values() if self._is_news(incident, now_s)]
        if news:
            await publish(*news)
        return news

    async def _muted(self, now_s: float, publish: Publish) -> Sequence[Incident]:
        if self._quieting is None:
            return ()
        changes = self._ledger.between(now_s - CHANGES_SECS, now_s)
        evidence = Evidence(now_s, self._topology.edges(now_s), changes)
        return await self._quieting.mute(self.grouping, evidence, publish)

    def _is_news(self, incident: Incident, now_s: float) -> bool:
        before = self._told.get(incident.id)
        lately = before is not None and 0 <= now_s - before.updated_s < REFRESH_SECS
        if before is not None and lately and _gist(before) == _gist(incident):
            return False
        self._told[incident.id] = incident
        if incident.closed:
            del self._told[incident.id]
        return True

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


def _gist(incident: Incident) -> tuple[object, ...]:
    """All but the newest numbers of members that go on."""
    members = {a.id: (a.tier, a.severity, a.closed) for a in incident.anomalies}
    words = incident.state, incident.kind, incident.severity, incident.title, incident.services
    mute = incident.muted, incident.silenced
    return members, words, mute, incident.changes, incident.suspects, incident.moments
