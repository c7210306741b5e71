"""Which lines belong together."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.line_events import MOST_CHARS, MOST_LINES, begins
from aiopsd.patterns import line_pattern

EVENTS = {
    "java": """2026-11-23 10:00:00 ERROR OrderService - could not save
java.lang.IllegalStateException: no connection
\tat com.shop.Orders.save(Orders.java:42)
\tat com.shop.Api.post(Api.java:7)
\t... 23 common frames omitted
Caused by: java.sql.SQLException: too many clients
\tat org.postgresql.Driver.connect(Driver.java:1)
... 12 more
--
2026-11-23 10:00:01 INFO OrderService - next""",
    "java, alone": """Exception in thread "main" java.lang.RuntimeException: x
\tat a.b(C.java:1)
--
started""",
    "python, logged": """ERROR:root:request failed
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    f()
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
ValueError: y
--
INFO:root:next""",
    "python, after something else": """INFO:root:fine
--
Traceback (most recent call last):
  File "a.py", line 1, in <module>
shop.Declined: card
--
INFO:root:fine""",
    "go": """2026/11/23 10:00:00 listening
--
panic: runtime error: index out of range [5]

goroutine 1 [running]:
main.(*Shop).sell(0x1, {0x2, 0x3})
\t/src/main.go:10 +0x1d
created by main.main
\t/src/main.go:5 +0x2
exit status 2
--
2026/11/23 10:00:01 listening""",
    "javascript": """TypeError: Cannot read properties of undefined
    at sell (/app/shop.js:10:5)
    at /app/index.js:3:1 {
  code: 'E1'
}
--
GET / 200""",
    "one after the other": """java.io.IOException: Connection reset by peer
--
java.io.IOException: Connection reset by peer
\tat sun.nio.ch.SocketDispatcher.read(SocketDispatcher.java:39)
--
java.io.IOException: Connection reset by peer""",
    "rust": """thread 'main' panicked at src/main.rs:2:5:
--
boom
--
stack backtrace:
   0: rust_begin_unwind
   1: core::panicking::panic_fmt""",
    "plain": "one\n--\ntwo\n--\n\n\n--\nthree".replace("--\n\n\n", "\n\n"),
}


@pytest.mark.parametrize("name", EVENTS)
def test_as_people_would_cut(name: str) -> None:
    wanted = [one.split("\n") for one in EVENTS[name].split("\n--\n")]
    lines = [line for event in wanted for line in event]
    cut: list[list[str]] = []
    for line, anew in zip(lines, begins(lines), strict=True):
        if anew:
            cut.append([])
        cut[-1].append(line)
    assert cut == wanted


def test_a_pattern_of_ones_own() -> None:
    lines = ["  x", "[1] a", "b", "  c", "[2] d"]
    assert begins(lines, line_pattern(r"^\[\d+\]")) == [True, True, False, False, True]
    assert begins(lines, line_pattern("", empty=True)) == [True] * 5


def test_an_event_has_an_end() -> None:
    assert begins([" x"] * 1200) == [n % MOST_LINES == 0 for n in range(1200)]
    assert begins(["x", " " * MOST_CHARS, " y"]) == [True, True, True]


@given(st.lists(st.text(max_size=30)))
def test_the_first_line_always_begins(lines: list[str]) -> None:
    found = begins(lines)
    assert len(found) == len(lines)
    assert found[:1] == [True] * bool(lines)


@pytest.mark.parametrize("line", ["a" * 10**6, "((((" * 10**5, "a." * 10**5, "\t" * 10**6])
def test_no_line_takes_long(line: str) -> None:
    before = time.process_time()
    begins(["panic: x", "goroutine 1 [running]:", line, line + ")"])
    assert time.process_time() - before < 0.05
