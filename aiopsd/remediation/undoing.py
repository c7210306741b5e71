"""Steps put back, newest first, from their before-images; journalled like steps."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from aiopsd.contracts import Action
from aiopsd.errors import ConfigError, Refused, Uncertain, Unreachable
from aiopsd.model import StepRecord
from aiopsd.remediation import expressions
from aiopsd.remediation.expressions import ExpressionError
from aiopsd.remediation.scene import Scene, uncut
from aiopsd.remediation.schema import Call, Step

TRIES = 3  # only what is known not to have happened is tried again
WAIT_SECS = 2.0


async def undo(scene: Scene) -> str:
    """Why it stopped before all was put back; "" when it did not. Never goes past a failure."""
    steps = {step.id: step for step in scene.playbook.steps}
    for record in reversed(scene.run.steps):
        if record.id not in steps or record.state != "done":
            continue
        step = steps[record.id]
        if step.undo == "none":
            await scene.ledger.write(("undo", f"{step.id} has no way back"))
            continue
        begun = scene.ledger.record(_name(step))
        if begun is not None and begun.state != "planned":
            return f"nobody knows whether {step.id} was put back"
        for attempt in range(1, TRIES + 1):
            if attempt > 1:
                await scene.pause(WAIT_SECS)
            scene.stop_if_halted()
            error, again = await uncut(_put_back(scene, step, record, attempt))
            if not again:
                break
        if error:
            return f"{step.id} could not be put back: {error}"
    return ""


async def _put_back(scene: Scene, step: Step, record: StepRecord, attempt: int) -> tuple[str, bool]:
    """(what went wrong, whether it may be tried again)."""
    do, inputs = step.do, record.inputs
    back = StepRecord(
        id=_name(step),
        do=do,
        attempt=attempt,
        key=f"{scene.run.id}/{_name(step)}/{attempt}",
        before=record.before,
        started_s=scene.reach.clock(),
    )
    try:
        if isinstance(step.undo, Call):
            do = step.undo.do
            inputs = expressions.render(step.undo.with_, scene.context())
        back = replace(back, do=do, inputs=inputs)
        action = Action(do, scene.vault.open(inputs), float(step.timeout), back.key)
    except (ExpressionError, ConfigError) as error:
        return str(error), False
    await scene.ledger.put(replace(back, state="started"), told=("undo", f"{step.id}: undoing"))
    if scene.reach.halted(scene.run.target):
        await scene.ledger.put(replace(back, state="planned"))
        return "halted", False
    try:
        async with asyncio.timeout(step.timeout):
            result = await _do(scene, step, action, record)
    except (ConfigError, Refused) as error:
        return await _failed(scene, back, str(error)), False
    except Unreachable as error:
        return await _failed(scene, back, str(error)), True
    except (Uncertain, TimeoutError) as error:
        said = str(error) or f"no answer within {step.timeout}"
        await scene.ledger.put(replace(back, state="unknown", error=said))
        return f"nobody knows whether it was ({said})", False
    ended_s = scene.reach.clock()
    await scene.ledger.put(
        replace(back, state="done", result=result, ended_s=ended_s),
        replace(record, state="undone"),
        told=("undone", f"{step.id} undone"),
    )
    return "", False


async def _do(scene: Scene, step: Step, action: Action, record: StepRecord) -> dict[str, Any]:
    executor = scene.executor(action.name)
    if isinstance(step.undo, Call):
        return await executor.apply(action)
    return await executor.undo(action, record.before)


async def _failed(scene: Scene, back: StepRecord, error: str) -> str:
    record = replace(back, state="failed", error=error, ended_s=scene.reach.clock())
    await scene.ledger.put(record, told=("undo", f"{record.id} failed: {error}"))
    return error


def _name(step: Step) -> str:
    return f"{step.id}:undo"
