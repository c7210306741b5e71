"""What people write in aiopsd.yaml and in rules/, as frozen structs; defaults are the documented
ones (docs/configuration.md, docs/rules.md)."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from aiopsd.config.maintenance import MaintenanceSettings
from aiopsd.config.redaction import RedactionSettings
from aiopsd.detectors import DetectorSettings
from aiopsd.detectors.watch import RuleInfo
from aiopsd.executors import ExecutorSettings
from aiopsd.logs.odd_sessions import NAME as ODD_SESSIONS
from aiopsd.model import Kind, Mode, Severity
from aiopsd.notifiers import NotifierSettings
from aiopsd.patterns import line_pattern
from aiopsd.settings import Address, Duration, Settings
from aiopsd.sources import SourceSettings
from aiopsd.sources.loki_query import checked_metric
from aiopsd.transforms import PREFIX, Agg, As, Selection, compile_selection

STATE = "state"
LONGEST_FOR_SECS = 30 * 86400.0  # what lasts longer without a break is how things are
_RULE_ID = re.compile(r"[A-Za-z_][\w.:-]*", re.ASCII)


class ChangeSettings(Settings, frozen=True, kw_only=True):
    """A rule that watches a label, or the number itself, for new values instead of judging it."""

    label: str = "version"
    value: bool = False
    kind: Literal["deploy", "config", "scale", "flag", "migration"] = "deploy"

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("`label` is empty: which one? The number itself is `value: true`")


class RuleSettings(Settings, frozen=True, kw_only=True):
    """What is strange."""

    id: str
    promql: str | None = None
    select: str | None = None
    logql: str | None = None
    as_: As = msgspec.field(default="value", name="as")
    by: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    over: str | None = None
    window: Duration = Duration(60)
    agg: Agg = "sum"
    source: str = ""  # of several Prometheus or Loki sources, the one to ask
    sessions: str | None = None  # a pattern: how the id of a session looks in a line
    every: Duration | None = None  # how often PromQL or LogQL is asked; none: as its source says
    detector: DetectorSettings | None = None
    change: ChangeSettings | None = None
    for_: Duration = msgspec.field(default=Duration(0), name="for")
    clear: Duration | None = None
    kind: Kind = "saturation"
    severity: Severity = "high"
    entity: tuple[str, ...] = ("service",)
    unit: Literal["", "ratio", "percent", "seconds", "bytes"] = ""
    title: str = ""
    runbook: str = ""

    def __post_init__(self) -> None:
        if not _RULE_ID.fullmatch(self.id):
            raise ValueError(f"`id: {self.id}` must be a word of letters, digits and _ . : -")
        if self.id.startswith(PREFIX):
            raise ValueError(f"`id: {self.id}`: `{PREFIX}` begins the ids of the built-in watch")
        self._check_question()
        if (self.detector is None) == (self.change is None):
            raise ValueError("a rule needs a `detector` or a `change`, and not both")
        self._check_sessions()
        if not self.entity:
            raise ValueError("`entity` is empty: which labels name the sick thing?")
        if self.for_ > LONGEST_FOR_SECS:
            raise ValueError(f"`for: {self.for_}` is too long to ever speak; at most 30d")
        if self.every is not None and self.every < 1:
            raise ValueError(f"`every: {self.every}` is too often; at least 1s")
        if self.select and self.by and not set(self.by) & set(self.entity):
            raise ValueError(f"`by` keeps no label of `entity: [{', '.join(self.entity)}]`: "
                             "nobody could say what is sick")  # fmt: skip
        if self.select and set(self.entity) <= set(self.without):
            raise ValueError("`without` takes every label of `entity`: nobody knew what is sick")
        if self.select:
            self.selection()

    def info(self) -> RuleInfo:
        """What its anomalies say of it."""
        return RuleInfo(
            id=self.id,
            kind=self.kind,
            severity=self.severity,
            entity=self.entity,
            unit=self.unit,
            title=self.title or self.id.replace("_", " "),
            for_secs=float(self.for_),
            clear_secs=float(self.clear) if self.clear is not None else None,
        )

    def _check_sessions(self) -> None:
        if self.sessions is None:
            return
        if not self.select or not self.selection().interested(ODD_SESSIONS):
            raise ValueError(f"`sessions` goes with `select: {ODD_SESSIONS}`")
        try:
            line_pattern(self.sessions)
        except ValueError as error:
            raise ValueError(f"`sessions: {self.sessions}` is no pattern: {error}") from None

    def _check_question(self) -> None:
        if not self.promql and not self.select and not self.logql:
            raise ValueError("a rule needs `promql` (asked of Prometheus), `logql` (asked of Loki) "
                             "or `select` (streamed)")  # fmt: skip
        if self.logql:
            if self.promql or self.select:
                raise ValueError("`logql` stands alone: no `promql` or `select` beside it")
            checked_metric(self.logql)
        if not self.select and (idle := self._only_of_select()):
            asked = "logql" if self.logql else "promql"
            raise ValueError(f"{', '.join(idle)}: belongs to `select`, and says nothing to "
                             f"`{asked}`: write it in the query")  # fmt: skip

    def _only_of_select(self) -> list[str]:
        """What is written, other than the default, and only a stream is asked by."""
        said = {
            "as": self.as_ != "value",
            "by": self.by,
            "without": self.without,
            "over": self.over is not None,
            "window": self.window != Duration(60),
            "agg": self.agg != "sum",
        }
        return [f"`{name}`" for name, written in said.items() if written]

    def selection(self) -> Selection:
        window_secs = float(self.window)
        return compile_selection(
            self.select or "", self.as_, self.by, self.over, window_secs, self.agg, self.without
        )


class PackSettings(Settings, frozen=True, kw_only=True):
    """Rules that ship together."""

    pack: str
    rules: tuple[RuleSettings, ...]
    enable_when: tuple[str, ...] = ()  # ``aiopsd init`` takes the pack where one of these exists
    description: str = ""


class AutomationSettings(Settings, frozen=True, kw_only=True):
    """The ceiling over every playbook."""

    mode: Literal["off", "observe", "auto"] = "observe"
    runs_per_hour: int = 20
    at_once: int = 4
    settle: Duration = Duration(10)  # so long the first suspect must have been the same
    storm_incidents: int = 10  # opened within five minutes: every playbook only observes

    def __post_init__(self) -> None:
        for name in ("runs_per_hour", "at_once", "storm_incidents"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1; to stop automation, mode: off")

    @property
    def ceiling(self) -> Mode:
        return Mode[self.mode.upper()]


class IncidentSettings(Settings, frozen=True, kw_only=True):
    """How anomalies become incidents."""

    join: Duration = Duration(300)
    confirm: Duration = Duration(120)
    quiet: Duration = Duration(30)
    reopen: Duration = Duration(600)


class WebSettings(Settings, frozen=True, kw_only=True):
    """Where the daemon answers: /metrics, /healthz, /readyz, hooks."""

    listen: Address = Address("127.0.0.1:9797")


class LimitSettings(Settings, frozen=True, kw_only=True):
    """What bounds memory and disk."""

    series: int = 200_000
    keep: Duration = Duration(90 * 86400)  # closed events in the journal
    grace: Duration = Duration(10)  # after SIGTERM, to finish what is in the pipeline
    checkpoint: Duration = Duration(30)

    def __post_init__(self) -> None:
        if self.series < 1 or self.checkpoint <= 0:
            raise ValueError("`series` must be at least 1, and `checkpoint` longer than 0s")
        if self.keep < 3600:
            raise ValueError(f"`keep: {self.keep}` is too short to look back; at least 1h")


class WarmStartSettings(Settings, frozen=True, kw_only=True):
    """Weeks of Prometheus history, fitted beside the running daemon (extra ``history``)."""

    history: Duration = Duration(28 * 86400)
    step: Duration = Duration(600)
    series: int = 2000  # of one rule; the others learn by themselves
    memory_mib: int = 1024  # of the fitting process, besides its libraries
    timeout: Duration = Duration(3600)

    def __post_init__(self) -> None:
        if self.history < 86400:
            raise ValueError(f"`history: {self.history}` holds no season; at least 1d")
        if not 1 <= self.step <= 1800:
            raise ValueError(f"`step: {self.step}` must be from 1s to 30m: seasons have half hours")
        if min(self.series, self.memory_mib, self.timeout) < 1:
            raise ValueError("`series`, `memory_mib` and `timeout` must be at least 1")

    def extra(self) -> str:
        return "history"


class DaemonSettings(Settings, frozen=True, kw_only=True):
    """aiopsd.yaml."""

    sources: dict[str, SourceSettings]
    rules: str = "rules"
    playbooks: str = "playbooks"
    state: str = STATE
    history: Duration = Duration(6 * 3600)
    watch_all: Literal["light", "full", "off"] = "light"
    notifiers: dict[str, NotifierSettings] = {}
    executors: dict[str, ExecutorSettings] = {}
    automation: AutomationSettings = AutomationSettings()
    incidents: IncidentSettings = IncidentSettings()
    maintenance: tuple[MaintenanceSettings, ...] = ()
    topology: dict[str, tuple[str, ...]] = {}
    web: WebSettings = WebSettings()
    limits: LimitSettings = LimitSettings()
    redaction: RedactionSettings = RedactionSettings()
    warm_start: WarmStartSettings | None = None
