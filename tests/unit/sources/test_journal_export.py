"""The export format, cut anywhere, with anything in it; and what an entry becomes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.model import LogLine
from aiopsd.sources.journal_export import MAX_FIELD_BYTES, Entry, ExportReader
from aiopsd.sources.journal_lines import Read, finished, lines, read
from tests.loopback.journal_export import entry, said

WANTED = ("A", "B", "MESSAGE")
NS = 10**9
VALUES = st.one_of(st.binary(max_size=50), st.text(max_size=50).map(str.encode))
ENTRIES = st.lists(
    st.dictionaries(st.sampled_from(["A", "B", "C", "MESSAGE"]), VALUES, min_size=1), max_size=6
)


def fed(data: bytes, cuts: list[int], reader: ExportReader | None = None) -> list[Entry]:
    reader, found = reader or ExportReader(WANTED), []
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        found += list(reader.feed(data[start:end]))
    return found


@given(ENTRIES, st.lists(st.integers(0, 10_000), max_size=30))
def test_whatever_comes_in_whatever_pieces(entries: list[Entry], cuts: list[int]) -> None:
    wanted = [{n: v for n, v in one.items() if n in WANTED} for one in entries]
    assert fed(b"".join(map(entry, entries)), cuts) == [one for one in wanted if one]


def test_byte_by_byte() -> None:
    data = entry({"A": "x", "MESSAGE": b"two\nlines \x01=", "C": "no"}) + entry({"B": b"\xff"})
    assert fed(data, list(range(len(data)))) == [
        {"A": b"x", "MESSAGE": b"two\nlines \x01="},
        {"B": b"\xff"},
    ]


@pytest.mark.parametrize("text", [b"x" * 300_000, b"x\n" * 150_000])
def test_long_values_are_cut_and_take_no_memory(text: bytes) -> None:
    reader = ExportReader(WANTED)
    data = entry({"MESSAGE": text, "A": "after"}) + entry({"A": "next"})
    found = fed(data, list(range(0, len(data), 10_000)), reader)
    assert found == [{"MESSAGE": text[:MAX_FIELD_BYTES], "A": b"after"}, {"A": b"next"}]
    assert reader.cut == 1


def test_of_a_field_that_comes_twice_the_first() -> None:
    assert fed(entry({"A": "1"})[:-1] + entry({"A": "2"}), []) == [{"A": b"1"}]


def test_what_is_no_journal() -> None:
    with pytest.raises(ValueError, match="no journal"):
        fed(b"Usage\n" + b"\xff" * 20, [])


# --- what an entry becomes ----------------------------------------------------------------


def made(**fields: str) -> Read:
    stamp = {"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1795421624000000"}
    found = read({name: value.encode() for name, value in (stamp | fields).items()}, {"env": "p"})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        (
            {"_SYSTEMD_UNIT": "nginx.service", "SYSLOG_IDENTIFIER": "x", "PRIORITY": "3"},
            {"service": "nginx", "unit": "nginx.service", "level": "error"},
        ),
        (
            {"_SYSTEMD_UNIT": "shop@2.service", "_HOSTNAME": "a", "PRIORITY": "6"},
            {"service": "shop", "unit": "shop@2.service", "host": "a"},
        ),
        (
            {"_SYSTEMD_UNIT": "session-1.scope", "SYSLOG_IDENTIFIER": "sudo"},
            {"service": "sudo", "unit": "session-1.scope"},
        ),
        (
            {"_SYSTEMD_UNIT": "user@1.service", "_SYSTEMD_USER_UNIT": "sync.service"},
            {"service": "sync", "unit": "sync.service"},
        ),
        (
            {"_SYSTEMD_UNIT": "init.scope", "_PID": "1", "UNIT": "shop.service", "PRIORITY": "4"},
            {"service": "shop", "unit": "shop.service", "level": "warning"},
        ),
        ({"_TRANSPORT": "kernel", "PRIORITY": "2"}, {"service": "kernel", "level": "critical"}),
        (
            {"_SYSTEMD_UNIT": "docker.service", "CONTAINER_NAME": "web"},
            {"service": "docker", "unit": "docker.service", "container": "web"},
        ),
        ({"_COMM": "cron"}, {"service": "cron"}),
        ({}, {}),
    ],
)
def test_labels(fields: dict[str, str], labels: dict[str, str]) -> None:
    assert made(**fields).labels == labels | {"env": "p"}


@pytest.mark.parametrize("fields", [{"__CURSOR": ""}, {"__REALTIME_TIMESTAMP": "x"}])
def test_what_is_no_entry(fields: dict[str, str]) -> None:
    stamp = {"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1", "MESSAGE": "x"} | fields
    assert read({name: value.encode() for name, value in stamp.items()}, {}) is None


def test_lines_of_one_process_that_belong_together() -> None:
    def at(secs: float, text: str, pid: str = "7") -> Read:
        one = made(MESSAGE=text, _PID=pid, _SYSTEMD_UNIT="shop.service")
        return one._replace(time_ns=int(secs * NS))

    found = lines(
        [
            at(1, "ERROR x"),
            at(1.1, "other", pid="8"),
            at(1.2, "  at y"),
            at(1.3, "Caused by: z"),
            at(9, "  long after"),
            at(9.1, ""),
        ]
    )
    texts = [(line.time_ns / NS, line.text) for line in found]
    assert texts == [(1, "ERROR x\n  at y\nCaused by: z"), (1.1, "other"), (9, "  long after")]
    assert isinstance(found[0], LogLine)


def test_an_event_that_may_go_on_is_waited_for_once() -> None:
    def at(secs: float, text: str, pid: str = "7") -> Read:
        return Read(f"c{secs}", int(secs * NS), {}, pid, text)

    entries = [at(1, "done"), at(2, "ERROR boom"), at(2.01, "other", "8"), at(2.02, "  at x")]
    assert finished(entries, after_ns=2 * NS) == 1
    assert finished(entries, after_ns=3 * NS) == 4  # long ago: nothing follows any more
    assert finished(entries, after_ns=2 * NS, held=1) == 1
    assert finished(entries, after_ns=2 * NS, held=2) == 4  # the trace is told, and not cut
    assert finished([*entries, at(2.03, "new", "9")], after_ns=int(2.025 * NS)) == 4
    closed = [at(1, "ERROR a"), at(1.1, "new", "8"), at(1.2, "  at b"), at(1.3, "next")]
    assert finished(closed, after_ns=int(1.05 * NS)) == 0  # else the trace would be cut
    assert finished([], after_ns=0) == 0


def test_as_it_is_written() -> None:
    (one,) = ExportReader(["__CURSOR", "__REALTIME_TIMESTAMP", "MESSAGE"]).feed(said(3, 5, b"a\nb"))
    assert one == {"__CURSOR": b"s=0;i=3;t=5", "__REALTIME_TIMESTAMP": b"5", "MESSAGE": b"a\nb"}
