"""``aiopsd logs score``: what people type, and what they get."""

import csv
import gzip
import io
import lzma
from array import array
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from aiopsd.cli import main
from aiopsd.offline import log_scores
from aiopsd.offline.line_moments import LineMoments

Capture = pytest.CaptureFixture[str]
BEGIN = datetime(2024, 3, 1, 10, 0, 0, tzinfo=UTC)
ODD = (350, 351)  # requests that fail, 5 s apart


def shop(requests: int = 400, name: str = "trace_id", since: int = 0) -> list[str]:
    """Requests of four lines, one each five seconds, some a little longer."""
    draw, found = Random(5), []
    for n in range(since, requests):
        steps = ["request accepted", "cart loaded", "payment taken", "request done"]
        if draw.random() < 0.3:
            steps.insert(2, "stock looked up")
        if n in ODD:
            steps[-2:] = ["payment refused by the bank: connection reset"]
        for step in steps:
            at = (BEGIN + timedelta(seconds=5 * n)).strftime("%Y-%m-%d %H:%M:%S")
            found.append(f"{at} INFO shop {name}={n:032x} {step}")
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "in.log"
    path.write_text("\n".join(shop()) + "\n")
    return path


def scored(path: Path, *options: str) -> list[dict[str, str]]:
    out = path.parent / "out.csv"
    assert main(["logs", "score", str(path), "-o", str(out), *options]) == 0
    return list(csv.DictReader(io.StringIO(out.read_text())))


def flagged(rows: list[dict[str, str]]) -> list[str]:
    return [row["unit_id"] for row in rows if row["flag"] == "1"]


def test_sessions_are_found_and_those_that_failed_are_flagged(log: Path, capsys: Capture) -> None:
    rows = scored(log)
    assert list(rows[0]) == ["unit_id", "score", "flag", "why"]
    assert [row["unit_id"] for row in rows] == [f"{n:032x}" for n in range(400)]
    assert flagged(rows) == [f"{n:032x}" for n in ODD]
    assert (
        'payment refused by the bank: connection reset" once: 1 in 300 sessions'
        in rows[ODD[0]]["why"]
    )
    assert capsys.readouterr() == ("", "sessions by: trace id\n400 sessions scored, 2 flagged\n")


def test_what_is_only_learned_is_not_flagged(log: Path, capsys: Capture) -> None:
    rows = scored(log, "--learn", "0.9")
    assert [row["why"] for row in rows[:360]] == ["learned"] * 360
    assert flagged(rows) == []
    before = log.parent / "before.log"
    before.write_text("\n".join(shop(300)))
    log.write_text("\n".join(shop(since=200)))
    cold = flagged(scored(log))
    assert flagged(scored(log, "--learn", str(before))) == [f"{n:032x}" for n in ODD]
    assert cold == [f"{n:032x}" for n in ODD]
    log.write_text("\n".join(shop(since=330)))  # too few to know what is usual
    assert flagged(scored(log)) == []
    assert flagged(scored(log, "--learn", str(before))) == [f"{n:032x}" for n in ODD]


def test_sessions_by_a_pattern(log: Path) -> None:
    log.write_text("\n".join(shop(name="thing")))
    assert flagged(scored(log, "--session", r"thing=(\w+)")) == [f"{n:032x}" for n in ODD]


def test_lines_are_named_by_their_numbers(log: Path, capsys: Capture) -> None:
    rows = scored(log, "--by", "line")
    assert [row["unit_id"] for row in rows] == [str(n) for n in range(1, len(shop()) + 1)]
    assert capsys.readouterr().err == f"{len(rows):,} lines scored, 2 flagged\n"
    refused = [str(n) for n, line in enumerate(shop(), 1) if "refused" in line]
    assert flagged(rows) == refused


