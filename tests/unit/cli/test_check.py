"""``aiopsd check``: every wrong entry of every file at once."""

import json
import os
from pathlib import Path

import pytest

from aiopsd.cli import main

Capture = pytest.CaptureFixture[str]

RULE = "{id: errors, promql: sum(up), detector: {type: band}}"
PLAYBOOK = """\
playbook: v1
name: restart
owner: me
mode: observe
on: [{incident: crash}]
target: {kind: unit, id: a}
steps: [{id: restart, do: systemd.restart, with: {unit: a.service}}]
verify: {within: 5m, checks: [{name: up, rule: errors, expect: value < 1.0}]}
on_failure: {rollback: never, then: escalate}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good one, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for room in ("rules", "playbooks"):
        (tmp_path / room).mkdir()
    path = tmp_path / "aiopsd.yaml"
    path.write_text("sources:\n  prom: {type: prometheus, url: 'http://127.0.0.1:9090'}\n")
    (tmp_path / "rules" / "mine.yaml").write_text(f"pack: mine\nrules:\n  - {RULE}\n")
    (tmp_path / "playbooks" / "restart.yaml").write_text(PLAYBOOK)
    return path


def test_good(config: Path, capsys: Capture) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out == (
        "good: 1 source, 1 rule, 1 playbook (1 observe); no playbook may go beyond observe\n"
    )
    assert main(["check", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_a_path_that_leads_to_no_file_yet(config: Path, capsys: Capture) -> None:
    Path("app.log").write_text("")
    Path("old.log.gz").write_text("")  # packed ones are not followed
    files = "  a: {type: file, paths: [app.log, 'nothing/*.log', old*]}\n"
    config.write_text(config.read_text() + files)
    assert main(["check"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "but source a: no file matches nothing/*.log yet",
        "but source a: no file matches old* yet",
    ]


def test_all_faults_of_all_files_at_once(config: Path, capsys: Capture) -> None:
    config.write_text(config.read_text() + "history: 6\nnotifier: {}\n")
    Path("rules/mine.yaml").write_text(
        "pack: mine\nrules:\n"
        "  - {id: a, promql: up, detector: {type: bnd}}\n"
        f"  - {RULE}\n"
        "  - {id: b, promql: up, detector: {type: band}, for: 5}\n"
    )
    Path("playbooks/restart.yaml").write_text(PLAYBOOK.replace("systemd.restart", "systemd.rstart"))
    assert main(["check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "aiopsd.yaml:3:10: not a duration: 6; write 90s, 15m, 1h30m; did you mean 6s?",
        "aiopsd.yaml:4:1: unknown key 'notifier'; did you mean 'notifiers'?",
        "rules/mine.yaml:3:42: unknown type 'bnd'; did you mean 'band'?",
        "rules/mine.yaml:5:54: not a duration: 5; write 90s, 15m, 1h30m; did you mean 5s?",
        "playbooks/restart.yaml:7:27: unknown action 'systemd.rstart'; "
        "did you mean 'systemd.restart'?",
        "",
        "5 wrong entries",
    ]


def test_json_is_one_object_a_problem(config: Path, capsys: Capture) -> None:
    config.write_text("sources: {}\nhistory: 6\nx: 1\n")
    assert main(["check", "--json"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(p["file"], p["line"], p["column"]) for p in found[:2]] == [
        ("aiopsd.yaml", 2, 10),
        ("aiopsd.yaml", 3, 1),
    ]
    assert found[1]["text"].startswith("unknown key 'x'; known: automation")


def test_files_are_named_as_the_configuration_was(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that an editor can open what is printed."""
    Path("rules/mine.yaml").write_text("pack: mine\n")
    monkeypatch.chdir(config.parent.parent)
    name = config.parent.name
    assert main(["check", "-c", f"{name}/aiopsd.yaml"]) == 1
    assert f"{name}/rules/mine.yaml:1:1: `rules` is missing" in capsys.readouterr().out


def test_no_rules_is_said_though_it_is_no_fault(config: Path, capsys: Capture) -> None:
    Path("rules/mine.yaml").unlink()
    Path("playbooks/restart.yaml").unlink()
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("good: 1 source, 0 rules, 0 playbooks;")
    assert f"but no series opens an incident: no rules in {config.parent / 'rules'}" in out


@pytest.mark.parametrize(("name", "why"), [("none.yaml", "No such file"), ("rules", "Is a direct")])
def test_no_such_configuration(config: Path, name: str, why: str, capsys: Capture) -> None:
    assert main(["check", "-c", name]) == 1
    out = capsys.readouterr().out
    assert f"{name}:1:1: cannot be read: {why}" in out
    assert ("-c FILE names it, `aiopsd init` writes one" in out) == (name == "none.yaml")


def test_check_and_run_say_the_same(config: Path, capsys: Capture) -> None:
    config.write_text("sources: {}\nhistory: 6\n")
    main(["check"])
    checked = capsys.readouterr().out.splitlines()[:-2]
    assert main(["run"]) == os.EX_CONFIG
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(checked) == 2
    for one, other in zip(said, checked, strict=True):
        assert one.endswith(other)
