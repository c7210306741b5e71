"""May this plan run now? One pure function; people read its reasons word for word.

``hold`` means not now: it is asked again while the incident is open. ``refuse`` means not for
this incident. ``observe`` means that only the mode stands between the plan and the world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from aiopsd.model import Decision, Halt, Mode, Muted, Reason, Run, Suspect
from aiopsd.remediation import expressions
from aiopsd.remediation.expressions import ExpressionError
from aiopsd.remediation.matching import Plan
from aiopsd.settings import Duration

HOUR_SECS, DAY_SECS = 3600.0, 86400.0
AGAIN_SECS = 300.0  # after a run that did nothing
BAD = frozenset({"no_effect", "made_worse", "failed", "rollback_failed", "inconclusive"})

Verdict = Literal["run", "observe", "hold", "refuse"]
No = tuple[Verdict, Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What the gate must know of the daemon itself."""

    ceiling: Mode
    warm_s: float = 0.0  # until then it has just started: it looks, and does not act
    settle_secs: float = 0.0  # for so long the first suspect must have been the same
    blind: str = ""  # why it cannot see now; "" when it can
    storm: str = ""  # what breaks at once, while it does; "" when nothing does
    off_limits: Callable[[Suspect], Muted | None] = lambda _: None  # a silence over whom it acts on
    opened_lately: int = 0  # incidents opened within the last five minutes
    storm_incidents: int = 10
    runs_per_hour: int = 20
    at_once: int = 4


def judge(
    plan: Plan, *, history: Sequence[Run], halts: Iterable[Halt], now_s: float, house: House
) -> Decision:
    """``history``: runs that are open, and closed ones of the last day, in any order."""
    no = next(_objections(plan, history, halts, now_s, house), None)
    verdict, reason = no or _by_mode(plan, house)
    return Decision(
        id=f"{plan.incident.id}/{plan.playbook.name}",
        incident=plan.incident.id,
        playbook=plan.playbook.name,
        target=plan.target,
        mode=min(plan.playbook.ladder, house.ceiling).word,
        verdict=verdict,
        reason=reason,
        time_s=now_s,
    )


def acted(run: Run) -> bool:
    """Whether it touched the world, or may have."""
    return any(step.state in ("started", "done", "failed", "unknown", "undone")
               for step in run.steps)  # fmt: skip


def unmet(
    require: Iterable[str],
    context: dict[str, object],
    *,
    only: Callable[[expressions.Compiled], bool] = lambda _: True,
) -> Reason | None:
    """The first guard that does not hold, with the values that it looked at."""
    for text in require:
        expression = expressions.compiled(text)
        if not only(expression):
            continue
        try:
            if not expressions.true(text, context):
                return Reason(code="guard", text=f"guard not met: {text}{_values(text, context)}")
        except ExpressionError as error:
            return Reason(code="guard_error", text=f"guard cannot be judged: {text}: {error}")
    return None


def _objections(
    plan: Plan, history: Sequence[Run], halts: Iterable[Halt], now_s: float, house: House
) -> Iterator[No]:
    """Every reason against it, the gravest first."""
    yield from _switches(plan, halts, house)
    yield from _quiet(plan, house)
    yield from _records(plan, history, now_s)
    yield from _limits(plan, history, now_s, house)
    yield from _sight(plan, now_s, house)
    reason = unmet(plan.playbook.guard.require, plan.context, only=_known_now(plan))
    if reason is not None:
        yield "hold", reason


def _by_mode(plan: Plan, house: House) -> No:
    mode = min(plan.playbook.ladder, house.ceiling)
    if house.opened_lately > house.storm_incidents:
        return "observe", _reason(
            "storm",
            f"{house.opened_lately} incidents opened within five minutes: too many at once to "
            "act on any; is it the monitoring?",
            opened=house.opened_lately,
        )
    if mode < Mode.AUTO:
        whose = "the playbook's mode" if plan.playbook.ladder <= mode else "automation.mode"
        return "observe", _reason("mode", f"would run now; {whose} is {mode.word}")
    return "run", _reason("open", "every guard is open")


def _switches(plan: Plan, halts: Iterable[Halt], house: House) -> Iterator[No]:
    if plan.playbook.ladder == Mode.OFF:
        yield "refuse", _reason("off", "the playbook's mode is off")
    if house.ceiling == Mode.OFF:
        yield "refuse", _reason("off", "automation.mode is off")
    if plan.incident.closed:
        yield "refuse", _reason("closed", "the incident is no longer open")
    for halt in halts:
        if halt.on and halt.id in ("*", plan.target):
            what = "everything" if halt.id == "*" else halt.id
            said = f": {halt.reason}" if halt.reason else ""
            yield "hold", _reason("halted", f"{what} is halted by {halt.by}{said}")


def _quiet(plan: Plan, house: House) -> Iterator[No]:
    """Whoever silences something may be at work on it."""
    muted = plan.incident.muted or house.off_limits(plan.root)
    if muted is not None:
        numbers = {} if muted.until_s is None else {"until_s": muted.until_s}
        yield "hold", Reason(code=muted.code, text=muted.text, numbers=numbers)
    if house.storm:
        yield "hold", _reason("storm", house.storm)


def _records(plan: Plan, history: Sequence[Run], now_s: float) -> Iterator[No]:
    """What earlier runs on this target and for this incident say; refusals first."""
    on_target = sorted((r for r in history if r.target == plan.target), key=_ended, reverse=True)
    for run in on_target:
        if run.outcome == "rollback_failed" and now_s - _ended(run) < DAY_SECS:
            text = f"run {run.id} could not put {plan.target} back: a person must look first"
            yield "refuse", _reason("rollback_failed", text)
    yield from _disabled(plan, history, now_s)
    yield from _tried(plan, history)
    for run in on_target:
        if not run.closed:
            text = f"{run.playbook} is at it on {plan.target} (run {run.id})"
            yield "hold", _reason("lock", text)
    yield from _cooldown(plan, on_target, now_s)


