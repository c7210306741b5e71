"""``aiopsd incident`` reads the journal, whether the daemon runs or not."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aiopsd.cli import main
from aiopsd.cli.incident import _explained
from aiopsd.model import Muted
from tests.unit.cli import journal

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(asyncio.run(journal.write(tmp_path)))


def test_list_names_all_of_them_oldest_first(config: str, capsys: Capture) -> None:
    assert main(["incident", "list", "-c", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "INC-000001  2023-11-14 19:43Z  resolved  low       disk full",
        "INC-7f3a21  2023-11-14 22:13Z  open      high      "
        "error ratio checkout 11.8 %, expected 0-1.2 %",
    ]


def test_show_explains_why_it_fired_who_is_suspected_and_what_was_done(
    config: str, capsys: Capture
) -> None:
    assert main(["incident", "show", "INC-7f3a21", "-c", config]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  strange    error ratio checkout 11.8 %, expected 0-1.2 %",
        "    rule http_error_ratio, observed 0.118, expected 0.004, low 0, high 0.012; "
        "since 22:13:20, still so",
        "    band, by time of day: certain, score 0.93 after 480 samples",
        "    service=checkout, zone=a",
        "    > payment refused: timeout",
        "  suspect 1  payments  0.81",
        "    + was strange 12 s before all others",
        "    - its own latency is as usual",
        "  22:13:30  opened    error ratio checkout 11.8 %, expected 0-1.2 %",
        "  22:13:35  observe   restart: mode is observe; it would run now",
        "  22:13:40  apply     rollback: command.run",
    ]


def test_list_and_show_say_what_is_muted_and_why(tmp_path: Path, capsys: Capture) -> None:
    some = Muted(code="silenced", by="SIL-1", text="silenced by ana until x: disks (SIL-1)",
                 anomalies=(journal.ANOMALY.id,))  # fmt: skip
    one = replace(journal.OPEN, silenced=(some,))
    config = str(asyncio.run(journal.write(tmp_path, one)))
    assert main(["incident", "show", one.id, "-c", config]) == 0
    many = len(one.anomalies)
    assert capsys.readouterr().out.splitlines()[1] == f"  muted      1 of {many}: {some.text}"
    asyncio.run(journal.write(tmp_path, replace(one, muted=some)))
    assert main(["incident", "show", one.id, "-c", config]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"  muted      {some.text}"
    assert main(["incident", "list", "-c", config]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("expected 0-1.2 %  (silenced)")


def test_show_says_what_lasts_when_what_named_it_is_over(tmp_path: Path, capsys: Capture) -> None:
    over = replace(journal.ANOMALY, ended_s=journal.START_S + 60)
    slow = replace(journal.ANOMALY, id="slow", title="slow")
    one = replace(journal.OPEN, anomalies=(over, slow))
    config = asyncio.run(journal.write(tmp_path, one))
    assert main(["incident", "show", one.id, "-c", str(config)]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  that is over; what lasts: slow"


@pytest.mark.parametrize("what", [["list"], ["show", "INC-evil"]])
def test_what_others_name_cannot_steer_the_terminal(
    what: list[str], tmp_path: Path, capsys: Capture
) -> None:
    evil = "up \x1b[2J\nsuspect 1  nobody  1.00"
    one = replace(
        journal.OPEN,
        id="INC-evil",
        title=evil,
        anomalies=(replace(journal.ANOMALY, labels={"host": evil}, evidence=("at a\n\tat b",)),),
    )
    config = asyncio.run(journal.write(tmp_path, one))
    assert main(["incident", *what, "-c", str(config)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\nsuspect" not in out
    assert what == ["list"] or "    > at a\n                at b\n" in out  # a trace stays one


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"detector": "absent", "observed": 5.0, "expected": 5.0, "low": 5.0, "high": 5.0},
         "rule up, last value 5; since 22:13:20, still so"),
        ({"detector": "absent"}, "rule up, no data; since 22:13:20, still so"),
        ({"detector": "novel", "observed": 3.0, "expected": 0.0, "low": 0.0, "high": 0.0},
         "rule up, observed 3, expected 0; since 22:13:20, still so"),
        ({"detector": "alertmanager"}, "rule up; since 22:13:20, still so"),
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_not_shown(told: dict[str, Any], said: str) -> None:
    nothing = dict.fromkeys(("observed", "expected", "low", "high"))
    anomaly = replace(journal.ANOMALY, rule="up", **{**nothing, **told})
    assert list(_explained(anomaly, over=False))[1].strip() == said


def test_evidence_that_goes_on_is_not_still_so() -> None:
    shown = list(_explained(journal.ANOMALY, over=True))
    assert shown[1].endswith("; since 22:13:20, still so when all else was over")


def test_json_is_for_programs(config: str, capsys: Capture) -> None:
    assert main(["incident", "list", "--json", "-c", config]) == 0
    assert [i["id"] for i in json.loads(capsys.readouterr().out)] == ["INC-000001", "INC-7f3a21"]
    assert main(["incident", "show", "INC-7f3a21", "--json", "-c", config]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["incident"]["anomalies"][0]["observed"] == 0.118
    assert [run["playbook"] for run in shown["runs"]] == ["rollback-release"]
    assert [one["verdict"] for one in shown["decisions"]] == ["observe"]


def test_another_incident_has_none_of_this(config: str, capsys: Capture) -> None:
    assert main(["incident", "show", "INC-000001", "-c", config]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("wrong", [["show"], ["list", "INC-7f3a21"]])
def test_what_is_missing_or_too_much_is_a_wrong_argument(
    wrong: list[str], config: str, capsys: Capture
) -> None:
    assert main(["incident", *wrong, "-c", config]) == 2
    assert capsys.readouterr().err == "usage: aiopsd incident list, or aiopsd incident show ID\n"


def test_an_unknown_incident(config: str, capsys: Capture) -> None:
    assert main(["incident", "show", "INC-1", "-c", config]) == 1
    assert "no incident 'INC-1'; `aiopsd incident list` names them" in capsys.readouterr().err


def test_no_journal_yet(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "aiopsd.yaml").write_text("sources: {}\n")
    for _ in ("none", "empty"):
        assert main(["incident", "list", "-c", str(tmp_path / "aiopsd.yaml")]) == os.EX_CONFIG
        assert "has the daemon run with this configuration?" in capsys.readouterr().err
        (tmp_path / "state").mkdir(exist_ok=True)
        (tmp_path / "state" / "journal.db").touch()


def test_what_is_no_journal(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "aiopsd.yaml").write_text("sources: {}\nstate: elsewhere\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "journal.db").write_text("not a database, whatever its name says")
    assert main(["incident", "list", "-c", str(tmp_path / "aiopsd.yaml")]) == os.EX_CONFIG
    assert "cannot be opened" in capsys.readouterr().err


def test_no_configuration(tmp_path: Path, capsys: Capture) -> None:
    assert main(["incident", "list", "-c", str(tmp_path / "none.yaml")]) == os.EX_CONFIG
    assert "no configuration at" in capsys.readouterr().err


async def test_nothing_yet(tmp_path: Path, capsys: Capture) -> None:
    config = await journal.write(tmp_path, journal.DECISION)
    assert await asyncio.to_thread(main, ["incident", "list", "-c", str(config)]) == 0
    assert capsys.readouterr().out == "none yet\n"