@pytest.mark.parametrize("options", [["--session", r"trace_id=(\w+)"], []])
def test_windows_are_named_by_the_second_they_begin(log: Path, options: list[str]) -> None:
    rows = scored(log, "--by", "window", "--window", "2m", *options)
    first = int(BEGIN.timestamp())
    assert [int(row["unit_id"]) for row in rows] == list(range(first, first + 2000, 120))
    assert flagged(rows) == [str(first + 5 * ODD[0] // 120 * 120)]
    assert "payment refused" in next(row["why"] for row in rows if row["flag"] == "1")


def test_windows_of_lines_without_sessions(log: Path, capsys: Capture) -> None:
    lines = [line.replace("trace_id=", "n=").replace("0" * 20, "") for line in shop(1500)]
    log.write_text("\n".join(lines))
    rows = scored(log, "--by", "window")
    first = int(BEGIN.timestamp())
    assert flagged(rows) == [str(first + 5 * ODD[0] // 60 * 60)]
    assert " windows scored, 1 flagged\n" in capsys.readouterr().err


def test_compressed_bad_bytes_and_no_line_at_all(tmp_path: Path) -> None:
    path = tmp_path / "in.log"
    text = "\n".join(shop()).encode()
    path.write_bytes(lzma.compress(b"\xff\xfe\x00\n" + b"x" * 100_000 + b"\n" + text))
    assert flagged(scored(path)) == [f"{n:032x}" for n in ODD]
    path.write_bytes(b"")
    assert scored(path) == []


def test_what_is_wrong_is_said(log: Path, tmp_path: Path, capsys: Capture) -> None:
    plain = tmp_path / "plain.log"
    plain.write_text("hello world\n" * 20)
    out = str(tmp_path / "out.csv")
    for words, said in (
        ([str(plain), "-o", out, "--by", "session"], "no id that comes again was found"),
        ([str(plain), "-o", out, "--by", "window"], "no line has a time that can be read"),
        ([str(log), "-o", out, "--session", "nothing"], "is in none of the first lines"),
        ([str(tmp_path / "none"), "-o", out], "cannot read"),
        ([str(log), "-o", out, "--learn", str(tmp_path / "none")], "cannot read"),
    ):
        assert main(["logs", "score", *words]) == 1
        assert said in capsys.readouterr().err
    assert main(["logs", "score", str(log), "-o", str(log)]) == 2
    assert main(["logs", "score", str(plain), "-o", str(log), "--learn", str(log)]) == 2
    assert log.read_text() == "\n".join(shop()) + "\n"
    for option, value in (("--learn", "1.5"), ("--window", "5"), ("--session", "(")):
        with pytest.raises(SystemExit):
            main(["logs", "score", str(log), "-o", out, option, value])
        assert value in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "line", "--window", "5m"], "--window says how long a window is: it needs --by w"),
        (["--window", "5m"], "it needs --by window"),
        (["--by", "session", "--window", "5m"], "it needs --by window"),
        (["--by", "line", "--session", "x"], "--session says how lines are put together"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(
    log: Path, capsys: Capture, options: list[str], said: str
) -> None:
    assert main(["logs", "score", str(log), "-o", str(log.parent / "out.csv"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (log.parent / "out.csv").exists()


def test_standard_input_is_read_once(capsys: Capture) -> None:
    assert main(["logs", "score", "-", "-o", "/dev/null", "--learn", "-"]) == 2
    assert "can be read once only" in capsys.readouterr().err


def with_traces() -> str:
    trace = "\njava.lang.IllegalStateException: x\n\tat shop.Orders.save(Orders.java:4)"
    return "\n".join(shop()).replace("connection reset", "connection failed" + trace)


def test_a_stack_trace_is_scored_as_one(log: Path) -> None:
    """It has no id of its own, and is of the session of the line before it."""
    log.write_text(with_traces())
    rows = scored(log)
    assert flagged(rows) == [f"{n:032x}" for n in ODD]
    assert "IllegalStateException" in rows[ODD[0]]["why"]
    lines = scored(log, "--by", "line")
    assert len(lines) == len(with_traces().splitlines())
    first = next(n for n, line in enumerate(with_traces().splitlines(), 1) if "refused" in line)
    assert flagged(lines)[:3] == [str(first), str(first + 1), str(first + 2)]
    assert len({row["why"] for row in lines[first - 1 : first + 2]}) == 1


def test_of_a_damaged_lesson_that_counts_which_could_be_read(log: Path, capsys: Capture) -> None:
    before = log.parent / "before.gz"
    before.write_bytes(gzip.compress(log.read_bytes())[:-200])
    words = ["logs", "score", str(log), "-o", str(log.parent / "out.csv"), "--learn", str(before)]
    assert main(words) == 65
    assert f"{before} is damaged" in capsys.readouterr().err
    assert (log.parent / "out.csv").exists()


@pytest.mark.parametrize("by", ["session", "window"])
def test_sessions_that_are_not_judged_yet_are_bounded(
    log: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scored(log, "--by", by)
    monkeypatch.setattr(log_scores, "MAX_SESSIONS", 100)
    assert [(row["unit_id"], row["flag"]) for row in scored(log, "--by", by)] == [
        (row["unit_id"], row["flag"]) for row in whole
    ]


def test_a_session_of_many_lines_is_counted() -> None:
    one = log_scores._Session(0, array("l"))
    for n in range(1000):
        one.add(n % 3)
    assert one.counts == {0: 334, 1: 333, 2: 333}
    assert len(one.templates) == 3


# --- when a line was written ---------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %H:%M:%S,123 INFO x", "%Y-%m-%dT%H:%M:%S.123456Z x", "[%Y/%m/%d %H:%M:%S] x",
        "%Y-%m-%d-%H.%M.%S.675872 node", "10.0.0.1 - - [%d/%b/%Y:%H:%M:%S +0000] x",
        "[%a %b %d %H:%M:%S %Y] [error] x", "%y/%m/%d %H:%M:%S INFO x", "%y%m%d %H%M%S 148 INFO x",
        "%Y%m%d-%H:%M:%S:606|Step", '{"time":"%Y-%m-%dT%H:%M:%SZ","msg":"x"}',
        "E %Y-%m-%dT%H:%M:%S+00:00 x",
    ],
)  # fmt: skip
def test_times_in_any_usual_form(form: str) -> None:
    times = [BEGIN + timedelta(seconds=90 * n) for n in range(50)]
    lines = ["  before it", *(at.strftime(form) for at in times), "  at java.lang.Thread.run"]
    found = LineMoments().of(lines)
    assert np.isnan(found[0])
    assert np.floor(found[1:-1]).tolist() == [at.timestamp() for at in times]
    assert found[-1] == found[-2]


@pytest.mark.parametrize("form", ["%b %e %H:%M:%S host x", "%m-%d %H:%M:%S.123 x"])
def test_without_a_year_it_is_the_last_such_day(form: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(days=days) for days in (300, 20, 0)]
    found = LineMoments().of([at.strftime(form) for at in times])
    assert np.floor(found).tolist() == [at.timestamp() for at in times]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_numbers_of_seconds(unit: int) -> None:
    lines = [f"{(1_700_000_000 + n) * unit}\tpod-1\tx" for n in range(5)]
    assert LineMoments().of(lines).tolist() == [1_700_000_000.0 + n for n in range(5)]
    assert LineMoments().of(['{"ts":1700000000.5,"msg":"x"}']).tolist() == [1_700_000_000.5]


def test_the_last_time_is_kept_from_batch_to_batch() -> None:
    one = LineMoments()
    first = one.of(["2024-03-01 10:00:00 x"])
    assert one.of(["more of it", "2024-03-01 10:00:05 y"]).tolist() == [first[0], first[0] + 5]
