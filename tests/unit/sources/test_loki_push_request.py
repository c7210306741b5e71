"""What a push request says: recorded ones, both encodings, and nonsense."""

from __future__ import annotations

import json
import random
import sys
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.model import LogLine
from aiopsd.sources import loki_push_request
from aiopsd.sources.loki_push_body import pushed_in
from aiopsd.sources.loki_push_request import (
    MAX_LINE_BYTES,
    Pushed,
    parse_labels,
    read_json,
    read_protobuf,
)
from aiopsd.sources.protobuf import Malformed
from aiopsd.sources.pushed import Wrong
from aiopsd.sources.pushed_encoding import decoded
from tests.loopback.logprotos import entry, push_request
from tests.loopback.prompb import inner, snappy, varint
from tests.loopback.recording import Recording

NS = 1_795_421_624_410_668_032
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
LABELS = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), TEXTS, max_size=4)
STREAMS = st.lists(
    st.tuples(LABELS, st.lists(st.tuples(st.integers(0, 2**62), TEXTS, LABELS), max_size=5)),
    max_size=4,
)


def as_json(streams: object) -> bytes:
    return json.dumps({"streams": streams}).encode()


def lines_of(pushed: Pushed) -> list[tuple[int, dict[str, str], str]]:
    return [(line.time_ns, line.labels, line.text) for line in pushed.lines]


def test_a_recorded_push() -> None:
    """Seven lines of one nanosecond, one of them twice, one a little later; and another stream."""
    sent = Recording.load("loki/push_same_ts").sent
    found = read_json(sent.encode())
    said = json.loads(sent)["streams"]
    assert [line.text for line in found.lines] == [v[1] for one in said for v in one["values"]]
    assert found.lines[0].labels == said[0]["stream"]
    assert found.lines[0].labels is found.lines[1].labels  # the miner tells streams by this


@given(STREAMS)
@settings(max_examples=150, deadline=None)
def test_both_encodings_say_the_same(
    streams: list[tuple[dict[str, str], list[tuple[int, str, dict[str, str]]]]],
) -> None:
    text = as_json(
        [
            {"stream": labels, "values": [[str(ns), line, more] for ns, line, more in entries]}
            for labels, entries in streams
        ]
    )
    body = push_request([(_written(labels), entries) for labels, entries in streams])
    wanted = [
        (ns, {**more, **labels}, line)
        for labels, entries in streams
        for ns, line, more in entries
        if line.strip()
    ]
    assert lines_of(read_json(text)) == wanted
    assert lines_of(read_protobuf(body)) == wanted


def _written(labels: dict[str, str]) -> str:
    """As Go's ``%q`` would."""
    pairs = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    return "{" + ", ".join(pairs) + "}"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("{}", {}),
        ('{app="a", job="b/c"}', {"app": "a", "job": "b/c"}),
        ('  {app="a",}', {"app": "a"}),
        (r'{a="x\"y\\z\n\t", b="\u00e9\x41\U0001F600"}', {"a": 'x"y\\z\n\t', "b": "éA😀"}),
        ('{a="}{,=", b=""}', {"a": "}{,=", "b": ""}),
        (r'{a="\ud800"}', {"a": "\ufffd"}),
        ("", None),
        ("app=a", None),
        ('{app="a" job="b"}', None),
        ('{app="a}', None),
        ("{1=2}", None),
    ],
)
def test_labels_as_text(text: str, labels: dict[str, str] | None) -> None:
    assert parse_labels(text) == labels


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b'{"streams": [',
        b"[]",
        b'{"streams": {}}',
        b'{"streams": [{"values": [[1795421624410668032, "number"]]}]}',
        b'{"streams": [{"values": [["1795421624410668032"]]}]}',
        b'{"streams": [{"values": [["now", "x"]]}]}',
        b'{"streams": [{"values": [["-1", "x"]]}]}',
        b'{"streams": [{"values": [["12345678901234567890", "x"]]}]}',
        b'{"streams": [{"stream": {"a": 1}, "values": []}]}',
        b'{"streams": [{"values": [["1", "x", {"a": {"b": "c"}}]]}]}',
        b'{"streams":' * 100_000,
    ],
)
def test_json_that_is_no_push(wrong: bytes) -> None:
    with pytest.raises(Malformed):
        read_json(wrong)


