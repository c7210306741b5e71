"""Bytes of remote_write become samples: recorded ones, generated ones, broken ones."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.model import Labels
from aiopsd.series import SeriesTable
from aiopsd.sources.protobuf import Malformed
from aiopsd.sources.pushed import Wrong
from aiopsd.sources.pushed_snappy import unpacked
from aiopsd.sources.remote_write_intake import Written
from aiopsd.sources.remote_write_v1 import Version1
from aiopsd.sources.remote_write_v2 import Version2
from tests.loopback.prompb import (
    STALE,
    Histogram,
    Series,
    inner,
    packed,
    real,
    snappy,
    version1,
    version2,
    whole,
)
from tests.loopback.recording import RECORDINGS

RECORDED = RECORDINGS / "prometheus" / "remote_write"
NAMES = ("exemplars", "metadata", "naninf", "native", "samples_only", "stale")
FLOATS = {"STALE": "nan"}  # how the recordings write what JSON cannot
T = 1_795_422_703_081
Reader = Version1 | Version2
Point = tuple[frozenset[tuple[str, str]], int, str]
BOTH = pytest.mark.parametrize(
    ("reader", "encode"), [(Version1, version1), (Version2, version2)], ids=["v1", "v2"]
)


def points(written: Written, table: SeriesTable) -> list[Point]:
    """(labels, time, value as text, since NaN is not itself)."""
    columns = written.series.tolist(), written.times_ms.tolist(), written.values.tolist()
    return [
        (frozenset(table.labels(index).items()), time_ms, repr(value))
        for index, time_ms, value in zip(*columns, strict=True)
    ]


def read(reader: type[Reader], body: bytes) -> tuple[Written, list[Point]]:
    table = SeriesTable()
    written = reader(table).read(body)
    return written, points(written, table)


def named(*pairs: tuple[str, str], **labels: str) -> list[tuple[str, str]]:
    return [("__name__", "up"), *labels.items(), *pairs]


# --- recorded -----------------------------------------------------------------------------


def recorded(name: str) -> tuple[bytes, dict[str, list[Any]]]:
    decoded = json.loads((RECORDED / f"{name}.json").read_text())["decoded"]
    return unpacked((RECORDED / f"{name}.snappy").read_bytes(), 2**20), decoded


@pytest.mark.parametrize("name", NAMES)
def test_recorded_requests(name: str) -> None:
    body, decoded = recorded(name)
    said = decoded.get("timeseries", [])
    expected = [
        (frozenset(map(tuple, one["labels"])), time_ms, repr(float(FLOATS.get(value, value))))
        for one in said
        for value, time_ms in one.get("samples", ())
    ]
    histograms = [h for one in said for h in one.get("histograms", ())]
    written, found = read(Version1, body)
    assert sorted(found[: len(expected)], key=str) == sorted(expected, key=str)
    assert written.counts.samples == len(expected)
    assert written.counts.histograms == len(histograms)
    assert written.counts.exemplars == sum(len(one.get("exemplars", ())) for one in said)
    assert written.counts.metadata == len(decoded.get("metadata", ()))
    gone = [one for one in said for value, _ in one.get("samples", ()) if value == "STALE"]
    assert written.counts.stale == len(gone)
    if not histograms:
        assert len(found) == len(expected)


@pytest.mark.parametrize("name", NAMES)
def test_known_series_read_the_same(name: str) -> None:
    body, _ = recorded(name)
    table = SeriesTable()
    reader = Version1(table)
    first, again = reader.read(body), reader.read(body)
    assert sorted(points(first, table), key=str) == sorted(points(again, table), key=str)
    assert len(first.fresh) >= len(again.fresh) == 0


def test_recorded_native_histogram() -> None:
    """{count 13, sum 12.5, zero 2, buckets at indexes -1, 0, 3, 4 of schema 3: 3, 5, 1, 2}."""
    _, found = read(Version1, recorded("native")[0])
    first_ms = 1_795_422_692_693
    parts = {
        dict(labels).get("le", dict(labels)["__name__"]): value
        for labels, time_ms, value in found
        if dict(labels)["__name__"].startswith("nh_seconds_") and time_ms == first_ms
    }
    assert parts == {
        "0": "2.0",
        "0.840896415254": "2.0",
        "1": "10.0",
        "1.189207115": "10.0",
        "1.41421356237": "13.0",
        "+Inf": "13.0",
        "nh_seconds_count": "13.0",
        "nh_seconds_sum": "12.5",
    }


# --- generated ----------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
LABELS = st.dictionaries(TEXT, TEXT, min_size=1, max_size=5).map(lambda d: sorted(d.items()))
TIMES = st.integers(T - 10**9, T + 10**9) | st.integers(-(2**63), 2**63 - 1)
VALUES = st.floats() | st.just(0.0) | st.just(STALE)
SAMPLES = st.lists(st.tuples(VALUES, TIMES), min_size=1, max_size=1) | st.lists(
    st.tuples(VALUES, TIMES), max_size=3
)
EXEMPLARS = st.lists(st.tuples(LABELS, st.floats(), TIMES), max_size=2)
SERIES = st.builds(
    Series,
    labels=LABELS,
    samples=SAMPLES,
    exemplars=EXEMPLARS,
    kind=st.integers(0, 7),
    created_ms=TIMES,
)


HISTOGRAMS = st.builds(
    Histogram,
    time_ms=TIMES,
    count=st.integers(0, 9),
    sum=VALUES,
    schema=st.integers(-4, 8),
    positive=st.lists(st.integers(0, 9), max_size=4).map(lambda c: ([(1, len(c))], c)),
    floats=st.booleans(),
)
WITH_HISTOGRAMS = SERIES | st.builds(
    Series, labels=LABELS, histograms=st.lists(HISTOGRAMS, max_size=2)
)


def expected_of(series: Sequence[Series]) -> list[Point]:
    # A zero of either sign is not sent.
    return [
        (frozenset(one.labels), time_ms, repr(value or 0.0))
        for one in series
        for value, time_ms in one.samples
    ]


@BOTH
@given(series=st.lists(SERIES, max_size=6))
def test_round_trip(
    reader: type[Reader], encode: Callable[[Any], bytes], series: list[Series]
) -> None:
    table = SeriesTable()
    one = reader(table)
    for _ in range(2):  # new series, then known ones
        written = one.read(encode(series))
        assert sorted(points(written, table), key=str) == sorted(expected_of(series), key=str)
        assert not written.complaint
        assert written.counts.samples == sum(len(s.samples) for s in series)


@BOTH
@given(data=st.data())
def test_a_broken_request_is_malformed_and_nothing_else(
    reader: type[Reader], encode: Callable[[Any], bytes], data: st.DataObject
) -> None:
    series = data.draw(st.lists(WITH_HISTOGRAMS, min_size=1, max_size=4))
    body = bytearray(encode(series))
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    one = reader(SeriesTable())
    one.read(encode(series))
    for cut in {len(body), data.draw(st.integers(0, len(body)))}:
        with contextlib.suppress(Malformed):
            one.read(bytes(body[:cut]))


@BOTH
@given(body=st.binary(max_size=200))
def test_garbage_is_malformed_and_nothing_else(
    reader: type[Reader], encode: Callable[[Any], bytes], body: bytes
) -> None:
    with contextlib.suppress(Malformed):
        reader(SeriesTable()).read(body)


@BOTH
@given(series=st.lists(SERIES, min_size=1, max_size=4), data=st.data())
def test_a_cut_request_never_gives_other_samples(
    reader: type[Reader], encode: Callable[[Any], bytes], series: list[Series], data: st.DataObject
) -> None:
    body = encode(series)
    cut = data.draw(st.integers(0, len(body)))
    try:
        _, found = read(reader, body[:cut])
    except Malformed:
        return
    assert set(found) <= set(expected_of(series))


@BOTH
def test_known_series_cost_no_reading_of_fields(
    reader: type[Reader], encode: Callable[[Any], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = SeriesTable()
    one = reader(table)
    series = [
        Series(
            named(job=str(n), long="x" * (n % 400 + 1)),
            [(float(n % 3), T + n)],
            kind=n % 2,
            created_ms=T * (n % 5 > 2),
        )
        for n in range(500)
    ]
    one.read(encode(series))
    monkeypatch.setattr(f"{reader.__module__}._Scan.one", None)
    monkeypatch.setattr(f"{reader.__module__}._Scan.labels", None)
    found = points(one.read(encode(series)), table)
    assert sorted(found, key=str) == sorted(expected_of(series), key=str)


def test_types_of_metrics() -> None:
    """1.0 says them apart from series, 2.0 with each; native histograms are what they are."""
    one, _ = read(Version1, version1([], [(1, "requests"), (4, "sizes"), (0, "x"), (99, "y")]))
    assert one.types == {"requests": "counter", "sizes": "gaugehistogram"}
    series = [Series(named(job=str(kind)), [(1.0, T)], kind=kind) for kind in (0, 2)]
    series.append(Series([("__name__", "h")], (), [Histogram(T, 0, 0.0)]))
    two, _ = read(Version2, version2(series))
    assert two.types == {"up": "gauge", "h": "histogram"}
    written, _ = read(Version1, recorded("metadata")[0])
    assert written.types["node_os_version"] == "gauge"
    assert len(written.types) > 300


@BOTH
def test_native_histograms(reader: type[Reader], encode: Callable[[Any], bytes]) -> None:
    """Of several times, beside plain series, gone at the end."""
    histograms = [
        Histogram(T, 3, 4.5, positive=([(0, 2)], [1, 2])),
        Histogram(T + 1000, 4, 6.5, positive=([(0, 2)], [1.0, 3.0]), floats=True),
        Histogram(T + 2000, 0, STALE),
    ]
    both = [Series(named(), [(1.0, T)]), Series([("__name__", "h"), ("job", "a")], (), histograms)]
    table = SeriesTable()
    one = reader(table)
    for _ in range(2):
        written = one.read(encode(both))
        counts = written.counts
        assert (counts.samples, counts.histograms, counts.stale) == (1, 3, 1)
        found: dict[str, list[float]] = {}
        for labels, _time_ms, value in points(written, table):
            words = dict(labels)
            name = words["__name__"] + words.get("le", "")
            assert words.get("job") == ("a" if name != "up" else None)
            found.setdefault(name, []).append(float(value))
        assert found.pop("up") == [1.0]
        assert {name: values[:2] for name, values in found.items()} == {
            "h_bucket0.840896415254": [0.0, 0.0],
            "h_bucket1": [1.0, 1.0],
            "h_bucket1.189207115": [3.0, 4.0],
            "h_bucket+Inf": [3.0, 4.0],
            "h_count": [3.0, 4.0],
            "h_sum": [4.5, 6.5],
        }
        assert all(math.isnan(values[2]) for values in found.values())


# --- what is odd --------------------------------------------------------------------------


@BOTH
def test_metadata_after_the_sample(reader: type[Reader], encode: Callable[[Any], bytes]) -> None:
    _, found = read(reader, encode([Series(named(job="a"), [(1.5, T)], kind=1)]))
    assert found == [(frozenset({("__name__", "up"), ("job", "a")}), T, "1.5")]


def test_a_label_that_looks_like_a_sample() -> None:
    """Its bytes are those of a sample, in the place of one."""
    time = "\u20ac\u00e9a"  # 6 bytes, all but the last of them above 127
    for text in ("\x12\x10\x09" + "x" * 8 + "\x10" + time, "\x12\x07\x10" + time):
        for reader, encode in ((Version1, version1), (Version2, version2)):
            series = [Series([("__name__", "up"), ("job", text)], [(2.0, T)]),
                      Series([("__name__", "up"), ("job", text)], ())]  # fmt: skip
            written, found = read(reader, encode(series))  # type: ignore[operator]
            assert found == expected_of(series)
            assert written.counts.samples == 1
            assert not written.complaint


def _of_one(message: bytes) -> bytes:
    """A request with one series, whose sample is this message."""
    labels = inner(1, inner(1, b"__name__") + inner(2, b"up"))
    return inner(1, labels + inner(2, message))


def test_a_sample_of_the_usual_length_and_unusual_order() -> None:
    """Time first; and the value ends as times do."""
    value = struct.unpack("<d", b"\x01\x10" + b"\x80" * 5 + b"\x01")[0]
    odd = _of_one(whole(2, T) + real(1, value))
    table = SeriesTable()
    reader = Version1(table)
    assert len(odd) == len(_of_one(real(1, 1.5) + whole(2, T)))
    reader.read(version1([Series(named(), [(1.5, T)])]))
    assert points(reader.read(odd), table) == [
        (frozenset({("__name__", "up")}), T, repr(value)),
    ]


def test_a_sample_of_the_usual_length_and_an_unusual_field() -> None:
    """An old time, and a field that nobody knows."""
    old_ms = 200_000_000
    odd = _of_one(real(1, 1.5) + whole(2, old_ms) + whole(3, 5))
    table = SeriesTable()
    reader = Version1(table)
    assert len(odd) == len(_of_one(real(1, 1.5) + whole(2, T)))
    reader.read(version1([Series(named(), [(1.5, T)])]))
    assert points(reader.read(odd), table) == [
        (frozenset({("__name__", "up")}), old_ms, "1.5"),
    ]


@BOTH
@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ([], "a series without labels"),
        ([("a", "1"), ("a", "2")], "a label twice"),
        ([("__name__", "up"), ("a", "x" * 70_000)], "labels of more than 65,536 bytes: 'up'"),
        ([("", "1"), ("b", "2")], "a label without a name"),
        ([("a", "")], "a series without labels"),
    ],
)
def test_bad_series_are_left_out(
    reader: type[Reader],
    encode: Callable[[Any], bytes],
    labels: list[tuple[str, str]],
    complaint: str,
) -> None:
    series = [Series(labels, [(1.0, T)]), Series(named(), [(2.0, T)])]
    for histograms in ((), [Histogram(T, 0, 0.0)]):
        series[0].histograms = histograms
        written, found = read(reader, encode(series))
        assert found == [(frozenset({("__name__", "up")}), T, "2.0")]
        assert complaint in written.complaint
        assert (written.counts.bad, written.counts.samples) == (1, 1)


def test_an_empty_label_is_none() -> None:
    _, found = read(Version1, version1([Series(named(job=""), [(1.0, T)])]))
    assert found == [(frozenset({("__name__", "up")}), T, "1.0")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (inner(4, b"") + inner(5, packed(1, [b"\x00", b"\x07"])), "text 7 of 1 is asked for"),
        (b"\x0a", "within a message"),
        (b"\x0a\x05abc", "longer than what there is"),
        (b"\x0b\x05abc", "no wire type 3"),
        (b"\x00\x05abc", "no field 0"),
        (inner(9, b"") + inner(1, bytes(2**21 + 1)), "a message of more than 2 MB"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        (Version2 if "asked" in said else Version1)(SeriesTable()).read(body)


@pytest.mark.parametrize(
    ("reader", "body"),
    [
        (Version1, b"\x0a\x00" * 1_000_001),
        (Version2, b"\x22\x00" * 1_000_001),
        (Version2, b"\x2a\x00" * 1_000_001),
        (Version1, b"\x1a\x00" * 1_000_001),
        (Version1, 3 * inner(1, b"\x1a\x00" * 400_000)),
    ],
    ids=["series", "texts", "series of 2.0", "metadata", "exemplars"],
)
def test_millions_of_empty_messages_are_refused(reader: type[Reader], body: bytes) -> None:
    """Each would take some hundred bytes of memory for two, and there are 32 million in 64 MiB."""
    with pytest.raises(Malformed, match="more than 1,000,000"):
        reader(SeriesTable()).read(body)


def test_a_complaint_is_short() -> None:
    pairs = [(f"{n}" * 1000, "") for n in (1, 2, 2)]
    written, _ = read(Version1, version1([Series(pairs, [(1.0, T)])]))
    assert written.complaint == f"a label twice: {'2' * 60!r}"


def test_a_full_table_refuses_by_count() -> None:
    table = SeriesTable(limit=1)
    reader = Version1(table)
    body = version1([Series(named(job=job), [(1.0, T)]) for job in "abc"])
    for _ in range(2):
        written = reader.read(body)
        assert len(written.series) == 1
        assert written.counts.refused == 2
        assert written.counts.samples == 3


def test_a_series_known_by_several_spellings_is_one() -> None:
    table = SeriesTable()
    one, two = Version1(table), Version2(table)
    backwards = Series(named(job="a")[::-1], [(1.0, T)])
    found = {
        reader.read(encode([series])).series.item()
        for reader, encode in ((one, version1), (two, version2))
        for series in (Series(named(job="a"), [(1.0, T)]), backwards)
    }  # fmt: skip
    assert found == {0}


def test_numbers_of_texts_change_from_request_to_request() -> None:
    table = SeriesTable()
    reader = Version2(table)
    series = [Series(named(job=str(n)), [(float(n), T)]) for n in range(300)]
    for first in ((), ["x", "299", "job"], [f"text {n}" for n in range(20_000)]):
        written = reader.read(version2(series, first))
        assert sorted(points(written, table), key=str) == sorted(expected_of(series), key=str)
    assert len(table) == 300


def test_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiopsd.sources.remote_write_v2.MAX_TEXTS", 100)
    table = SeriesTable()
    reader = Version2(table)
    for start in range(0, 1000, 10):
        series = [Series(named(job=str(n)), [(1.0, T)]) for n in range(start, start + 10)]
        written = reader.read(version2(series))
        assert sorted(points(written, table), key=str) == sorted(expected_of(series), key=str)
        assert len(reader._texts._texts) <= 120


def test_a_freed_index_is_never_mistaken() -> None:
    table = SeriesTable()
    reader = Version1(table)
    old = version1([Series(named(job="old"), [(1.0, T)])])
    reader.read(old)
    for _ in range(30):
        table.expire(math.inf)
    assert len(table) == 0
    new = reader.read(version1([Series(named(job="new"), [(1.0, T)])]))
    back = reader.read(old)
    labels: list[Labels] = [table.labels(int(one.series[0])) for one in (new, back)]
    assert [one["job"] for one in labels] == ["new", "old"]
    assert new.fresh.tolist() == new.series.tolist()


# --- snappy -------------------------------------------------------------------------------


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(Wrong, match="limit is 1,000") as caught:
        unpacked(snappy(bytes(100_000)), 1000)
    assert caught.value.status == 413
    with pytest.raises(Wrong, match="4,294,967,295 bytes"):
        unpacked(b"\xff\xff\xff\xff\x0f", 2**30)


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x05abc", b"\xff" * 12, snappy(b"hello")[:-1]])
def test_what_is_not_snappy(body: bytes) -> None:
    with pytest.raises(Malformed):
        unpacked(body, 2**20)


@given(st.binary(max_size=300))
def test_random_bytes_unpack_or_are_malformed(body: bytes) -> None:
    with contextlib.suppress(Malformed, Wrong):
        unpacked(body, 1000)
