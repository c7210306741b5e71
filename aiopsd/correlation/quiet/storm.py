"""Many unrelated things break at once: it is rather the monitor than all of them.

Pure. A storm begins when more incidents than usual that have nothing to do with one another have
opened within five minutes, and ends when for two minutes no more than half as many have and nothing
speaks against the monitor: until then what is well again has said so.

It is an anomaly of the monitor, and so an incident that people are told of once, edited as it goes
on, acknowledged and resolved as any other. What opens meanwhile is held back, no longer than a
quarter of an hour each unless there are signs that the monitor is sick: forty true failures are
forty messages, some minutes late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from aiopsd.model import SEVERITIES, Anomaly, Incident, Muted

RULE: Final = "aiopsd:storm"
PLACE: Final = "the monitor"  # no service is called so
WINDOW_SECS: Final = 300.0
HOLD_SECS: Final = 900.0  # so long an incident is held back without a sign against the monitor
CALM_SECS: Final = 120.0
LONGEST_SECS: Final = 4 * 3600.0  # then it is how things are, and each is told
NAMED: Final = 20  # of the incidents, in its evidence


class Storm:
    """At most one at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.anomaly: Anomaly | None = None  # of the storm that is on
        self._calm_s: float | None = None  # since when it could be over
        self._rests_s = 0.0  # one that was too long: the next begins after this

    def restore(self, incidents: Iterable[Incident]) -> None:
        """After a restart: a storm goes on."""
        members = (one for i in incidents if not i.closed for one in i.anomalies)
        self.anomaly = next((a for a in members if a.rule == RULE and not a.closed), None)

    def observe(
        self, incidents: Iterable[Incident], signs: Sequence[str], now_s: float
    ) -> Anomaly | None:
        """The news of it: it begins, grows, or is over. ``signs``: what speaks against the monitor,
        as sentences."""
        lately = [i for i in incidents if _counts(i) and 0 <= now_s - i.opened_s < WINDOW_SECS]
        unrelated = list({_place(one): one for one in lately}.values())
        on = self.anomaly
        if on is None:
            if len(unrelated) <= self._most or now_s < self._rests_s:
                return None
            self.anomaly = _begun(unrelated, _signs(unrelated, signs), now_s)
            return self.anomaly
        found = _signs(unrelated, signs)
        too_long = not 0 <= now_s - on.onset_s < LONGEST_SECS
        if too_long or self._is_calm(2 * len(unrelated) <= self._most and not found, now_s):
            self._rests_s = now_s + WINDOW_SECS if too_long else 0.0
            self.anomaly = self._calm_s = None
            return replace(on, seen_s=now_s, ended_s=now_s)
        since = [i for i in incidents if _counts(i) and i.opened_s > on.onset_s - WINDOW_SECS]
        grown = _told(on, since, found, now_s)
        news = grown.evidence != on.evidence or now_s - on.seen_s >= 60
        self.anomaly = grown if news else on
        return grown if news else None

    def _is_calm(self, now: bool, now_s: float) -> bool:
        """For long enough."""
        if not now:
            self._calm_s = None
            return False
        if self._calm_s is None or self._calm_s > now_s:
            self._calm_s = now_s
        return now_s - self._calm_s >= CALM_SECS

    def holds(self, incident: Incident, storm_id: str, now_s: float) -> Muted | None:
        """What this one waits for; it opened in the storm. ``storm_id``: the storm's incident."""
        on = self.anomaly
        if on is None or _is_storm(incident) or not _opened_within(incident, on):
            return None
        is_sick = any(one.startswith(_SIGN) for one in on.evidence[:1])
        if now_s - incident.opened_s >= HOLD_SECS and not is_sick:
            return None
        return Muted(code="storm", by=storm_id, text=(
            f"held back: it opened in a storm, {storm_id} tells of all of them; suspect the "
            "monitor first"))  # fmt: skip

    def said(self) -> str:
        """For the gate and the status: "" where there is none."""
        if self.anomaly is None:
            return ""
        return f"{self.anomaly.title}; nothing acts before that is over"


_SIGN: Final = "sign: "


def _counts(one: Incident) -> bool:
    """What is silenced or explained is no news, and a storm is none of itself."""
    hushed = one.muted is not None and one.muted.code != "storm"
    return not hushed and not one.merged_into and not _is_storm(one)


def _is_storm(one: Incident) -> bool:
    return any(member.rule == RULE for member in one.anomalies)


def _opened_within(one: Incident, on: Anomaly) -> bool:
    return one.opened_s >= on.onset_s


def _place(one: Incident) -> str:
    """Two incidents of one service in five minutes are one trouble that comes and goes."""
    return one.services[0] if one.services else one.fingerprint


def _signs(lately: Sequence[Incident], told: Sequence[str]) -> list[str]:
    silent = sum(all(a.detector == "absent" for a in one.anomalies) for one in lately)
    found = list(told)
    if lately and 2 * silent >= len(lately):
        found.append(f"{silent} of {len(lately)} are about data that does not come")
    return [f"{_SIGN}{one}" for one in found]


def _begun(lately: Sequence[Incident], signs: Sequence[str], now_s: float) -> Anomaly:
    first = Anomaly(
        id=f"{RULE}/{now_s:.3f}",
        rule=RULE,
        kind="monitor",
        severity="high",
        tier="certain",
        labels={},
        entity={"service": PLACE},
        service=PLACE,
        onset_s=now_s,
        seen_s=now_s,
        detector="threshold",
        title="",
        score=1.0,
        lasts_secs=WINDOW_SECS,
    )
    return _told(first, lately, signs, now_s)


def _told(on: Anomaly, since: Sequence[Incident], signs: Sequence[str], now_s: float) -> Anomaly:
    ordered = sorted(since, key=lambda i: (-SEVERITIES.index(i.severity), i.opened_s, i.id))
    named = [f"{one.id} {one.severity}: {one.title}" for one in ordered[:NAMED]]
    more = len(since) - NAMED
    evidence = (*signs, *named, *([f"and {more} more"] if more > 0 else []))
    worst = ordered[0].severity if ordered else "high"
    return replace(
        on,
        seen_s=now_s,
        severity=max(on.severity, worst, key=SEVERITIES.index),
        title=f"{len(since)} unrelated incidents at once: is the monitor well?",
        observed=float(len(since)),
        evidence=evidence,
    )
