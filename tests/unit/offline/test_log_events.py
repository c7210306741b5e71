"""A stack trace is one event; what is merely indented is not."""

import pytest

from aiopsd.offline.log_events import Events, events, portions

TRACES = {
    "java": """2026-11-23 10:00:00 INFO Orders - begin
|2026-11-23 10:00:00 ERROR Orders - could not save
java.lang.IllegalStateException: no connection
  to any of 3
\tat com.shop.Orders.save(Orders.java:42)
\tat java.base/java.lang.Thread.run(Thread.java:829) ~[?:?]
Caused by: java.sql.SQLException: too many clients
\tat org.postgresql.Driver.connect(Driver.java:1)
\t... 12 more
|2026-11-23 10:00:01 INFO Orders - next""",
    "python": """INFO:root:fine
|ERROR:root:request failed
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    f()
    ^^^
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
ValueError: y
|INFO:root:fine
|
|Traceback (most recent call last):
  File "a.py", line 3, in <module>
shop.Declined: card
|
|INFO:root:fine""",
    "go": """listening
|panic: runtime error: index out of range [5]

goroutine 1 [running]:
main.(*Shop).sell(0x1, {0x2, 0x3})
\t/src/main.go:10 +0x1d
created by main.main
\t/src/main.go:5 +0x2
exit status 2
|listening""",
    "javascript": """TypeError: Cannot read properties of undefined
    at sell (/app/shop.js:10:5)
    at async /app/index.js:3:1 {
  code: 'E1'
}
|GET / 200""",
    "c#": """fail: Shop[0]
   at Shop.Orders.Save(String id) in /src/Orders.cs:line 42
   at Shop.Api.<Post>d__3.MoveNext()
|info: Shop[0]""",
    "lists": """Loading modules:
|  module a loaded in 3 ms
|  module b loaded in 4 ms
|  look at 10:00 (UTC)
| getTodayTotalDetailSteps = 1514038440000##6993
| getTodayTotalDetailSteps = 1514038440000##6994
|... autorun DONE.
|... autorun DONE.
|}
|
|plain""",
    "exceptions on one line": """java.io.IOException: Connection reset by peer
|java.io.IOException: Connection reset by peer
|java.io.IOException: Connection reset by peer
\tat sun.nio.ch.SocketDispatcher.read(SocketDispatcher.java:39)
|java.io.IOException: Connection reset by peer""",
    "a list before and after": """Loading modules:
|  module a loaded in 3 ms
|Error: cannot load b
    at load (/app/b.js:1:2)
|  module c loaded in 3 ms""",
}  # fmt: skip


@pytest.mark.parametrize("size", [1000, 12, 7, 5, 3])
@pytest.mark.parametrize("name", TRACES)
def test_as_people_would_cut_wherever_batches_end(name: str, size: int) -> None:
    wanted = TRACES[name].replace("\n|", "\0").encode().split(b"\0")
    lines = b"\n".join(wanted).split(b"\n")
    batches = [lines[at : at + size] for at in range(0, len(lines), size)]
    found = [text for one in events(batches) for text in one.texts]
    if size > 5:
        assert found == wanted
    assert b"\n".join(found) == b"\n".join(wanted)


def test_every_line_is_of_one_event() -> None:
    lines = [line.encode() for text in TRACES.values() for line in text.split("\n")] * 30
    batches = [lines[at : at + 50] for at in range(0, len(lines), 50)]
    found = list(events(batches))
    assert [line for one in found for text in one.texts for line in text.split(b"\n")] == lines
    assert all(
        text.count(b"\n") + 1 == many for one in found for text, many in zip(*one, strict=True)
    )


def test_an_endless_trace_has_an_end() -> None:
    trace = [b"Error: x", *[b"    at f (/a.js:1:2)"] * 3000]
    found = [many for one in events([trace[:1000], trace[1000:2000], trace[2000:]])
             for many in one.lines]  # fmt: skip
    assert sum(found) == 3001
    assert max(found) <= 1000


def test_portions() -> None:
    whole = [Events([b"a", b"b", b"c"], [1, 2, 1])]
    assert list(portions(whole, 2)) == [Events([b"a", b"b"], [1, 2]), Events([b"c"], [1])]
