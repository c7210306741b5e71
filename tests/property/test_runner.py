"""Random playbooks in a random world, killed at random points: what must never happen.

The world is the toy of the unit tests; it knows what really happened. Only the journal survives
a kill. Time is virtual, so that half an hour of verification is nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import looptime
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from unit.remediation.world import PLAYBOOK, SICK, World, playbook

from aiopsd.contracts import Action
from aiopsd.model import Outcome, Run
from aiopsd.remediation.schema import Playbook

WORDS = ["ok", "ok", "ok", "refused", "unreachable", "uncertain", "uncertain-done", "hang",
         "hang-done"]  # fmt: skip
LIVES = 40  # a run that needs more than this never ends

STEP = """  - id: s{index}
    do: toy.{verb}
    with: {{name: {name}, {amount}}}
    undo: {undo}
    on_crash: {on_crash}
    continue_on_error: {go_on}
    timeout: 20s
    {retry}
"""
UNDOS = ["auto", "none", "{{do: toy.add, with: {{name: {name}, by: 0}}}}"]
RETRIES = ["", "retry: {times: 2}", "retry: {times: 1, on: [transient, timeout]}"]


@st.composite
def playbooks(draw: Any) -> Playbook:
    steps = ""
    for index in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(["shop", "spare"]))
        steps += STEP.format(
            index=index,
            name=name,
            verb=(verb := draw(st.sampled_from(["set", "add"]))),
            amount="to: 1" if verb == "set" else "by: 1",
            undo=draw(st.sampled_from(UNDOS)).format(name=name).replace("{{", "{"),
            on_crash=draw(st.sampled_from(["probe", "probe", "rollback", "escalate"])),
            go_on=str(draw(st.booleans())).lower(),
            retry=draw(st.sampled_from(RETRIES)),
        )
    rollback = draw(st.sampled_from(["never", "on_failed_step", "on_failed_verify", "always"]))
    head, _, tail = PLAYBOOK.partition("  - id: lower")
    text = head + steps + "verify:" + tail.partition("verify:")[2]
    if "undo: auto" not in steps and "undo: {" not in steps:
        rollback = "never"
    return playbook(text.replace("rollback: always", f"rollback: {rollback}"))


@dataclass
class Fate:
    """What happens to a run from outside."""

    kills: dict[int, str]  # at which write into the journal, and when: before or after it
    kill_in_effect: int | None  # within which effect the daemon dies, once it has happened
    cancels: list[float]  # when, in seconds of each life
    halt_s: float | None
    halt_at_write: int | None
    over_s: float | None  # when the incident is over
    deaf_s: float | None
    sick: bool  # whether nothing helps


fates = st.builds(
    Fate,
    kills=st.dictionaries(st.integers(0, 25), st.sampled_from(["before", "after"]), max_size=4),
    kill_in_effect=st.none() | st.integers(0, 3),
    cancels=st.lists(st.floats(0, 0.3) | st.floats(0, 80), max_size=2),
    halt_s=st.none() | st.floats(0, 90),
    halt_at_write=st.none() | st.integers(0, 12),
    over_s=st.none() | st.floats(0, 90),
    deaf_s=st.none() | st.floats(0, 90),
    sick=st.booleans(),
)


class Killed(BaseException):
    """kill -9: nothing after this line happens."""


@dataclass
class Watched(World):
    """A world that kills, and notes what must never be."""

    fate: Fate = field(default_factory=lambda: Fate({}, None, [], None, None, None, None, False))
    writes: int = 0
    effects: int = 0
    sins: list[str] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._apply, self._undo, self._effect = self.toy.apply, self.toy.undo, self.toy._effect
        self.toy.apply = self.apply  # type: ignore[method-assign]
        self.toy.undo = self.undo  # type: ignore[method-assign]
        self.toy._effect = self.effect  # type: ignore[method-assign]

    async def append(self, run: Run) -> None:
        kill = self.fate.kills.get(self.writes)
        self.writes += 1
        await asyncio.sleep(0.003)
        if self.fate.halt_at_write == self.writes - 1:
            self.halt = "halted by ann"
        if kill == "before":
            raise Killed
        if self.closed:
            self.sins.append("written after it was closed")
        self.closed = run.closed
        self.journal.append(run)
        if kill == "after":
            raise Killed

    async def apply(self, action: Action) -> dict[str, Any]:
        self._look(action)
        began_s = self.clock()
        try:
            return await self._apply(action)
        except asyncio.CancelledError:
            if self.clock() - began_s < action.timeout_secs - 0.1:
                self.sins.append(f"{action.key} was cut before its timeout")
            raise

    async def undo(self, action: Action, before: Mapping[str, Any]) -> dict[str, Any]:
        self._look(None)
        return await self._undo(action, before)

    def effect(self, action: Action) -> None:
        self._effect(action)
        self.effects += 1
        if self.fate.kill_in_effect == self.effects - 1:
            raise Killed

    def _look(self, action: Action | None) -> None:
        """Right when something is done to the world."""
        if self.halt:
            self.sins.append(f"acted in spite of a halt: {action}")
        if any(moment.what == "late" for moment in self.journal[-1].moments):
            self.sins.append("acted although it was to look only")
        started = [step for step in self.journal[-1].steps if step.state == "started"]
        if action is not None and action.key not in {step.key for step in started}:
            self.sins.append(f"{action.key} was not journalled as started")
        if any(step.state == "unknown" for step in self.journal[-1].steps):
            self.sins.append("went on although nobody knows what happened")


async def live(world: Watched) -> Run:
    """Lives of the daemon until the run is closed."""
    fate = world.fate
    loop = asyncio.get_running_loop()
    plan = world.plan()
    decision = world.judge(plan)
    assert decision.verdict == "run"

    def at(when_s: float | None, name: str, value: Any) -> None:
        if when_s is not None:
            loop.call_later(when_s, setattr, world, name, value)

    at(fate.halt_s, "halt", "halted by ann")
    at(fate.deaf_s, "deaf", True)
    assert world.now is not None
    at(fate.over_s, "now", replace(world.now, state="resolved"))
    for life in range(LIVES):
        resumed = bool(world.journal)
        work = world.resume() if resumed else world.runner().run(plan, decision)
        task = asyncio.create_task(work)
        if life < len(fate.cancels):
            loop.call_later(fate.cancels[life], task.cancel)
        try:
            return await task
        except (Killed, asyncio.CancelledError):
            if not world.journal:
                continue  # it died before its first line: nothing was done, nobody resumes it
            if world.journal[-1].closed:
                return world.journal[-1]
    raise AssertionError("it never ends")


def check(world: Watched, run: Run) -> None:
    assert not world.sins, world.sins
    assert run is world.journal[-1]
    assert run.closed
    assert run.outcome in get_args(Outcome)
    assert run.ended_s is not None
    assert run.moments[-1].what in (run.outcome, "escalate")
    states = {step.id: step.state for step in run.steps}
    assert "started" not in states.values() or run.outcome == "rollback_failed", states
    if run.outcome == "healed":
        assert "unknown" not in states.values()
        assert "undone" not in states.values()

    happened = Counter(action.key.rsplit("/", 1)[0] for action in world.toy.applied)
    assert all(count == 1 for count in happened.values()), happened
    assumed = {s.id for s in world.playbook.steps if s.on_crash == "rollback"}
    for step, state in states.items():
        if state in ("done", "undone") and ":" not in step and step not in assumed:
            assert f"{run.id}/{step}" in happened, f"{step} is said to be {state}"
        if state == "failed" and ":" not in step:
            assert f"{run.id}/{step}" not in happened, f"{step} happened though said to fail"
    undone = _undone_in_order(world)
    assert undone == [s.id for s in reversed(world.playbook.steps) if s.id in undone]
    keys = Counter(action.key for action in world.toy.undone)
    assert all(count == 1 for count in keys.values()), keys


def _undone_in_order(world: Watched) -> list[str]:
    seen: list[str] = []
    for run in world.journal:
        seen += [s.id for s in run.steps if s.state == "undone" and s.id not in seen]
    return seen


PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)  # explaining takes long
SETTINGS = settings(
    max_examples=300, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow]
)  # virtual time; a shared machine


@SETTINGS
@given(
    playbooks(),
    fates,
    st.lists(st.sampled_from(WORDS), max_size=8),
    st.lists(st.sampled_from(WORDS), max_size=4),
    st.lists(st.sampled_from(["ok", "ok", "unreachable", "hang", "refused"]), max_size=4),
    st.booleans(),
)
def test_whatever_happens(
    one: Playbook,
    fate: Fate,
    script: list[str],
    undo_script: list[str],
    probe_script: list[str],
    knows: bool,
) -> None:
    loop = looptime.new_event_loop(start=0)
    try:
        world = Watched(playbook=one, levels={"shop": SICK, "spare": 0}, fate=fate)
        world.toy.script, world.toy.undo_script = list(script), list(undo_script)
        world.toy.probe_script, world.toy.knows = list(probe_script), knows
        if fate.sick:
            world.values['errors{thing="shop"}'] = 0.31
        run = loop.run_until_complete(live(world))
        event(str(run.outcome))
        check(world, run)
    finally:
        loop.close()