def test_halves_of_characters_cost_no_batch() -> None:
    """Its client would drop all of it: bytes that are no UTF-8, escapes that are no character."""
    body = b'{"streams": [{"stream": {}, "values": [["1", "caf\xe9"], ["2", "\\ud800!"]]}]}'
    assert [line.text for line in read_json(body).lines] == ["caf\ufffd", "?!"]
    body = push_request([("{}", [(1, b"caf\xe9")])])
    assert [line.text for line in read_protobuf(body).lines] == ["caf\ufffd"]


def test_a_stream_without_labels_that_can_be_read_is_left_out() -> None:
    body = push_request([('{a="1"', [(NS, "lost")]), ('{a="1"}', [(NS, "kept")])])
    found = read_protobuf(body)
    assert lines_of(found) == [(NS, {"a": "1"}, "kept")]
    assert (found.bad, found.complaint) == (1, "not the labels of a stream: '{a=\"1\"'")


def test_what_nobody_asks_about_is_passed_over() -> None:
    more = varint(3 << 3) + varint(77) + inner(9, b"x" * 300)
    body = inner(1, inner(2, entry(NS, "x" * 200) + more) + inner(1, b'{a="1"}') + more) + more
    assert lines_of(read_protobuf(body)) == [(NS, {"a": "1"}, "x" * 200)]


def test_long_lines_are_cut_and_blank_ones_left_out() -> None:
    found = read_json(as_json([{"values": [["1", "x" * (MAX_LINE_BYTES + 1)], ["2", " "]]}]))
    assert ([len(line.text) for line in found.lines], found.cut) == ([MAX_LINE_BYTES], 1)


@pytest.mark.parametrize("line", ["x", "", " "])
def test_more_lines_than_anybody_sends(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loki_push_request, "MOST_LINES", 3)
    with pytest.raises(Malformed, match="more than 3 lines"):
        read_json(as_json([{"values": [["1", line]] * 4}]))
    with pytest.raises(Malformed, match="more than 3 lines"):
        read_protobuf(push_request([('{a="1"}', [(NS, line)] * 4)]))


def test_streams_of_nothing_are_counted_too() -> None:
    with pytest.raises(Malformed, match="lines and streams"):
        read_protobuf(inner(1, b"") * (loki_push_request.MOST_LINES + 1))
    with pytest.raises(Malformed, match="lines and streams"):
        read_protobuf(inner(1, inner(2, b"") * (loki_push_request.MOST_LINES + 1)))


def test_a_stream_of_too_many_labels_is_left_out() -> None:
    many = {f"l{number}": "x" for number in range(loki_push_request.MOST_LABELS + 1)}
    some = dict(list(many.items())[1:])
    values = [["1", "x"]]
    found = read_json(
        as_json([{"stream": many, "values": values}, {"stream": some, "values": values}])
    )
    assert (lines_of(found), found.bad) == ([(1, some, "x")], 1)
    assert "129 labels" in found.complaint
    found = read_protobuf(push_request([(_written(many), [(NS, "x")]), ("{}", [(NS, "y")])]))
    assert (lines_of(found), found.bad) == ([(NS, {}, "y")], 1)


