"""Playbooks x incident -> plans, and refusals that a person can read."""

import pytest
from msgspec.structs import replace
from unit.remediation.world import PLAYBOOK, START_S, incident, playbook

from aiopsd.model import Incident
from aiopsd.remediation.matching import match


def trigger(text: str) -> str:
    return PLAYBOOK.replace("{incident: error-rate, when: root.score >= 0.5}", text)


def matches(text: str, found: Incident | None = None, now_s: float = START_S) -> bool:
    plans, refusals = match([playbook(trigger(text))], found or incident(), now_s)
    assert not refusals
    return bool(plans)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{incident: error-rate}", True),
        ("{incident: latency}", False),
        ("{incident: error-rate, severity: [high, critical]}", True),
        ("{incident: error-rate, severity: [critical]}", False),
        ("{incident: error-rate, labels: {instance: h1}}", True),
        ("{incident: error-rate, labels: {instance: h2}}", False),
        ("{incident: error-rate, labels: {zone: a}}", False),
        ("{incident: error-rate, when: root.score > 0.95}", False),
        ("{incident: error-rate, when: change.age_s < 6 * minute}", True),
        ("{incident: error-rate, for: 2m}", True),  # its anomaly began 120 s ago
        ("{incident: error-rate, for: 3m}", False),
    ],
)  # fmt: skip
def test_a_trigger_says_when(text: str, wanted: bool) -> None:
    assert matches(text) is wanted


def test_any_trigger_is_enough() -> None:
    assert matches("{incident: latency}\n  - {incident: error-rate}")


def test_for_counts_from_the_roots_own_anomaly() -> None:
    found = incident()
    own = found.anomalies[0]
    older = replace(own, id="a-0", rule="latency_p95", onset_s=START_S - 9999)
    ended = replace(own, ended_s=START_S)
    text = "{incident: error-rate, for: 3m}"
    assert not matches(text, replace(found, anomalies=(older, own)))
    assert matches(text, replace(found, anomalies=(older, ended)))  # then the service's
    assert not matches(text, replace(found, anomalies=(ended,)))


def test_without_a_suspect_there_is_nobody_to_act_on() -> None:
    assert match([playbook()], incident(suspects=()), START_S) == ([], [])
    assert match([playbook()], incident(state="resolved"), START_S) == ([], [])


def test_without_a_change_a_question_for_one_is_quietly_not_true() -> None:
    found = incident()
    found = replace(found, suspects=(replace(found.suspects[0], change=None),))
    assert not matches("{incident: error-rate, when: change.kind == 'deploy'}", found)


def test_the_plan_knows_its_target_and_its_parameters() -> None:
    text = PLAYBOOK.replace("steps:", "params: {level: {type: int, default: 1}}\nsteps:", 1)
    text = text.replace(
        '"${root.service}"}\nparams', '"${root.labels.instance}/${root.service}"}\nparams'
    )
    (plan,), _ = match([playbook(text)], incident(), START_S)
    assert (plan.kind, plan.id, plan.target) == ("thing", "h1/shop", "thing/h1/shop")
    assert plan.context["params"] == {"level": 1}
    assert plan.context["change"]["age_s"] == 300
    assert plan.context["incident"]["confidence"] == 0.9


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('id: "${root.service}"}', 'id: "${root.labels.zone}"}', "there is no `root.labels.zone`"),
        ('id: "${root.service}"}', 'id: "x/${root.labels.empty}"}', "is empty"),
        ('id: "${root.service}"}', 'id: "${root.labels.empty}"}', "target.id is empty"),
        ("root.score >= 0.5", "root.labels.zone == 'a'", "when: there is no `root.labels.zone`"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_with_a_reason(old: str, new: str, why: str) -> None:
    found = incident()
    root = replace(found.suspects[0], labels={"service": "shop", "empty": ""})
    one = playbook(PLAYBOOK.replace(old, new, 1))
    plans, (refusal,) = match([one], replace(found, suspects=(root,)), START_S)
    assert not plans
    assert (refusal.verdict, refusal.reason.code) == ("refuse", "not_filled_in")
    assert why in refusal.reason.text
    assert refusal.id == "i-1/lower-it"
