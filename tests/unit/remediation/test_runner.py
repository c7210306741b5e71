"""A run from its first line to its last word, in virtual time: the rows of the error table."""

import asyncio

import pytest
from msgspec.structs import replace
from unit.remediation.world import PLAYBOOK, SICK, WELL, World, incident, playbook

from aiopsd.errors import Refused
from aiopsd.model import Run
from aiopsd.redaction import Redactor
from aiopsd.remediation.runner import Runner

pytestmark = pytest.mark.looptime

TWO_STEPS = PLAYBOOK.replace(
    "verify:",
    """  - id: second
    do: toy.add
    with: {name: spare, by: 2}
    undo: {do: toy.add, with: {name: spare, by: -2}}
verify:""",
    1,
)
RETRY = PLAYBOOK.replace("undo: auto", "undo: auto\n    retry: {times: 2, backoff: 5s}")
RETRY_ON_TIMEOUT = PLAYBOOK.replace(
    "undo: auto", "undo: auto\n    retry: {times: 2, on: [transient, timeout]}"
)


def two(text: str = TWO_STEPS) -> World:
    return World(playbook=playbook(text), levels={"shop": SICK, "spare": 0})


def states(run: Run) -> dict[str, str]:
    return {step.id: step.state for step in run.steps}


async def test_heals_and_says_so_with_numbers() -> None:
    world = World()
    run = await world.run()
    assert (run.state, run.outcome) == ("closed", "healed")
    assert world.levels["shop"] == WELL
    assert world.story() == [
        "run: lower-it on thing/shop",
        "apply: lower: toy.set name=shop to=1",
        "apply: lower done in 0.1 s",
        "verify: pass 1 of 3: errors 31 % -> 1 %",
        "verify: pass 2 of 3: errors 31 % -> 1 %",
        "verify: pass 3 of 3: errors 31 % -> 1 %",
        "healed: lower-it: pass 3 of 3: errors 31 % -> 1 %",
    ]


async def test_journals_intent_with_the_before_image_before_the_side_effect() -> None:
    world = World()
    await world.run()
    versions = [run.steps[0] for run in world.journal if run.steps]
    assert [step.state for step in versions[:2]] == ["started", "done"]
    started = versions[0]
    assert started.key == "r-1/lower/1"
    assert (started.inputs, started.before) == ({"name": "shop", "to": 1}, {"level": SICK})


async def test_refuses_what_the_gate_did_not_let_pass() -> None:
    world = World()
    plan = world.plan()
    decision = replace(world.judge(plan), verdict="observe")
    with pytest.raises(Refused, match="gate did not let lower-it run"):
        await world.runner().run(plan, decision)
    assert not world.toy.asked
    assert not world.journal


async def test_one_run_a_target() -> None:
    world = World()
    plan, runner = world.plan(), world.runner()
    decision = world.judge(plan)
    first = asyncio.create_task(runner.run(plan, decision))
    await asyncio.sleep(1)
    assert list(runner.active) == ["thing/shop"]
    with pytest.raises(Refused, match="run r-1 is at it on thing/shop"):
        await runner.run(plan, decision)
    assert (await first).outcome == "healed"
    assert not runner.active


# --- a step fails -----------------------------------------------------------------------


async def test_a_refused_step_is_not_repeated_and_the_others_are_undone_in_reverse() -> None:
    world = two(
        TWO_STEPS.replace("verify:", "  - {id: third, do: toy.set, "
                          "with: {name: spare, to: 7}, retry: {times: 3}}\nverify:", 1)
    )  # fmt: skip
    world.toy.script = ["ok", "ok", "refused"]
    run = await world.run()
    assert run.outcome == "failed"
    assert states(run) == {
        "lower": "undone", "second": "undone", "third": "failed",
        "second:undo": "done", "lower:undo": "done",
    }  # fmt: skip
    assert world.levels == {"shop": SICK, "spare": 0}
    assert [line for line in world.story() if line.startswith("undone")] == [
        "undone: second undone",
        "undone: lower undone",
        "undone: after going back: errors 31 % -> 31 %",
    ]
    assert "escalate: team-toy must look" in world.story()


