"""Tables as people have them: every row of the file is a row here."""

import gzip
import io
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.errors import Refused
from aiopsd.offline.table import Table, read_table

AT = 1_396_310_400.0  # 2014-04-01 00:00 UTC
TIDY = "timestamp,value\n2014-04-01 00:00:00,1\n2014-04-01 00:01:00,2.5\n"


@pytest.fixture
def read(tmp_path: Path):
    def reading(content: str | bytes) -> Table:
        path = tmp_path / "in.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(str(path))

    return reading


@pytest.mark.parametrize(
    "content",
    [
        TIDY,
        TIDY.replace("\n", "\r\n"),
        TIDY.replace("\n", "\n\n"),  # blank lines are no rows
        "\ufeff" + TIDY,
        TIDY.removeprefix("timestamp,value\n"),
        "\ufeff" + TIDY.removeprefix("timestamp,value\n"),
        TIDY.rstrip("\n"),
        TIDY.replace(",", ";"),
        TIDY.replace(",", "\t"),
        TIDY.replace(",", " , "),
        "# exported\n# by hand\n" + TIDY,
        'timestamp,value\n"2014-04-01 00:00:00","1"\n"2014-04-01 00:01:00","2.5"\n',
        "value,Time\n1,2014-04-01 00:00:00\n2.5,2014-04-01 00:01:00\n",
        ",timestamp,value\n0,2014-04-01 00:00:00,1\n1,2014-04-01 00:01:00,2.5\n",
        "timestamp,value\n1396310400,1,\n1396310460,2.5,\n",
        "timestamp;value\n1396310400;1,0\n1396310460;2,5\n",
        TIDY.encode("utf-16"),
        gzip.compress(TIDY.encode(), mtime=0),
        lzma.compress(TIDY.encode()),
    ],
)
def test_one_table_in_many_forms(read, content: str | bytes) -> None:
    table = read(content)
    assert table.times_s.tolist() == [AT, AT + 60]
    assert table.values.tolist() == [[1.0], [2.5]]
    assert table.remarks == ()


