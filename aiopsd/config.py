"""aiopsd.yaml, rules/ and playbooks/ become one frozen Config; every wrong entry is named.

``inspect`` goes on after a fault and returns all of them; ``load`` is for those who cannot go
on. The same reading serves ``aiopsd check``, the daemon's start and its reload.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from aiopsd.detectors import DetectorSettings
from aiopsd.document import Document, Problem, read
from aiopsd.errors import ConfigError
from aiopsd.executors import ExecutorSettings, default_executors
from aiopsd.model import Kind, Mode, Severity
from aiopsd.notifiers import NotifierSettings
from aiopsd.remediation.playbook import Playbook, load_playbook
from aiopsd.settings import Duration, Reader, SecretFile, Settings
from aiopsd.sources import SourceSettings
from aiopsd.sources.prometheus import PrometheusSettings
from aiopsd.transforms import Agg, As, Selection, compile_selection


class ChangeSettings(Settings, frozen=True, kw_only=True):
    """A rule that watches a label for new values instead of judging numbers."""

    label: str = "version"
    kind: Literal["deploy", "config", "scale", "flag"] = "deploy"


class RuleSettings(Settings, frozen=True, kw_only=True):
    """What is strange."""

    id: str
    promql: str | None = None
    select: str | None = None
    as_: As = msgspec.field(default="value", name="as")
    by: tuple[str, ...] = ()
    over: str | None = None
    window: Duration = Duration(60)
    agg: Agg = "sum"
    source: str = ""  # of several Prometheus sources, the one to ask
    every: Duration = Duration(15)
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
        if not self.promql and not self.select:
            raise ValueError("a rule needs `promql` (asked of Prometheus) or `select` (streamed)")
        if (self.detector is None) == (self.change is None):
            raise ValueError("a rule needs a `detector` or a `change`, and not both")
        if not self.entity:
            raise ValueError("`entity` is empty: which labels name the sick thing?")
        if self.every < 1:
            raise ValueError(f"`every: {self.every}` is too often; at least 1s")
        if self.select:
            self.selection()

    def selection(self) -> Selection:
        return compile_selection(
            self.select or "", self.as_, self.by, self.over, float(self.window), self.agg
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
    quiet: Duration = Duration(30)
    reopen: Duration = Duration(600)


class WebSettings(Settings, frozen=True, kw_only=True):
    """Where the daemon answers: /metrics, /healthz, /readyz, hooks."""

    listen: str = "127.0.0.1:9797"

    def __post_init__(self) -> None:
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"`listen: {self.listen}` is not host:port, such as 127.0.0.1:9797")

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class LimitSettings(Settings, frozen=True, kw_only=True):
    """What bounds memory and disk."""

    series: int = 200_000
    keep: Duration = Duration(90 * 86400)  # closed events in the journal
    grace: Duration = Duration(10)  # after SIGTERM, to finish what is in the pipeline
    checkpoint: Duration = Duration(30)


class DaemonSettings(Settings, frozen=True, kw_only=True):
    """aiopsd.yaml."""

    sources: dict[str, SourceSettings]
    rules: str = "rules"
    playbooks: str = "playbooks"
    state: str = "state"
    history: Duration = Duration(6 * 3600)
    notifiers: dict[str, NotifierSettings] = {}
    executors: dict[str, ExecutorSettings] = {}
    automation: AutomationSettings = AutomationSettings()
    incidents: IncidentSettings = IncidentSettings()
    topology: dict[str, tuple[str, ...]] = {}
    web: WebSettings = WebSettings()
    limits: LimitSettings = LimitSettings()


@dataclass(frozen=True)
class Config:
    """All that people wrote, read and believed."""

    path: Path
    daemon: DaemonSettings
    rules: tuple[RuleSettings, ...]
    playbooks: tuple[Playbook, ...]
    executors: dict[str, ExecutorSettings]

    @property
    def base(self) -> Path:
        return self.path.parent

    @property
    def state(self) -> Path:
        return self.base / self.daemon.state

    @property
    def querier(self) -> str | None:
        """The source that rules without a `source` are asked of, and playbooks too."""
        return _querier(self.daemon)

    def asked(self, rule: RuleSettings) -> str | None:
        """Which source this rule's PromQL is asked of."""
        return rule.source or self.querier

    def streamed(self, rule: RuleSettings) -> bool:
        """PromQL wins where somebody can answer it; else the rule selects from the stream."""
        return bool(rule.select) and not (rule.promql and self.querier)