async def test_unreachable_did_not_happen_so_it_is_tried_again() -> None:
    world = World(playbook=playbook(RETRY))
    world.toy.script = ["unreachable", "unreachable", "ok"]
    began = world.clock()
    run = await world.run()
    assert run.outcome == "healed"
    assert run.steps[0].attempt == 3
    assert [action.key for _, action in world.toy.asked if _ == "apply"] == [
        "r-1/lower/1", "r-1/lower/2", "r-1/lower/3",
    ]  # fmt: skip
    waited = (run.steps[0].started_s or 0) - began
    assert 15 <= waited < 16  # 5 s, then twice that


async def test_retries_end() -> None:
    world = World(playbook=playbook(RETRY))
    world.toy.script = ["unreachable"] * 9
    run = await world.run()
    assert (run.outcome, run.steps[0].attempt) == ("failed", 3)
    assert not world.toy.applied


async def test_continue_on_error_goes_on() -> None:
    text = PLAYBOOK.replace(
        "steps:",
        "steps:\n  - {id: look, do: toy.add, with: {name: spare}, continue_on_error: true}",
    )
    world = two(text)
    world.toy.script = ["refused"]
    run = await world.run()
    assert (run.outcome, states(run)) == ("healed", {"look": "failed", "lower": "done"})


# --- nobody knows -----------------------------------------------------------------------


@pytest.mark.parametrize("word", ["hang-done", "uncertain-done"])
async def test_a_timeout_is_unknown_and_the_probe_says_it_happened(word: str) -> None:
    world = World(playbook=playbook(RETRY_ON_TIMEOUT))
    world.toy.script = [word]
    run = await world.run()
    assert run.outcome == "healed"
    assert "unknown" in [r.steps[0].state for r in world.journal if r.steps]
    assert len(world.toy.applied) == 1
    assert "probe: lower did happen" in world.story()


@pytest.mark.parametrize("word", ["hang", "uncertain"])
async def test_the_probe_says_no_and_retry_on_timeout_tries_again(word: str) -> None:
    world = World(playbook=playbook(RETRY_ON_TIMEOUT))
    world.toy.script = [word]
    run = await world.run()
    assert (run.outcome, run.steps[0].attempt) == ("healed", 2)
    assert "probe: lower did not happen" in world.story()


async def test_the_probe_says_no_and_without_retry_the_step_has_failed() -> None:
    world = World()
    world.toy.script = ["hang"]
    run = await world.run()
    assert (run.outcome, states(run)) == ("failed", {"lower": "failed"})
    assert [name for name, _ in world.toy.asked].count("apply") == 1


async def test_no_telling_is_never_repeated_and_a_person_is_asked() -> None:
    world = World(playbook=playbook(RETRY_ON_TIMEOUT))
    world.toy.script, world.toy.knows = ["hang"], False
    run = await world.run()
    assert (run.outcome, states(run)) == ("failed", {"lower": "unknown"})
    assert [name for name, _ in world.toy.asked].count("apply") == 1
    assert not world.toy.undone
    assert "a person must look" in world.story()[-2]


async def test_a_probe_that_cannot_be_asked_is_asked_again() -> None:
    world = World()
    world.toy.script, world.toy.probe_script = ["uncertain-done"], ["unreachable", "unreachable"]
    assert (await world.run()).outcome == "healed"
    assert [name for name, _ in world.toy.asked].count("probe") == 3


@pytest.mark.parametrize(
    ("probe", "outcome"),
    [
        ("target.level < steps.lower.before.level", "healed"),
        ("target.level == steps.lower.before.level", "failed"),
        ("target.levle == 1", "failed"),
    ],
)
async def test_the_playbook_may_say_how_to_tell(probe: str, outcome: str) -> None:
    text = PLAYBOOK.replace("undo: auto", f'undo: auto\n    probe: "{probe}"')
    world = World(playbook=playbook(text))
    world.toy.script = ["hang-done"]
    run = await world.run()
    assert run.outcome == outcome
    assert "probe" not in [name for name, _ in world.toy.asked]
    if "levle" in probe:
        assert "there is no `target.levle`" in run.steps[0].error
        assert run.steps[0].state == "unknown"


# --- verification -----------------------------------------------------------------------


async def test_no_effect_is_undone_and_told() -> None:
    world = World(values={'errors{thing="shop"}': 0.31})
    run = await world.run()
    assert (run.outcome, states(run)["lower"]) == ("no_effect", "undone")
    assert world.levels["shop"] == SICK
    assert any("not within 1m: errors 31 % -> 31 %" in line for line in world.story())