def _tried(plan: Plan, history: Sequence[Run]) -> Iterator[No]:
    tried = [
        run
        for run in history
        if run.incident == plan.incident.id and run.playbook == plan.playbook.name and acted(run)
    ]
    most = plan.playbook.guard.max_per_incident
    if len(tried) >= most:
        text = f"it already ran {_times(len(tried))} for this incident (max_per_incident {most})"
        yield "refuse", _reason("max_per_incident", text, runs=len(tried))


def _disabled(plan: Plan, history: Sequence[Run], now_s: float) -> Iterator[No]:
    mine = [r for r in history if r.playbook == plan.playbook.name and r.closed and acted(r)
            and r.digest == plan.playbook.digest and now_s - _ended(r) < DAY_SECS]  # fmt: skip
    newest_first = sorted(mine, key=_ended, reverse=True)
    bad = len(list(takewhile(lambda r: r.outcome in BAD, newest_first)))
    if bad >= plan.playbook.on_failure.disable_after:
        yield "refuse", _reason(
            "disabled", f"the last {_times(bad)} it ran it did not help (disable_after "
            f"{plan.playbook.on_failure.disable_after}); it rests for a day, or until it is "
            "edited", runs=bad)  # fmt: skip


def _cooldown(plan: Plan, on_target: Sequence[Run], now_s: float) -> Iterator[No]:
    for run in on_target:
        wait = plan.playbook.guard.cooldown if acted(run) else AGAIN_SECS
        left = _ended(run) + wait - now_s
        if run.closed and left > 0:
            yield "hold", _reason(
                "cooldown", f"cooldown: run {run.id} on {plan.target} ended "
                f"{_ago(now_s - _ended(run))} ago ({run.outcome}); {_ago(left)} to go",
                left_s=left)  # fmt: skip


def _limits(plan: Plan, history: Sequence[Run], now_s: float, house: House) -> Iterator[No]:
    guard = plan.playbook.guard
    per = float(guard.limit.per)
    mine = [r for r in history if r.playbook == plan.playbook.name and acted(r)
            and now_s - r.started_s < per]  # fmt: skip
    if len(mine) >= guard.limit.runs:
        yield "hold", _reason("limit", f"it ran {_times(len(mine))} within {Duration(per)} "
                              f"(limit {guard.limit.runs})", runs=len(mine))  # fmt: skip
    targets = {run.target for run in mine} | {plan.target}
    if guard.blast_radius is not None and len(targets) > guard.blast_radius.targets:
        yield "hold", _reason(
            "blast_radius", f"this would be target {len(targets)} within {Duration(per)} "
            f"(blast_radius {guard.blast_radius.targets})", targets=len(targets))  # fmt: skip
    lately = [run for run in history if acted(run) and now_s - run.started_s < HOUR_SECS]
    if len(lately) >= house.runs_per_hour:
        yield "hold", _reason("runs_per_hour", f"{len(lately)} runs of all playbooks within an "
                              f"hour (limit {house.runs_per_hour})", runs=len(lately))  # fmt: skip
    at_it = [run for run in history if not run.closed]
    if len(at_it) >= house.at_once:
        yield "hold", _reason("at_once", f"{len(at_it)} runs are going on "
                              f"(limit {house.at_once})", runs=len(at_it))  # fmt: skip


def _sight(plan: Plan, now_s: float, house: House) -> Iterator[No]:
    if now_s < house.warm_s:
        yield "hold", _reason("warming_up", f"just started; acts in {_ago(house.warm_s - now_s)}")
    left = _suspected_s(plan, now_s) + house.settle_secs - now_s
    if left > 0:
        yield "hold", _reason("settling", f"the first suspect is new; acts in {_ago(left)} if it "
                              "stays the same", left_s=left)  # fmt: skip
    for why in (house.blind, plan.blind):
        if why:
            yield "hold", _reason("blind", f"cannot see, so does not act: {why}")


def _suspected_s(plan: Plan, now_s: float) -> float:
    """Since when the first suspect is the first. What is yet to come was told by a wrong clock."""
    moments = plan.incident.moments
    told = (m.time_s for m in moments if m.what == "suspect" and m.time_s <= now_s)
    return max(told, default=plan.incident.opened_s)


def _known_now(plan: Plan) -> Callable[[expressions.Compiled], bool]:
    """What only the executor can tell is asked right before the step; metrics once looked at."""

    def known(expression: expressions.Compiled) -> bool:
        state = any(read.parts[0] == "target" and read.parts[1:2] not in (("kind",), ("id",))
                    for read in expression.reads)  # fmt: skip
        return not state and ("metric" not in expression.roots or "metric" in plan.context)

    return known


def _values(text: str, context: dict[str, object]) -> str:
    """`` (root.score = 0.4, ...)``"""
    found = []
    for read in dict.fromkeys(map(str, expressions.compiled(text).reads)):
        try:
            found.append(f"{read} = {expressions.value(read, context)!r}")
        except ExpressionError:
            continue  # a label with a dash in it reads otherwise; the expression itself is shown
    return f" ({', '.join(found)})" if found else ""


def _reason(code: str, text: str, **numbers: float) -> Reason:
    return Reason(code=code, text=text, numbers=numbers)


def _ended(run: Run) -> float:
    return run.ended_s if run.ended_s is not None else run.started_s


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ago(secs: float) -> str:
    return str(Duration(max(0, round(secs))))
