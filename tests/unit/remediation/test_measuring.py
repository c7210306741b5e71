"""Numbers are asked for late, filled in safely, and their absence is an answer."""

import pytest
from unit.remediation.world import PLAYBOOK, World, playbook

from aiopsd.contracts import Metrics
from aiopsd.errors import Refused
from aiopsd.remediation.measuring import check_values, consider, measure
from aiopsd.remediation.schema import Measure

pytestmark = pytest.mark.looptime

GUARDED = PLAYBOOK.replace(
    "steps:", "metrics: {spare: spare}\nguard: {require: [metric.spare > 0.5]}\nsteps:", 1
)


async def test_numbers_are_asked_only_for_what_passes_without_them() -> None:
    world = World(playbook=playbook(GUARDED), values={"spare": 0.7})
    plan, decision = await consider(
        world.plan(), Metrics(world.promql, world.rule), lambda p: world.judge(p, blind="dark")
    )
    assert (decision.reason.code, world.asked) == ("blind", [])
    plan, decision = await consider(plan, Metrics(world.promql, world.rule), world.judge)
    assert (decision.verdict, world.asked) == ("run", ["spare"])
    assert plan.context["metric"] == {"spare": 0.7}


async def test_a_guard_on_a_number_holds_with_the_number() -> None:
    world = World(playbook=playbook(GUARDED), values={"spare": 0.2})
    _, decision = await consider(world.plan(), Metrics(world.promql, world.rule), world.judge)
    assert decision.verdict == "hold"
    assert decision.reason.text == "guard not met: metric.spare > 0.5 (metric.spare = 0.2)"


@pytest.mark.parametrize("text", [PLAYBOOK, GUARDED])
async def test_who_cannot_verify_does_not_begin(text: str) -> None:
    world = World(playbook=playbook(text), deaf=True)
    _, decision = await consider(world.plan(), Metrics(world.promql, world.rule), world.judge)
    assert (decision.verdict, decision.reason.code) == ("hold", "blind")
    assert "prometheus does not answer" in decision.reason.text


async def test_a_label_cannot_break_out_of_its_string() -> None:
    world = World()
    context = {"root": {"service": 'a"} or vector(0) #\\'}}
    asked = Measure(promql='errors{thing="${root.service}"}')
    await measure(asked, Metrics(world.promql, world.rule), context)
    assert world.asked == ['errors{thing="a\\"} or vector(0) #\\\\"}']


async def test_a_refused_question_is_no_data_and_says_why() -> None:
    async def refused(query: str) -> float | None:
        raise Refused("errors gives 3 series; one is needed")

    world = World()
    sample = await measure(Measure(promql="errors"), Metrics(refused, world.rule), {})
    assert (sample.value, sample.why) == (None, "errors gives 3 series; one is needed")
    sample = await measure(
        Measure(rule="r", where={"a": "${root.x}"}), Metrics(refused, world.rule), {}
    )
    assert "there is no `root`" in sample.why


async def test_a_rule_is_asked_by_its_labels() -> None:
    world = World()
    asked = Measure(rule="error_ratio", where={"service": "${root.service}"})
    context = {"root": {"service": "shop"}}
    await measure(asked, Metrics(world.promql, world.rule), context)
    assert world.asked == ["error_ratio {'service': 'shop'}"]


async def test_checks_that_cannot_be_asked_are_told_apart_from_those_without_data() -> None:
    world = World(deaf=True)
    checks = world.playbook.verify.checks
    context = {"root": {"service": "shop"}}
    samples, blind = await check_values(checks, Metrics(world.promql, world.rule), context)
    assert samples["errors"].why == "cannot be asked: prometheus does not answer"
    assert blind == "prometheus does not answer"
