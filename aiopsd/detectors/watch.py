"""One rule at work: its detector, its limit, and anomalies that explain themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Protocol, runtime_checkable

import msgspec
import numpy as np

from aiopsd.contracts import Detector, Explaining
from aiopsd.detectors import words
from aiopsd.detectors.limit import SHOWN, Limit, Verdict
from aiopsd.model import Anomaly, Batch, Floats, Indexes, Kind, Labels, Scores, Severity
from aiopsd.rows import Column, Rows, pack, unpack

SERVICE_LABELS: Final = ("service", "job", "app", "unit", "instance", "deployment")
CALLEE_LABELS: Final = ("server", "callee", "destination_app", "destination_workload")
PLACE_LABELS: Final = ("namespace", "pod", "container", "host", "node")
RECENT: Final = 32  # values kept for a sparkline


class Builder(Protocol):
    """A detector's settings."""

    def build(self, labels: Callable[[int], Labels]) -> Detector: ...


@runtime_checkable
class Seasonal(Protocol):
    """A detector that can say which season a series' band comes from."""

    def season(self, series: int) -> str: ...


@runtime_checkable
class Foreseeing(Protocol):
    """A detector that says when a series will be at a limit."""

    def arrival(self, series: int) -> tuple[float, float, float, float] | None:
        """The limit; seconds until then: likely, soonest, latest."""
        ...


@runtime_checkable
class Dating(Protocol):
    """A detector that sees a thing some time after it began."""

    def begun(self, series: int, seen_s: float) -> float:
        """When what it sees of this series at that time began; not later."""
        ...


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """What a rule says of its anomalies."""

    id: str
    kind: Kind
    severity: Severity
    entity: tuple[str, ...]
    unit: str = ""  # ratio, seconds, bytes, percent or nothing
    title: str = ""  # words before the entity's name
    for_secs: float = 0.0
    clear_secs: float | None = None


