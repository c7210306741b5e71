"""When lines were written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aiopsd.model import LogBatch, LogLine
from aiopsd.sources.line_times import times_ns
from aiopsd.sources.log_ticks import ticks

NS = 10**9
NOW_S = int(datetime(2026, 11, 23, 10, 0, 30, tzinfo=UTC).timestamp())
NOW_NS = NOW_S * NS


def at(text: str, *, since_s: float = NOW_S - 3600) -> float:
    (found,) = times_ns([text], int(since_s * NS), NOW_NS)
    return found / NS - NOW_S


@pytest.mark.parametrize(
    ("text", "secs"),
    [
        ("2026-11-23T10:00:00Z x", -30),
        ("2026-11-23T11:00:00.25+01:00 x", -29.75),
        ("2026-11-23 05:00:00,500 -0500 x", -29.5),
        ("[2026-11-23 10:00:00] x", -30),
        ("2026/11/23 10:00:00 [error] x", -30),
        ("2026-11-23 02:15:10 x", -20),  # of a zone of 7:45 behind
        ("2026-11-23 23:00:00 x", -30),  # of a zone that is ahead
        ("2026-11-23 10:00:45 x", 15),  # two clocks, and not another zone
        ("Nov 23 10:00:10 host sshd[1]: x", -20),
        ("<34>Nov  3 10:00:10 host x", 0),  # another day is another thing
        ('1.2.3.4 - - [23/Nov/2026:11:00:10 +0100] "GET /"', -20),
        ("2026-13-23T10:00:00Z x", 0),
        ("2026-02-30 10:00:00 x", 0),
        ("Feb 30 10:00:00 x", 0),
        ("Foo 23 10:00:00 x", 0),
        ("x 2026-11-23T10:00:00Z", 0),
        ("2019-01-01T00:00:00Z x", 0),
        ("20261123", 0),
    ],
)
def test_one_line(text: str, secs: float) -> None:
    assert at(text) == pytest.approx(secs)


def test_a_line_without_a_time_has_that_of_the_line_before() -> None:
    lines = ["  at x", "2026-11-23T10:00:00Z a", "b", "2026-11-23T10:00:10Z c"]
    found = [ns / NS - NOW_S for ns in times_ns(lines, NOW_NS - 3600 * NS, NOW_NS)]
    assert found == [-30, -30, -30, -20]


def test_where_none_has_a_time_they_came_evenly() -> None:
    found = [ns / NS - NOW_S for ns in times_ns(["x"] * 4, NOW_NS - 400 * NS, NOW_NS)]
    assert found == [-300, -200, -100, 0]
    assert times_ns([], 0, NOW_NS) == []


def test_over_new_year() -> None:
    new_year_ns = int(datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC).timestamp()) * NS
    lines = ["Dec 31 23:59:58 a", "Jan  1 00:00:01 b"]
    found = times_ns(lines, new_year_ns - 3600 * NS, new_year_ns)
    assert [(ns - new_year_ns) / NS for ns in found] == [-7, -4]


# --- ticks --------------------------------------------------------------------------------


def line(secs: float) -> LogLine:
    return LogLine(int((NOW_S + secs) * NS), {}, f"{secs}")


def cut(*secs: float) -> list[tuple[float, list[float]]]:
    batches = ticks([line(one) for one in secs], NOW_S, 1.0)
    assert all(isinstance(batch, LogBatch) for batch in batches)
    return [(b.time_s - NOW_S, [float(x.text) for x in b.lines]) for b in batches]


def test_ticks() -> None:
    assert cut() == []
    assert cut(-0.9, -0.1) == [(0, [-0.9, -0.1])]
    assert cut(-1.5, -0.1) == [(0, [-1.5, -0.1])]  # neighbours
    assert cut(-60.5, -0.5, -60.4) == [(-60, [-60.5, -60.4]), (0, [-0.5])]
    assert cut(-2.5, 7200) == [(-2, [-2.5]), (0, [7200])]  # nothing is of later than now
