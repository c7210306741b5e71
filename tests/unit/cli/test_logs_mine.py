"""``aiopsd logs mine``: what people type, and what they get."""

import bz2
import csv
import gzip
import io
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

from aiopsd.cli import main
from aiopsd.offline.lines import MAX_LINE_BYTES

Capture = pytest.CaptureFixture[str]
LINES = [f"Accepted connection {n} from 10.0.0.{n % 250}" for n in range(40)] + [
    f"worker {n} is done" for n in range(10)
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "in.log"
    path.write_text("\n".join(LINES) + "\n")
    return path


def mined(path: Path, *options: str) -> list[dict[str, str]]:
    out = path.parent / "out.csv"
    assert main(["logs", "mine", str(path), "-o", str(out), *options]) == 0
    return list(csv.DictReader(io.StringIO(out.read_text())))


def test_a_row_for_each_line(log: Path, capsys: Capture) -> None:
    rows = mined(log)
    assert list(rows[0]) == ["line_no", "cluster_id", "template"]
    assert [int(row["line_no"]) for row in rows] == list(range(1, 51))
    assert [row["cluster_id"] for row in rows] == ["0"] * 40 + ["1"] * 10
    assert {row["template"] for row in rows} == {
        "Accepted connection <num> from <ip>", "worker <num> is done",
    }  # fmt: skip
    assert capsys.readouterr() == ("", "50 lines, 2 templates\n")


def test_without_a_file_to_write_people_get_a_table(log: Path, capsys: Capture) -> None:
    assert main(["logs", "mine", str(log)]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["lines", "id", "template"]
    assert first.split(None, 2) == ["40", "0", "Accepted connection <num> from <ip>"]
    assert second.split(None, 2) == ["10", "1", "worker <num> is done"]


def test_ids_as_they_were_read_and_as_they_are_in_the_end(tmp_path: Path) -> None:
    """That this word varies is known by its fourth kind; lines before keep the ids they got."""
    path = tmp_path / "in.log"
    path.write_text(
        "\n".join(f"the {word} engine is warm" for word in ["red", "blue", "dark", "fast"])
    )
    assert [row["cluster_id"] for row in mined(path, "--batch", "1")] == ["0", "1", "2", "0"]
    assert [row["cluster_id"] for row in mined(path, "--batch", "1", "--final")] == ["0"] * 4
    assert [row["cluster_id"] for row in mined(path)] == ["0"] * 4
    assert {row["template"] for row in mined(path)} == {"the <*> engine is warm"}


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_packed_files_and_pipes(log: Path, tmp_path: Path, pack, capsys: Capture) -> None:  # type: ignore[no-untyped-def]
    packed = tmp_path / "packed"
    packed.write_bytes(pack(log.read_bytes()))
    assert mined(packed) == mined(log)
    words = [sys.executable, "-m", "aiopsd", "logs", "mine", "-", "-o", "-"]
    piped = subprocess.run(words, input=packed.read_bytes(), capture_output=True, check=True)
    assert list(csv.DictReader(io.StringIO(piped.stdout.decode()))) == mined(log)


def test_the_table_may_be_packed(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv.gz"
    assert main(["logs", "mine", str(log), "-o", str(out)]) == 0
    assert len(gzip.decompress(out.read_bytes()).splitlines()) == 51


def test_hostile_bytes_are_lines_like_others(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "in.log"
    path.write_bytes(
        b"x" * (3 * MAX_LINE_BYTES) + b"\n\xff\xfe\x00bad\r\n\n\x1b[31mred\x1b[0m\x07 1\nlast, 2"
    )
    assert len(mined(path)) == 5
    assert main(["logs", "mine", str(path)]) == 0
    shown = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert "red\\x07 <num>" in shown


def test_what_is_wrong_is_said(log: Path, tmp_path: Path, capsys: Capture) -> None:
    bad = tmp_path / "bad.gz"
    bad.write_bytes(b"\x1f\x8b\x08" + bytes(20))
    for words, said in (
        ([str(tmp_path / "none")], f"cannot read {tmp_path / 'none'}: No such file or directory"),
        ([str(tmp_path)], f"cannot read {tmp_path}: Is a directory"),
        ([str(log), "-o", str(tmp_path / "no" / "x")], "cannot write"),
        ([str(log), "-o", "/dev/full"], "cannot write /dev/full: No space left on device"),
        ([str(bad)], f"{bad} is damaged"),
    ):
        assert main(["logs", "mine", *words]) == 1
        assert said in capsys.readouterr().err
    before = log.read_bytes()
    assert main(["logs", "mine", str(log), "-o", str(log)]) == 2
    assert "is read: another name must be written" in capsys.readouterr().err
    assert log.read_bytes() == before
    with pytest.raises(SystemExit):
        main(["logs", "mine", str(log), "--batch", "0"])
    assert "'0' is no number from 1" in capsys.readouterr().err


def test_an_empty_file_has_no_templates(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in.log").write_bytes(b"")
    assert mined(tmp_path / "in.log") == []
    assert main(["logs", "mine", str(tmp_path / "in.log")]) == 0
    assert capsys.readouterr().err.endswith("0 lines, 0 templates\n")


TRACE = """2026-11-23 10:00:00 ERROR could not save order {0}
java.lang.IllegalStateException: no connection {0}
\tat com.shop.Orders.save(Orders.java:4{0})
\tat com.shop.Api.post(Api.java:7)
2026-11-23 10:00:01 INFO order {0} saved"""


def test_a_stack_trace_is_one_event_and_a_row_for_each_line(tmp_path: Path) -> None:
    path = tmp_path / "in.log"
    path.write_text("\n".join(TRACE.format(n) for n in range(300)))
    rows = mined(path, "--batch", "7")
    assert [int(row["line_no"]) for row in rows] == list(range(1, 1501))
    assert [row["cluster_id"] for row in rows] == ["0", "0", "0", "0", "1"] * 300
    assert rows[2]["template"].endswith(
        "could not save order <num> java.lang.IllegalStateException"
    )


def test_lines_that_are_merely_indented_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.log"
    path.write_text("\n".join(f"loading {n}:\n  module {n} is ready" for n in range(100)))
    assert [row["cluster_id"] for row in mined(path)] == ["0", "1"] * 100


def test_of_a_damaged_file_that_counts_which_could_be_read(tmp_path: Path, capsys: Capture) -> None:
    text = "".join(f"worker {n} is {n * 7919} done\n" for n in range(100_000)).encode()
    path, out = tmp_path / "in.gz", tmp_path / "out.csv"
    path.write_bytes(gzip.compress(text)[:-1000])
    assert main(["logs", "mine", str(path), "-o", str(out)]) == 65
    said = capsys.readouterr().err
    assert f"{path} is damaged: what was read is its first " in said
    assert 90_000 < len(out.read_text().splitlines()) < 100_000