def test_metadata_makes_no_gigabytes_of_a_small_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line with metadata has labels of its own, those of its stream among them."""
    many = {f"l{number}": "x" for number in range(loki_push_request.MOST_LABELS + 1)}
    with pytest.raises(Malformed, match="more than 128 names"):
        read_json(as_json([{"values": [["1", "x", many]]}]))
    monkeypatch.setattr(loki_push_request, "MOST_PAIRS", 10)
    stream = {"stream": {"a": "1", "b": "2", "c": "3"}, "values": [["1", "x", {"d": "4"}]]}
    assert len(read_json(as_json([stream] * 2)).lines) == 2
    with pytest.raises(Malformed, match="more than 10 labels"):
        read_json(as_json([stream] * 3))


def test_what_waits_is_counted_with_the_labels_of_each_line() -> None:
    """745 kB that took 110 MB were said to be 6: ten times what may wait could wait."""
    labels = {f"l{number}": "x" for number in range(100)}
    plain = read_json(as_json([{"stream": labels, "values": [["1", "x"]] * 1000}]))
    own = read_json(as_json([{"stream": labels, "values": [["1", "x", {"m": "1"}]] * 1000}]))
    held = sum(sys.getsizeof(line.labels) for line in own.lines)
    assert plain.size_bytes < held / 10
    assert held < own.size_bytes - plain.size_bytes + 2**20
    assert own.size_bytes > 3_000_000


def test_any_bytes_are_lines_or_refused() -> None:
    """Cut, turned and random: never anything but Malformed."""
    chance = random.Random(7)
    whole = push_request([('{a="1"}', [(NS, "x", {"k": "v"}), (NS, "y" * 150)])])
    for _ in range(3000):
        body = bytearray(whole[: chance.randint(0, len(whole))])
        for _ in range(chance.randint(0, 4) if body else 0):
            body[chance.randrange(len(body))] = chance.randrange(256)
        with suppress(Malformed):
            assert all(isinstance(line, LogLine) for line in read_protobuf(bytes(body)).lines)


# --- packed -------------------------------------------------------------------------------

JSON = as_json([{"stream": {"a": "1"}, "values": [["1", "x"]]}])


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("kind", "encoding", "body"),
    [
        ("application/json", "", JSON),
        ("application/json", "gzip", zlib.compress(JSON, wbits=31)),
        ("application/json", "deflate", zlib.compress(JSON)),
        ("application/json", "deflate", raw_deflate(JSON)),
        ("application/json", "snappy", snappy(JSON)),
        ("application/x-protobuf", "snappy", snappy(push_request([('{a="1"}', [(1, "x")])]))),
        ("", "", snappy(push_request([('{a="1"}', [(1, "x")])]))),
    ],
)
def test_packed_in_every_way(kind: str, encoding: str, body: bytes) -> None:
    assert lines_of(pushed_in(body, kind, encoding, 1000)) == [(1, {"a": "1"}, "x")]


@pytest.mark.parametrize(
    ("kind", "encoding", "body", "status"),
    [
        ("application/json", "br", b"\x0b", 415),
        ("application/x-protobuf", "gzip", b"x", 415),
        ("application/json", "gzip", b"nonsense", 400),
        ("application/json", "gzip", zlib.compress(JSON, wbits=31)[:-9], 400),
        ("application/json", "gzip", 2 * zlib.compress(JSON, wbits=31), 400),
        ("application/json", "zstd", JSON, 415),
        ("application/json", "gzip", zlib.compress(b" " * 10**7, wbits=31), 413),
        ("application/json", "snappy", snappy(b" " * 10**7), 413),
        ("application/x-protobuf", "", b"\xff\xff\xff\xff\x0f", 413),
        ("application/x-protobuf", "", b"", 400),
    ],
)
def test_packed_wrongly(kind: str, encoding: str, body: bytes, status: int) -> None:
    with pytest.raises(Wrong) as wrong:
        pushed_in(body, kind, encoding, 1000)
    assert wrong.value.status == status


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "snappy"])
@pytest.mark.parametrize("body", [JSON, b" \n{}", b"nonsense"])
def test_what_is_not_packed_as_it_says(encoding: str, body: bytes) -> None:
    with pytest.raises(Wrong, match=f"it is not {encoding}, as its Content-Encoding says"):
        pushed_in(body, "application/json", encoding, 1000)


def test_a_bomb_takes_no_memory() -> None:
    bomb = zlib.compress(b"\0" * 2**26, 9)
    assert len(bomb) < 2**17
    with pytest.raises(Wrong, match="more than"):
        decoded(bomb, "deflate", 10_000)
