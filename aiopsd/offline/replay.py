"""Rules over history: what they would have said, had they been there.

Each rule is read on the ticks of the daemon and goes through the daemon's own watch; then all
anomalies go through the daemon's grouping in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.app import rule_info
from aiopsd.config import Config, RuleSettings
from aiopsd.contracts import Clock, Health, SourceContext
from aiopsd.correlation.grouping import Edges, Grouping, GroupingLimits
from aiopsd.correlation.topology import Topology
from aiopsd.detectors.absent import AbsentSettings
from aiopsd.detectors.band import Band, Judged
from aiopsd.detectors.watch import Watch
from aiopsd.errors import AiopsdError, ConfigError, Refused, Unreachable
from aiopsd.model import Anomaly, Batch, Incident, Indexes, Labels, Scores
from aiopsd.offline.history import Flags, Portion, portions
from aiopsd.offline.tally import Counts, Tally
from aiopsd.series import SeriesTable
from aiopsd.sources.prometheus import PrometheusSettings
from aiopsd.sources.prometheus_api import PrometheusApi
from aiopsd.sources.prometheus_rule import Grid

JUDGED: Final = ("score", "observed", "expected", "low", "high", "samples", "certain")
ALIVE: Final = "count(up)"  # no answer: Prometheus itself was away, and nothing is absent


@dataclass(frozen=True, slots=True)
class Window:
    """Learned silently from ``begin_s`` on, judged from ``judged_s`` to ``end_s``."""

    begin_s: float
    judged_s: float
    end_s: float

    @property
    def judged_secs(self) -> float:
        return self.end_s - self.judged_s


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule; ``counts`` is None where it could not be replayed, and ``trouble`` says why."""

    rule: str
    trouble: str = ""
    series: int = 0
    ticks: int = 0  # judged ones
    heard_share: float = 0.0  # of the values that all its series could have had
    strange_share: float = 0.0  # of the time of all its series
    counts: Counts | None = None


@dataclass(frozen=True, slots=True)
class Report:
    window: Window
    rules: tuple[RuleReport, ...]
    incidents: tuple[Incident, ...] | None  # None: too much happened to keep it all


Progress = Callable[[str, float], None]
"""(rule, share of its window that is done)"""


def chosen(config: Config, wanted: Sequence[str]) -> list[RuleSettings]:
    """The rules of these ids, all when none is named. Raises ConfigError for an unknown one."""
    rules = {rule.id: rule for rule in config.rules}
    for name in wanted:
        if name not in rules:
            known = ", ".join(rules) or "none"
            raise ConfigError(f"no rule {name!r} in {config.base / config.daemon.rules}; "
                              f"there are: {known}")  # fmt: skip
    if config.querier is None:
        raise ConfigError(f"{config.path}: no source of type prometheus, and only that has a "
                          "history to replay")  # fmt: skip
    return [rules[name] for name in dict.fromkeys(wanted or rules)]


async def replay(
    config: Config, rules: Sequence[RuleSettings], window: Window, clock: Clock, told: Progress
) -> Report:
    """Raises Unreachable when a source is not there at all; a rule in trouble stops no other."""
    replaying = _Replaying(config, window, clock, told)
    await replaying.look({name for rule in rules if (name := config.asked(rule))})
    reports = [await replaying.rule(rule) for rule in rules]
    return Report(window, tuple(reports), replaying.incidents())


