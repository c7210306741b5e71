"""The composition root: the only module that knows every part.

Builds the parts that the configuration names, restores what the journal and the last
checkpoint hold, and connects them in a pipeline. ``life`` lets it live.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, cast

from msgspec.structs import replace

from aiopsd.config import Config, RuleSettings, warm_start
from aiopsd.config.redaction import held_secrets
from aiopsd.contracts import (
    Clock,
    Handler,
    Health,
    Metrics,
    Notifier,
    NotifierContext,
    Querier,
    Query,
    Source,
    SourceContext,
    Teachable,
)
from aiopsd.correlation.anomaly_ranking import EvidenceRanker
from aiopsd.correlation.changes import VALUE, Ledger, VersionWatch
from aiopsd.correlation.grouping import Grouping, GroupingLimits
from aiopsd.correlation.quiet.quiet import Quiet
from aiopsd.correlation.quiet.storm import Storm
from aiopsd.correlation.topology import Topology
from aiopsd.detectors.suspicious import evidence
from aiopsd.detectors.watch import SERVICE_LABELS, RuleInfo, Watch
from aiopsd.errors import ConfigError
from aiopsd.fitting import teacher
from aiopsd.logs import Miner
from aiopsd.logs.miner import NAME as LOG_LINES
from aiopsd.logs.odd_sessions import NAME as ODD_SESSIONS
from aiopsd.model import Anomaly, Change, Labels
from aiopsd.pipeline import Pipeline
from aiopsd.pipeline.asking import metrics
from aiopsd.pipeline.cleaning import Cleaning
from aiopsd.pipeline.correlating import Correlating
from aiopsd.pipeline.detection import Detection, Findings
from aiopsd.pipeline.facts import Facts
from aiopsd.pipeline.healing import Healing
from aiopsd.pipeline.listening import Listening
from aiopsd.pipeline.oversize import Oversize
from aiopsd.pipeline.quieting import Quieting
from aiopsd.pipeline.state import REMEMBER_SECS, State, restore, rewound
from aiopsd.pipeline.telling import Outbox
from aiopsd.pipeline.warming import Warming
from aiopsd.redaction import Redactor
from aiopsd.redaction.keyring import KeyRing
from aiopsd.remediation.gate import House as GateHouse
from aiopsd.remediation.halt import HaltFile
from aiopsd.remediation.runner import Reach, Runner
from aiopsd.series import SeriesTable
from aiopsd.settings import SecretFile
from aiopsd.stores import SqliteStore
from aiopsd.telemetry import Telemetry, log
from aiopsd.transforms import BUILT_IN, BuiltIn, Transforms, Unruled
from aiopsd.web.control import Command

STORM_SECS = 300.0
WARM_SECS = 5.0  # after a start: what was firing before is seen again, then it may act
UNRULED_FOR_SECS = 60.0  # so long is strange what nobody wrote a rule for, before it is evidence


class House:
    """All parts of one life, built and connected."""

    def __init__(self, config: Config, clock: Clock, store: SqliteStore) -> None:
        self.config = config
        self.clock = clock
        self.store = store
        self.telemetry = Telemetry(clock)
        self.redactor = self._redactor()
        self.cleaning = Cleaning(self.redactor)
        self.telemetry.clean = self.redactor.text
        self.routes: dict[str, Handler] = {}
        self.commands: dict[str, Command] = {}  # what people of this machine may ask
        self.types: dict[str, str] = {}  # what exporters say of their metrics
        self.halts = HaltFile(config.state, clean=self.redactor.text)
        self.table = self._table()
        self.sources = self._sources()
        self.detection = self._detection()
        self.notifiers: dict[str, Notifier] = {}
        self.pipeline: Pipeline
        self.facts: Facts

    async def restore(self) -> None:
        """What the journal and the checkpoint hold; then everything is connected."""
        now_s = self.clock()
        state = await restore(self.store, now_s)
        await self._load_checkpoint()
        self.notifiers = self._notifiers(state)
        ledger = await self._ledger(now_s)
        self.quieting = self._quieting(state)
        correlating = Correlating(
            self._grouping(state),
            Topology(self.config.daemon.topology),
            ledger,
            EvidenceRanker(),
            self.quieting,
        )
        answering = {rule.id: self.config.answering(rule) for rule in self.config.rules}
        listening = Listening(self.detection, self.telemetry, answering, self._every_secs())
        self.pipeline = Pipeline(
            sources=self.sources,
            detection=self.detection,
            correlating=correlating,
            healing=self._healing(state),
            outboxes=self._outboxes(state),
            store=self.store,
            state=state,
            telemetry=self.telemetry,
            clock=self.clock,
            checkpoint_secs=float(self.config.daemon.limits.checkpoint),
            keep_secs=float(self.config.daemon.limits.keep),
            warming=self._warming(),
            listening=listening,
            clean=self.cleaning.event,
            each_checkpoint=self._renew_key,
            ledger=ledger,
        )
        self.facts = Facts(self.pipeline, listening, self.halts)
        self.commands |= self.quieting.commands(self.clock, self.pipeline.publish)
        # What was journalled but not yet grouped when the daemon died joins now.
        left_over = [rewound(one, now_s) for one in await self.store.current(Anomaly)]
        await self.pipeline.findings.put(Findings(anomalies=left_over))
        await self._end(self.detection.adopt(left_over), now_s)
        for event in (*state.incidents.values(), *state.runs.values()):
            for outbox in self.pipeline.outboxes.values():
                outbox.put(event)

    def _grouping(self, state: State) -> Grouping:
        limits = self.config.daemon.incidents
        join, quiet, reopen = float(limits.join), float(limits.quiet), float(limits.reopen)
        confirm_secs = float(limits.confirm)
        grouping = Grouping(GroupingLimits(join, quiet, reopen, confirm_secs=confirm_secs))
        grouping.restore(state.incidents.values())
        return grouping

    async def _ledger(self, now_s: float) -> Ledger:
        ledger = Ledger()
        for change in await self.store.current(Change, since_s=now_s - REMEMBER_SECS):
            ledger.add(rewound(change, now_s))
        return ledger

    def _warming(self) -> Warming | None:
        settings = self.config.daemon.warm_start
        if settings is None:
            return None
        teacher.require()
        watches = self.detection.watches.items()
        teachable = {rule for rule, watch in watches if isinstance(watch.detector, Teachable)}
        jobs = warm_start.jobs(self.config, settings, self._queries, teachable, self.clock())
        return Warming(jobs, self.detection, self.telemetry, float(settings.timeout))

    async def _end(self, strangers: list[Anomaly], now_s: float) -> None:
        """Anomalies of rules that are no more have nobody who could end them."""
        ended = [replace(a, ended_s=now_s, evidence=(*a.evidence, "its rule is gone"))
                 for a in strangers if a.detector != "alertmanager"]  # fmt: skip
        await self.store.append(*ended)
        await self.pipeline.findings.put(Findings(anomalies=ended))

    async def _load_checkpoint(self) -> None:
        try:
            parts = await self.store.load_checkpoint()
            if not parts:
                return
            self.detection.load(parts)
            self.detection.rewind(self.clock())
        except (ValueError, KeyError) as error:
            log.warning("checkpoint not usable, learning anew: %s", error)
            self.table = self._table()
            self.routes.clear()
            self.sources, self.detection = self._sources(), self._detection()

    # --- parts --------------------------------------------------------------------------

    def _table(self) -> SeriesTable:
        return SeriesTable(
            self.config.daemon.limits.series, Oversize(self.telemetry), self.redactor.labels
        )

    def _redactor(self) -> Redactor:
        daemon, base = self.config.daemon, self.config.base
        self._ring = KeyRing(
            self.config.state / "redaction.key", daemon.redaction.rotate, daemon.limits.keep
        )
        params = [p for playbook in self.config.playbooks for p in playbook.params.values()]
        credentials = [SecretFile(p.credential) for p in params if p.type == "secret"]
        for kind in daemon.redaction.known:
            self.telemetry.count("redacted", 0, kind)  # so that 0 can be seen
        return daemon.redaction.redactor(
            self._ring.key(self.clock()),
            held_secrets((daemon, credentials), base),
            lambda kind, values: self.telemetry.count("redacted", values, kind),
        )

    def _renew_key(self, now_s: float) -> None:
        """When its time has come."""
        try:
            self.redactor.renew(self._ring.key(now_s))
        except ConfigError as error:
            log.error("the key of the pseudonyms stays as it is: %s", error)

    def _sources(self) -> dict[str, Source]:
        daemon = self.config.daemon
        asked = {name: self._queries(name) for name in daemon.sources}
        key = KeyRing(self.config.state / "positions.key", None, 0.0).key(self.clock())
        return {
            name: settings.build(
                SourceContext(
                    name=name,
                    table=self.table.seen_by(name),
                    clock=self.clock,
                    health=Health(self.telemetry.went, self.telemetry.came),
                    count=self.telemetry.counting(name),
                    gauge=partial(self.telemetry.gauge, part=name),
                    queries=asked[name],
                    history_secs=float(daemon.history),
                    routes=self.routes,
                    types=self.types,
                    base=self.config.base,
                    key=key,
                    room=lambda: not self.pipeline.keeping.full,
                )
            )
            for name, settings in daemon.sources.items()
        }

    def _queries(self, source: str) -> tuple[Query, ...]:
        return tuple(
            Query(rule.id, question, self.config.every_secs(rule))
            for rule in self.config.rules
            if (question := rule.promql or rule.logql) and self.config.asked(rule) == source
        )

    def _detection(self) -> Detection:
        # Lines come to it as they may be kept: ``cleaning`` is before it.
        miner = Miner(self.table, clean=str, sessions=self._sessions())
        streamed = {r.id: r.selection() for r in self.config.rules if self.config.streamed(r)}
        judged = [r for r in self.config.rules if r.detector is not None]
        unruled = Unruled(self.types) if self.config.daemon.watch_all != "off" else None
        return Detection(
            self.table,
            miner,
            Transforms(streamed, self.table, unruled),
            {rule.id: self._watch(rule, miner) for rule in judged}
            | {one.rule: self._built_in(one) for one in BUILT_IN if unruled},
            {
                rule.id: VersionWatch(
                    rule.id,
                    rule.entity,
                    VALUE if rule.change.value else rule.change.label,
                    rule.change.kind,
                )
                for rule in self.config.rules
                if rule.change is not None
            },
            self.cleaning,
        )

    def _sessions(self) -> Literal[False] | str | None:
        """How a line names its session; None: find out; False: no rule asks for sessions."""
        asking = [
            rule for rule in self.config.rules
            if self.config.streamed(rule) and rule.selection().interested(ODD_SESSIONS)
        ]  # fmt: skip
        given = (rule.sessions for rule in asking if rule.sessions is not None)
        return next(given, None) if asking else False

    def _watch(self, rule: RuleSettings, miner: Miner) -> Watch:
        assert rule.detector is not None  # noqa: S101 - the caller has looked

        lines = bool(rule.select) and rule.selection().interested(LOG_LINES)
        sessions = bool(rule.select) and rule.selection().interested(ODD_SESSIONS)

        def evidence(labels: Labels) -> tuple[str, ...]:
            line = miner.sample(labels.get("template", ""))
            if sessions and miner.odd is not None:
                line = miner.odd.why(labels)
            elif lines and "template" not in labels:
                line = miner.failure(labels)
            runbook = f"runbook: {rule.runbook}" if rule.runbook else ""
            return tuple(filter(None, (line, runbook)))

        return Watch(rule.info(), rule.detector, self.table.labels, evidence, miner.reads)

    def _built_in(self, one: BuiltIn) -> Watch:
        """For what no rule selects: evidence, and no reason for an incident."""
        info = RuleInfo(
            id=one.rule,
            kind=one.kind,
            severity="info",
            entity=("metric", *SERVICE_LABELS),
            unit=one.unit,
            title=one.title,
            for_secs=UNRULED_FOR_SECS,
        )
        detector = evidence(self.config.daemon.watch_all)
        return Watch(info, detector, lambda index: one.shown(self.table.labels(index)))

    def _notifiers(self, state: State) -> dict[str, Notifier]:
        async def record(delivery: Any) -> None:
            await self.store.append(delivery)
            state.apply(delivery)

        return {
            name: settings.build(
                NotifierContext(
                    name=name,
                    clock=self.clock,
                    count=self.telemetry.counting(name),
                    delivered=state.deliveries,
                    record=record,
                    base=self.config.base,
                )
            )
            for name, settings in self.config.daemon.notifiers.items()
        }

    def _outboxes(self, state: State) -> dict[str, Outbox]:
        def told(name: str, incident: str) -> bool:
            return f"{name}/{incident}" in state.deliveries

        return {
            name: Outbox(name, one, self.telemetry, partial(told, name))
            for name, one in self.notifiers.items()
        }

    def _quieting(self, state: State) -> Quieting:
        daemon = self.config.daemon
        storm = Storm(daemon.automation.storm_incidents)
        storm.restore(state.incidents.values())
        windows = [one.window() for one in daemon.maintenance]
        quiet = Quiet(state.silences, windows, EvidenceRanker(), storm)
        return Quieting(quiet, state, self.telemetry, daemon.sources, daemon.notifiers)

    def _healing(self, state: State) -> Healing:
        numbers = self._metrics()
        reach = Reach(
            executors={n: s.build(self.config.base) for n, s in self.config.executors.items()},
            metrics=numbers,
            journal=lambda run: self.pipeline.publish(run),
            clock=self.clock,
            halted=self.halts.reason,
            secret=lambda name: SecretFile(name).read(self.config.base),
            incident=state.incidents.get,
            redact=self.redactor.tree,
        )
        playbooks = {playbook.name: playbook for playbook in self.config.playbooks}
        automation = self.config.daemon.automation
        warm_s = self.clock() + WARM_SECS

        def house(now_s: float) -> GateHouse:
            lately = [
                i
                for i in state.incidents.values()
                if i.opened_s > now_s - STORM_SECS and (i.muted is None or i.muted.code == "storm")
            ]
            return GateHouse(
                ceiling=automation.ceiling,
                warm_s=warm_s,
                settle_secs=float(automation.settle),
                blind=self.facts.ready(),
                storm=self.quieting.storming(),
                off_limits=lambda root: self.quieting.quiet.off_limits(root, now_s),
                opened_lately=len(lately),
                storm_incidents=automation.storm_incidents,
                runs_per_hour=automation.runs_per_hour,
                at_once=automation.at_once,
            )

        return Healing(
            self.config.playbooks,
            Runner(reach, playbooks.get),
            numbers,
            state,
            self.halts.halts,
            house,
        )

    def _metrics(self) -> Metrics:
        querier = self.sources.get(self.config.querier or "")
        return metrics(
            cast("Querier | None", querier), self.detection, self._every_secs(), self.clock
        )

    def _every_secs(self) -> dict[str, float]:
        return {rule.id: self.config.every_secs(rule) for rule in self.config.rules}
