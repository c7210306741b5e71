"""How the id of a session is read from a line, by our own patterns and by those of people."""

import time

import pytest

from aiopsd.logs import session_keys
from aiopsd.logs.odd_sessions import OddSessions
from aiopsd.logs.templates import Templates
from aiopsd.model import LogLine
from aiopsd.redaction import Names, Redactor
from aiopsd.series import SeriesTable


def odd(pattern: str | None) -> OddSessions:
    return OddSessions(SeriesTable(100), Templates(100), str, pattern)


def ids_by(one: OddSessions, text: str) -> list[str]:
    return [writer.key(LogLine(1, {}, text)) for writer in one._writers.values()]


def fed(one: OddSessions, text: str) -> OddSessions:
    from aiopsd.logs.reader import Reader

    [known] = Reader(one._templates).read([text.encode()])
    one.feed([(LogLine(1, {"service": "a"}, text), known)], 1.0)
    return one


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        (r"order=(\w+)", "order=17 order=18 order=17", ["17", "18", "17"]),
        (r"job \w+", "job a1 and job b2", ["job a1", "job b2"]),
        (r"a=(x?)(\w*)", "a=xy a=z", ["x", "z"]),
        (r"(?:ё=(\d))", "ё=7", ["7"]),
        (session_keys.KNOWN["job id"], "task_id: ab12, job-id=cd34", ["ab12", "cd34"]),
    ],
)
def test_ids(pattern: str, line: str, found: list[str]) -> None:
    assert list(session_keys.ids(pattern, line)) == found


@pytest.mark.parametrize("pattern", [r"(a|aa)+b", r"(\w|\d)*x", "a*a*a*a*b", "(a+)+$x"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    begun = time.process_time()
    assert list(session_keys.ids(pattern, "a" * 8192)) == []
    assert ids_by(fed(odd(pattern), "a" * 1024), "a" * 1024) == [""]
    assert time.process_time() - begun < 1.0


def test_a_pattern_that_was_written_anew_counts_from_the_next_start() -> None:
    saved = fed(odd(r"a=(\w+)"), "a=1 b=7 done").save()
    again, anew, unsaid = odd(r"a=(\w+)"), odd(r"b=(\w+)"), odd(None)
    for one in (again, anew, unsaid):
        one.load(saved)
    assert ids_by(again, "a=1 b=7") == ["1"]
    assert ids_by(anew, "a=1 b=7") == ["7"]
    assert ids_by(unsaid, "a=1 b=7") == [""]  # it looks for one again


def test_the_pseudonym_of_a_session_is_its_id() -> None:
    names = Redactor(Names(b"k" * 32))
    one, same, other = names.lines(
        ["session_id=4f9ac2d1 a", "b session_id=4f9ac2d1", "session_id=77fe01ba c"]
    )
    pattern = session_keys.KNOWN["request id"]
    found = [list(session_keys.ids(pattern, line)) for line in (one, same, other)]
    assert found[0] == found[1] != found[2]
    assert all(found)
