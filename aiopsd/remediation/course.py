"""The course of a run, from wherever it stands to its end: steps, verification, way back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiopsd.remediation.measuring import check_values
from aiopsd.remediation.scene import Ending, Scene, Stop, uncut
from aiopsd.remediation.stepping import forward, settle
from aiopsd.remediation.undoing import undo
from aiopsd.remediation.verify import Sample, Verification

WELL = ("healed", "healed_by_itself")


async def live(scene: Scene, *, late: str = "") -> None:
    """Until the run is closed. ``late``: why it may take no more steps, only look and report."""
    try:
        ending = await (_only_look(scene, late) if late else _go_on(scene))
    except Stop as stop:
        ending = stop.ending
    if _goes_back(scene, ending) and not late:
        ending = await _go_back(scene, ending)
    await close(scene, ending)


async def close(scene: Scene, ending: Ending) -> None:
    """Every run ends here, in one word."""
    story: list[tuple[str, str]] = [(ending.outcome, f"{scene.playbook.name}: {ending.why}")]
    ill = ending.outcome not in WELL and (scene.changed or ending.outcome == "failed")
    if ill and scene.playbook.on_failure.then == "escalate":
        runbook = f"; runbook: {scene.playbook.runbook}" if scene.playbook.runbook else ""
        story.append(("escalate", f"{scene.playbook.owner} must look{runbook}"))
    ended_s = scene.reach.clock()
    await scene.ledger.write(*story, state="closed", outcome=ending.outcome, ended_s=ended_s)


async def _go_on(scene: Scene) -> Ending:
    if scene.run.state == "undoing":
        return Ending(scene.run.outcome or "failed", "a restart came between", "always")
    if scene.run.state == "running":
        await _take_baseline(scene)
        for step in scene.playbook.steps:
            if scene.changed and scene.incident_closed and scene.settled:
                await scene.ledger.write(("skip", "the incident is over; no further step"))
                break
            await forward(scene, step)
        if not scene.changed:
            return Ending("superseded", "no step had anything to do")
    return await _verify(scene)


async def _only_look(scene: Scene, late: str) -> Ending:
    """After a restart that came too late: says what happened, and changes nothing."""
    await scene.ledger.write(("late", f"not resumed: {late}"))
    if scene.run.state == "undoing":
        return Ending("rollback_failed", f"it was being undone when the daemon stopped; {late}")
    for step in scene.playbook.steps:
        record = scene.ledger.record(step.id)
        if record is not None and record.state in ("started", "unknown"):
            tried = await uncut(settle(scene, step, record))
            if tried.record.state == "unknown":
                return Ending("failed", f"nobody knows whether {step.id} happened")
    if not scene.changed:
        return Ending("healed_by_itself" if scene.incident_closed else "superseded",
                      f"nothing was done, and {late}")  # fmt: skip
    return await _verify(scene)


# --- verification -----------------------------------------------------------------------


async def _take_baseline(scene: Scene) -> None:
    """The numbers before anything is done. Who cannot see does not act."""
    if scene.changed or scene.run.baseline:
        return
    scene.stop_if_pointless()
    checks = scene.playbook.verify.every_check
    samples, blind = await check_values(checks, scene.reach.metrics, scene.context())
    if blind:
        raise Stop("inconclusive", f"cannot see, so nothing was done: {blind}")
    await scene.ledger.write(baseline={name: sample.value for name, sample in samples.items()})


async def _verify(scene: Scene) -> Ending:
    await scene.ledger.write(state="verifying")
    loop, spec = asyncio.get_running_loop(), scene.playbook.verify
    watch = _watch(scene, loop.time())
    wait_secs = float(spec.after)
    while True:
        await scene.pause(wait_secs)
        verdict = watch.feed(loop.time(), await _samples(scene, watch.context))
        if verdict.news:
            await scene.ledger.write(("verify", verdict.text))
        if verdict.word != "waiting":
            bad = verdict.word in ("no_effect", "made_worse")
            return Ending(verdict.word, verdict.text, "by_policy" if bad else "no")
        wait_secs = float(spec.every)


def _watch(scene: Scene, began_s: float) -> Verification:
    return Verification(scene.playbook.verify, scene.run.baseline, scene.context(), began_s)


async def _samples(scene: Scene, context: Mapping[str, object]) -> dict[str, Sample]:
    checks = scene.playbook.verify.every_check
    samples, _ = await check_values(checks, scene.reach.metrics, context)
    return samples


# --- the way back -----------------------------------------------------------------------


def _goes_back(scene: Scene, ending: Ending) -> bool:
    if ending.undo == "always":
        return True
    policy = scene.playbook.on_failure.rollback
    if ending.undo == "no" or policy == "never":
        return False
    match ending.outcome:
        case "no_effect":
            return policy in ("on_failed_verify", "always")
        case "made_worse":
            return True
        case _:
            return policy in ("on_failed_step", "always")


async def _go_back(scene: Scene, ending: Ending) -> Ending:
    told = ("undo", f"going back: {ending.why}")
    await scene.ledger.write(told, state="undoing", outcome=ending.outcome)
    try:
        error = await undo(scene)
        if error:
            return Ending("rollback_failed", f"{ending.why}; {error}")
        await _look_back(scene)
    except Stop as stop:
        return Ending(ending.outcome, f"{ending.why}; not all was undone: {stop.ending.why}")
    return ending


async def _look_back(scene: Scene) -> None:
    """Says what the numbers are once the steps are undone."""
    if not any(step.state == "undone" for step in scene.run.steps):
        return
    await scene.pause(scene.playbook.verify.after)
    watch = _watch(scene, 0.0)
    said = watch.describe(await _samples(scene, watch.context))
    await scene.ledger.write(("undone", f"after going back: {said}"))
