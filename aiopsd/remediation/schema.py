"""What people write in a playbook, as frozen structs; defaults are the documented ones.

A key of the format that this version cannot honour yet is refused by name: a safety setting
that is silently ignored is worse than none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from aiopsd.document import Path_
from aiopsd.model import Kind, Labels, Mode, Severity
from aiopsd.settings import Duration, Expression, Settings

NoData = Literal["pass", "fail", "inconclusive"]
Unit = Literal["", "ratio", "percent", "seconds", "bytes"]

_NAME = re.compile(r"[a-z][a-z0-9-]{1,62}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Trigger(Settings, frozen=True, kw_only=True, rename={"for_": "for"}):
    """When it may be the answer."""

    incident: Kind
    severity: tuple[Severity, ...] = ("info", "low", "high", "critical")
    labels: Labels = {}
    when: Expression | None = None
    for_: Duration = Duration(0)

    def __post_init__(self) -> None:
        if not self.severity:
            raise ValueError("`severity` is empty: this trigger never matches")


class Param(Settings, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A value with a name; a secret only says where it is kept."""

    type: Literal["string", "int", "number", "bool", "secret"]
    default: Any = None
    min: float | None = None
    max: float | None = None
    enum: tuple[Any, ...] | None = None
    from_: str | None = None

    def __post_init__(self) -> None:
        if self.type == "secret":
            self._check_secret()
            return
        if self.from_ is not None:
            raise ValueError("`from` is for `type: secret`")
        wanted = {"string": str, "int": int, "number": (int, float), "bool": bool}[self.type]
        right = isinstance(self.default, wanted)  # type: ignore[arg-type]
        if not right or (isinstance(self.default, bool) and self.type != "bool"):
            raise ValueError(f"`default` must be given, as {self.type}; got {self.default!r}")
        self._check_range()

    def _check_secret(self) -> None:
        if self.default is not None:
            raise ValueError("a secret has no default; write `from: credential:NAME`")
        if not (self.from_ or "").removeprefix("credential:") or self.from_ == self.credential:
            raise ValueError("a secret needs `from: credential:NAME`")

    def _check_range(self) -> None:
        if self.min is not None and self.default < self.min:
            raise ValueError(f"`default: {self.default}` is below `min: {self.min:g}`")
        if self.max is not None and self.default > self.max:
            raise ValueError(f"`default: {self.default}` is above `max: {self.max:g}`")
        if self.enum is not None and self.default not in self.enum:
            raise ValueError(f"`default: {self.default}` is not in `enum`")

    @property
    def credential(self) -> str:
        """The credential's name, for a secret."""
        return (self.from_ or "").removeprefix("credential:")

    @property
    def python_type(self) -> Any:
        return {"int": int, "number": float, "bool": bool}.get(self.type, str)


class Target(Settings, frozen=True, kw_only=True):
    """Whom it acts on: identity for the lock, the cooldown and the statistics."""

    kind: str
    id: str


class Limit(Settings, frozen=True, kw_only=True):
    runs: int = 6
    per: Duration = Duration(3600)

    def __post_init__(self) -> None:
        if self.runs < 1 or self.per <= 0:
            raise ValueError("`limit` must allow at least 1 run; to stop a playbook, mode: off")


class BlastRadius(Settings, frozen=True, kw_only=True):
    targets: int

    def __post_init__(self) -> None:
        if self.targets < 1:
            raise ValueError("`targets` must be at least 1; to stop a playbook, mode: off")


class Guard(Settings, frozen=True, kw_only=True):
    """What must be so before it may act, asked again before every step."""

    cooldown: Duration = Duration(900)
    limit: Limit = Limit()
    max_per_incident: int = 2
    blast_radius: BlastRadius | None = None
    require: tuple[Expression, ...] = ()

    def __post_init__(self) -> None:
        if self.max_per_incident < 1:
            raise ValueError("`max_per_incident` must be at least 1; to stop a playbook, mode: off")


class Measure(Settings, frozen=True, kw_only=True):
    """A number to ask for: by PromQL, or the newest value of a rule's own series."""

    promql: str | None = None
    rule: str | None = None
    where: Labels = {}

    def __post_init__(self) -> None:
        if (self.promql is None) == (self.rule is None):
            raise ValueError("say where the number comes from: `promql` or `rule`, not both")
        if self.where and self.rule is None:
            raise ValueError("`where` goes with `rule`")


class Check(Measure, frozen=True, kw_only=True):
    """A number and what it should be."""

    name: str
    expect: Expression
    no_data: NoData = "inconclusive"
    unit: Unit = ""


class Retry(Settings, frozen=True, kw_only=True):
    """Only ever after a failure that is known to have changed nothing."""

    times: int
    backoff: Duration = Duration(2)
    max: Duration = Duration(60)
    on: tuple[Literal["transient", "timeout"], ...] = ("transient",)

    def __post_init__(self) -> None:
        if not 1 <= self.times <= 10:
            raise ValueError(f"`times: {self.times}` must be 1 to 10")


class Call(Settings, frozen=True, kw_only=True, rename={"with_": "with"}):
    """An action that takes a step back."""

    do: str
    with_: dict[str, Any] = {}


class Step(Settings, frozen=True, kw_only=True, rename={"with_": "with", "if_": "if"}):
    """One change to the world."""

    id: str
    do: str
    with_: dict[str, Any] = {}
    if_: Expression | None = None
    timeout: Duration = Duration(60)
    retry: Retry | None = None
    undo: Call | Literal["auto", "none"] = "none"
    probe: Expression | None = None
    on_crash: Literal["probe", "retry", "rollback", "escalate"] = "probe"
    continue_on_error: bool = False

    def __post_init__(self) -> None:
        if not _WORD.fullmatch(self.id):
            raise ValueError(f"step id {self.id!r} must be a word of a-z, 0-9 and _ "
                             "(expressions say steps.ID)")  # fmt: skip
        if self.timeout <= 0:
            raise ValueError("`timeout` must be more than 0s")


