"""Lines to samples: recordings of real expositions, every odd form, and a round trip."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.model import Labels
from aiopsd.series import SPARED, SeriesTable
from aiopsd.sources.exposition import Exposition, Parser, labels_of
from tests.loopback.recording import Recording


class Reader:
    """A parser with a table of its own."""

    def __init__(self) -> None:
        self.table = SeriesTable()
        self.types: dict[str, str] = {}
        self.interned: list[Labels] = []
        self.parser = Parser(self._intern, self.table.keys(), self.types)

    def _intern(self, labels: Labels) -> int:
        self.interned.append(labels)
        return self.table.intern("", labels)

    def read(self, text: str | bytes) -> Exposition:
        body, found = text.encode() if isinstance(text, str) else text, Exposition()
        self.parser.feed(body.split(b"\n"), found)
        return found

    def samples(self, text: str) -> list[tuple[Labels, float]]:
        found = self.read(text)
        assert not found.bad_lines, found.first_bad
        return [
            (self.table.labels(i), v)
            for i, v in zip(found.series.tolist(), found.values.tolist(), strict=True)
        ]


def one(line: str) -> tuple[Labels, float]:
    (sample,) = Reader().samples(line)
    return sample


RECORDED = (
    "metrics_text_app",
    "metrics_openmetrics_app",
    "metrics_text_node_exporter",
    "metrics_text_self",
)


@pytest.mark.parametrize("name", RECORDED)
def test_recording_is_read_whole(name: str) -> None:
    body = Recording.load(f"prometheus/{name}").reply.body
    expected = [line for line in body.splitlines() if line and not line.startswith("#")]
    reader = Reader()
    first = reader.read(body)
    assert first.bad_lines == 0, first.first_bad
    assert len(first.series) == len(expected)
    assert first.ended == name.startswith("metrics_openmetrics")


@pytest.mark.parametrize("name", RECORDED)
def test_known_series_keep_their_index(name: str) -> None:
    body, reader = Recording.load(f"prometheus/{name}").reply.body, Reader()
    first = reader.read(body)
    met = len(reader.interned)
    again = reader.read(body)
    assert again.series.tolist() == first.series.tolist()
    assert str(again.values.tolist()) == str(first.values.tolist())  # NaN among them
    assert len(reader.interned) == met


def test_recorded_labels_and_values() -> None:
    body = Recording.load("prometheus/metrics_openmetrics_app").reply.body
    samples = {tuple(sorted(labels.items())): value for labels, value in Reader().samples(body)}
    name = ("__name__", "app_special")
    assert samples[(name, ("kind", 'uni "q" \\ ünï\n2nd'))] == 2
    assert samples[(name, ("kind", "pinf"))] == math.inf
    assert samples[(name, ("kind", "ninf"))] == -math.inf
    assert math.isnan(samples[(name, ("kind", "nan"))])
    bucket = (("__name__", "app_latency_seconds_bucket"), ("le", "0.01"), ("route", "/a"))
    assert samples[bucket] == 22  # it has an exemplar


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("up 1", {"__name__": "up"}, 1),
        ("a:b_c 1e-3", {"__name__": "a:b_c"}, 0.001),
        ("up{} 1", {"__name__": "up"}, 1),
        ('up{a="b"} 1 1395066363000', {"__name__": "up", "a": "b"}, 1),
        ('up{a="b",} 1', {"__name__": "up", "a": "b"}, 1),
        (' up \t{ a = "b" , c="d" }\t 1 \r', {"__name__": "up", "a": "b", "c": "d"}, 1),
        ('up{a="b"}1', {"__name__": "up", "a": "b"}, 1),
        ('up{a=""} 1', {"__name__": "up"}, 1),
        ('up{a="} 2 #{"} 1', {"__name__": "up", "a": "} 2 #{"}, 1),
        (r'up{a="\\n\"\n\x"} 1', {"__name__": "up", "a": '\\n"\n\\x'}, 1),
        ('up{a="b"} 3 1.5 # {trace="x y"} 0.67 1.5', {"__name__": "up", "a": "b"}, 3),
        ("up 3 # {} 0.67", {"__name__": "up"}, 3),
        ('{"my.name","my.label"="v"} 1', {"__name__": "my.name", "my.label": "v"}, 1),
        ('{"up"} 1', {"__name__": "up"}, 1),
        ("up -Inf", {"__name__": "up"}, -math.inf),
        ("up +inf", {"__name__": "up"}, math.inf),
    ],
)
def test_forms_of_a_line(line: str, labels: Labels, value: float) -> None:
    assert one(line) == (labels, value)


@pytest.mark.parametrize(
    "line",
    [
        "up",
        "up ",
        "up one",
        "up{ 1",
        'up{a="b} 1',
        'up{a="b"} 1 soon',
        "up{a=b} 1",
        'up{a="b" c="d"} 1',
        'up{a="b",a="c"} 1',
        'up{"other"} 1',
        '{a="b"} 1',
        "1up 1",
        "up1",
        "<html>",
        "\x00\x01\x02",
        b'up{a="\xff"} 1',
    ],
)
def test_bad_line_is_named_and_loses_no_other(line: str | bytes) -> None:
    raw = line.encode() if isinstance(line, str) else line
    reader = Reader()
    found = reader.read(b"first 1\n" + raw + b"\nlast 2\n" + raw)
    assert found.values.tolist() == [1, 2]
    assert found.bad_lines == 2
    assert found.first_bad.startswith("line 2: ")


def test_known_series_with_a_bad_value_is_a_bad_line() -> None:
    reader = Reader()
    reader.read("up 1")
    found = reader.read("up 1\nup x\nup 2")
    assert (found.values.tolist(), found.bad_lines) == ([1, 2], 1)
    assert "line 2" in found.first_bad


def test_line_numbers_run_on_over_portions() -> None:
    reader, found = Reader(), Exposition()
    reader.parser.feed([b"up 1", b"# HELP up A \\n \\\\ b"], found)
    reader.parser.feed([b"", b"nonsense"], found)
    assert found.first_bad.startswith("line 4: ")


def test_nothing_counts_after_the_end() -> None:
    found = Reader().read("up 1\n# EOF\nrubbish")
    assert found.ended
    assert found.bad_lines == 0


def test_a_comment_in_a_label_is_no_comment() -> None:
    assert one('up{a="# EOF"} 1')[0]["a"] == "# EOF"


def test_a_series_that_the_table_forgot_is_met_again() -> None:
    reader = Reader()
    reader.read("up 1\ndown 1")
    gone = [one for _ in range(SPARED + 2) for one in reader.table.expire(1.0).tolist()]
    assert sorted(gone) == [0, 1]
    assert reader.read("other 1").series.tolist() == [0]
    again = reader.read("up 1\ndown 1")
    assert [reader.table.labels(i)["__name__"] for i in again.series.tolist()] == ["up", "down"]
    assert len(reader.interned) == 5


def test_a_full_table_takes_no_more_and_reads_on() -> None:
    reader = Reader()
    reader.table.shares.limit = 1
    for _ in range(3):
        assert reader.read("a 1\nb 2\nc 3").values.tolist() == [1]
    assert len(reader.interned) == 3, "what was refused is not decoded again"


def test_types_are_what_the_target_says() -> None:
    reader = Reader()
    text = "# HELP a # TYPE x counter\n# TYPE a counter\na_total 1\n# TYPE b histogram \r\n"
    reader.read(text + f"#TYPE c gauge\n# TYPE d\n# TYPE e f g\n# TYPE {'x' * 2000} gauge")
    assert reader.types == {"a": "counter", "b": "histogram", "c": "gauge"}
    reader.types.clear()
    reader.read(text)
    assert reader.types == {}, "known comments cost nothing"


def test_known_and_odd_lines_stay_in_their_order() -> None:
    reader = Reader()
    reader.read("a 1\nb 2\nc 3")
    again = reader.read("a 4\nb 5 1700000000\nd 7\nc 6 # {} 1\n# EOF\na 9\ne 9")
    names = [reader.table.labels(i)["__name__"] for i in again.series.tolist()]
    assert (names, again.values.tolist()) == (["a", "b", "d", "c"], [4, 5, 7, 6])
    assert again.ended


def test_an_endless_quote_is_refused_in_no_time() -> None:
    line = b'up{a="' + b'\\"' * 200_000
    assert Reader().read(line).bad_lines == 1


names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*", fullmatch=True)
label_names = st.text(string.ascii_letters + "_", min_size=1).filter("__name__".__ne__)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
values = st.floats(allow_nan=False)
series = st.tuples(names, st.dictionaries(label_names, texts, max_size=4), values)


def rendered(name: str, labels: Labels, value: float) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    inside = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value!r}"


@given(st.lists(series))
def test_round_trip(wanted: list[tuple[str, Labels, float]]) -> None:
    text = "\n".join(rendered(*sample) for sample in wanted)
    found = Reader().samples(text)
    assert found == [({"__name__": name, **labels}, value) for name, labels, value in wanted]


@given(st.binary())
def test_rubbish_is_refused_and_nothing_worse(body: bytes) -> None:
    found = Reader().read(body)
    assert len(found.series) == len(found.values)


def test_labels_of_a_bare_name() -> None:
    assert labels_of(b"up") == {"__name__": "up"}
