"""Rules over history: what they would have said, had they been there.

Each rule is read on the ticks of the daemon, or as the samples that a stream would have brought,
and goes through the daemon's own watch; then all anomalies go through the daemon's grouping in the
order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from aiopsd.config import Config, RuleSettings
from aiopsd.contracts import Clock, Health, SourceContext
from aiopsd.correlation.grouping import Grouping, GroupingLimits
from aiopsd.correlation.topology import Layout, Topology
from aiopsd.detectors.absent import AbsentSettings
from aiopsd.errors import AiopsdError, ConfigError, Refused, Unreachable
from aiopsd.model import Anomaly, Incident, Labels
from aiopsd.offline.history import Flags, Portion, portions
from aiopsd.offline.life import Life, Stream, Window
from aiopsd.offline.questions import questions
from aiopsd.offline.raw import RawHistory
from aiopsd.offline.tally import Counts, Tally
from aiopsd.series import SeriesTable
from aiopsd.sources.prometheus import PrometheusSettings
from aiopsd.sources.prometheus_api import PrometheusApi
from aiopsd.sources.prometheus_rule import Grid
from aiopsd.sources.remote_write import RemoteWriteSettings
from aiopsd.transforms.unruled import LOGS

ALIVE: Final = "count(up)"  # no answer: Prometheus itself was away, and nothing is absent


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
    asked = {config.asked(rule) for rule in rules if not rule.logql}
    await replaying.look({name for name in asked if name})
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
        if rule.logql:
            return RuleReport(rule.id, "asks Loki, and only the history of Prometheus is replayed")
        streamed = rule.promql is None or self._config.streamed(rule)
        if streamed and rule.selection().selector.name == LOGS:
            return RuleReport(rule.id, "counts log lines, which Prometheus does not keep")
        source = self._sources[self._config.asked(rule) or ""]
        try:
            async with source.asking() as api:
                life = Life(rule, SeriesTable(self._config.daemon.limits.series), self._window)
                lived = self._selected if streamed else self._asked
                await lived(api, rule, life)
                return self._report(rule, life)
        except AiopsdError as error:
            what = "refused" if isinstance(error, Refused) else "not answered"
            return RuleReport(rule.id, f"{what}: {error}")

    async def _asked(self, api: PrometheusApi, rule: RuleSettings, life: Life) -> None:
        """PromQL, on the ticks at which the daemon would have asked."""
        window, grid = self._window, Grid.of(rule.id, self._config.every_secs(rule))
        life.speaks_secs = grid.every_ms / 1000
        empty = isinstance(rule.detector, AbsentSettings)
        promql = rule.promql or ""
        async for portion in portions(api, promql, grid, window.begin_s, window.end_s):
            life.live(portion, await _awake(api, portion, grid) if empty else portion.filled)
            self._tell(rule, float(portion.times_s[-1]))

    async def _selected(self, api: PrometheusApi, rule: RuleSettings, life: Life) -> None:
        """What a stream would have brought, through the transforms of a stream."""
        selection = rule.selection()
        stream = Stream(life, selection)
        asked = questions(selection, names_only=isinstance(rule.detector, AbsentSettings))
        history = RawHistory(api, life.table, self._resolution_ms())
        window = self._window
        async for upto_s, batches in history.pages(asked, int(window.begin_s), int(window.end_s)):
            for batch in batches:
                stream.feed(batch)
            self._tell(rule, upto_s)
        stream.end()

    def _resolution_ms(self) -> int:
        """How exactly the daemon tells the moments of a stream apart."""
        sources = self._config.daemon.sources.values()
        written = [one for one in sources if isinstance(one, RemoteWriteSettings)]
        return round(1000 * float((written or [RemoteWriteSettings()])[0].resolution))

    def _tell(self, rule: RuleSettings, upto_s: float) -> None:
        window = self._window
        self._told(rule.id, (upto_s - window.begin_s) / max(window.end_s - window.begin_s, 1.0))

    def _report(self, rule: RuleSettings, life: Life) -> RuleReport:
        self._tallies.append(life.tally)
        series = life.table.of(rule.id)
        self._labels += [life.table.labels(index) for index in series]
        counts = life.tally.counts(self._window.end_s)
        lives_secs = max(self._window.judged_secs * len(series), 1.0)
        heard, strange = (
            min(secs / lives_secs, 1.0) for secs in (life.heard_secs, counts.strange_secs)
        )
        return RuleReport(rule.id, "", len(series), life.ticks, heard, strange, counts)

    def incidents(self) -> tuple[Incident, ...] | None:
        if any(tally.overflow for tally in self._tallies):
            return None
        limits = self._config.daemon.incidents
        grouping = Grouping(
            GroupingLimits(
                float(limits.join),
                float(limits.quiet),
                float(limits.reopen),
                confirm_secs=float(limits.confirm),
            )
        )
        topology = Topology(self._config.daemon.topology, fade_secs=float("inf"))
        for labels in self._labels:
            topology.learn(labels, self._window.begin_s)
        events = [event for tally in self._tallies for event in tally.events]
        layout = topology.layout(self._window.begin_s)
        return grouped(grouping, events, layout, self._window.end_s)


def grouped(
    grouping: Grouping, events: Iterable[tuple[float, Anomaly]], layout: Layout, end_s: float
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
        touched = grouping.absorb(anomalies, layout, (), time_s) + grouping.tick(time_s)
        newest |= {incident.id: incident for incident in touched}
    return tuple(sorted(newest.values(), key=lambda one: one.opened_s))


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
