"""What people do to incidents: acknowledge, resolve, split, merge. Pure; each returns what changed.

Raises Refused with a sentence where it cannot be done; nothing has changed then.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from aiopsd.correlation.versions import opened, resolved, said, united, without
from aiopsd.errors import Refused
from aiopsd.model import Anomaly, Incident

_BY = "by "


class ByHand:
    """Holds the incidents; what people have shaped, evidence leaves as it is (``held``)."""

    def __init__(self) -> None:
        self._incidents: dict[str, Incident] = {}

    def _open_one(self, name: str) -> Incident:
        incident = self._incidents.get(name)
        if incident is None:
            raise Refused(f"there is no incident {name}, or it was over long ago")
        if incident.closed:
            raise Refused(f"{name} is over")
        return incident

    def ack(self, name: str, by: str, now_s: float) -> list[Incident]:
        """Somebody looks after it; again by another: he does now."""
        incident = replace(self._open_one(name), acked_by=by)
        return self._kept(said(incident, "acknowledged", f"by {by}", now_s))

    def resolve(self, name: str, by: str, now_s: float) -> list[Incident]:
        """Over, whatever its members say; only when they begin again it is open again."""
        incident = resolved(self._open_one(name), now_s)
        moments = (*incident.moments[:-1], replace(incident.moments[-1], text=f"{_BY}{by}"))
        return self._kept(replace(incident, moments=moments))

    def _is_dismissed(self, anomaly: Anomaly, now_s: float) -> bool:
        """It goes on in an incident that people resolved, and that stays so."""
        for incident in self._incidents.values():
            dismissed = incident.closed and incident.moments[-1].text.startswith(_BY)
            if dismissed and any(one.id == anomaly.id for one in incident.anomalies):
                self._incidents[incident.id] = replace(incident, updated_s=now_s)
                return True
        return False

    def split(self, name: str, anomalies: Collection[str], by: str, now_s: float) -> list[Incident]:
        """The new incident first; some anomalies go there, by their ids, and some must stay."""
        incident = self._open_one(name)
        gone = [one for one in incident.anomalies if one.id in anomalies]
        if missing := sorted(set(anomalies) - {one.id for one in gone}):
            raise Refused(f"{name} has no anomaly {', '.join(missing)}")
        if not gone or len(gone) == len(incident.anomalies):
            raise Refused(f"some anomalies of {name} must go and some must stay")
        part = opened(gone, now_s, self._incidents)
        part = said(replace(part, held=True), "split", f"from {name}, by {by}", now_s)
        rest = replace(without(incident, gone, part.id, now_s), held=True)
        return self._kept(part, rest)

    def merge(self, into: str, other: str, by: str, now_s: float) -> list[Incident]:
        """The one that goes on first."""
        if into == other:
            raise Refused(f"{into} cannot be merged with itself")
        whole, over = united(self._open_one(into), self._open_one(other), now_s)
        whole = said(replace(whole, held=True), "merged", f"with {other}, by {by}", now_s)
        return self._kept(whole, over)

    def _kept(self, *incidents: Incident) -> list[Incident]:
        self._incidents |= {one.id: one for one in incidents}
        return list(incidents)