def test_of_a_cut_file_what_could_be_read_is_kept_but_half_a_row(read) -> None:
    rows = "".join(f"{AT + 60 * n},{n * n * 12345}\n" for n in range(5000))
    packed = gzip.compress(f"timestamp,value\n{rows}".encode(), mtime=0)
    table = read(packed[: len(packed) // 2])
    assert "in.csv is damaged: what was read is its first" in table.damage
    assert 100 < len(table.stamps) < 4900
    assert table.values[:, 0].tolist() == [n * n * 12345.0 for n in range(len(table.stamps))]
    assert read(packed).damage == ""


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (TIDY.encode(), gzip.compress(TIDY.encode(), mtime=0)):
        text = io.TextIOWrapper(io.BytesIO(content))
        monkeypatch.setattr(sys, "stdin", text)
        assert read_table("-").values.tolist() == [[1.0], [2.5]]


def test_stamps_are_kept_as_written(read) -> None:
    assert read("t,v\n1 Apr 2014,1\n2 Apr 2014,2\n").stamps == ["1 Apr 2014", "2 Apr 2014"]


def test_missing_values_in_many_words(read) -> None:
    words = ["", "NA", "n/a", "NaN", "null", "None", "-", "?", "#N/A", " "]
    table = read(
        "timestamp,value\n" + "".join(f"{n},{w}\n" for n, w in enumerate(words)) + "99,7\n"
    )
    assert np.isnan(table.values[:-1]).all()
    assert table.values[-1] == 7
    assert table.remarks == ()


def test_numbers_in_many_forms(read) -> None:
    cells = ["1e3", "+5", " 7 ", "inf", "-Infinity", '"1,234.5"', '"12,345,678"', "1 234", "0x10"]
    table = read("timestamp,value\n" + "".join(f"{n},{c}\n" for n, c in enumerate(cells)))
    seen = table.values[:-1, 0].tolist()
    assert seen == [1e3, 5, 7, np.inf, -np.inf, 1234.5, 12345678, 1234]
    assert np.isnan(table.values[-1, 0])
    (remark,) = table.remarks
    assert remark.endswith("in.csv:10:2: '0x10' is not a number; 1 such taken as missing")


def test_a_comma_is_a_point_only_where_it_parts_no_cells(read) -> None:
    assert read("t;v\n1;1,5\n2;2,25\n").values.tolist() == [[1.5], [2.25]]
    assert np.isnan(read('t,v\n1,"1,5"\n2,2\n3,3\n').values[0, 0])


def test_many_columns_and_those_that_are_text(read) -> None:
    table = read("time,cpu,host,mem\n1,1,web,5\n2,2,web,6\n3,3,db,7\n")
    assert table.names == ("cpu", "mem")
    assert table.values.tolist() == [[1, 5], [2, 6], [3, 7]]
    assert table.remarks[0].endswith(":2:3: 'web' is not a number; the column is left out")


def test_ragged_rows_stay_rows(read) -> None:
    table = read("time,a,b\n1,1,2\n2\n3,3\n4,4,4,9\n\n5,,5\n")
    assert table.times_s.tolist() == [1, 2, 3, 4, 5]
    assert np.nan_to_num(table.values, nan=-1).tolist() == [
        [1, 2],
        [-1, -1],
        [3, -1],
        [4, 4],
        [-1, 5],
    ]
    assert table.remarks[0].endswith("1 row longer than the first, the rest left")


def test_rows_without_a_time(read) -> None:
    table = read("time,a\n2014-04-01,1\n?,2\n2014-04-03,3\n")
    assert np.isnan(table.times_s).tolist() == [False, True, False]
    assert table.remarks[0].endswith("in.csv:3:1: no time; 1 row judged at the time before")


def test_several_series_below_each_other_are_not_taken_for_one_in_silence(read) -> None:
    table = read("time,host,v\n" + "".join(f"{n},a,1\n{n},b,9\n" for n in range(10)))
    assert table.remarks[1].endswith(
        "in.csv: 10 rows at a time that was there before: judged as one series; if they are "
        "several, give each a column or a file"
    )


def test_more_rows_than_a_portion(read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiopsd.offline.table.PORTION", 7)
    rows = [f"{n},{n}" for n in range(100)]
    rows[50], rows[93] = "50,fifty", "93,"
    table = read("time,v\n" + "\n".join(rows) + "\n")
    assert np.flatnonzero(np.isnan(table.values[:, 0])).tolist() == [50, 93]
    assert ":52:2: 'fifty'" in table.remarks[0]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("", "in.csv:1:1: empty; expected rows of timestamp,value"),
        ("\n\n", "in.csv:3:1: empty"),
        ("timestamp,value\n", "in.csv:2:1: no rows below the header"),
        ("timestamp\n1\n2\n", "in.csv:1:1: one column only; expected timestamp,value"),
        ("time,v\n1,a\n\n2,b\n", "in.csv:2:2: 'a' is not a number"),
        ("time,v\n\nq,1\nr,2\n", "in.csv:3:1: 'q' is not a time"),
        (b"\x1f\x8bxx", "in.csv is damaged: "),
        (b"PK\x03\x04 ...", "in.csv is packed with zip, which is not read here"),
        ("time,v\n1,2\n2," + '"' + "x" * 1_100_000, "in.csv:2:1: not a table: field larger"),
        (b"\xff\xfe\x00", "not text"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(read, content: str, where: str) -> None:
    with pytest.raises(Refused) as refused:
        read(content)
    assert where in str(refused.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.csv: cannot be read: No such file"):
        read_table(str(tmp_path / "none.csv"))
    with pytest.raises(Refused, match="cannot be read: Is a directory"):
        read_table(str(tmp_path))


def test_a_file_without_lines_is_not_read_to_its_end() -> None:
    with pytest.raises(Refused, match="zero:1:1: not a table: a line of 16,000,000 characters"):
        read_table("/dev/zero")


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Refused, match="standard input is closed"):
        read_table("-")


CELLS = st.sampled_from(["", "1", "2.5", "NA", "x", "nan", "1e400", '"a\nb"', "'", "2014-04-01"])


def piped(content: bytes) -> Table | str:
    """The table, or why there is none."""
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        try:
            return read_table("-")
        except Refused as refused:
            return str(refused)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=30))
def test_a_row_is_a_row_or_the_file_is_refused(rows: list[list[str]]) -> None:
    text = "timestamp,value\n" + "\n".join(",".join(row) for row in rows) + "\n"
    found = piped(text.encode())
    if isinstance(found, str):
        assert found.startswith("standard input:")
    else:
        assert len(found.stamps) == sum(row != [""] for row in rows)
        assert len(found.stamps) == len(found.times_s) == len(found.values)


@given(st.binary(max_size=300))
def test_no_bytes_break_it(content: bytes) -> None:
    found = piped(content)
    assert isinstance(found, Table) or found.startswith("standard input")