class WrongConfig(ConfigError):
    """Carries every problem, in the order of the files."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def load(path: Path) -> Config:
    """Raises WrongConfig with every problem there is."""
    config, problems = inspect(path)
    if problems or config is None:
        raise WrongConfig(problems)
    return config


def inspect(path: Path) -> tuple[Config | None, list[Problem]]:
    """The configuration as far as it can be read, and every wrong entry in all files."""
    document = read(path)
    settings = _settings(document)
    if settings is None:
        return None, sorted(document.problems)
    base = path.parent
    _check_secrets(document, settings, base)
    rules, documents = _rules(document, settings, base)
    executors = default_executors() | settings.executors
    playbooks, more = _playbooks(document, settings, base, executors, {r.id for r in rules})
    problems = [p for d in (document, *documents, *more) for p in sorted(d.problems)]
    return Config(path, settings, tuple(rules), tuple(playbooks), executors), problems


def _settings(document: Document) -> DaemonSettings | None:
    if document.data is None and not document.problems:
        document.complain((), "the file is empty; `aiopsd init` writes one that works")
    if document.data is None:
        return None
    found: DaemonSettings | None = Reader(document).read(DaemonSettings, document.data)
    return found


def _querier(settings: DaemonSettings) -> str | None:
    asked = (n for n, s in settings.sources.items() if isinstance(s, PrometheusSettings))
    return next(asked, None)


def _check_secrets(document: Document, settings: DaemonSettings, base: Path) -> None:
    """A secret that cannot be read is a wrong entry, not a surprise at night."""
    rooms: tuple[tuple[str, dict[str, Any]], ...] = (
        ("sources", settings.sources),
        ("notifiers", settings.notifiers),
    )
    for room, parts in rooms:
        for name, part in parts.items():
            for key in part.__struct_fields__:
                value = getattr(part, key)
                if isinstance(value, SecretFile):
                    try:
                        value.read(base)
                    except ConfigError as error:
                        document.complain((room, name, key, "="), str(error))


def _files(document: Document, key: str, folder: Path) -> list[Path]:
    if folder.is_dir():
        return sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
    if key in (document.data or {}):
        document.complain((key, "="), f"no such folder: {folder}")
    return []


def _rules(
    document: Document, settings: DaemonSettings, base: Path
) -> tuple[list[RuleSettings], list[Document]]:
    found: list[RuleSettings] = []
    documents: list[Document] = []
    owner: dict[str, str] = {}
    for path in _files(document, "rules", base / settings.rules):
        one = read(path, shown_as=_shown(path, base))
        documents.append(one)
        if one.problems:
            continue
        for index, rule in enumerate(_pack(one)):
            if rule is None:
                continue
            if rule.id in owner:
                one.complain(("rules", index, "id", "="),
                             f"rule {rule.id!r} already stands in {owner[rule.id]}")  # fmt: skip
                continue
            owner[rule.id] = one.file
            wrong = _unanswered(rule, settings)
            if wrong:
                one.complain(("rules", index, "promql"), f"rule {rule.id!r}: {wrong}")
            found.append(rule)
    return found, documents


def _unanswered(rule: RuleSettings, settings: DaemonSettings) -> str:
    """Why nobody can answer this rule's PromQL; empty when somebody can."""
    known = [n for n, s in settings.sources.items() if isinstance(s, PrometheusSettings)]
    if rule.source and rule.source not in known:
        return f"no prometheus source {rule.source!r}; known: {', '.join(known) or 'none'}"
    if not rule.select and not known:
        return "PromQL needs a source of type prometheus; without one, write `select`"
    return ""


def _pack(document: Document) -> Iterable[RuleSettings | None]:
    """Rules one by one: a wrong rule does not hide the others."""
    reader, data = Reader(document), document.data
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list):
        reader.read(PackSettings, data if data is not None else {})
        return
    reader.read(PackSettings, data | {"rules": []})
    for index, entry in enumerate(data["rules"]):
        yield reader.read(RuleSettings, entry, ("rules", index))


def _playbooks(
    document: Document,
    settings: DaemonSettings,
    base: Path,
    executors: dict[str, ExecutorSettings],
    rules: set[str],
) -> tuple[list[Playbook], list[Document]]:
    found: list[Playbook] = []
    documents: list[Document] = []
    owner: dict[str, str] = {}
    linters = {name: part.build(base) for name, part in executors.items()}
    for path in _files(document, "playbooks", base / settings.playbooks):
        one = read(path, shown_as=_shown(path, base))
        documents.append(one)
        playbook = None if one.problems else load_playbook(one, linters, rules=rules)
        if playbook is None:
            continue
        if playbook.name in owner:
            one.complain(("name", "="), f"playbook {playbook.name!r} already stands in "
                                        f"{owner[playbook.name]}")  # fmt: skip
            continue
        owner[playbook.name] = one.file
        found.append(playbook)
    return found, documents


def _shown(path: Path, base: Path) -> str:
    """The path as a person would type it from where the configuration stands."""
    return str(path.relative_to(base) if path.is_relative_to(base) else path)


def state_folder(path: Path) -> Path:
    """Where the state stands, read leniently: the kill switch must work on a broken config."""
    data = read(path).data
    state = data.get("state") if isinstance(data, dict) else None
    return path.resolve().parent / (state if isinstance(state, str) else "state")


def web_address(path: Path) -> tuple[str, int]:
    """Where the daemon of this configuration answers, read as leniently."""
    data = read(path).data
    listen = (data.get("web") or {}).get("listen") if isinstance(data, dict) else None
    return WebSettings(listen=listen).address if isinstance(listen, str) else WebSettings().address
