"""Batches of lines: headers are learnt, structure is understood, nothing hostile takes long."""

import gc
import json
import time

import pytest

from aiopsd.logs.header import Header
from aiopsd.logs.reader import Known, Reader
from aiopsd.logs.templates import Templates


def reader() -> Reader:
    return Reader(Templates(1000))


HEADERS = [
    "2026-11-23 10:{m:02}:00,123 {level:5} [{thread}] shop.Orders - ",
    "Nov 23 10:{m:02}:00 {host} app[{pid}]: ",
    "[Mon Nov 23 10:{m:02}:00 2026] [{low}] ",
    "{level} 11-23 10:{m:02}:00 engine.py:{pid}] ",
    "2026-11-23T10:{m:02}:00.5Z stdout ",
    "10:{m:02}:00 [{thread}/{level}]: ",
    "11/23/2026 10:{m:02}:00;000{digit};pbs_mom;Svr;{host};",
    "2026-11-23T10:{m:02}:00.5Z  {level:5} request{{id={pid} path=/x}}: shop::api: ",
    "11/23 10:{m:02}:00 {level}[{pid}] app.c:{pid} in handler: ",
    "- 1795{pid:06} 2026.11.23 {host} {host} RAS KERNEL {level} ",
    "20261123-10:{m:02}:00:123|Step|{pid}|",
    "2026-11-23 10:{m:02}:00.123 [{low}] <0.{pid}.0> ",
    "<34>Nov 23 10:{m:02}:00 {host} app[{pid}]: ",
    "<34>1 2026-11-23T10:{m:02}:00Z {host} app: ",
    "[{pid:6}.{m:06}] ",
    "[10:{m:02}:00 {serilog}] ",
    "2026-11-23 10:{m:02}:00.5 UTC [{pid}] {who} LOG:  ",
    "[2026-11-23 10:{m:02}:00.123][{pid}][{low}][{thread}] ",
    "[2026-11-23 10:{m:02}:00.123][{pid}][{low}][{thread}] [source/server/{host}.cc:{pid}] ",
    "[{thread}][{level}][2026-11-23 10:{m:02}:00] ",
    "2026-11-23 10:{m:02}:00 [{thread}][{level}][shop.Orders] ",
    "2026-11-23T10:{m:02}:00.5Z\t{level}\t{thread}\t",
    "2026-11-23T10:{m:02}:00.5Z\t{level}\t{thread}\traft/{host}.go:{pid}\t",
    "2026-11-23 10:{m:02}:00\t{host}\t{pid}\t{level}\tshop.Orders\t",
]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_are_no_part_of_a_template(header: str) -> None:
    events = ["disk {} is full", "job {} ran for {} ms", "cache warmed", "peer {} is gone"]
    lines, truth = [], []
    for n in range(200):
        event = n * 7 % 4
        head = header.format(
            m=n % 60, level=["INFO", "WARN", "ERROR"][n % 3], low=["info", "error"][n % 2],
            thread=["main", "pool-1", "pool-2"][n % 3], host=["web1", "gateway", "db"][n % 3],
            pid=n * 37 % 977, digit=n % 9, serilog=["INF", "WRN", "ERR"][n % 3],
            who=["app@shop", "[unknown]@[unknown]"][n % 9 == 0],
        )  # fmt: skip
        lines.append((head + events[event].format(n, n)).encode())
        truth.append(event)
    one = reader()
    found = one.ids(lines)
    assert len(set(zip(truth, found, strict=True))) == 4
    assert sorted(one.templates.text(number) for number in set(found)) == [
        "cache warmed", "disk <num> is full", "job <num> ran for <num> ms", "peer <num> is gone",
    ]  # fmt: skip


def test_groups_of_a_message_are_not_glued_to_the_header() -> None:
    one = reader()
    found = one.ids([
        b"[2026-11-23 10:00:%02d.5][17][info][main] [C%d][S%d] %s" % (n % 60, n, n, event)
        for n in range(100) for event in (b"request ends", b"request is reset")
    ])  # fmt: skip
    texts = {one.templates.text(number) for number in found}
    assert texts == {"[<id>][<id>] request ends", "[<id>][<id>] request is reset"}


def test_fields_after_the_message_and_lines_without_a_logger() -> None:
    """As zap writes: time, level, logger, message, JSON; one in twenty lines has no logger."""
    one = reader()
    found = one.ids([
        b'2026-11-23T10:00:%02dZ\tINFO\t%sdisk %d is %s\t{"took": "%dms"}'
        % (n % 60, b"" if n % 20 == 7 else [b"raft\t", b"lease\t"][n % 2], n, event, n)
        for n in range(100) for event in (b"full", b"empty")
    ])  # fmt: skip
    assert len(set(found)) == 2
    assert all(one.templates.text(number).startswith("disk <num> is ") for number in found)


def test_a_table_is_no_header() -> None:
    """Its columns are all that it says."""
    one = reader()
    found = one.ids([
        b"2026-11-23T10:00:%02dZ\tINFO\t%s\tweb\tdone" % (n % 60, event)
        for n in range(100) for event in (b"started", b"stopped")
    ])  # fmt: skip
    assert len(set(found)) == 2


