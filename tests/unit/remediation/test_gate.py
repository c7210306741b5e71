"""The gate: one pure function, a named reason for every no."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from unit.remediation.world import PLAYBOOK, START_S, incident, playbook

from aiopsd.model import Decision, Halt, Mode, Moment, Muted, Outcome, Run, StepRecord, Suspect
from aiopsd.remediation.gate import House, judge
from aiopsd.remediation.matching import Plan, match

DONE = (StepRecord(id="lower", do="toy.set", state="done"),)


def plan(text: str = PLAYBOOK, **changes: Any) -> Plan:
    (found,), _ = match([playbook(text, **changes)], incident(), START_S)
    return found


def guarded(guard: str) -> Plan:
    return plan(PLAYBOOK.replace("steps:", f"guard: {{{guard}}}\nsteps:", 1))


def run(name: str = "r-1", ago_s: float = 600, **changes: Any) -> Run:
    outcome: Outcome = "healed"
    found = Run(
        id=name,
        incident="i-0",
        playbook="lower-it",
        digest=playbook().digest,
        target="thing/shop",
        state="closed",
        outcome=outcome,
        started_s=START_S - ago_s - 30,
        ended_s=START_S - ago_s,
        steps=DONE,
    )
    return replace(found, **changes)


def decide(one: Plan, *history: Run, halts: tuple[Halt, ...] = (), **house: Any) -> Decision:
    given_house = House(**({"ceiling": Mode.AUTO} | house))
    return judge(one, history=history, halts=halts, now_s=START_S, house=given_house)


def said(decision: Decision) -> tuple[str, str]:
    return decision.verdict, decision.reason.code


def test_every_guard_is_open() -> None:
    decision = decide(plan())
    assert said(decision) == ("run", "open")
    assert (decision.id, decision.target, decision.mode) == ("i-1/lower-it", "thing/shop", "auto")


@pytest.mark.parametrize(
    ("mode", "ceiling", "wanted", "text"),
    [
        ("auto", Mode.AUTO, ("run", "open"), "every guard is open"),
        (
            "observe",
            Mode.AUTO,
            ("observe", "mode"),
            "would run now; the playbook's mode is observe",
        ),
        ("auto", Mode.OBSERVE, ("observe", "mode"), "would run now; automation.mode is observe"),
        ("auto", Mode.APPROVE, ("observe", "mode"), "would run now; automation.mode is approve"),
        ("off", Mode.AUTO, ("refuse", "off"), "the playbook's mode is off"),
        ("auto", Mode.OFF, ("refuse", "off"), "automation.mode is off"),
    ],
)
def test_the_lower_of_two_modes_wins(
    mode: str, ceiling: Mode, wanted: tuple[str, str], text: str
) -> None:
    decision = decide(plan(mode=mode), ceiling=ceiling)
    assert said(decision) == wanted
    assert decision.reason.text == text


@pytest.mark.parametrize(
    ("target", "on", "wanted"),
    [
        ("*", True, "hold"),
        ("thing/shop", True, "hold"),
        ("thing/db", True, "run"),
        ("*", False, "run"),
    ],
)
def test_halt(target: str, on: bool, wanted: str) -> None:
    halt = Halt(id=target, on=on, by="ann", reason="freeze", time_s=START_S)
    decision = decide(plan(), halts=(halt,))
    assert decision.verdict == wanted
    if wanted == "hold":
        assert decision.reason.text.endswith("is halted by ann: freeze")


def test_an_incident_that_is_over_is_left_alone() -> None:
    one = plan()
    gone = Plan(one.playbook, replace(one.incident, state="resolved"), one.root, one.kind, one.id,
                one.params, one.context)  # fmt: skip
    assert said(decide(gone)) == ("refuse", "closed")


def test_a_run_locks_its_target_whatever_its_playbook() -> None:
    open_run = run(state="running", outcome=None, ended_s=None, playbook="other")
    decision = decide(plan(), open_run)
    assert said(decision) == ("hold", "lock")
    assert decision.reason.text == "other is at it on thing/shop (run r-1)"
    assert said(decide(plan(), replace(open_run, target="thing/db"))) == ("run", "open")


def test_cooldown_counts_from_the_end_of_any_run_on_the_target() -> None:
    decision = decide(plan(), run(ago_s=600, playbook="other"))
    assert said(decision) == ("hold", "cooldown")
    assert (
        decision.reason.text == "cooldown: run r-1 on thing/shop ended 10m ago (healed); 5m to go"
    )
    assert decision.reason.numbers == {"left_s": 300.0}
    assert said(decide(plan(), run(ago_s=901))) == ("run", "open")


def test_a_run_that_did_nothing_is_not_repeated_at_once() -> None:
    idle = run(ago_s=60, outcome="superseded", steps=())
    assert said(decide(plan(), idle)) == ("hold", "cooldown")
    assert said(decide(plan(), run(ago_s=301, outcome="superseded", steps=()))) == ("run", "open")


def test_limit_counts_runs_of_the_playbook_on_all_targets() -> None:
    one = guarded("limit: {runs: 2, per: 1h}, cooldown: 0s")
    runs = [run(f"r-{n}", ago_s=600 * n, target=f"thing/{n}") for n in (1, 2)]
    decision = decide(one, *runs)
    assert said(decision) == ("hold", "limit")
    assert decision.reason.text == "it ran 2 times within 1h (limit 2)"
    assert said(decide(one, runs[0], run("r-3", ago_s=3600))) == ("run", "open")
    assert said(decide(one, runs[0], replace(runs[1], playbook="other"))) == ("run", "open")


def test_max_per_incident() -> None:
    runs = [run(f"r-{n}", ago_s=9000, incident="i-1", target=f"thing/{n}") for n in (1, 2)]
    decision = decide(plan(), *runs)
    assert said(decision) == ("refuse", "max_per_incident")
    assert "it already ran 2 times for this incident" in decision.reason.text
    assert said(decide(plan(), runs[0])) == ("run", "open")


def test_blast_radius_counts_targets() -> None:
    one = guarded("blast_radius: {targets: 2}")
    others = [run(f"r-{n}", target=f"thing/{n}") for n in (1, 2)]
    assert said(decide(one, *others)) == ("hold", "blast_radius")
    assert said(decide(one, others[0])) == ("run", "open")


def test_limits_of_the_house() -> None:
    many = [run(f"r-{n}", ago_s=1000, playbook=f"p-{n}", target=f"t/{n}") for n in range(20)]
    assert said(decide(plan(), *many)) == ("hold", "runs_per_hour")
    going = [replace(one, state="verifying", outcome=None) for one in many[:4]]
    assert said(decide(plan(), *going)) == ("hold", "at_once")
    assert said(decide(plan(), *going[:3])) == ("run", "open")


def test_a_storm_makes_everyone_a_spectator() -> None:
    decision = decide(plan(), opened_lately=11)
    assert said(decision) == ("observe", "storm")
    assert "11 incidents opened within five minutes" in decision.reason.text
    assert said(decide(plan(), opened_lately=10)) == ("run", "open")


def test_a_first_suspect_that_has_just_changed_may_change_again() -> None:
    one = plan()
    news = Moment(time_s=START_S - 4, what="suspect", text="shop 0.9")
    young = dataclasses.replace(one, incident=replace(one.incident, moments=(news,)))
    decision = decide(young, settle_secs=10)
    assert said(decision) == ("hold", "settling")
    assert decision.reason.text == "the first suspect is new; acts in 6s if it stays the same"
    assert said(decide(young, settle_secs=4)) == ("run", "open")


def test_who_cannot_see_does_not_act() -> None:
    decision = decide(plan(), blind="prom: connection refused")
    assert said(decision) == ("hold", "blind")
    assert said(decide(plan(), warm_s=START_S + 60)) == ("hold", "warming_up")


@pytest.mark.parametrize(
    ("require", "wanted", "text"),
    [
        ("root.score > 0.5", "open", ""),
        ("root.score > 0.95", "guard", "guard not met: root.score > 0.95 (root.score = 0.9)"),
        ("change.migration == true", "guard", "(change.migration = False)"),
        ("root.labels.zone == 'a'", "guard_error", "there is no `root.labels.zone`"),
        ("metric.spare > 1.0", "open", ""),  # asked once the rest lets it pass
        ("target.level > 5", "open", ""),  # asked right before the step
        ("target.kind == 'host'", "guard", "(target.kind = 'thing')"),
    ],
)
def test_guards(require: str, wanted: str, text: str) -> None:
    one = plan(PLAYBOOK.replace("steps:", f"metrics: {{spare: up}}\nguard:\n  require:\n"
                                f'    - "{require}"\nsteps:', 1))  # fmt: skip
    decision = decide(one)
    assert decision.reason.code == wanted
    assert text in decision.reason.text
    assert decision.verdict == ("run" if wanted == "open" else "hold")


def test_a_failed_rollback_waits_for_a_person() -> None:
    bad = run(ago_s=3600, outcome="rollback_failed", playbook="other")
    assert said(decide(plan(), bad)) == ("refuse", "rollback_failed")
    assert said(decide(plan(), run(ago_s=90_000, outcome="rollback_failed"))) == ("run", "open")


def test_a_playbook_that_does_not_help_rests() -> None:
    bad = [
        run(f"r-{n}", ago_s=3600 * (n + 1), outcome="no_effect", target=f"t/{n}") for n in range(3)
    ]
    decision = decide(plan(), *bad)
    assert said(decision) == ("refuse", "disabled")
    assert "the last 3 times it ran it did not help" in decision.reason.text
    better = replace(bad[0], outcome="healed")
    assert said(decide(plan(), better, *bad[1:])) == ("run", "open")
    edited = [replace(one, digest="of an older text") for one in bad]
    assert said(decide(plan(), *edited)) == ("run", "open")


runs = st.builds(
    run,
    name=st.text("ab", min_size=1, max_size=3),
    ago_s=st.floats(0, 90_000),
    target=st.sampled_from(["thing/shop", "thing/db"]),
    incident=st.sampled_from(["i-0", "i-1"]),
    state=st.sampled_from(["running", "undoing", "closed"]),
    outcome=st.sampled_from(["healed", "failed", "superseded", "rollback_failed", "no_effect"]),
    steps=st.sampled_from([(), DONE]),
)


@given(st.lists(runs, max_size=8), st.sampled_from(Mode), st.randoms())
def test_it_only_says_run_when_nothing_speaks_against_it(
    history: list[Run], ceiling: Mode, random: Any
) -> None:
    decision = decide(plan(), *history, ceiling=ceiling)
    shuffled = random.sample(history, len(history))
    assert decide(plan(), *shuffled, ceiling=ceiling).verdict == decision.verdict
    if decision.verdict == "run":
        assert ceiling is Mode.AUTO
        on_target = [one for one in history if one.target == "thing/shop"]
        assert all(one.closed for one in on_target)
        assert all(START_S - (one.ended_s or 0) >= 300 for one in on_target)
        assert sum(1 for one in history if one.incident == "i-1" and one.steps) < 2


MUTED = Muted(code="maintenance", text="maintenance backup (ana) until x: nightly", by="SIL-1",
              until_s=START_S + 600)  # fmt: skip


def test_what_is_muted_is_held_with_who_and_until_when() -> None:
    one = plan()
    quiet = dataclasses.replace(one, incident=replace(one.incident, muted=MUTED))
    decision = decide(quiet)
    assert said(decision) == ("hold", "maintenance")
    assert decision.reason.text == MUTED.text
    assert decision.reason.numbers == {"until_s": START_S + 600}


def test_a_silence_over_whom_it_would_act_on_holds_an_incident_that_is_told() -> None:
    asked = []

    def off_limits(root: Suspect) -> Muted | None:
        asked.append(root)
        return replace(MUTED, code="silenced")

    one = plan()
    assert said(decide(one, off_limits=off_limits)) == ("hold", "silenced")
    assert asked == [one.root]
    assert said(decide(one, off_limits=lambda _: None)) == ("run", "open")


def test_a_storm_holds_everything() -> None:
    assert said(decide(plan(), storm="12 unrelated incidents at once")) == ("hold", "storm")


def test_the_kill_switch_is_named_before_a_silence() -> None:
    one = plan()
    quiet = dataclasses.replace(one, incident=replace(one.incident, muted=MUTED))
    halt = Halt(id="*", on=True, by="bo", reason="", time_s=START_S)
    assert said(decide(quiet, halts=(halt,))) == ("hold", "halted")
