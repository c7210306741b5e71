"""All files of a configuration are read; what is wrong in one does not hide the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from aiopsd.config.parts import check_parts, lacking
from aiopsd.config.salvage import salvaged
from aiopsd.config.schema import DaemonSettings, PackSettings, RuleSettings
from aiopsd.contracts import Executor
from aiopsd.detectors.flood import FloodSettings
from aiopsd.document import Document, Path_, Problem, read
from aiopsd.errors import ConfigError
from aiopsd.executors import ExecutorSettings, default_executors
from aiopsd.model import Mode
from aiopsd.remediation.playbook import Playbook, load_playbook
from aiopsd.settings import Reader, Settings
from aiopsd.sources.alertmanager import AlertmanagerSettings
from aiopsd.sources.changes import ChangesSettings
from aiopsd.sources.loki import LokiSettings
from aiopsd.sources.prometheus import PrometheusSettings

NOTHING: Final[frozenset[str]] = frozenset()
LINE_VALUES: Final = {
    "level": ("debug", "info", "warning", "error", "critical", "unknown"),
    "speaks": ("failure",),
}
STREAMED_SECS = 15.0  # a streamed rule has news when its source has: seldom less often than this


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
        """Where relative paths begin: beside aiopsd.yaml, also where that is a symbolic link."""
        return self.path.resolve().parent

    @property
    def state(self) -> Path:
        return self.base / self.daemon.state

    @property
    def querier(self) -> str | None:
        """The source that rules without a `source` are asked of, and playbooks too."""
        return next(iter(_askable(self.daemon)), None)

    def asked(self, rule: RuleSettings) -> str | None:
        """Which source this rule's PromQL or LogQL is asked of."""
        if rule.logql:
            return rule.source or next(iter(_askable(self.daemon, LokiSettings)), None)
        return rule.source or self.querier

    def answering(self, rule: RuleSettings) -> tuple[str, ...]:
        """The sources of which any may have what this rule looks at."""
        if self.streamed(rule):
            return tuple(_streaming(self.daemon))
        asked = self.asked(rule)
        return (asked,) if asked else ()

    def every_secs(self, rule: RuleSettings) -> float:
        """How often this rule has news: its own word, else its source's."""
        if rule.every is not None:
            return float(rule.every)
        source = self.daemon.sources.get(self.asked(rule) or "")
        if isinstance(source, PrometheusSettings) and not self.streamed(rule):
            return float(source.every)
        return STREAMED_SECS

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
    if document.data is None and not (document.problems and path.is_file()):
        if not document.problems:
            document.complain((), "the file is empty; `aiopsd init` writes one that works")
        hint = "" if path.exists() else "; -c FILE names it, `aiopsd init` writes one"
        return None, [replace(one, text=one.text + hint) for one in document.problems]
    settings: DaemonSettings | None = None
    if document.data is not None:  # else it is no YAML, and the problem has its place
        settings = Reader(document).read(DaemonSettings, document.data)
    base = (path.resolve() if path.is_symlink() else path).parent
    good, missing = (settings, NOTHING) if settings else salvaged(document.data)
    inspection = _Inspection(document, good, missing, base)
    rules, playbooks = tuple(inspection.rules()), tuple(inspection.playbooks())
    problems = [p for d in (document, *inspection.documents) for p in sorted(d.problems)]
    if settings is None:
        return None, problems
    executors = default_executors() | settings.executors
    return Config(path, settings, rules, playbooks, executors), problems


def _askable(settings: DaemonSettings, kind: type[Settings] = PrometheusSettings) -> list[str]:
    """Sources that answer PromQL; those of Loki answer LogQL."""
    return [n for n, one in settings.sources.items() if isinstance(one, kind)]


def _streaming(settings: DaemonSettings) -> list[str]:
    """Sources that hand over raw series or log lines."""
    others = (PrometheusSettings, AlertmanagerSettings, ChangesSettings)
    return [name for name, one in settings.sources.items() if not isinstance(one, others)]