class Watch:
    """``observe`` answers with what is new about this rule's series.

    ``labels`` names a series by its index; ``evidence`` may add what people want to see;
    ``reads``: a template as it reads by now, of its name.
    """

    def __init__(
        self,
        info: RuleInfo,
        settings: Builder,
        labels: Callable[[int], Labels],
        evidence: Callable[[Labels], tuple[str, ...]] = lambda _: (),
        reads: Callable[[str], str] = lambda name: name,
    ) -> None:
        self.info = info
        self.detector = settings.build(labels)
        self.limit = Limit(info.for_secs, info.clear_secs)
        self._tag = str(type(settings).__struct_config__.tag)  # type: ignore[attr-defined]
        self._labels, self._evidence, self._reads = labels, evidence, reads
        self._recent = Rows(values=Column(np.nan, np.float32, RECENT), count=Column(0, np.int64))
        self._open: dict[int, Anomaly] = {}  # by series
        self._orphans: list[Anomaly] = []  # open, but their series is forgotten

    def observe(self, batch: Batch) -> list[Anomaly]:
        """Opened, changed or ended anomalies; an older one with the same id is replaced."""
        return self.weigh(batch, self.detector.observe(batch))

    def weigh(self, batch: Batch, scores: Scores) -> list[Anomaly]:
        """As ``observe``, by what the detector has said of this batch already."""
        self._note(batch.series, batch.values)
        verdicts = self.limit.observe(scores)
        found = [self._anomaly(verdict) for verdict in verdicts]
        if self._orphans and not batch.history:
            found += [self._ended_as_unknown(one, batch.time_s) for one in self._orphans]
            self._orphans = []
        return found

    def _note(self, series: Indexes, values: Floats) -> None:
        at = self._recent.of(series)
        count = self._recent["count"][at]
        with np.errstate(over="ignore"):
            self._recent["values"][at, count % RECENT] = values
        self._recent["count"][at] = count + 1

    def recent(self, series: int) -> tuple[float, ...]:
        """The last values, oldest first, without the missing ones."""
        at = int(self._recent.find(np.array([series], np.int32))[0])
        if at < 0:
            return ()
        values = np.roll(self._recent["values"][at], -int(self._recent["count"][at]) % RECENT)
        return tuple(float(v) for v in values if np.isfinite(v))

    # --- explaining ---------------------------------------------------------------------

    def _anomaly(self, verdict: Verdict) -> Anomaly:
        info, before = self.info, self._open.get(verdict.series)
        labels = _plain(self._labels(verdict.series))
        entity = {name: labels[name] for name in info.entity if labels.get(name)}
        onset_s = before.onset_s if before else self._onset(verdict)
        low, high = _finite_span(verdict)
        same = before is not None and before.observed == verdict.observed
        no_data = ("no data",) if verdict.no_data else ()
        title = before.title if before and same else self._title(verdict, entity, labels)
        anomaly = Anomaly(
            id=before.id if before else f"{info.id}/{_digest(labels)}/{int(onset_s)}",
            rule=info.id,
            kind=info.kind,
            severity=info.severity,
            tier=verdict.tier,
            labels=labels,
            entity=entity,
            service=_service(entity, labels),
            onset_s=onset_s,
            seen_s=verdict.seen_s,
            ended_s=verdict.ended_s,
            detector=self._tag,
            title=title,
            score=verdict.score,
            observed=verdict.observed,
            expected=verdict.expected if np.isfinite(verdict.expected) else verdict.observed,
            low=low,
            high=high,
            unit=info.unit,
            samples=verdict.samples,
            season=self._season(verdict.series),
            evidence=self._because(verdict, before, labels, same) + no_data,
            recent=self.recent(verdict.series),
        )
        if verdict.state == "recovered":
            self._open.pop(verdict.series, None)
        else:
            self._open[verdict.series] = anomaly
        return anomaly

    def _onset(self, verdict: Verdict) -> float:
        """Of what takes long to be seen, when it began."""
        if isinstance(self.detector, Dating):
            return self.detector.begun(verdict.series, verdict.onset_s)
        return verdict.onset_s

    def _title(self, verdict: Verdict, entity: Labels, labels: Labels) -> str:
        """Such as ``error ratio checkout 11.8 %, expected 0-1.2 %``."""
        unit = self.info.unit
        entity = entity or _told_apart(labels)
        name = " ".join(dict.fromkeys(entity.values()))  # a unit may be called as its service
        subject = " ".join(part for part in (self.info.title, name) if part) or self.info.id
        rest = {k: v for k, v in labels.items() if k not in entity}
        if "template" in rest:
            rest["template"] = self._reads(rest["template"])
        if self._tag == "novel":
            what = rest.get("template") or ", ".join(f"{k}={v}" for k, v in rest.items())
            return f"{subject}: {what}" if what else subject
        if self._tag == "flood":
            return _flooded(subject, verdict, rest.get("template", ""))
        if "template" in rest:
            subject = f"{subject}: {rest['template']}:"
        if self._tag == "stopped":
            return f"{subject.removesuffix(':')}: comes no more"
        value = words.amount(verdict.observed, unit)
        if self._tag == "absent":
            return f"{subject}: no data, last value {value}"
        if isinstance(self.detector, Foreseeing):
            coming = self.detector.arrival(verdict.series)
            return f"{subject} {value}" + (f", {words.arrival(*coming, unit)}" if coming else "")
        if self._tag == "threshold":
            return f"{subject} {value}, {words.limits(verdict.low, verdict.high, unit)}"
        return f"{subject} {value}, expected {words.span(verdict.low, verdict.high, unit)}"

    def _because(
        self, verdict: Verdict, before: Anomaly | None, labels: Labels, same: bool
    ) -> tuple[str, ...]:
        """What the detector says of the worst sample, then sample lines."""
        if not isinstance(self.detector, Explaining):
            return self._evidence(labels)
        if before and (same or verdict.state == "recovered"):
            return before.evidence
        return (*self.detector.explain(verdict.series), *self._evidence(labels))

    def _season(self, series: int) -> str:
        return self.detector.season(series) if isinstance(self.detector, Seasonal) else "none"

    def _ended_as_unknown(self, anomaly: Anomaly, now: float) -> Anomaly:
        evidence = (*anomaly.evidence, "no data: the series is gone")
        return msgspec.structs.replace(anomaly, ended_s=now, evidence=evidence)

    def adopt(self, series: int, anomaly: Anomaly) -> None:
        """The journal is newer than the checkpoint: this anomaly is open, and must be ended."""
        self._open[series] = anomaly
        certain = anomaly.tier == "certain"
        shown = [float(getattr(anomaly, name)) for name in SHOWN]
        self.limit.adopt(series, anomaly.onset_s, anomaly.seen_s, certain=certain, shown=shown)

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        """These indexes now mean other series; what was open ends with the next batch."""
        self.detector.forget(series)
        self.limit.forget(series)
        self._recent.forget(series)
        gone = set(series.tolist()) & self._open.keys()
        self._orphans += [self._open.pop(index) for index in sorted(gone)]

    def save(self) -> dict[str, bytes]:
        """By part, so that the large ones are not copied into one another."""
        return {
            "open": pack("watch", 2, self._tag, self._open, self._orphans),
            "detector": self.detector.save(),
            "limit": self.limit.save(),
            "recent": self._recent.save(),
        }

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Raises ValueError or KeyError on garbage. A rule that has another detector by now starts
        cold, and what it had open ends with the next batch."""
        shape = tuple[str, dict[int, Anomaly], list[Anomaly]]
        tag, is_open, orphans = unpack("watch", 2, parts["open"], shape)
        if tag != self._tag:
            self._open, self._orphans = {}, [*orphans, *is_open.values()]
            return
        self.detector.load(parts["detector"])
        self.limit.load(parts["limit"])
        self._recent.load(parts["recent"])
        self._open, self._orphans = is_open, orphans


def _plain(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if name != "__name__"}


def _digest(labels: Labels) -> str:
    return blake2b(repr(sorted(labels.items())).encode(), digest_size=4).hexdigest()


def _service(entity: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """The one that is sick: named by the entity first; a job is many hosts."""
    named = [entity.get(name) for name in (*SERVICE_LABELS, *CALLEE_LABELS)]
    usual = [labels.get(name) for name in SERVICE_LABELS]
    return next((name for name in [*named, *usual, *entity.values()] if name), "")


def _flooded(subject: str, verdict: Verdict, template: str) -> str:
    """Such as ``error lines shop 22 a second, at most 1 a minute before: no answer``."""
    before = f"at most {words.pace(verdict.high)} before" if verdict.high > 0 else "none before"
    said = f"{subject} {words.pace(verdict.observed)}, {before}"
    return f"{said}: {template}" if template else said


def _told_apart(labels: Labels) -> Labels:
    """What usually says which one it is, where a rule's own labels are not there."""
    return {name: labels[name] for name in (*SERVICE_LABELS, *PLACE_LABELS) if labels.get(name)}


def _finite_span(verdict: Verdict) -> tuple[float, float]:
    """A band that JSON can carry: an open side reaches to 0 or to what was observed."""
    low = verdict.low if np.isfinite(verdict.low) else min(0.0, verdict.observed, verdict.high)
    high = verdict.high if np.isfinite(verdict.high) else max(0.0, verdict.observed, low)
    return low, high
