"""One step forward: journalled before and after, never cut, never repeated blindly.

A step ends ``done``, ``failed`` (known not to have happened), ``skipped``, or ``unknown``.
``Refused`` and ``Unreachable`` mean it did not happen; ``Uncertain``, a timeout and a crash
mean that nobody knows, and then the world is asked: by ``probe``, else by the executor.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec.structs import replace

from aiopsd.contracts import Action
from aiopsd.errors import ConfigError, Refused, Uncertain, Unreachable
from aiopsd.model import StepRecord
from aiopsd.remediation import expressions
from aiopsd.remediation.expressions import ExpressionError
from aiopsd.remediation.scene import Scene, Stop, uncut
from aiopsd.remediation.schema import Step

PROBES = 5  # how often the world is asked when it does not answer
PROBE_WAIT_SECS = 2.0  # doubled each time

Cause = Literal["", "final", "transient", "timeout"]


@dataclass(frozen=True, slots=True)
class Tried:
    """How an attempt ended, and why it failed."""

    record: StepRecord
    cause: Cause = ""


async def forward(scene: Scene, step: Step) -> None:
    """Takes a step, or goes on with it after a crash. Raises Stop when the run must end."""
    record = scene.ledger.record(step.id)
    tried: Tried | None = None
    if record is not None and record.state in ("started", "unknown"):
        tried = await uncut(_after_crash(scene, step, record))
    elif record is not None and record.state != "planned":
        tried = Tried(record, "final")
    elif not await _wanted(scene, step):
        return
    while tried is None or _again(step, tried):
        if tried is not None and step.retry is not None:
            factor = 2.0 ** (tried.record.attempt - 1)
            await scene.pause(min(step.retry.backoff * factor, step.retry.max))
        tried = await _try(scene, step, 1 if tried is None else tried.record.attempt + 1)
    _conclude(step, tried.record)


def _again(step: Step, tried: Tried) -> bool:
    return (
        tried.record.state == "failed"
        and step.retry is not None
        and tried.cause in step.retry.on
        and tried.record.attempt <= step.retry.times
    )


def _conclude(step: Step, record: StepRecord) -> None:
    if record.state == "unknown":
        raise Stop("failed", f"nobody knows whether {step.id} happened ({record.error}); "
                             "it is not repeated: a person must look")  # fmt: skip
    if record.state == "failed" and not step.continue_on_error:
        raise Stop("failed", f"{step.id} failed: {record.error}", undo="by_policy")


async def _wanted(scene: Scene, step: Step) -> bool:
    """Whether ``if`` holds. One that cannot be judged is not true, and that is told."""
    if step.if_ is None:
        return True
    why = f"{step.if_} is false"
    await scene.look()
    try:
        if expressions.true(step.if_, scene.context()):
            return True
    except ExpressionError as error:
        why = f"{step.if_} cannot be judged: {error}"
    record = StepRecord(id=step.id, do=step.do, state="skipped", error=why)
    await scene.ledger.put(record, told=("skip", f"{step.id} skipped: {why}"))
    return False


# --- one attempt ------------------------------------------------------------------------


async def _try(scene: Scene, step: Step, attempt: int) -> Tried:
    scene.stop_if_pointless()
    await scene.look()
    record = StepRecord(
        id=step.id,
        do=step.do,
        attempt=attempt,
        key=f"{scene.run.id}/{step.id}/{attempt}",
        started_s=scene.reach.clock(),
    )
    try:
        record = replace(record, inputs=expressions.render(step.with_, scene.context()))
        _refuse_options(step.with_, record.inputs)
        action = _action(scene, step, record)
        wrong = scene.executor(step.do).lint(step.do.partition(".")[2], action.inputs)
        if wrong:
            raise Refused("; ".join(wrong))
        async with asyncio.timeout(step.timeout):
            before = await scene.executor(step.do).before(action)
    except (ExpressionError, ConfigError, Refused) as error:
        return await _failed(scene, record, str(error), "final")
    except (Unreachable, Uncertain, TimeoutError) as error:
        return await _failed(scene, record, _said(error, step), "transient")
    await scene.stop_if_unguarded(before)
    await scene.stop_if_worse()
    scene.stop_if_pointless()
    return await uncut(_apply(scene, step, action, replace(record, before=before)))


async def _apply(scene: Scene, step: Step, action: Action, record: StepRecord) -> Tried:
    """Journal, side effect, journal: all or, after a crash, a question."""
    again = f" (attempt {record.attempt})" if record.attempt > 1 else ""
    text = f"{step.id}: {step.do}{_inputs(record.inputs)}{again}"
    await scene.ledger.put(replace(record, state="started"), told=("apply", text))
    if scene.reach.halted(scene.run.target):  # it came while the journal was written
        await scene.ledger.put(replace(record, state="planned"))
        scene.stop_if_halted()
        raise Stop("superseded", "halted")
    try:
        async with asyncio.timeout(step.timeout):
            result = await scene.executor(step.do).apply(action)
    except (ConfigError, Refused) as error:
        return await _failed(scene, record, str(error), "final")
    except Unreachable as error:
        return await _failed(scene, record, str(error), "transient")
    except (Uncertain, TimeoutError) as error:
        record = replace(record, state="unknown", error=_said(error, step))
        await scene.ledger.put(record, told=("apply", f"{step.id}: {record.error}"))
        return await settle(scene, step, record)
    now_s = scene.reach.clock()
    record = replace(record, state="done", result=result, ended_s=now_s)
    took = f"{step.id} done in {now_s - (record.started_s or now_s):.3g} s"
    await scene.ledger.put(record, told=("apply", took))
    return Tried(record)


async def _failed(scene: Scene, record: StepRecord, error: str, cause: Cause) -> Tried:
    record = replace(record, state="failed", error=error, ended_s=scene.reach.clock())
    await scene.ledger.put(record, told=("apply", f"{record.id} failed: {error}"))
    return Tried(record, cause)


def _action(scene: Scene, step: Step, record: StepRecord) -> Action:
    """With secrets: goes to the executor and nowhere else."""
    return Action(step.do, scene.vault.open(record.inputs), float(step.timeout), record.key)


# --- what nobody knows ------------------------------------------------------------------


async def _after_crash(scene: Scene, step: Step, record: StepRecord) -> Tried:
    record = replace(record, error=record.error or "the daemon died during it")
    match step.on_crash:
        case "retry":  # its author says that doing it twice does no harm
            return await _try(scene, step, record.attempt + 1)
        case "rollback":
            why = f"the daemon died during {step.id}"
            record = (await settle(scene, step, record)).record
            if record.state == "unknown":  # its author says that undoing it does no harm
                record = replace(record, state="done")
            told = ("undo", why)
            await scene.ledger.put(record, told=told, state="undoing", outcome="failed")
            raise Stop("failed", why, undo="always")
        case "escalate":
            record = replace(record, state="unknown")
            await scene.ledger.put(record)
            return Tried(record)
    return await settle(scene, step, record)


async def settle(scene: Scene, step: Step, record: StepRecord) -> Tried:
    """Asks the world whether it happened. No clear answer: unknown, and it stays so."""
    happened, why = await _probe(scene, step, record)
    now_s = scene.reach.clock()
    if happened is None:
        record = replace(record, state="unknown", error=f"{record.error}; probe: {why}")
        await scene.ledger.put(record, told=("probe", f"did {step.id} happen? {why}"))
        return Tried(record)
    if happened:
        record = replace(record, state="done", ended_s=now_s)
        await scene.ledger.put(record, told=("probe", f"{step.id} did happen"))
        return Tried(record)
    record = replace(record, state="failed", ended_s=now_s)
    await scene.ledger.put(record, told=("probe", f"{step.id} did not happen"))
    return Tried(record, "timeout")


async def _probe(scene: Scene, step: Step, record: StepRecord) -> tuple[bool | None, str]:
    """(did it happen, why that is not known)."""
    why, wait_secs = "", PROBE_WAIT_SECS
    for probe in range(PROBES):
        try:
            action = _action(scene, step, record)
            async with asyncio.timeout(step.timeout):
                return await _ask(scene, step, action, record.before), "there is no telling"
        except (Unreachable, Uncertain, TimeoutError) as error:
            why = _said(error, step)
        except (ConfigError, Refused, ExpressionError) as error:
            return None, str(error)
        if probe + 1 < PROBES:
            await asyncio.sleep(wait_secs)
            wait_secs *= 2
    return None, why


async def _ask(scene: Scene, step: Step, action: Action, before: Mapping[str, Any]) -> bool | None:
    executor = scene.executor(step.do)
    if step.probe is None:
        return await executor.probe(action, before)
    return expressions.true(step.probe, scene.context(await executor.before(action)))


# --- in words ---------------------------------------------------------------------------


def _said(error: BaseException, step: Step) -> str:
    return str(error) or f"no answer within {step.timeout}"


def _inputs(inputs: Mapping[str, Any]) -> str:
    """What a person wants to read of them: a command as it would be typed."""
    words = [_words(name, given) for name, given in inputs.items() if not name.endswith("_argv")]
    text = " ".join(words)
    return (" " + (text if len(text) < 160 else text[:157] + "...")) if text else ""


def _words(name: str, given: Any) -> str:
    if name == "argv" and isinstance(given, (list, tuple)):
        return shlex.join(map(str, given))
    return f"{name}={given if isinstance(given, str) else expressions.plain(given)}"


def _refuse_options(written: Mapping[str, Any], filled: Mapping[str, Any]) -> None:
    """What comes out of a label is data: it must not become an option of a program."""
    for name in (name for name in written if name.endswith("argv")):
        for template, word in zip(written[name], filled[name], strict=False):
            if str(template).startswith("${") and str(word).startswith("-"):
                raise Refused(f"{name}: {template} is {word!r}, which a program takes as an option")
