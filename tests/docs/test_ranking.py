"""docs/ranking.md: its example is what the command says, and its table names every file."""

import re

import pytest

from aiopsd.cli import main
from tests.docs.snippets import ROOT, snippets

PAGE = ROOT / "docs" / "ranking.md"


def test_the_example_is_what_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    command = snippets(PAGE, "sh")[0].text.splitlines()[0].split("#")[0].split()
    assert main(command[1:]) == 0
    said = capsys.readouterr().out.splitlines()
    shown = next(one for one in snippets(PAGE, "") if "ledger" in one.text).text.splitlines()
    assert [line for line in shown if line not in said] == []
    assert said[0] == shown[0]


def test_every_file_of_a_case_is_described() -> None:
    read = set(re.findall(r'"([a-z_]+\.(?:json|csv|ndjson))"', "".join(
        (ROOT / "aiopsd" / "offline" / name).read_text() for name in ("case.py", "case_files.py")
    )))  # fmt: skip
    assert len(read) >= 10
    assert {name for name in read if f"`{name}`" not in PAGE.read_text()} == set()