@pytest.mark.parametrize("traced", [0.05, 0.2, 0.6])
def test_lines_of_a_trace_do_not_hide_the_header(traced: float) -> None:
    """Nor do they lose their own first words to it."""
    trace = ["java.io.IOException: reset", "\tat shop.Orders.save(Orders.java:17)",
             "\tat shop.Main.run(Main.java:3)", "\t... 3 more"]  # fmt: skip
    lines: list[str] = []
    while len(lines) < 400:
        n = len(lines)
        lines.append(f"2026-11-23 10:00:{n % 60:02},12 ERROR [main] shop.Orders - no room for {n}")
        if n and lines.count(trace[0]) * 4 < traced * n:
            lines += trace
    one = reader()
    found = one.ids([line.encode() for line in lines[:100]])
    found += one.ids([line.encode() for line in lines[100:]])
    assert {one.templates.text(number) for number in found} == {
        "no room for <num>", "java.io.IOException: reset", "at shop.Orders.save(Orders.java:<num>)",
        "at shop.Main.run(Main.java:<num>)", "... <num> more",
    }  # fmt: skip


def test_a_port_is_no_time() -> None:
    header = Header()
    header.learn(["10.0.0.17:50010: no route", "10.0.0.17:80: no route"])
    assert not header.plan


@pytest.mark.parametrize("line", ["[main][INFO] started", "x [a][b] c", "[a][b][c]", "\0!", ""])
def test_lines_without_a_time_have_no_header(line: str) -> None:
    header = Header()
    header.learn([line])
    assert not header.plan


def test_messages_with_a_time_further_in_have_no_header() -> None:
    """Of an access log without its dates; of a device whose messages begin with a code."""
    header = Header()
    header.learn([
        *(f"10.0.0.{n}:80 [23/Nov/2026:10:00:00 +0000] www web/a" for n in range(6)),
        *(f"Server web/{n} is down" for n in range(4)),
    ])  # fmt: skip
    assert not header.plan


def test_a_stream_has_a_header_of_its_own() -> None:
    one = reader()
    plain = [b"%d: gone is the peer" % n for n in range(30)]
    dated = [b"2026-11-23 10:00:%02d INFO gone is the peer" % n for n in range(30)]
    assert one.read(plain, "a")[0].template != one.read(dated, "b")[0].template
    assert one.templates.text(one.ids(dated, "b")[0]) == "gone is the peer"


def test_structure_and_prose_side_by_side() -> None:
    one = reader()
    lines = [
        b'{"level":"error","service":"pay","msg":"card 17 refused"}',
        b"card 18 refused",
        b'{"a":1,"b":{"c":2}}',
        b"level=warn service=api msg=\"card 19 refused\" n=3",
        b"{no json}",
    ]  # fmt: skip
    found = one.read(lines)
    assert found == [
        Known(0, "error", "pay"), Known(0), Known(1), Known(0, "warning", "api"), Known(2),
    ]  # fmt: skip
    texts = [one.templates.text(number) for number in range(3)]
    assert texts == ["card <num> refused", "a=<*> b=<*>", "{no json}"]


def test_a_trace_is_one_event() -> None:
    trace = "could not save\njava.io.IOException: {}\n\tat a.B(B.java:{})\n\tat c.D(D.java:7)"
    one = reader()
    found = one.ids([trace.format(why, n).encode() for n, why in enumerate(["disk", "net"])])
    assert set(found) == {0}
    assert one.templates.text(0) == "could not save java.io.IOException"


def test_colours_do_not_matter() -> None:
    one = reader()
    assert one.ids([b"\x1b[31mdisk\x1b[0m is full", b"disk is full"]) == [0, 0]


def test_what_is_remembered_of_a_line_is_bounded() -> None:
    one = reader()
    for n in range(60):
        one.ids([f"{a}{b} {n}{a} said {b}{a}".encode() for a in "abcdefghijkl" for b in "qwertz"])
    assert len(one._lines) + len(one._messages) <= 100_001
    assert len(one.templates) <= 1000


HOSTILE = {
    "a megabyte": b"x" * 1_000_000,
    "digits": b"1" * 1_000_000,
    **{char * 2: char.encode() * 8000 for char in "[({<\"'=:.-/\\|;,# \t\0"},
    **{part: part.encode() * (8000 // len(part)) for part in (
        "a=", "a=b ", 'k="', "1.1.", "a.a.", "f:f:", "/a", "a@", "0x", "deadbeef-", "word ",
        "<a> ", "a<b>", '"a b" ', "1x ", "http://", "user ", "from to ", "state to UP ", "[a[b] ",
        "x{a b} ", "true ", "Jan 1 ", "1 bytes (1 KB) ", "2026-01-01T00:00:00Z ", "\x1b[31m",
        "\n  at x", "eth0 ", "A-1-B ", "a' `b' ",
    )},
    "other words": b" ".join(b"w%d" % n for n in range(1500)),
    "no text": b"\xff\xfe\x80" * 3000,
    "deep": b'{"a":' * 8000 + b"1" + b"}" * 8000,
    "wide": json.dumps({f"k{n}": "v" * 9 for n in range(3000)}).encode(),
    "laughs": b'{"msg":"' + b"lol " * 10_000 + b'","x":[' + b'["lol"],' * 2000 + b"1]}",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_line_takes_long(name: str) -> None:
    """Five milliseconds are enough for the worst; a pattern that is not linear takes seconds."""
    one = reader()
    one.ids([b"a first line"])
    best = float("inf")
    gc.disable()  # what other tests left behind is not this line's affair
    try:
        for stream in "abc":
            begun = time.process_time()
            one.ids([HOSTILE[name] + stream.encode()], stream)
            best = min(best, time.process_time() - begun)
    finally:
        gc.enable()
    assert best < 0.005