@dataclass
class _Inspection:
    """``missing``: keys of aiopsd.yaml with faults; what these may have caused is not said."""

    document: Document
    settings: DaemonSettings
    missing: frozenset[str]
    base: Path
    documents: list[Document] = field(default_factory=list)  # rules, then playbooks
    written: set[str] | None = field(default_factory=set)  # rule ids; None: not all are known

    def __post_init__(self) -> None:
        check_parts(self.document, self.settings, self.base)

    def _documents(self, room: str) -> Iterator[Document]:
        """The files of a folder, those that parse; hidden ones are an editor's own."""
        data = self.document.data if isinstance(self.document.data, dict) else {}
        written = data.get(room, room)
        if not isinstance(written, str):
            self.written = None
            return
        folder = self.base / written
        try:
            paths = sorted(folder.iterdir())
        except (OSError, ValueError) as error:
            if room in data or not isinstance(error, FileNotFoundError):
                why = error.strerror if isinstance(error, OSError) else error
                self.document.complain((room, "="), f"cannot read the folder {folder}: {why}")
                self.written = None
            return
        for path in paths:
            if path.suffix in (".yaml", ".yml") and not path.name.startswith("."):
                one = read(path)
                self.documents.append(one)
                if one.data is None and not one.problems:
                    one.complain((), "the file is empty")
                if not one.problems:
                    yield one
                elif room == "rules":
                    self.written = None

    # --- rules ----------------------------------------------------------------------------

    def rules(self) -> Iterator[RuleSettings]:
        owner: dict[str, str] = {}
        for document in self._documents("rules"):
            for index, rule in self._pack(document):
                if rule.id in owner:
                    text = f"rule {rule.id!r} already stands in {owner[rule.id]}"
                    document.complain(("rules", index, "id", "="), text)
                    continue
                owner[rule.id] = document.file
                for key, wrong in self._unanswered(rule):
                    document.complain(("rules", index, key), f"rule {rule.id!r}: {wrong}")
                for label, wrong in (*_never_bad(rule), *_never_said(rule)):
                    place = ("rules", index, "detector", "bad", label)
                    document.complain(place, f"rule {rule.id!r}: {wrong}")
                if lack := lacking(f"rule {rule.id!r}", rule.detector):
                    document.complain(("rules", index, "detector"), lack)
                yield rule

    def _pack(self, document: Document) -> Iterator[tuple[int, RuleSettings]]:
        """Rules one by one: a wrong rule does not hide the others."""
        reader, data = Reader(document), document.data
        if not isinstance(data, dict) or not isinstance(data.get("rules"), list):
            self.written = None
            reader.read(PackSettings, data)
            return
        reader.read(PackSettings, data | {"rules": []})
        for index, entry in enumerate(data["rules"]):
            if self.written is not None and isinstance(entry, dict):
                self.written.add(str(entry.get("id")))
            rule = reader.read(RuleSettings, entry, ("rules", index))
            if rule is not None:
                yield index, rule

    def _unanswered(self, rule: RuleSettings) -> Iterator[tuple[str, str]]:
        """Why nobody can answer this rule, and by which key; nothing when somebody can."""
        if "sources" in self.missing:
            return
        kind, tag = (LokiSettings, "loki") if rule.logql else (PrometheusSettings, "prometheus")
        known = _askable(self.settings, kind)
        if rule.source and rule.source not in known:
            names = ", ".join(known) or "none"
            yield "source", f"no {tag} source {rule.source!r}; known: {names}"
        elif rule.logql:
            if not known:
                yield "logql", "LogQL needs a source of type loki"
        elif rule.promql and not rule.select and not known:
            yield "promql", ("PromQL needs a source of type prometheus; without one, write "
                             "`select`")  # fmt: skip
        elif not (rule.promql and known) and not _streaming(self.settings):
            yield "select", ("`select` needs a source that hands over raw series or lines, such "
                             "as scrape or loki")  # fmt: skip

    # --- playbooks ------------------------------------------------------------------------

    def playbooks(self) -> Iterator[Playbook]:
        owner: dict[str, str] = {}
        executors = self._executors()
        for document in self._documents("playbooks"):
            playbook = load_playbook(document, executors, rules=self.written)
            if playbook is None:
                continue
            if playbook.name in owner:
                text = f"playbook {playbook.name!r} already stands in {owner[playbook.name]}"
                document.complain(("name", "="), text)
                continue
            owner[playbook.name] = document.file
            for path, lack in self._lacking(playbook):
                document.complain(path, lack)
            if "sources" not in self.missing and not _askable(self.settings):
                for path in _promql(playbook):
                    document.complain(path, "PromQL needs a source of type prometheus; without "
                                            "one, write `rule`")  # fmt: skip
            yield playbook

    def _executors(self) -> dict[str, Executor] | None:
        """By which actions are judged; None where not all of them are known."""
        if "executors" in self.missing:
            return None
        parts = default_executors() | self.settings.executors
        return {name: part.build(self.base) for name, part in parts.items()}

    def _lacking(self, playbook: Playbook) -> Iterator[tuple[Path_, str]]:
        """Extras of the actions that it may take; to observe needs none."""
        if min(playbook.ladder, self.settings.automation.ceiling) <= Mode.OBSERVE:
            return
        parts = default_executors() | self.settings.executors
        for index, step in enumerate(playbook.steps):
            if lack := lacking(step.do, parts.get(step.do.partition(".")[0])):
                yield ("steps", index, "do", "="), lack


def _never_bad(rule: RuleSettings) -> Iterator[tuple[str, str]]:
    """Labels by which a flood's `bad` can match no series, and why."""
    if rule.select and rule.by and isinstance(rule.detector, FloodSettings):
        for label in rule.detector.bad.keys() - set(rule.by):
            yield label, f"`by` does not keep the label {label!r}; it keeps {', '.join(rule.by)}"


def _never_said(rule: RuleSettings) -> Iterator[tuple[str, str]]:
    """Of a flood of log lines: values that its labels never have."""
    if not (rule.select and isinstance(rule.detector, FloodSettings)):
        return
    if "log_lines" in rule.select:
        for label, known in LINE_VALUES.items():
            for value in rule.detector.bad.get(label, ()):
                if value not in known:
                    told = ", ".join(known)
                    yield label, f"no line has {label}={value!r}; it is one of {told}"


def _promql(playbook: Playbook) -> Iterator[Path_]:
    """Where this playbook asks in PromQL."""
    for name in playbook.metrics:
        if playbook.measure(name).promql is not None:
            yield "metrics", name
    rooms: dict[str, Any] = {
        "checks": playbook.verify.checks,
        "must_not_worsen": playbook.verify.must_not_worsen,
    }
    for room, checks in rooms.items():
        for index, check in enumerate(checks):
            if check.promql is not None:
                yield "verify", room, index, "promql"
