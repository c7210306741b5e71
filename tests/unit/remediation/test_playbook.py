"""Every wrong entry is named with its place; what this version cannot honour is refused."""

import re
from pathlib import Path

import pytest
from unit.remediation.world import PLAYBOOK, Toy, playbook, problems

from aiopsd import document
from aiopsd.executors import default_executors
from aiopsd.model import Mode
from aiopsd.remediation.playbook import load_playbook

ROOT = Path(__file__).parents[3]


def changed(old: str, new: str) -> str:
    assert old in PLAYBOOK
    return PLAYBOOK.replace(old, new, 1)


def test_defaults_are_the_documented_ones() -> None:
    found = playbook()
    guard, step, verify = found.guard, found.steps[0], found.verify
    assert (found.ladder, found.timeout) == (Mode.AUTO, 1800)
    assert (guard.cooldown, guard.limit.runs, guard.limit.per) == (900, 6, 3600)
    assert (guard.max_per_incident, guard.blast_radius, guard.require) == (2, None, ())
    assert (step.timeout, step.retry, step.on_crash) == (60, None, "probe")
    assert (verify.checks[0].no_data, found.on_failure.disable_after) == ("inconclusive", 3)


ONE_FAULT = [
    (changed("mode: auto", "mode: autop"), "5:7: 'autop' is not allowed; did you mean 'auto'?"),
    (changed("mode: auto", "cooldwn: 1"), "5:1: unknown key 'cooldwn'"),
    (changed("after: 10s", "after: 10"), "15:10: not a duration: 10"),
    (changed("error-rate,", "eror-rate,"), "7:16: 'eror-rate' is not allowed; did you mean"),
    (changed("{incident", "{severity: [medium], incident"), "7:17: 'medium' is not allowed"),
    (changed("{incident", "{severity: [], incident"), "7:5: `severity` is empty"),
    (changed("root.score >= 0.5", "incident.scroe > 1"),
     "7:34: `incident` has no `scroe`; did you mean `root.score`?"),
    (changed("root.score", "rot.score"), "7:34: nothing is called `rot`; did you mean `root`?"),
    (changed("root.score >= 0.5", "root.score"), None),
    (changed("root.score >= 0.5", "size(root.id)"), "7:34: gives int, not true or false"),
    (changed("root.score >= 0.5", "metric.x > 1.0"),
     "7:34: `metric` is not known in `on` and `target`"),
    (changed("root.score >= 0.5", "steps.lower.state == 'done'"), "7:34: `steps` is not known in"),
    (changed("root.score >= 0.5", "incident.severity == 'hihg'"),
     "7:34: `incident.severity` is never 'hihg'; did you mean `high`?"),
    (changed("root.score >= 0.5", '"change != null && change.kind in [\'delpoy\']"'),
     "never 'delpoy'; did you mean `deploy`?"),
    (changed("root.score >= 0.5", "incident.age_s > '30m'"), "does not work on a decimal number"),
    (changed("root.score >= 0.5", "incident.title.x == 'a'"), "nothing stands below it"),
    (changed("root.score >= 0.5", "1 > 2"), "is never true"),
    (changed("root.score >= 0.5", "incident.age_s < duration('30m')"), "does not work on"),
    (changed("root.score >= 0.5", "forecast.low_s > 1"),
     "7:34: `forecast` is not available in this version"),
    (changed("${root.service}\"}\nsteps", "${root.servce}\"}\nsteps"),
     "8:30: `root` has no `servce`; did you mean `service`?"),
    (changed("${root.service}\"}\nsteps", "${root.service\"}\nsteps"), "`${` is never closed"),
    (changed("toy.set", "toy.st"), "11:9: unknown action 'toy.st'; did you mean 'toy.set'?"),
    (changed("toy.set", "k8s.scale"), "unknown action 'k8s.scale'; known: toy.add, toy.set"),
    (changed('name: "${root.service}", ', ""), "12:5: toy.set: `name` is missing"),
    (changed("to: 1", 'to: "${steps.lower.result.x}"'),
     "`steps` has no `lower`; no step stands before this one"),
    (changed("to: 1", 'to: "${target.level}"'),
     "what the executor saw is known in guard.require and probe only"),
    (changed("to: 1", 'to: "${params.level}"'), "this playbook defines no params"),
    (changed("- id: lower", "- id: lower-it"), "10:5: step id 'lower-it' must be a word"),
    (changed("undo: auto", "undo: atuo"), "13:11: 'atuo' is not allowed; did you mean 'auto'?"),
    (changed("undo: auto", "timeout: 2h"), "longer than the whole run may take (30m)"),
    (changed("undo: auto", "undo: auto\n    probe: target.level"), None),
    (changed("undo: auto", "retry: {times: 0}"), "`times: 0` must be 1 to 10"),
    (changed("within: 1m", "within: 19s"), "can never pass: 3 passes need 20s"),
    (changed("checks:", "must_not_worsen: []\n  chekcs:"), "unknown key 'chekcs'"),
    (changed("errors, promql: 'errors{thing=\"${root.service}\"}'", "errors"),
     "say where the number comes from"),
    (changed("value < 0.05", "value < 1"), "20:"),
    (changed("value < 0.05", "valu < 1.0"), "nothing is called `valu`; did you mean `value`?"),
    (changed("auto\nverify", "none\nverify"), "`rollback: always`, but no step can be undone"),
    (changed("rollback: always, ", ""), "`rollback` is missing"),
    (changed("target: {kind: thing, id", "target: {id"), "`kind` is missing"),
    (changed("name: lower-it", "name: Lower it"), "must be words of a-z and 0-9 joined by -"),
    (changed("playbook: v1", "playbook: v2"), "'v2' is not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), ONE_FAULT, ids=[str(w)[:40] for _, w in ONE_FAULT])
def test_one_fault_is_named_with_its_place(text: str, wanted: str | None) -> None:
    found = problems(text)
    if wanted is None:  # may be right: what stands there is known only at run time
        assert found == []
        return
    assert any(wanted in problem for problem in found), found
    assert all(re.match(r"toy\.yaml:\d+:\d+: ", problem) for problem in found)


GUARDS = [
    ("limit: {runs: 0}", "`limit` must allow at least 1 run"),
    ("max_per_incident: 0", "`max_per_incident` must be at least 1"),
    ("blast_radius: {targets: 0}", "`targets` must be at least 1"),
    ("require: ['false']", "is never true"),
    ("require: [metric.x > 1.0]", "`metric` has no `x`; this playbook defines no metric"),
    ("require: [value > 1.0]", "`value` is not known in `guard.require`"),
    ("lock: a", "`lock` is not available in this version; a run locks its target"),
    ("deny_windows: [a]", "`deny_windows` is not available in this version"),
    ("blast_radius: {targets: 1, percent: 3}", "`percent` is not available in this version"),
]


@pytest.mark.parametrize(("guard", "wanted"), GUARDS)
def test_guards_that_could_never_open(guard: str, wanted: str) -> None:
    found = problems(changed("steps:", f"guard: {{{guard}}}\nsteps:"))
    assert any(wanted in problem for problem in found), found


LATER = [
    changed("mode: auto", "mode: approve"),
    changed("mode: auto", "mode: auto\napproval: {from: [role:sre]}"),
    changed("mode: auto", "mode: auto\ngraduate: {to: auto}"),
    changed("mode: auto", "mode: auto\ntests: []"),
    changed("mode: auto", "mode: auto\nnotify: {slack: '#ops'}"),
    changed("- {incident", "- {manual: true, incident"),
    changed("kind: thing", "kind: thing, cluster: eu"),
    changed("undo: auto", "undo: auto\n    foreach: root.labels"),
    changed("undo: auto", "undo: auto\n    parallel: 3"),
    changed("toy.set", "approve"),
    changed("toy.set", "wait"),
    changed("expect:", "logql: x, expect:"),
    changed("then: escalate", "then: stop"),
    changed("then: escalate", "then: escalate, to: [slack:@ops]"),
]


@pytest.mark.parametrize("text", LATER)
def test_what_this_version_cannot_honour_is_refused_and_said_once(text: str) -> None:
    (problem,) = problems(text)
    assert "is not available in this version" in problem


def test_all_faults_are_shown_at_once() -> None:
    text = changed("root.score", "rot.score").replace("toy.set", "toy.st")
    assert len(problems(text.replace("value <", "valu <"))) == 3


def test_ids_are_there_once() -> None:
    text = changed("verify:", "  - {id: lower, do: toy.add, with: {name: a}}\nverify:")
    assert "step 'lower' stands here twice" in problems(text)[0]


def test_rules_are_known() -> None:
    text = changed("promql: 'errors{thing=\"${root.service}\"}'", "rule: eror_ratio")
    assert problems(text) == []
    (problem,) = problems(text, rules={"error_ratio"})
    assert "no rule 'eror_ratio'; did you mean 'error_ratio'?" in problem


def test_a_retry_of_what_cannot_tell_needs_a_probe() -> None:
    text = changed("toy.set", "command.run").replace(
        'with: {name: "${root.service}", to: 1}', "with: {argv: [/bin/true]}\n"
        "    retry: {times: 1, on: [timeout]}"
    )  # fmt: skip
    read = document.parse(text, "toy.yaml")
    executors = {name: one.build(Path()) for name, one in default_executors().items()}
    assert load_playbook(read, executors) is None
    assert "a retry on timeout needs a `probe`" in str(read.problems[0])


@pytest.mark.parametrize("key", ["argv", "probe_argv"])
def test_a_secret_never_goes_into_an_argv(key: str) -> None:
    """Every user of the machine can read the arguments of a process."""
    secret = "params: {tok: {type: secret, from: 'credential:tok'}}\nsteps:"
    more = "" if key == "argv" else "argv: [/bin/true], "
    text = (
        changed("steps:", secret)
        .replace("toy.set", "command.run")
        .replace('name: "${root.service}", to: 1', f'{more}{key}: [/bin/true, "${{params.tok}}"]')
    )
    read = document.parse(text, "toy.yaml")
    executors = {name: one.build(Path()) for name, one in default_executors().items()}
    assert load_playbook(read, executors) is None
    assert any("`params.tok` is a secret" in str(p) for p in read.problems), read.problems


@pytest.mark.parametrize(
    ("param", "wanted"),
    [
        ("{type: int}", "`default` must be given, as int; got None"),
        ("{type: int, default: true}", "`default` must be given, as int; got True"),
        ("{type: int, default: 7, max: 5}", "is above `max: 5`"),
        ("{type: string, default: c, enum: [a, b]}", "is not in `enum`"),
        ("{type: secret}", "needs `from: credential:NAME`"),
        ("{type: secret, from: token}", "needs `from: credential:NAME`"),
        ("{type: secret, from: 'credential:a', default: x}", "a secret has no default"),
        ("{type: string, default: a, from: 'credential:a'}", "`from` is for `type: secret`"),
    ],
)
def test_params(param: str, wanted: str) -> None:
    found = problems(changed("steps:", f"params: {{p: {param}}}\nsteps:"))
    assert any(wanted in problem for problem in found), found


SECRET = "params: {key: {type: secret, from: 'credential:k'}}\nsteps:"


def test_a_secret_is_for_a_steps_inputs_only() -> None:
    text = changed("steps:", SECRET)
    assert problems(text.replace("to: 1", 'to: "${params.key}"')) == []
    for place in ('id: "${root.service}"', 'errors{thing="${root.service}"}'):
        (problem,) = problems(text.replace(place, place.replace("root.service", "params.key")))
        assert "`params.key` is a secret: only a step's `with` may name it" in problem


def test_an_empty_file_and_a_list_are_not_playbooks() -> None:
    assert problems("") == ["toy.yaml:1:1: the file is empty"]
    assert "expected a mapping" in problems("- a")[0]


@pytest.mark.parametrize("file", sorted((ROOT / "playbooks").glob("*.yaml")), ids=lambda f: f.name)
def test_what_ships_lints_clean(file: Path) -> None:
    read = document.read(file)
    executors = {name: one.build(Path()) for name, one in default_executors().items()}
    assert load_playbook(read, executors), read.problems


def snippets() -> list[str]:
    text = (ROOT / "docs" / "playbooks.md").read_text()
    return re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("snippet", snippets())
def test_every_snippet_of_the_docs_lints_clean(snippet: str) -> None:
    """A part of a playbook is put into a whole one."""
    text = snippet
    if "playbook: v1" not in snippet:
        keys = re.findall(r"^(\w+):", snippet, re.MULTILINE)
        kept = [part for part in re.split(r"(?m)^(?=\w)", DOCS_FRAME)
                if part.split(":")[0] not in keys]  # fmt: skip
        text = "".join(kept) + snippet
    read = document.parse(text, "docs/playbooks.md")
    executors = {name: one.build(Path()) for name, one in default_executors().items()}
    assert load_playbook(read, executors, rules=None), [str(p) for p in read.problems]


DOCS_FRAME = """\
playbook: v1
name: frame
owner: team-shop
mode: observe
on: [{incident: error-rate}]
params:
  step: {type: int, default: 2}
metrics:
  spare: {rule: spare_capacity}
target: {kind: service, id: "${root.service}"}
steps:
  - {id: restart, do: systemd.restart, with: {unit: "${root.service}.service"}}
verify:
  within: 5m
  checks: [{name: errors, rule: error_ratio, expect: value < 0.05}]
on_failure: {rollback: never, then: escalate}
"""


def test_every_key_of_the_format_is_in_the_docs() -> None:
    from aiopsd.remediation import schema

    text = (ROOT / "docs" / "playbooks.md").read_text()
    for name in ("Playbook", "Trigger", "Guard", "Step", "Verify", "Check", "OnFailure", "Retry"):
        struct = getattr(schema, name)
        for key in struct.__struct_encode_fields__:
            assert f"`{key}`" in text or f"{key}:" in text, f"{name}.{key}"


def test_the_toys_executor_is_asked_about_inputs() -> None:
    assert Toy({}).lint("set", {}) == ["`name` is missing"]
