"""Every message, in travel order.

Readings become scores, scores become anomalies, anomalies become incidents, incidents
become runs. What stays in the process is numpy; what the journal, the API, MQTT and Slack
see are the frozen structs below, one definition for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = dict[str, str]
MOST_LABEL_BYTES = 65_536  # of a series; nobody writes so much, and each is kept in memory
Floats: TypeAlias = NDArray[np.float64]
Indexes: TypeAlias = NDArray[np.int32]
Position: TypeAlias = dict[str, Any]
"""Where a source stands: JSON only; what it means is the source's own affair."""

Kind = Literal[
    "error-rate", "latency", "traffic", "saturation", "availability", "crash", "memory-leak",
    "disk-full", "capacity", "stale", "slo-burn", "log-novelty", "drift", "quality", "safety",
    "cost", "gpu", "llm-degraded", "monitor",
]  # fmt: skip
Severity = Literal["info", "low", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "low", "high", "critical")
Tier = Literal["suspicious", "certain"]
ChangeKind = Literal["deploy", "config", "scale", "flag", "migration", "restart"]


class Mode(IntEnum):
    """How far automation may go; a ladder, so the lower of two modes wins."""

    OFF = 0
    OBSERVE = 1
    APPROVE = 2
    AUTO = 3

    @property
    def word(self) -> str:
        return self.name.lower()


# --- readings: what a source hands over -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """One tick of many series. ``series`` indexes the SeriesTable; shapes ``[n]``."""

    rule: str  # whose values these are; "" for raw samples that no rule has selected yet
    time_s: float
    series: Indexes
    values: Floats
    history: bool = False  # from before now: learn from it, do not speak of it


@dataclass(frozen=True, slots=True)
class LogLine:
    time_ns: int
    labels: Labels
    text: str


@dataclass(frozen=True, slots=True)
class LogBatch:
    time_s: float
    lines: tuple[LogLine, ...]
    history: bool = False


@dataclass(frozen=True, slots=True)
class Scores:
    """What a detector thinks of one batch, all shapes ``[n]``; score in [0, 1]."""

    rule: str
    time_s: float
    series: Indexes
    score: Floats
    observed: Floats
    expected: Floats
    low: Floats
    high: Floats
    samples: Indexes  # how many samples of this series the judgement rests on
    certain: NDArray[np.bool_]  # strange enough to open an incident alone
    history: bool = False


# --- events: what the journal keeps -----------------------------------------------------


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """A fact. Its id names the thing it is about; a later event replaces an earlier one."""

    id: str

    @property
    def closed(self) -> bool:
        """Nothing more will happen to this thing."""
        return True


class Anomaly(Event, frozen=True, kw_only=True):
    """A score over its limit for long enough, able to explain itself."""

    rule: str
    kind: Kind
    severity: Severity
    tier: Tier
    labels: Labels
    entity: Labels  # the labels that name the sick thing
    service: str
    onset_s: float
    seen_s: float
    ended_s: float | None = None
    detector: str
    title: str
    score: float
    observed: float | None = None  # None: there is no sample, or no such limit
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    samples: int = 0
    season: str = "none"
    lasts_secs: float = 900.0  # without news for this long, nobody knows whether it is still so
    evidence: tuple[str, ...] = ()  # sample log lines, annotations
    recent: tuple[float | None, ...] = ()  # the last observed values, oldest first, for a sparkline

    @property
    def closed(self) -> bool:
        return self.ended_s is not None


class Change(Event, frozen=True, kw_only=True):
    """Something people or machines did: deploy, config, scale, flag."""

    kind: ChangeKind
    time_s: float
    service: str
    version: str = ""
    previous: str = ""
    author: str = ""
    source: str = ""
    migration: bool = False
    labels: Labels = {}


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why: a word for machines, a sentence for people, the numbers behind it."""

    code: str
    text: str
    numbers: dict[str, float] = {}


class Suspect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A ranked candidate cause."""

    kind: str  # Service, Unit, Host, Container, Deployment ...
    id: str
    service: str
    metric: str  # the rule that speaks loudest
    anomaly_kind: Kind
    score: float  # [0, 1]
    labels: Labels = {}
    reasons: tuple[Reason, ...] = ()
    against: tuple[Reason, ...] = ()
    change: Change | None = None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a story."""

    time_s: float
    what: str  # opened, anomaly, change, suspect, run, apply, probe, verify, healed, resolved ...
    text: str


class Muted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why people are not told, and no playbook runs; what it is about goes on being watched."""

    code: Literal["silenced", "maintenance", "explained", "storm"]
    text: str  # who or what, until when, and why, for people
    by: str  # the silence, or the incident that explains it
    until_s: float | None = None  # None: as long as that lasts
    anomalies: tuple[str, ...] = ()  # ids of members; empty: the whole incident