async def test_rollback_never_leaves_it() -> None:
    text = PLAYBOOK.replace("rollback: always", "rollback: never")
    world = World(playbook=playbook(text), values={'errors{thing="shop"}': 0.31})
    run = await world.run()
    assert (run.outcome, states(run)) == ("no_effect", {"lower": "done"})


async def test_no_data_is_inconclusive_and_nothing_is_undone() -> None:
    world = World()
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(5)
    world.values['errors{thing="shop"}'] = None
    run = await task
    assert (run.outcome, states(run)) == ("inconclusive", {"lower": "done"})
    assert "escalate: team-toy must look" in world.story()


async def test_metrics_that_go_away_during_verification_are_no_data() -> None:
    world = World()
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(5)
    world.deaf = True
    run = await task
    assert run.outcome == "inconclusive"
    assert any("prometheus does not answer" in line for line in world.story())


async def test_who_cannot_see_does_not_act() -> None:
    world = World(deaf=True)
    run = await world.run()
    assert run.outcome == "inconclusive"
    assert not world.toy.asked


WORSEN = """
  must_not_worsen:
    - {name: latency, promql: latency, expect: value <= baseline * 1.2, unit: seconds}
on_failure:"""


async def test_worse_ends_the_verification_at_once_and_goes_back() -> None:
    text = PLAYBOOK.replace("rollback: always", "rollback: on_failed_step")
    world = World(playbook=playbook(text.replace("\non_failure:", WORSEN)))
    world.values["latency"] = 0.1
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(5)
    world.values["latency"] = 0.3
    run = await task
    assert (run.outcome, states(run)["lower"]) == ("made_worse", "undone")
    assert any("worse: latency 0.1 s -> 0.3 s" in line for line in world.story())


async def test_worse_between_steps_stops_the_rest() -> None:
    world = two(TWO_STEPS.replace("\non_failure:", WORSEN))
    world.values["latency"] = 0.1
    world.toy.script = ["ok", "ok"]
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(0.05)
    world.values["latency"] = 0.3
    run = await task
    assert run.outcome == "made_worse"
    assert "second" not in states(run)
    assert world.levels["shop"] == SICK


async def test_a_rollback_that_fails_is_said_and_ends_there() -> None:
    world = two()
    world.values['errors{thing="shop"}'] = 0.31
    world.toy.script = ["ok", "ok", "refused"]  # the way back of `second` is an apply
    run = await world.run()
    assert run.outcome == "rollback_failed"
    assert states(run)["lower"] == "done"
    assert not world.toy.undone
    assert "second could not be put back: exit 1" in world.story()[-2]


async def test_a_way_back_that_cannot_be_reached_is_tried_again() -> None:
    world = World(values={'errors{thing="shop"}': 0.31})
    world.toy.undo_script = ["unreachable", "unreachable", "ok"]
    run = await world.run()
    assert (run.outcome, world.levels["shop"]) == ("no_effect", SICK)


async def test_nobody_knows_whether_it_was_undone() -> None:
    world = World(values={'errors{thing="shop"}': 0.31})
    world.toy.undo_script = ["uncertain-done"]
    run = await world.run()
    assert (run.outcome, states(run)["lower:undo"]) == ("rollback_failed", "unknown")
    assert len(world.toy.undone) == 1


# --- guards, asked again before every step ----------------------------------------------


async def test_a_guard_that_turned_false_stops_before_the_next_step() -> None:
    world = two(TWO_STEPS.replace("steps:", "guard: {require: [root.score > 0.5]}\nsteps:", 1))
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(0.05)
    assert world.now is not None
    world.now = replace(world.now, suspects=(replace(world.now.suspects[0], score=0.2),))
    run = await task
    assert (run.outcome, states(run)) == ("superseded", {"lower": "done"})
    assert "guard not met: root.score > 0.5 (root.score = 0.2)" in world.story()[-2]


async def test_what_the_executor_sees_is_guarded_too() -> None:
    text = PLAYBOOK.replace("steps:", "guard: {require: [target.level < 5]}\nsteps:", 1)
    world = World(playbook=playbook(text))
    run = await world.run()
    assert run.outcome == "superseded"
    assert "guard not met: target.level < 5 (target.level = 9)" in world.story()[-1]
    assert [name for name, _ in world.toy.asked] == ["before"]


