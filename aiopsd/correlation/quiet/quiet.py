"""What is muted now, and what of silences is news. Pure: time and incidents come in as data.

A member is silenced while a silence fits it. An incident is muted while all that lasts of it is
silenced; otherwise while another explains it, or a storm holds it back. Nothing of it is lost: the
next version of an incident says what mutes it, and a line of its story when that begins and ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from aiopsd.contracts import Evidence, Ranker
from aiopsd.correlation.quiet.blame import explained
from aiopsd.correlation.quiet.matchers import fit, seen
from aiopsd.correlation.quiet.silences import ended, is_active, muted, warns_s
from aiopsd.correlation.quiet.storm import RULE, Storm
from aiopsd.correlation.quiet.windows import Window
from aiopsd.correlation.versions import said
from aiopsd.errors import Refused
from aiopsd.model import SEVERITIES, Anomaly, Incident, Muted, Silence, Suspect

AGAIN_SECS = 5.0  # how often explanations are looked for, besides when an incident opens or ends
MOST_KNOWN = 50_000  # answers kept of what fits what


class Quiet:
    """Reads silences where the house keeps them; ``due`` says what is to be journalled of them."""

    def __init__(
        self,
        silences: Mapping[str, Silence],
        windows: Sequence[Window],
        ranker: Ranker,
        storm: Storm,
    ) -> None:
        self.storm = storm
        self.windows = windows
        self._silences = silences
        self._ranker = ranker
        self._explained: dict[str, Muted] = {}
        self._looked: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._fits: dict[tuple[str, str, str], bool] = {}

    def active(self, now_s: float) -> list[Silence]:
        """The one that ends last first: that is how long it will be quiet."""
        found = [one for one in list(self._silences.values()) if is_active(one, now_s)]
        return sorted(found, key=lambda one: (-one.ends_s, one.id))

    def due(self, incidents: Iterable[Incident], now_s: float) -> list[Silence]:
        """Windows that begin, silences that are over, and those that end soon and mute something.
        A window that is no more in aiopsd.yaml ends; one that people ended stays so."""
        known = self._silences
        news = [
            one
            for window in self.windows
            if (one := window.occurrence(now_s)) is not None and one.id not in known
        ]
        names = {window.name for window in self.windows}
        used: defaultdict[str, list[str]] = defaultdict(list)
        for incident in (i for i in incidents if not i.closed):
            for member in incident.silenced:
                used[member.by].append(incident.id)
        for one in list(known.values()):
            if one.closed:
                continue
            if now_s >= one.ends_s or (one.window and one.window not in names):
                news.append(ended(one, "" if now_s >= one.ends_s else "aiopsd.yaml", now_s))
            elif one.warned_s is None and now_s >= warns_s(one) and one.id in used:
                news.append(replace(one, warned_s=now_s, mutes=tuple(used[one.id])))
        return news

    def judge(
        self, incidents: Sequence[Incident], evidence: Evidence, storm_id: str
    ) -> list[Incident]:
        """Newest versions of the open incidents that are muted by something else now."""
        now_s = evidence.now_s
        active = self.active(now_s)
        by_silence = {one.id: self._silenced(one, active) for one in incidents}
        by_storm = {
            one.id: held
            for one in incidents
            if storm_id and (held := self.storm.holds(one, storm_id, now_s)) is not None
        }
        loud = [i for i in incidents if i.id not in by_storm and by_silence[i.id][0] is None]
        reasons = self._explanations(loud, evidence)
        found = []
        for one in incidents:
            whole, members = by_silence[one.id]
            why = whole or reasons.get(one.id) or by_storm.get(one.id)
            version = self._version(one, why, members, now_s)
            if version is not None:
                found.append(version)
        return found

    def unsilenced(self, incidents: Iterable[Incident], now_s: float) -> list[Incident]:
        """Those of which something that lasts is not silenced, whatever they say of it so far."""
        active = self.active(now_s)
        return [
            one
            for one in incidents
            if not _is_silence(one.muted if one.closed else self._silenced(one, active)[0])
        ]

    def off_limits(self, root: Suspect, now_s: float) -> Muted | None:
        """A silence over whom a playbook would act on, though the incident is told."""
        labels = root.labels | {"rule": root.metric, "kind": root.anomaly_kind}
        labels |= {"service": root.service} if root.service else {}
        return next((muted(s) for s in self.active(now_s) if fit(s.matchers, labels)), None)

    def _silenced(
        self, incident: Incident, active: Sequence[Silence]
    ) -> tuple[Muted | None, tuple[Muted, ...]]:
        """What mutes all that lasts, and what mutes members."""
        lasting = [m for m in incident.anomalies if not m.closed and m.severity != "info"]
        left, found = {one.id for one in lasting}, []
        if not lasting:  # it waits to be over: that is no reason to tell it
            return incident.muted, incident.silenced
        for silence in active:
            hit = [m.id for m in lasting if m.id in left and self._fit(silence, m)]
            if hit:
                left.difference_update(hit)
                found.append(muted(silence, hit))
        whole = replace(found[0], anomalies=()) if found and not left else None
        return whole, tuple(found)

    def _fit(self, silence: Silence, anomaly: Anomaly) -> bool:
        if anomaly.rule == RULE:  # who is told of nothing must know that
            return False
        key = silence.id, anomaly.id, anomaly.severity
        known = self._fits.get(key)
        if known is None:
            if len(self._fits) > MOST_KNOWN:
                self._fits.clear()
            known = self._fits[key] = fit(silence.matchers, seen(anomaly))
        return known

    def _explanations(self, loud: Sequence[Incident], evidence: Evidence) -> dict[str, Muted]:
        names = frozenset(one.id for one in loud)
        looked_s, before = self._looked
        if names != before or not 0 <= evidence.now_s - looked_s < AGAIN_SECS:
            known = self._explained | {
                i.id: i.muted for i in loud if i.muted and i.muted.code == "explained"
            }
            self._explained = explained(loud, evidence, self._ranker, known)
            self._looked = evidence.now_s, names
        return self._explained

    def _version(
        self, one: Incident, why: Muted | None, members: tuple[Muted, ...], now_s: float
    ) -> Incident | None:
        title = one.title
        if why is None and (members or one.silenced) and one.kind != "monitor":
            title = _loudest(one, members)
        if (one.muted, one.silenced, one.title) == (why, members, title):
            return None
        version = replace(one, muted=why, silenced=members, title=title)
        if _who(one.muted) != _who(why):
            word, text = ("muted", why.text) if why else ("unmuted", self._lifted(one, now_s))
            return said(version, word, text, now_s)
        new = {m.by for m in members} - {m.by for m in one.silenced}
        if why is None and new:
            text = "; ".join(f"{len(m.anomalies)} of {len(one.anomalies)} anomalies {m.text}"
                             for m in members if m.by in new)  # fmt: skip
            return said(version, "silenced", text, now_s)
        return version

    def _lifted(self, one: Incident, now_s: float) -> str:
        before = one.muted
        assert before is not None  # noqa: S101 - it has just been lifted
        if before.code == "storm":
            return "it has lasted through the storm"
        if before.code == "explained":
            return f"{before.by} explains it no more, and it lasts"
        silence = self._silences.get(before.by)
        if silence is not None and is_active(silence, now_s):
            return f"not all that lasts is silenced by {before.by}"
        by = f", ended by {silence.ended_by}" if silence and silence.ended_by else ""
        return f"{before.by} is over{by}, and this lasts"


def found(silences: Mapping[str, Silence], name: str) -> Silence:
    """Raises Refused."""
    if name not in silences:
        raise Refused(f"there is no silence {name}; `aiopsd silence list` names them")
    return silences[name]


def _loudest(one: Incident, silenced: Sequence[Muted]) -> str:
    """Nobody is woken in the name of what they have silenced."""
    hushed = {name for member in silenced for name in member.anomalies}
    left = [m for m in one.anomalies if not m.closed and m.severity != "info"]
    loud = [m for m in left if m.id not in hushed]
    return max(loud, key=_weight).title if loud else one.title


def _weight(one: Anomaly) -> tuple[int, bool, float]:
    return SEVERITIES.index(one.severity), one.tier == "certain", -one.onset_s


def _is_silence(one: Muted | None) -> bool:
    return one is not None and one.code in ("silenced", "maintenance")


def _who(one: Muted | None) -> tuple[str, str] | None:
    return (one.code, one.by) if one is not None else None
