"""What a rule's anomalies come to: how many, how often, how long, and whose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from aiopsd.model import Anomaly, Labels, Tier

EXAMPLES: Final = 5  # of each tier, the first ones
NOISIEST: Final = 5
EVENTS: Final = 20_000  # that are kept to find out which incidents would have opened
FOREVER_SECS: Final = 1e12


@dataclass(frozen=True, slots=True)
class Example:
    """One anomaly, for people."""

    title: str
    tier: Tier
    onset_s: float
    lasted_secs: float
    observed: float | None
    expected: float | None
    low: float | None
    high: float | None
    labels: Labels


@dataclass(frozen=True, slots=True)
class Noisy:
    """One series, and how often it was strange."""

    labels: Labels
    anomalies: int
    strange_secs: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Of the judged part of the window."""

    certain: int
    suspicious: int
    by_day: dict[str, int]  # UTC
    longest_secs: float
    strange_secs: float  # of all series together
    open_at_end: int
    noisiest: tuple[Noisy, ...]
    examples: tuple[Example, ...]


@dataclass
class Tally:
    """Takes a rule's anomalies as they come; ``events`` are the ones that grouping must hear of."""

    open: dict[str, Anomaly] = field(default_factory=dict)
    events: list[tuple[float, Anomaly]] = field(default_factory=list)
    overflow: bool = False  # more happened than ``events`` may hold
    _tiers: dict[Tier, int] = field(default_factory=dict)
    _by_day: dict[str, int] = field(default_factory=dict)
    _longest_secs: float = 0.0
    _strange_secs: float = 0.0
    _noisy: dict[tuple[tuple[str, str], ...], Noisy] = field(default_factory=dict)
    _examples: dict[Tier, list[Example]] = field(default_factory=dict)

    def take(self, time_s: float, anomalies: Iterable[Anomaly]) -> None:
        """Newest versions, at the time of their tick."""
        for anomaly in anomalies:
            before = self.open.get(anomaly.id)
            if before is None or before.tier != anomaly.tier or anomaly.closed:
                self._keep(time_s, anomaly)
            if anomaly.closed:
                self.open.pop(anomaly.id, None)
                self._over(anomaly, anomaly.ended_s or time_s)
            else:
                self.open[anomaly.id] = anomaly

    def _keep(self, time_s: float, anomaly: Anomaly) -> None:
        """Without the words, and not in need of news to be believed."""
        self.overflow |= len(self.events) >= EVENTS
        if not self.overflow:
            slim = replace(anomaly, evidence=(), recent=(), lasts_secs=FOREVER_SECS)
            self.events.append((time_s, slim))

    def _over(self, anomaly: Anomaly, ended_s: float) -> None:
        secs = max(ended_s - anomaly.onset_s, 0.0)
        day = f"{datetime.fromtimestamp(anomaly.onset_s, UTC):%Y-%m-%d}"
        self._tiers[anomaly.tier] = self._tiers.get(anomaly.tier, 0) + 1
        self._by_day[day] = self._by_day.get(day, 0) + 1
        self._longest_secs = max(self._longest_secs, secs)
        self._strange_secs += secs
        key = tuple(sorted(anomaly.labels.items()))
        noisy = self._noisy.get(key, Noisy(anomaly.labels, 0, 0.0))
        self._noisy[key] = Noisy(noisy.labels, noisy.anomalies + 1, noisy.strange_secs + secs)
        examples = self._examples.setdefault(anomaly.tier, [])
        if len(examples) < EXAMPLES:
            numbers = anomaly.observed, anomaly.expected, anomaly.low, anomaly.high
            examples.append(Example(anomaly.title, anomaly.tier, anomaly.onset_s, secs, *numbers,
                                    anomaly.labels))  # fmt: skip

    def counts(self, end_s: float) -> Counts:
        """At the end of the window; what is still open lasted until then."""
        still = len(self.open)
        for anomaly in self.open.values():
            self._over(anomaly, end_s)
        self.open = {}
        loudest = sorted(self._noisy.values(), key=lambda one: (-one.anomalies, -one.strange_secs))
        examples = [one for tier in self._examples.values() for one in tier]
        return Counts(
            certain=self._tiers.get("certain", 0),
            suspicious=self._tiers.get("suspicious", 0),
            by_day=dict(sorted(self._by_day.items())),
            longest_secs=self._longest_secs,
            strange_secs=self._strange_secs,
            open_at_end=still,
            noisiest=tuple(loudest[:NOISIEST]),
            examples=tuple(sorted(examples, key=lambda one: one.onset_s)),
        )