async def test_metrics_in_guards_are_asked_anew() -> None:
    text = PLAYBOOK.replace("steps:", "metrics: {spare: spare_capacity}\n"
                            "guard: {require: [metric.spare > 0.5]}\nsteps:", 1)  # fmt: skip
    world = World(playbook=playbook(text), values={"spare_capacity": None})
    run = await world.run()
    assert run.outcome == "superseded"
    assert "`metric.spare` is null" in world.story()[-1]


async def test_steps_see_metrics_as_they_are_now() -> None:
    text = PLAYBOOK.replace("steps:", "metrics: {wanted: wanted_level}\nsteps:", 1)
    text = text.replace("to: 1}", 'to: "${metric.wanted}"}\n    if: metric.wanted > 0.5')
    world = World(playbook=playbook(text), values={"wanted_level": 2.0})
    run = await world.run()
    assert (run.outcome, run.steps[0].inputs["to"]) == ("healed", 2.0)


async def test_an_incident_that_is_over_needs_nothing() -> None:
    world = World()
    plan = world.plan()
    decision = world.judge(plan)
    assert world.now is not None
    world.now = replace(world.now, state="resolved")
    run = await world.runner().run(plan, decision)
    assert run.outcome == "healed_by_itself"
    assert not world.toy.asked


async def test_another_first_suspect_is_another_diagnosis() -> None:
    world = World()
    plan = world.plan()
    decision = world.judge(plan)
    assert world.now is not None
    world.now = replace(world.now, suspects=(replace(world.now.suspects[0], id="service/db"),))
    run = await world.runner().run(plan, decision)
    assert run.outcome == "superseded"
    assert "the first suspect is service/db now" in world.story()[-1]


async def test_what_a_step_names_stays_as_it_was_when_the_run_began() -> None:
    text = TWO_STEPS.replace("{name: spare, by: 2}", '{name: "${root.service}", by: 2}')
    text = text.replace("{name: spare, by: -2}", '{name: "${root.service}", by: -2}')
    world = World(playbook=playbook(text), levels={"shop": SICK, "db": 0})
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(0.05)  # within the first step
    assert world.now is not None
    world.now = replace(world.now, suspects=(
        replace(world.now.suspects[0], id="service/db", service="db"),))  # fmt: skip
    await task
    assert {action.inputs["name"] for action in world.toy.applied} == {"shop"}


async def test_if_skips_and_an_if_that_fails_is_not_true() -> None:
    text = TWO_STEPS.replace("do: toy.add", "do: toy.add\n    if: steps.lower.result.levle > 3", 1)
    run = await two(text).run()
    assert (run.outcome, states(run)) == ("healed", {"lower": "done", "second": "skipped"})
    assert "there is no `steps.lower.result.levle`" in run.steps[1].error


async def test_inputs_are_looked_at_once_more_when_they_are_filled_in() -> None:
    world = World(playbook=playbook(PLAYBOOK.replace("to: 1", 'to: "${root.service}"')))
    run = await world.run()
    assert (run.outcome, run.steps[0].error) == ("failed", "`to` must be a number")
    assert not world.toy.asked


# --- halt -------------------------------------------------------------------------------


async def test_halt_before_anything() -> None:
    world = World(halt="halted by ann: freeze")
    run = await world.run()
    assert run.outcome == "superseded"
    assert world.story()[-1] == "superseded: lower-it: halted by ann: freeze"
    assert not world.toy.asked


async def test_a_running_step_may_finish_and_then_nothing_more() -> None:
    world = two()
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(0.05)
    world.halt = "halted by ann"
    run = await task
    assert states(run) == {"lower": "done"}
    assert run.outcome == "superseded"


async def test_a_halt_is_seen_within_a_second_of_a_wait() -> None:
    world = World()
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(5)
    world.halt = "halted by ann"
    halted_s = world.clock()
    run = await task
    assert (run.ended_s or 0) - halted_s <= 1.0
    assert run.outcome == "superseded"


async def test_a_halt_while_the_intent_is_journalled_is_in_time() -> None:
    world = World()
    journal = world.append

    async def slow(run: Run) -> None:
        await journal(run)
        if run.steps and run.steps[0].state == "started":
            world.halt = "halted by ann"

    world.append = slow  # type: ignore[method-assign]
    run = await world.run()
    assert (run.outcome, states(run)) == ("superseded", {"lower": "planned"})
    assert [name for name, _ in world.toy.asked] == ["before"]


