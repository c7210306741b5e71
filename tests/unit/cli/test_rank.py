"""``aiopsd rank`` over a small recorded case, and over cases that are none."""

import json
import shutil
from pathlib import Path

import pytest

from aiopsd.cli import main

CASE = Path(__file__).parents[2] / "recordings" / "rank_case"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CASE, tmp_path / "case"))


def test_people_read_who_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", str(CASE)]) == 0
    said = capsys.readouterr().out
    assert "ledger  disk-io-util-percent" in said.splitlines()[0]
    assert "usually" in said
    assert "its callees explain" in said
    assert "deploy c0ffee1 of ledger" in said


def test_programs_read_json(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert main(["rank", str(CASE), "-o", str(out)]) == 0
    entries = json.loads(out.read_text())
    assert [sorted({"service", "metric", "score", "reasons"} - one.keys()) for one in entries] == [
        [] for _ in entries
    ]
    first = entries[0]
    assert (first["service"], first["metric"]) == ("ledger", "disk-io-util-percent")
    assert first["score"] > 0.8
    assert first["reasons"][0]["text"]
    assert [one["change"] for one in first["changes"]] == ["c0ffee1", None, "5eed222"]
    assert sum(one["score"] for one in first["changes"]) == pytest.approx(1.0, abs=1e-3)


def test_metrics_alone_are_enough(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in case.iterdir():
        if file.name != "metrics.csv":
            file.unlink()
    assert main(["rank", str(case), "-o", "-"]) == 0
    heard = capsys.readouterr()
    assert "taken after 3/4 of the rows" in heard.err
    assert "changes" not in json.loads(heard.out)[0]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("metrics.csv", None, "has no metrics.csv"),
        ("metrics.csv", "", "metrics.csv:1:1: empty"),
        ("incident.json", "{\n 'a': 1}", "incident.json:2:2: not JSON"),
        ("incident.json", '{"detect_time": "soon"}', "detect_time: 'soon' is not a time"),
        ("incident.json", '{"step_s": -1}', "step_s must be positive"),
        ("topology.json", '{"edges": [["a"]]}', "topology.json: Expected `array` of length 2"),
        ("deploys.json", '[{"service": "a"}]', "deploys.json: Object missing required field"),
        ("deploys.json", '[{"service": "a", "timestamp": "x"}]', "[0].timestamp: 'x' is not"),
        ("log_counts.csv", "service,count\na,1\n", "log_counts.csv:1: no column 'template'"),
        ("log_counts.csv", "timestamp,service,template,count\n1,a,b,many\n",
         "log_counts.csv:2: count: 'many' is not a number"),
        ("logs.ndjson", "{}\n[1]\n", "logs.ndjson:1: timestamp: 'None' is not a time"),
        ("logs.ndjson", "[1]\n", "logs.ndjson:1: not an object"),
        ("trace_edges.csv", "caller\n", "trace_edges.csv:1: no column 'callee'"),
        ("alert.json", "[]", "alert.json: Expected `object`, got `array`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    case: Path, file: str, text: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is None:
        (case / file).unlink()
    else:
        (case / file).write_text(text)
    assert main(["rank", str(case)]) == 1
    heard = capsys.readouterr()
    assert said.replace("`", "") in heard.err
    assert not heard.out


def test_no_folder_and_no_place_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rank", str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err
    assert main(["rank", str(CASE), "-o", str(tmp_path / "no" / "out.json")]) == 1
    assert "cannot write" in capsys.readouterr().err
