"""A toy world: things with a level, an executor that sets levels, numbers that follow them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from aiopsd import document
from aiopsd.contracts import Action, Metrics
from aiopsd.errors import ConfigError, Refused, Uncertain, Unreachable
from aiopsd.model import Anomaly, Change, Decision, Incident, Mode, Run, Suspect
from aiopsd.remediation.gate import House, judge
from aiopsd.remediation.matching import Plan, match
from aiopsd.remediation.playbook import Playbook, load_playbook
from aiopsd.remediation.runner import Reach, Runner

START_S = 1_700_000_000.0
SICK, WELL = 9, 1

PLAYBOOK = """
playbook: v1
name: lower-it
owner: team-toy
mode: auto
on:
  - {incident: error-rate, when: root.score >= 0.5}
target: {kind: thing, id: "${root.service}"}
steps:
  - id: lower
    do: toy.set
    with: {name: "${root.service}", to: 1}
    undo: auto
verify:
  after: 10s
  every: 5s
  within: 1m
  passes: 3
  checks:
    - {name: errors, promql: 'errors{thing="${root.service}"}', expect: value < 0.05, unit: ratio}
on_failure: {rollback: always, then: escalate}
"""


class Toy:
    """``toy.set {name, to}`` and ``toy.add {name, by}``. ``script`` says how each apply goes.

    Words of the script: ok, refused, unreachable, uncertain, hang: the last two with ``-done``
    when the effect happens all the same.
    """

    actions = frozenset({"set", "add"})

    def __init__(self, levels: dict[str, int]) -> None:
        self.levels = levels
        self.script: list[str] = []
        self.undo_script: list[str] = []
        self.probe_script: list[str] = []
        self.applied: list[Action] = []  # effects that happened
        self.undone: list[Action] = []
        self.asked: list[tuple[str, Action]] = []  # every call, in order
        self.knows = True  # whether its own probe can tell

    def lint(self, verb: str, inputs: Mapping[str, Any]) -> Sequence[str]:
        if "name" not in inputs:
            return ["`name` is missing"]
        to = inputs.get("to", 0)
        return [] if isinstance(to, (int, float)) or "${" in to else ["`to` must be a number"]

    async def plan(self, action: Action) -> dict[str, Any]:
        raise AssertionError("nobody asked for a plan")

    async def before(self, action: Action) -> dict[str, Any]:
        self.asked.append(("before", action))
        return {"level": self.levels[action.inputs["name"]]}

    async def apply(self, action: Action) -> dict[str, Any]:
        self.asked.append(("apply", action))
        word = self.script.pop(0) if self.script else "ok"
        await asyncio.sleep(0.1)
        if word == "ok" or word.endswith("-done"):
            self._effect(action)
        await self._end(word)
        return {"level": self.levels[action.inputs["name"]], "token": action.inputs.get("token")}

    async def probe(self, action: Action, before: Mapping[str, Any]) -> bool | None:
        self.asked.append(("probe", action))
        word = self.probe_script.pop(0) if self.probe_script else "ok"
        await self._end(word)
        if not self.knows:
            return None
        return any(one.key == action.key for one in self.applied)

    async def undo(self, action: Action, before: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(("undo", action))
        word = self.undo_script.pop(0) if self.undo_script else "ok"
        if word == "ok" or word.endswith("-done"):
            self.levels[action.inputs["name"]] = before["level"]
            self.undone.append(action)
        await self._end(word)
        return {}

    def _effect(self, action: Action) -> None:
        self.applied.append(action)
        name = action.inputs["name"]
        if action.name == "toy.set":
            self.levels[name] = int(action.inputs["to"])
        else:
            self.levels[name] += int(action.inputs.get("by", 1))

    async def _end(self, word: str) -> None:
        match word.removesuffix("-done"):
            case "refused":
                raise Refused("exit 1: no such thing")
            case "unreachable":
                raise Unreachable("connection refused")
            case "uncertain":
                raise Uncertain("the connection broke")
            case "hang":
                await asyncio.sleep(86400)


def playbook(text: str = PLAYBOOK, **changes: Any) -> Playbook:
    """A playbook that lints clean, or the test fails with its problems."""
    read = document.parse(text, "toy.yaml")
    found = load_playbook(read, {"toy": Toy({})})
    assert found is not None, "\n".join(map(str, read.problems))
    return replace(found, **changes) if changes else found


def problems(text: str, **options: Any) -> list[str]:
    read = document.parse(text, "toy.yaml")
    found = load_playbook(read, {"toy": Toy({})}, **options)
    assert (found is None) == bool(read.problems)
    return [str(problem) for problem in sorted(read.problems)]


def incident(now_s: float = START_S, **changes: Any) -> Incident:
    anomaly = Anomaly(
        id="a-1",
        rule="error_ratio",
        kind="error-rate",
        severity="high",
        tier="certain",
        labels={"service": "shop"},
        entity={"service": "shop"},
        service="shop",
        onset_s=now_s - 120,
        seen_s=now_s,
        detector="band",
        title="errors",
        score=0.99,
    )
    change = Change(id="c-1", kind="deploy", time_s=now_s - 300, service="shop",
                    version="v2", previous="v1")  # fmt: skip
    root = Suspect(
        kind="Service",
        id="service/shop",
        service="shop",
        metric="error_ratio",
        anomaly_kind="error-rate",
        score=0.9,
        labels={"service": "shop", "instance": "h1"},
        change=change,
    )
    found = Incident(
        id="i-1",
        fingerprint="f",
        title="shop is sick",
        kind="error-rate",
        severity="high",
        opened_s=now_s - 60,
        onset_s=now_s - 120,
        updated_s=now_s,
        services=("shop",),
        anomalies=(anomaly,),
        suspects=(root,),
    )
    return replace(found, **changes)


@dataclass
class World:
    """Everything around a runner. ``journal`` is all that survives a crash."""

    playbook: Playbook = field(default_factory=playbook)
    levels: dict[str, int] = field(default_factory=lambda: {"shop": SICK})
    now: Incident | None = field(default_factory=incident)
    journal: list[Run] = field(default_factory=list)
    halt: str = ""
    deaf: bool = False  # metrics cannot be asked
    values: dict[str, float | None] = field(default_factory=dict)  # overrides, by query
    asked: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    redact: Callable[[Any], Any] = lambda found: found

    def __post_init__(self) -> None:
        self.toy = Toy(self.levels)
        self.ids = 0

    def clock(self) -> float:
        return START_S + asyncio.get_running_loop().time()

    def runner(self) -> Runner:
        reach = Reach(
            executors={"toy": self.toy},
            metrics=Metrics(self.promql, self.rule),
            journal=self.append,
            clock=self.clock,
            halted=lambda _: self.halt,
            secret=self.secret,
            incident=lambda name: self.now if self.now and self.now.id == name else None,
            redact=self.redact,
        )
        return Runner(reach, lambda _: self.playbook, self.new_id)

    def new_id(self) -> str:
        self.ids += 1
        return f"r-{self.ids}"

    async def append(self, run: Run) -> None:
        await asyncio.sleep(0)
        self.journal.append(run)

    async def promql(self, query: str) -> float | None:
        self.asked.append(query)
        if self.deaf:
            raise Unreachable("prometheus does not answer")
        if query in self.values:
            return self.values[query]
        return self.levels["shop"] / 100 if self.levels["shop"] < 5 else 0.31

    async def rule(self, name: str, where: Mapping[str, str]) -> float | None:
        return await self.promql(f"{name} {dict(where)}")

    def secret(self, name: str) -> str:
        if name not in self.secrets:
            raise ConfigError(f"no secret file {name!r}")
        return self.secrets[name]

    # --- what a test asks for -------------------------------------------------------------

    def plan(self) -> Plan:
        assert self.now is not None
        plans, refusals = match([self.playbook], self.now, self.clock())
        assert not refusals, refusals
        return plans[0]

    def judge(self, plan: Plan, **house: Any) -> Decision:
        history = list({run.id: run for run in self.journal}.values())
        given = {"ceiling": Mode.AUTO} | house
        return judge(plan, history=history, halts=(), now_s=self.clock(), house=House(**given))

    async def run(self) -> Run:
        plan = self.plan()
        decision = self.judge(plan)
        assert decision.verdict == "run", decision
        return await self.runner().run(plan, decision)

    async def resume(self) -> Run:
        """A new life: only the journal is left of the old one."""
        return await self.runner().resume(self.journal[-1])

    def story(self) -> list[str]:
        return [f"{moment.what}: {moment.text}" for moment in self.journal[-1].moments]
