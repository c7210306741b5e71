"""What ships passes the check, is taken by Prometheus, and only observes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from aiopsd.cli import main
from aiopsd.config import PackSettings, RuleSettings, load
from aiopsd.document import read
from aiopsd.settings import Reader
from tests.docs.snippets import ROOT, prose

PACKS = sorted((ROOT / "rules").glob("*.yaml"))
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yaml"))
SOURCES = """\
sources:
  prom: {type: prometheus, url: "http://127.0.0.1:9090"}
  logs: {type: loki, url: "http://127.0.0.1:3100"}
"""
TOGETHER = {  # the demo's rules are those of `services`, at another pace: never both
    "init": [pack for pack in PACKS if pack.stem != "demo-shop"],
    "demo": [pack for pack in PACKS if pack.stem == "demo-shop"],
}


def pack_of(path: Path) -> PackSettings:
    document = read(path)
    pack: PackSettings = Reader(document).read(PackSettings, document.data)
    assert document.problems == []
    return pack


def rules() -> list[RuleSettings]:
    return [rule for path in PACKS for rule in pack_of(path).rules]


def wanted_by(playbook: Path) -> set[str]:
    """Which packs its first line says it belongs to."""
    found = re.match(r"# packs: (.+)\n", playbook.read_text())
    return set(found[1].split()) if found else set()


@pytest.mark.parametrize("together", TOGETHER)
def test_all_of_it_passes_the_check(
    together: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for room, files in (("rules", TOGETHER[together]), ("playbooks", PLAYBOOKS)):
        (tmp_path / room).mkdir()
        for file in files:
            if room == "playbooks" and together == "demo" and "services" not in wanted_by(file):
                continue
            (tmp_path / room / file.name).write_text(file.read_text())
    config = tmp_path / "aiopsd.yaml"
    config.write_text(SOURCES)
    assert main(["check", "-c", str(config)]) == 0, capsys.readouterr().out
    assert load(config).rules


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_no_playbook_acts_by_itself(playbook: Path) -> None:
    assert read(playbook).data["mode"] == "observe"


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_comes_with_the_packs_whose_rules_it_reads(playbook: Path) -> None:
    packs = wanted_by(playbook)
    assert packs
    known = {r.id for path in PACKS if path.stem in packs for r in pack_of(path).rules}
    assert set(re.findall(r"\brule: (\w+)", playbook.read_text())) <= known


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_a_pack_is_described_and_enabled_by_what_it_looks_at(path: Path) -> None:
    pack = pack_of(path)
    assert pack.pack == path.stem
    assert pack.description
    looked_at = " ".join(f"{rule.promql} {rule.select}" for rule in pack.rules)
    assert [name for name in pack.enable_when if name not in looked_at] == []
    assert pack.enable_when or pack.pack == "demo-shop"


def test_the_packs_are_in_the_document() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", prose(ROOT / "docs" / "rules.md"), re.MULTILINE)
    assert {path.stem for path in PACKS} <= set(rows)


def test_a_rule_can_be_read_by_people() -> None:
    assert [rule.id for rule in rules() if rule.detector and not rule.title] == []


@pytest.mark.prometheus
def test_promql_is_what_prometheus_understands(tmp_path: Path) -> None:
    asked = [rule for rule in rules() if rule.promql]
    assert len(asked) > 20
    groups = [{"name": "all", "rules": [
        {"record": f"rule_{at}:{rule.id}", "expr": rule.promql} for at, rule in enumerate(asked)
    ]}]  # fmt: skip
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": groups}))
    check = ["promtool", "check", "rules", str(file)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(asked)} rules found" in done.stdout


@pytest.mark.prometheus
def test_promql_of_playbooks_too(tmp_path: Path) -> None:
    """With a harmless text where a value is filled in."""
    found = [text for path in PLAYBOOKS for text in _promql(read(path).data)]
    assert found
    groups = [{"name": "all", "rules": [
        {"record": f"playbook:{at}", "expr": re.sub(r"\$\{[^}]*\}", "x", text)}
        for at, text in enumerate(found)
    ]}]  # fmt: skip
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": groups}))
    check = ["promtool", "check", "rules", str(file)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _promql(data: object) -> list[str]:
    if isinstance(data, dict):
        own = [data["promql"]] if isinstance(data.get("promql"), str) else []
        return own + [text for value in data.values() for text in _promql(value)]
    return [text for value in data for text in _promql(value)] if isinstance(data, list) else []