async def test_halt_keeps_the_way_back_shut_too() -> None:
    world = World(values={'errors{thing="shop"}': 0.31})
    journal = world.append

    async def halting(run: Run) -> None:
        await journal(run)
        if run.state == "undoing":
            world.halt = "halted by ann"

    world.append = halting  # type: ignore[method-assign]
    run = await world.run()
    assert (run.outcome, states(run)) == ("no_effect", {"lower": "done"})
    assert "not all was undone: halted by ann" in world.story()[-2]
    assert not world.toy.undone


# --- stop and crash ---------------------------------------------------------------------


async def test_a_stop_lets_the_started_step_end_and_the_run_goes_on_later() -> None:
    world = World()
    plan = world.plan()
    task = asyncio.create_task(world.runner().run(plan, world.judge(plan)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert states(world.journal[-1]) == {"lower": "done"}
    assert not world.journal[-1].closed
    run = await world.resume()
    assert run.outcome == "healed"
    assert len(world.toy.applied) == 1


def started(world: World, **changes: object) -> Run:
    """The journal as a kill within the first step leaves it."""
    at = next(i for i, run in enumerate(world.journal) if run.steps)
    del world.journal[at + 1 :]
    step = replace(world.journal[at].steps[0], **changes)
    world.journal[at] = replace(world.journal[at], steps=(step,))
    return world.journal[at]


async def killed_within(text: str = PLAYBOOK, *, happened: bool = True) -> World:
    world = World(playbook=playbook(text), levels={"shop": SICK, "spare": 0})
    world.toy.script = ["ok"] if happened else ["refused"]
    await world.run()
    started(world)
    world.levels["shop"] = WELL if happened else SICK
    world.toy.asked.clear()
    world.toy.undone.clear()
    return world


async def test_after_a_crash_the_probe_says_it_happened() -> None:
    world = await killed_within()
    run = await world.resume()
    assert (run.outcome, len(world.toy.applied)) == ("healed", 1)


async def test_after_a_crash_the_probe_says_it_did_not() -> None:
    world = await killed_within(happened=False)
    run = await world.resume()
    assert (run.outcome, states(run)) == ("failed", {"lower": "failed"})
    assert not world.toy.applied


async def test_after_a_crash_a_retry_on_timeout_may_try_again() -> None:
    world = await killed_within(RETRY_ON_TIMEOUT, happened=False)
    run = await world.resume()
    assert (run.outcome, run.steps[0].attempt) == ("healed", 2)


async def test_after_a_crash_no_telling_is_for_a_person() -> None:
    world = await killed_within(RETRY_ON_TIMEOUT)
    world.toy.knows = False
    run = await world.resume()
    assert (run.outcome, states(run)) == ("failed", {"lower": "unknown"})
    assert "apply" not in [name for name, _ in world.toy.asked]


@pytest.mark.parametrize(
    ("on_crash", "outcome", "calls"),
    [
        ("retry", "healed", ["before", "apply"]),
        ("rollback", "failed", ["probe", "undo"]),
        ("escalate", "failed", []),
    ],
)
async def test_a_playbook_may_say_what_a_crash_means(
    on_crash: str, outcome: str, calls: list[str]
) -> None:
    world = await killed_within(
        PLAYBOOK.replace("undo: auto", f"undo: auto\n    on_crash: {on_crash}")
    )
    run = await world.resume()
    assert run.outcome == outcome
    assert [name for name, _ in world.toy.asked] == calls


async def test_a_run_whose_incident_is_over_is_only_looked_at() -> None:
    world = await killed_within(TWO_STEPS)
    assert world.now is not None
    world.now = replace(world.now, state="resolved")
    run = await world.resume()
    assert (run.outcome, states(run)) == ("healed", {"lower": "done"})
    assert "late: not resumed: the incident is over" in world.story()
    assert {name for name, _ in world.toy.asked} == {"probe"}


async def test_a_run_older_than_its_timeout_is_only_looked_at() -> None:
    world = await killed_within(TWO_STEPS, happened=False)
    await asyncio.sleep(1801)
    world.now = incident(world.clock())
    run = await world.resume()
    assert "late: not resumed: it began longer ago than its timeout of 30m" in world.story()
    assert run.outcome == "superseded"
    assert {name for name, _ in world.toy.asked} == {"probe"}


async def test_a_changed_playbook_is_not_resumed() -> None:
    world = await killed_within()
    world.playbook = playbook(PLAYBOOK.replace("to: 1", "to: 2"))
    run = await world.resume()
    assert run.outcome == "failed"
    assert "was changed or removed while it ran" in world.story()[-1]
    assert not world.toy.asked


async def test_comments_do_not_change_a_playbook() -> None:
    assert playbook("# a comment\n" + PLAYBOOK).digest == playbook().digest


async def test_going_back_goes_on_after_a_crash() -> None:
    world = two()
    world.values['errors{thing="shop"}'] = 0.31
    await world.run()
    at = next(i for i, run in enumerate(world.journal) if states(run).get("second") == "undone")
    del world.journal[at + 1 :]
    world.levels["shop"] = WELL
    world.toy.undone.clear()
    run = await world.resume()
    assert (run.outcome, world.levels) == ("no_effect", {"shop": SICK, "spare": 0})
    assert [action.inputs["name"] for action in world.toy.undone] == ["shop"]


async def test_a_crash_while_going_back_is_for_a_person() -> None:
    world = World(values={'errors{thing="shop"}': 0.31})
    await world.run()
    at = next(i for i, run in enumerate(world.journal) if "lower:undo" in states(run))
    del world.journal[at + 1 :]
    world.toy.asked.clear()
    run = await world.resume()
    assert run.outcome == "rollback_failed"
    assert "nobody knows whether lower was put back" in world.story()[-2]
    assert not world.toy.asked


async def test_a_closed_run_stays_closed() -> None:
    world = World()
    run = await world.run()
    assert await Runner.resume(world.runner(), run) is run


# --- secrets ----------------------------------------------------------------------------

SECRET = PLAYBOOK.replace(
    "steps:", 'params: {key: {type: secret, from: "credential:toy-key"}}\nsteps:', 1
).replace("to: 1}", 'to: 1, token: "Bearer ${params.key}"}')


async def test_a_secret_reaches_the_executor_and_nobody_else() -> None:
    world = World(playbook=playbook(SECRET), secrets={"toy-key": 's3"cret'})
    run = await world.run()
    assert run.outcome == "healed"
    assert world.toy.applied[0].inputs["token"] == 'Bearer s3"cret'
    assert run.steps[0].result["token"] == "Bearer ***"
    assert "s3" not in repr(world.journal)
    assert "token=Bearer ***" in world.story()[1]


async def test_a_secret_is_found_again_after_a_crash() -> None:
    world = World(playbook=playbook(SECRET), secrets={"toy-key": "s3cret"})
    await world.run()
    started(world)
    world.toy.asked.clear()
    assert (await world.resume()).outcome == "healed"
    assert world.toy.asked[0][1].inputs["token"] == "Bearer s3cret"
    assert "s3cret" not in repr(world.journal)


async def test_a_missing_secret_fails_the_step_before_anything_happens() -> None:
    world = World(playbook=playbook(SECRET))
    run = await world.run()
    assert (run.outcome, run.steps[0].error) == ("failed", "no secret file 'toy-key'")
    assert not world.toy.asked


async def test_what_a_stranger_says_cannot_ask_for_a_secret() -> None:
    world = two(SECRET.replace("verify:", """  - id: second
    do: toy.add
    with: {name: spare, token: "${steps.lower.result.token}"}
verify:""", 1))  # fmt: skip
    world.secrets = {"toy-key": "s3cret"}
    await world.run()
    assert world.toy.applied[1].inputs["token"] == "Bearer ***"


async def test_what_nobody_should_keep_is_not_journalled_whoever_says_it() -> None:
    said = PLAYBOOK.replace("to: 1}", "to: 1, token: mara@shop.example}")
    world = World(playbook=playbook(said), redact=Redactor().tree)
    run = await world.run()
    assert run.outcome == "healed"
    assert world.toy.applied[0].inputs["token"] == "mara@shop.example"
    assert run.steps[0].result["token"] == "<email>"


async def test_a_run_that_is_not_kept_whole_is_for_a_person_after_a_crash() -> None:
    world = World()
    await world.run()
    started(world)
    world.journal[-1] = replace(world.journal[-1], redacted=True)
    world.toy.asked.clear()
    run = await world.resume()
    assert run.outcome == "failed"
    assert "what it was given could not be kept" in world.story()[-1]
    assert not world.toy.asked