class _Replaying:
    def __init__(self, config: Config, window: Window, clock: Clock, told: Progress) -> None:
        self._config, self._window, self._told = config, window, told
        self._sources = {
            name: settings.build(_context(name, clock, config))
            for name, settings in config.daemon.sources.items()
            if isinstance(settings, PrometheusSettings)
        }
        self._tallies: list[Tally] = []
        self._labels: list[Labels] = []  # those that may name both ends of a call

    async def look(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                await self._sources[name].instant("1")
            except Unreachable as error:
                raise Unreachable(f"source {name}: {error}") from None
            except Refused:  # an answer all the same
                pass

    async def rule(self, rule: RuleSettings) -> RuleReport:
        if rule.detector is None:
            return RuleReport(rule.id, "watches a label for changes, and judges nothing")
        if rule.promql is None or self._config.streamed(rule):
            return RuleReport(rule.id, "is computed from a stream, which has no history")
        source = self._sources[self._config.asked(rule) or ""]
        try:
            async with source.asking() as api:
                return await self._judged(api, rule, rule.promql)
        except AiopsdError as error:
            what = "refused" if isinstance(error, Refused) else "not answered"
            return RuleReport(rule.id, f"{what}: {error}")

    async def _judged(self, api: PrometheusApi, rule: RuleSettings, promql: str) -> RuleReport:
        window, grid = self._window, Grid.of(rule.id, self._config.every_secs(rule))
        life = _Life(rule, SeriesTable(self._config.daemon.limits.series), window)
        async for portion in portions(api, promql, grid, window.begin_s, window.end_s):
            empty = isinstance(rule.detector, AbsentSettings)
            life.live(portion, await _awake(api, portion, grid) if empty else portion.filled)
            done_s = float(portion.times_s[-1]) - window.begin_s
            self._told(rule.id, done_s / max(window.end_s - window.begin_s, 1.0))
        self._tallies.append(life.tally)
        self._labels += [life.table.labels(index) for index in life.table.of(rule.id)]
        counts, lives_secs = life.tally.counts(window.end_s), window.judged_secs * len(life.table)
        heard_secs = life.values * grid.every_ms / 1000
        heard, strange = (
            min(x / max(lives_secs, 1.0), 1.0) for x in (heard_secs, counts.strange_secs)
        )
        return RuleReport(rule.id, "", len(life.table), life.ticks, heard, strange, counts)

    def incidents(self) -> tuple[Incident, ...] | None:
        if any(tally.overflow for tally in self._tallies):
            return None
        limits = self._config.daemon.incidents
        grouping = Grouping(
            GroupingLimits(float(limits.join), float(limits.quiet), float(limits.reopen))
        )
        topology = Topology(self._config.daemon.topology, fade_secs=float("inf"))
        for labels in self._labels:
            topology.learn(labels, self._window.begin_s)
        events = [event for tally in self._tallies for event in tally.events]
        edges = topology.edges(self._window.begin_s)
        return grouped(grouping, events, edges, self._window.end_s)


def grouped(
    grouping: Grouping, events: Iterable[tuple[float, Anomaly]], edges: Edges, end_s: float
) -> tuple[Incident, ...]:
    """Every incident in its last version, in the order of opening."""
    at: dict[float, list[Anomaly]] = {end_s: []}
    limits = grouping.limits
    for time_s, anomaly in events:
        at.setdefault(time_s, []).append(anomaly)
        for later_secs in (limits.quiet_secs, limits.reopen_secs, limits.forget_secs):
            if time_s + later_secs + 1 < end_s:
                at.setdefault(time_s + later_secs + 1, [])
    newest: dict[str, Incident] = {}
    for time_s, anomalies in sorted(at.items()):
        touched = grouping.absorb(anomalies, edges, (), time_s) + grouping.tick(time_s)
        newest |= {incident.id: incident for incident in touched}
    return tuple(sorted(newest.values(), key=lambda one: one.opened_s))


class _Life:
    """One rule, from the first tick of the window to its last."""

    def __init__(self, rule: RuleSettings, table: SeriesTable, window: Window) -> None:
        assert rule.detector is not None  # noqa: S101 - the caller has looked
        self.table, self.tally, self.ticks, self.values = table, Tally(), 0, 0
        self._rule, self._window = rule.id, window
        self._watch = Watch(rule_info(rule), rule.detector, table.labels)

    def live(self, portion: Portion, awake: Flags) -> None:
        """``awake``: ticks at which the server was there."""
        interned = [self.table.intern(self._rule, labels) for labels in portion.labels]
        series = np.array(interned, np.int32)
        there = portion.there & (series >= 0)
        judged = self._at_once(portion, series, there)
        for row in np.flatnonzero(awake).tolist():
            time_s, here = float(portion.times_s[row]), there[row]
            history = time_s < self._window.judged_s
            batch = Batch(self._rule, time_s, series[here], portion.values[row, here], history)
            self.tally.take(time_s, self._watched(self.table.record(batch), judged, row))
            self.ticks += not history
            self.values += 0 if history else int(np.count_nonzero(here))

    def _at_once(self, portion: Portion, series: Indexes, there: Flags) -> Judged | None:
        """A band takes a stretch many times faster than its ticks, and says the same of it where
        every series has every sample."""
        band, whole = self._watch.detector, there.all() and len(set(series.tolist())) == len(series)
        if not isinstance(band, Band) or not whole or not len(series):
            return None
        return band.observe_stretch(portion.times_s, portion.values, series)

    def _watched(self, batch: Batch, judged: Judged | None, row: int) -> list[Anomaly]:
        if judged is None:
            return self._watch.observe(batch)
        columns = {name: getattr(judged, name)[row] for name in JUDGED}
        scores = Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=batch.series,
            history=batch.history,
            **columns,
        )
        return self._watch.weigh(batch, scores)


async def _awake(api: PrometheusApi, portion: Portion, grid: Grid) -> Flags:
    """Where a rule speaks of what is absent, silence must be told from a server that was away."""
    begin_s, end_s = float(portion.times_s[0]), float(portion.times_s[-1])
    matrix = await api.range(ALIVE, begin_s, end_s, grid.every_ms / 1000)
    ticks = np.rint((matrix.times_s - begin_s) * 1000 / grid.every_ms).astype(np.int64)
    awake = np.zeros(len(portion.times_s), bool)
    awake[ticks[(ticks >= 0) & (ticks < len(awake))]] = True
    return awake | portion.filled


def _context(name: str, clock: Clock, config: Config) -> SourceContext:
    return SourceContext(
        name=name,
        table=SeriesTable(1),
        clock=clock,
        health=Health(lambda _part, _reason: None, lambda _part: None),
        count=lambda _what, _amount: None,
        base=config.base,
    )
