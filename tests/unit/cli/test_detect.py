"""``aiopsd detect``: what people type, and what they get."""

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aiopsd.cli import main
from aiopsd.offline.judging import judge
from aiopsd.offline.table import read_table

Capture = pytest.CaptureFixture[str]
COLUMNS = ["timestamp", "value", "score", "is_anomaly", "is_certain", "alert_score", "expected",
           "low", "high"]  # fmt: skip


@pytest.fixture
def spiky(tmp_path: Path) -> str:
    values = 100 + 5 * np.random.default_rng(3).standard_normal(600)
    values[500] += 300
    rows = [f"{1_700_000_000 + 300 * n},{x:.3f}" for n, x in enumerate(values.tolist())]
    rows[550] = f"{1_700_000_000 + 300 * 550},"
    (tmp_path / "in.csv").write_text("timestamp,value\n" + "\n".join(rows) + "\n")
    return str(tmp_path / "in.csv")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_one_row_out_for_each_row_in(spiky: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["detect", spiky, "-o", str(tmp_path / "out.csv")]) == 0
    assert capsys.readouterr() == ("", "")
    rows = rows_of((tmp_path / "out.csv").read_text())
    assert list(rows[0]) == COLUMNS
    assert [row["timestamp"] for row in rows] == [str(1_700_000_000 + 300 * n) for n in range(600)]
    assert [n for n, row in enumerate(rows) if row["is_anomaly"] == "1"] == [500]
    assert float(rows[500]["value"]) > 300 > float(rows[500]["high"])
    assert rows[550]["value"] == ""
    assert rows[550]["score"] == "0"


def test_what_is_read_is_not_written(spiky: str, tmp_path: Path, capsys: Capture) -> None:
    before, link = Path(spiky).read_bytes(), tmp_path / "link.csv"
    link.symlink_to(spiky)
    for output in (spiky, str(link)):
        assert main(["detect", spiky, "-o", output]) == 2
        assert "is read: another name must be written" in capsys.readouterr().err
    assert Path(spiky).read_bytes() == before


def test_a_full_disk_behind_a_pipe_is_said(spiky: str) -> None:
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "aiopsd", "detect", spiky, "-o", "-"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr.startswith("cannot write -: No space left on device\n")
    assert "Traceback" not in done.stderr


def test_each_column_is_what_its_name_says(spiky: str, capsys: Capture) -> None:
    main(["detect", spiky, "-o", "-"])
    rows, table = rows_of(capsys.readouterr().out), read_table(spiky)
    judged = judge(table.times_s, table.values)
    for name in COLUMNS[2:]:
        written = [float(row[name] or "nan") for row in rows]
        found = getattr(judged, name).reshape(len(rows), -1)[:, 0].astype(float)
        assert written == pytest.approx(found, rel=1e-5, nan_ok=True), name


def test_gzip_and_pipes_say_the_same(
    spiky: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["detect", spiky, "-o", "-"])
    plain = capsys.readouterr().out
    assert main(["detect", spiky, "-o", str(tmp_path / "out.csv.gz")]) == 0
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()).decode() == plain
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(spiky).read_bytes())))
    assert main(["detect", "-", "-o", "-"]) == 0
    assert capsys.readouterr().out == plain


def test_of_a_cut_file_what_could_be_read_is_judged(
    spiky: str, tmp_path: Path, capsys: Capture
) -> None:
    main(["detect", spiky, "-o", "-"])
    plain = rows_of(capsys.readouterr().out)
    cut, out = tmp_path / "cut.csv.gz", tmp_path / "out.csv"
    cut.write_bytes(gzip.compress(Path(spiky).read_bytes())[:-2000])
    assert main(["detect", str(cut), "-o", str(out)]) == 65
    assert f"{cut} is damaged: what was read is its first" in capsys.readouterr().err
    rows = rows_of(out.read_text())
    assert 100 < len(rows) < len(plain)
    assert rows[:100] == plain[:100]


def test_a_table_for_people(spiky: str, capsys: Capture) -> None:
    assert main(["detect", spiky]) == 0
    first, head, *found = capsys.readouterr().out.splitlines()
    assert first.startswith("600 rows, 1 column: 1 strange, ")
    assert head.split()[:3] == ["since", "value", "expected"]
    assert found[0].startswith("1700150000 ")


def test_of_many_columns_the_strangest_is_shown(tmp_path: Path, capsys: Capture) -> None:
    values = np.array([50.0, 0.1]) + 0.01 * np.random.default_rng(3).standard_normal((600, 2))
    values[500, 1] += 3
    rows = [f"{1_700_000_000 + 300 * n},{a:.4f},{b:.4f}\n" for n, (a, b) in enumerate(values)]
    (tmp_path / "in.csv").write_text("time,cpu,latency\n" + "".join(rows))
    assert main(["detect", str(tmp_path / "in.csv"), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["anomalies"]
    assert (one["row"], one["column"]) == (501, "latency")
    assert one["low"] < one["expected"] < one["high"] < 3 < one["value"]
    main(["detect", str(tmp_path / "in.csv")])
    assert "  latency" in capsys.readouterr().out


def test_silence_about_a_short_file_is_explained(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in.csv").write_text("".join(f"{n},{n % 3}\n" for n in range(12)))
    assert main(["detect", str(tmp_path / "in.csv")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "12 rows, 1 column: 0 strange, 0 of them certain",
        "too few to tell: a series is judged after 20 rows",
    ]


def test_json_for_machines(spiky: str, capsys: Capture) -> None:
    assert main(["detect", spiky, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 600
    assert found["columns"] == ["value"]
    (one,) = found["anomalies"]
    assert (one["row"], one["timestamp"]) == (501, "1700150000")
    assert one["low"] < one["expected"] < one["high"] < one["value"]


def test_what_was_passed_over_is_told_beside(spiky: str, capsys: Capture) -> None:
    with Path(spiky).open("a") as file:
        file.write("1700180000,broken\n")
    assert main(["detect", spiky, "-o", "-"]) == 0
    out, err = capsys.readouterr()
    assert len(rows_of(out)) == 601
    assert err == f"{spiky}:602:2: 'broken' is not a number; 1 such taken as missing\n"


def test_faults(spiky: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["detect", str(tmp_path / "none.csv")]) == 1
    assert capsys.readouterr().err.endswith("none.csv: cannot be read: No such file or directory\n")
    assert main(["detect", spiky, "-o", str(tmp_path / "no" / "out.csv")]) == 1
    assert "cannot write" in capsys.readouterr().err
    assert main(["detect", spiky, "-o", "-", "--json"]) == 2


def test_the_start_imports_little() -> None:
    """No event loop, HTTP, YAML or pandas for one who has a file and a question."""
    code = (
        "import sys; from aiopsd.cli import main\n"
        "main(['detect', '-', '-o', '-'])\n"
        "heavy = {'pandas', 'scipy', 'statsmodels', 'river', 'aiohttp', 'cel_expr_python'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="1,2\n2,3\n", capture_output=True, text=True
    )
    assert done.stderr.strip() == "[]"
    assert len(done.stdout.splitlines()) == 3