class Verify(Settings, frozen=True, kw_only=True):
    """Did it help? Three answers: yes, no, and cannot be known."""

    within: Duration
    checks: tuple[Check, ...]
    must_not_worsen: tuple[Check, ...] = ()
    after: Duration = Duration(30)
    every: Duration = Duration(15)
    passes: int = 2

    def __post_init__(self) -> None:
        if not self.checks:
            raise ValueError("`checks` is empty: nothing would prove that it helped")
        if self.every < 1 or self.passes < 1:
            raise ValueError("`every` must be at least 1s and `passes` at least 1")
        needed = Duration(self.after + (self.passes - 1) * self.every)
        if needed > self.within:
            raise ValueError(f"can never pass: {self.passes} passes need {needed} "
                             f"(after + every), but `within` is {self.within}")  # fmt: skip
        names = [check.name for check in self.every_check]
        if len(set(names)) < len(names):
            raise ValueError("every check needs a name of its own")

    @property
    def every_check(self) -> tuple[Check, ...]:
        return (*self.checks, *self.must_not_worsen)


class OnFailure(Settings, frozen=True, kw_only=True):
    then: Literal["escalate", "notify"]
    rollback: Literal["never", "on_failed_step", "on_failed_verify", "always"]
    disable_after: int = 3

    def __post_init__(self) -> None:
        if self.disable_after < 1:
            raise ValueError("`disable_after` must be at least 1")


class Playbook(Settings, frozen=True, kw_only=True):
    """One file, one playbook, one safety contract."""

    playbook: Literal["v1"]
    name: str
    owner: str
    mode: Literal["off", "observe", "auto"]
    on: tuple[Trigger, ...]
    target: Target
    steps: tuple[Step, ...]
    verify: Verify
    on_failure: OnFailure
    description: str = ""
    runbook: str = ""
    params: dict[str, Param] = {}
    metrics: dict[str, Measure | str] = {}
    guard: Guard = Guard()
    timeout: Duration = Duration(1800)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name {self.name!r} must be words of a-z and 0-9 joined by -")
        for word in (*self.params, *self.metrics):
            if not _WORD.fullmatch(word):
                raise ValueError(f"{word!r} must be a word of a-z, 0-9 and _ to be read")
        if not self.on or not self.steps:
            raise ValueError("`on` and `steps` need at least one entry each")

    @property
    def ladder(self) -> Mode:
        return Mode[self.mode.upper()]

    @property
    def digest(self) -> str:
        """Of what it says, not of how it is laid out."""
        text = msgspec.json.encode(_words(self), order="deterministic")
        return hashlib.sha256(text).hexdigest()[:16]

    def measure(self, metric: str) -> Measure:
        found = self.metrics[metric]
        return found if isinstance(found, Measure) else Measure(promql=found)


def _words(found: Any) -> Any:
    if isinstance(found, msgspec.Struct):
        return {name: _words(getattr(found, name)) for name in found.__struct_fields__}
    if isinstance(found, dict):
        return {key: _words(entry) for key, entry in found.items()}
    if isinstance(found, (list, tuple)):
        return [_words(entry) for entry in found]
    return str(found) if isinstance(found, (str, float)) else found


# --- of the format, but not of this version ---------------------------------------------

_LATER: dict[tuple[str, ...], str] = {
    ("approval",): "use mode: observe or mode: auto",
    ("graduate",): "change `mode` by hand",
    ("tests",): "",
    ("notify",): "every notifier of aiopsd.yaml is told about every run",
    ("target", "cluster"): "make it a part of `id`",
    ("guard", "lock"): "a run locks its target",
    ("guard", "deny_windows"): "`aiopsd halt` stops automation by hand",
    ("guard", "blast_radius", "percent"): "use `targets`",
    ("guard", "blast_radius", "of"): "use `targets`",
    ("on_failure", "to"): "every notifier of aiopsd.yaml is told",
    ("on", "*", "manual"): "a playbook runs for an incident",
    ("steps", "*", "foreach"): "",
    ("steps", "*", "parallel"): "",
    ("steps", "*", "do", "approve"): "use mode: observe or mode: auto",
    ("steps", "*", "do", "wait"): "use `verify.after`",
    ("steps", "*", "do", "notify"): "every notifier of aiopsd.yaml is told about every run",
    ("steps", "*", "undo", "timeout"): "the step's own timeout counts",
    ("verify", "checks", "*", "logql"): "make a rule of it and write `rule`",
    ("verify", "must_not_worsen", "*", "logql"): "make a rule of it and write `rule`",
    ("on_failure", "then", "stop"): "use `then: notify`",
    ("mode", "approve"): "use mode: observe or mode: auto",
}


def not_yet(data: Any, path: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Every entry that is right by the format but not available here: where, and a sentence."""
    entries = data.items() if isinstance(data, dict) else enumerate(data)
    for key, entry in entries:
        here = (*path, key)
        pattern = tuple("*" if isinstance(part, int) else part for part in here)
        if pattern in _LATER:
            yield here, _sentence(str(key), _LATER[pattern])
        elif isinstance(entry, (dict, list)):
            yield from not_yet(entry, here)
        elif (*pattern, entry) in _LATER:
            text = _sentence(f"{key}: {entry}", _LATER[(*pattern, str(entry))])
            yield (*here, "="), text


def _sentence(what: str, instead: str) -> str:
    return f"`{what}` is not available in this version" + (f"; {instead}" if instead else "")