class Incident(Event, frozen=True, kw_only=True):
    """Anomalies and changes that belong together."""

    fingerprint: str
    state: Literal["open", "resolved"] = "open"
    title: str
    kind: Kind
    severity: Severity
    opened_s: float
    onset_s: float
    updated_s: float
    resolved_s: float | None = None
    services: tuple[str, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
    changes: tuple[Change, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    moments: tuple[Moment, ...] = ()
    acked_by: str = ""  # who looks after it
    held: bool = False  # people have split or merged it: evidence does so no more
    merged_into: str = ""  # resolved, and its story goes on in that one
    muted: Muted | None = None  # as a whole
    silenced: tuple[Muted, ...] = ()  # members, by what

    @property
    def closed(self) -> bool:
        return self.state == "resolved"

    @property
    def root(self) -> Suspect | None:
        return self.suspects[0] if self.suspects else None


# --- quiet ------------------------------------------------------------------------------


class Matcher(msgspec.Struct, frozen=True, kw_only=True):
    """One condition on an anomaly: ``rule``, ``service``, ``kind``, ``severity``, or a label."""

    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


class Silence(Event, frozen=True, kw_only=True):
    """What fits all matchers is told to nobody and acted on by nothing, for a while."""

    kind: Literal["silence", "maintenance"] = "silence"
    matchers: tuple[Matcher, ...]
    owner: str
    reason: str
    created_s: float
    starts_s: float
    ends_s: float
    window: str = ""  # of aiopsd.yaml, of which this is one occurrence
    warned_s: float | None = None  # when it was said that it ends soon
    mutes: tuple[str, ...] = ()  # incidents, then: what will be told
    ended_s: float | None = None  # it is over: its end came, or somebody ended it
    ended_by: str = ""

    @property
    def closed(self) -> bool:
        return self.ended_s is not None


# --- remediation ------------------------------------------------------------------------

Outcome = Literal[
    "healed", "healed_by_itself", "no_effect", "made_worse", "inconclusive", "failed",
    "rollback_failed", "denied", "expired", "superseded", "dry",
]  # fmt: skip
StepState = Literal["planned", "skipped", "started", "done", "failed", "unknown", "undone"]
RunState = Literal["running", "verifying", "undoing", "closed"]


class Decision(Event, frozen=True, kw_only=True):
    """What the gate said to one playbook for one incident; id is ``incident/playbook``."""

    incident: str
    playbook: str
    target: str
    mode: str
    verdict: Literal["run", "observe", "hold", "refuse"]
    reason: Reason
    time_s: float


class StepRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a run; journalled as ``started`` before its side effect and again after."""

    id: str
    do: str
    state: StepState = "planned"
    attempt: int = 0
    key: str = ""  # idempotency key: run/step/attempt
    inputs: dict[str, Any] = {}
    before: dict[str, Any] = {}
    result: dict[str, Any] = {}
    error: str = ""
    started_s: float | None = None
    ended_s: float | None = None


class Run(Event, frozen=True, kw_only=True):
    """One execution of a playbook for one incident."""

    incident: str
    playbook: str
    digest: str  # of the playbook text it started with
    target: str
    state: RunState = "running"
    outcome: Outcome | None = None
    started_s: float
    ended_s: float | None = None
    params: dict[str, Any] = {}
    baseline: dict[str, float | None] = {}
    steps: tuple[StepRecord, ...] = ()
    moments: tuple[Moment, ...] = ()
    redacted: bool = False  # not all that it was given is kept: it cannot go on after a crash

    @property
    def closed(self) -> bool:
        return self.state == "closed"


class Delivery(Event, frozen=True, kw_only=True):
    """What a notifier has already said; id is ``notifier/incident``."""

    state: Literal["sending", "sent"]
    ref: dict[str, str] = {}  # what the other side needs to edit it: channel, ts
    digest: str = ""  # of what was said last
    told: int = 0  # lines of the story already told


class Gap(Event, frozen=True, kw_only=True):
    """A stretch of time that a source could not deliver: dated and counted, never silent."""

    source: str
    from_s: float
    until_s: float
    reason: str


class Halt(Event, frozen=True, kw_only=True):
    """The kill switch; id is the target, ``*`` for all."""

    on: bool
    by: str
    reason: str
    time_s: float

    @property
    def closed(self) -> bool:
        return not self.on


AnyEvent = Anomaly | Change | Incident | Silence | Decision | Run | Delivery | Gap | Halt
EVENTS: tuple[type[Event], ...] = (
    Anomaly, Change, Incident, Silence, Decision, Run, Delivery, Gap, Halt,
)  # fmt: skip

Item: TypeAlias = Batch | LogBatch | Change | Anomaly


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source yields: items, and where it stands once they are journalled."""

    items: tuple[Item, ...]
    position: Position
    news: Position | None = None
    """Of a source that cannot be asked for it again: what its position gains. Its lines are kept
    with it until a checkpoint has them, see ``contracts.Unasked``."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Such a reading, as it is stored; its numbers grow, over all lives."""

    number: int
    source: str
    time_s: float  # of its newest batch
    body: bytes
