"""Reading a Loki in virtual time: the server's own answers, without the wire between."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import pairwise

import looptime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict

from aiopsd.errors import Unreachable
from aiopsd.model import LogBatch, LogLine, Position, Reading
from aiopsd.settings import Duration
from aiopsd.sources.fetch import Answer, TooLarge
from aiopsd.sources.loki import LokiSettings, LokiSource, Wire
from aiopsd.sources.loki_api import CATEGORIZE
from tests.loopback.loki import LoopbackLoki
from tests.loopback.server import Call
from tests.unit.sources.house import House

NS = 10**9
START_S = 1_800_000_000
START = START_S * NS
Fault = Callable[[Answer], Answer]


def failing(status: int, body: str = "", retry_after_secs: float = 0.0) -> Fault:
    return lambda _: Answer(status, "text/plain", body.encode(), retry_after_secs)


def cut(answer: Answer) -> Answer:
    return Answer(answer.status, answer.content_type, answer.body[: len(answer.body) // 2])


def timeout(_: Answer) -> Answer:
    raise Unreachable("no answer within 30 s")


def too_large(_: Answer) -> Answer:
    raise TooLarge("the answer is larger than 1,024 bytes")


def fine(answer: Answer) -> Answer:
    return answer


@dataclass
class Server:
    """A loopback Loki, asked without HTTP, so that time may be virtual."""

    loki: LoopbackLoki
    faults: list[Fault] = field(default_factory=list)  # used up one for each request
    asked: list[Mapping[str, str]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None  # runs before each answer

    async def fetch(self, path: str, params: Mapping[str, str]) -> Answer:
        await asyncio.sleep(0.01)
        self.before()
        self.asked.append(dict(params))
        fault = self.faults.pop(0) if self.faults else fine
        headers = CIMultiDictProxy(CIMultiDict(CATEGORIZE))
        reply = self.loki._answer(Call("GET", f"/{path}", MultiDict(params), headers, b""))
        assert isinstance(reply.body, bytes)
        return fault(Answer(reply.status, reply.content_type, reply.body))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Wire]:
        yield Wire(self.fetch)


@dataclass
class World:
    """One reader of one server, in its own time."""

    written: LokiSettings = field(default_factory=lambda: LokiSettings(url="http://loki"))
    max_entries: int = 5000
    lines: list[LogLine] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    position: Position | None = None

    def __post_init__(self) -> None:
        self.ahead_secs = 0.0
        self.house = House(clock=self.now)
        self.server = Server(LoopbackLoki(max_entries=self.max_entries, clock=self.now))

    def now(self) -> float:
        return START_S + asyncio.get_running_loop().time() + self.ahead_secs

    def push(self, at_s: float, *texts: str, app: str = "shop", **metadata: str) -> None:
        ns = START + round(at_s * NS)
        self.server.loki.push({"app": app}, [(ns, text, metadata) for text in texts])

    async def read(self, secs: float) -> list[str]:
        """Run for a while, from where the last run stopped; what was read in it."""
        before = len(self.lines)
        source = LokiSource(self.written, self.house.context(), self.server.connect)
        try:
            async with asyncio.timeout(secs), aclosing(source.stream(self.position)) as stream:
                async for reading in stream:
                    self.take(reading)
        except TimeoutError:
            pass
        return [line.text for line in self.lines[before:]]

    def take(self, reading: Reading) -> None:
        self.position = json.loads(json.dumps(reading.position))
        self.readings.append(reading)
        for item in reading.items:
            assert isinstance(item, LogBatch)
            stamps = [line.time_ns for line in item.lines]
            assert stamps == sorted(stamps)
            self.lines += item.lines

    @property
    def batches(self) -> list[LogBatch]:
        return [i for r in self.readings for i in r.items if isinstance(i, LogBatch) and i.lines]


def spent(world: World) -> int:
    """How often the server was asked for lines."""
    return sum("query" in params for params in world.server.asked)


# --- windows and pages --------------------------------------------------------------------


@pytest.mark.looptime
async def test_lines_before_the_first_start_are_history() -> None:
    world = World()
    world.push(-400, "too old")
    world.push(-200, "history")
    world.push(3, "live")
    assert await world.read(20) == ["history", "live"]
    assert [batch.history for batch in world.batches] == [True, False]


@pytest.mark.looptime
async def test_a_line_is_left_to_settle_before_it_is_read() -> None:
    world = World()
    world.push(8, "young")
    assert await world.read(12) == []
    assert await world.read(10) == ["young"]


@pytest.mark.looptime
async def test_every_window_tells_how_far_it_read_even_when_it_is_empty() -> None:
    world = World()
    await world.read(21)
    told = [item.time_s for r in world.readings for item in r.items]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(START_S + 15, abs=1)


@pytest.mark.looptime
async def test_what_was_missed_comes_in_ticks_as_it_would_have_come() -> None:
    """A log that says as much as ever is no flood because we come late."""
    world = World()
    await world.read(21)
    for second in range(20, 920):
        world.push(second, f"line {second}")
    world.ahead_secs += 900
    assert len(await world.read(16)) == 900
    sizes = [len(batch.lines) for batch in world.batches]
    assert max(sizes) <= 6, sizes


@pytest.mark.looptime
async def test_pages_cut_inside_a_nanosecond_lose_and_double_nothing() -> None:
    world = World(LokiSettings(url="http://loki", limit=4))
    wanted = []
    for second in range(-100, -80):
        texts = [f"{second} {i}" for i in range(3)]  # never fits pages of four
        world.push(second, *texts)
        wanted += texts
    assert await world.read(3) == wanted


@pytest.mark.looptime
async def test_a_nanosecond_with_more_than_a_page_is_asked_for_in_larger_pages() -> None:
    world = World(LokiSettings(url="http://loki", limit=10))
    world.push(-100, *(str(i) for i in range(75)))
    world.push(-99, "after")
    assert await world.read(3) == [*(str(i) for i in range(75)), "after"]
    assert {params["limit"] for params in world.server.asked} >= {"10", "20", "40", "80"}


@pytest.mark.looptime
async def test_a_nanosecond_with_more_than_the_server_shows_is_read_stream_by_stream() -> None:
    world = World(LokiSettings(url="http://loki", limit=10, query='{app=~".+"}'), max_entries=25)
    world.push(-100, *(f"a{i}" for i in range(20)), app="a")
    world.push(-100, *(f"b{i}" for i in range(20)), app='b"}\\')
    world.push(-100, *(f"c{i}" for i in range(20)), app="c")
    world.server.loki.push({"app": "c", "zone": "1"}, [(START - 100 * NS, "zoned", None)])
    world.push(-99, "after")
    assert len(read := await world.read(3)) == 62
    assert len(set(read)) == 62
    assert read[-1] == "after"
    assert not world.house.counts["lost_lines_suspected"]


@pytest.mark.looptime
async def test_a_crowded_stream_is_read_in_halves_by_what_stands_in_its_lines() -> None:
    world = World(LokiSettings(url="http://loki", limit=10), max_entries=25)
    texts = [f"order {i:04} of 2026" for i in range(300)]
    texts += ["", "a", "aa", 'a"]}\\', "a\nb", "\x00", "caf\u00e9", "caf\u00e8", "-", "^", "]"]
    world.push(-100, *texts)
    world.push(-99, "after")
    assert await world.read(3) != []
    assert Counter(line.text for line in world.lines) == Counter([*texts, "after"])
    assert not world.house.counts["lost_lines_suspected"]


@pytest.mark.looptime
async def test_what_the_server_will_not_show_is_counted_and_passed_over() -> None:
    """Lines that differ by their metadata alone."""
    world = World(LokiSettings(url="http://loki", limit=10), max_entries=25)
    for i in range(30):
        world.push(-100, "same", trace=str(i))
    world.push(-99, "after")
    assert (await world.read(3))[-1] == "after"
    assert len(world.lines) == 26
    assert world.house.counts["lost_lines_suspected"] == 1


@pytest.mark.looptime
async def test_same_line_in_two_streams_counts_twice_and_an_exact_duplicate_once() -> None:
    world = World()
    for app in ("a", "b", "a"):
        world.push(-10, "same", app=app)
    world.push(-10, "same", app="a", trace="1")  # other metadata: another line
    assert await world.read(3) == ["same"] * 3
    assert {line.labels.get("trace") for line in world.lines} == {None, "1"}


# --- late lines ---------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_line_that_comes_a_minute_late_is_found_once() -> None:
    world = World()
    await world.read(100)
    world.push(41, "late")
    world.push(95, "in time")
    assert sorted(await world.read(60)) == ["in time", "late"]
    assert world.house.counts["late_lines"] == 1


@pytest.mark.looptime
async def test_a_line_that_comes_ten_minutes_late_is_found_by_who_waits_for_it() -> None:
    world = World(LokiSettings(url="http://loki", late=Duration(900)))
    await world.read(900)
    world.push(300, "late")
    assert await world.read(460) == ["late"]


@pytest.mark.looptime
async def test_a_line_that_came_late_while_we_were_away_is_found() -> None:
    world = World()
    await world.read(60)
    world.push(30, "late")
    await asyncio.sleep(7200)
    assert await world.read(10) == ["late"]


@pytest.mark.looptime
async def test_late_lines_are_not_looked_for_without_wish() -> None:
    world = World(LokiSettings(url="http://loki", late=Duration(0)))
    await world.read(60)
    world.push(30, "late")
    world.push(58, "in time")
    assert await world.read(60) == ["in time"]
    assert world.position
    assert world.position["seen"] == []


# --- restarts -----------------------------------------------------------------------------


@pytest.mark.looptime
async def test_an_hour_of_silence_is_read_in_windows_after_a_restart() -> None:
    world = World()
    world.push(-5, "before")
    await world.read(20)
    for minute in range(300):
        world.push(60 * minute + 61, f"minute {minute}")
    await asyncio.sleep(5 * 3600)
    world.server.asked.clear()
    assert await world.read(10) == [f"minute {minute}" for minute in range(300)]
    widths = [int(p["end"]) - int(p["start"]) for p in world.server.asked]
    assert max(widths) == 3600 * NS
    assert not any(batch.history for batch in world.batches[1:])


@pytest.mark.looptime
async def test_a_restart_from_an_older_position_gives_the_same_lines_again() -> None:
    world = World(LokiSettings(url="http://loki", limit=3))
    for i in range(40):
        world.push(-100 + i // 4, f"line {i}")
    await world.read(1)
    assert len(world.readings) > 3
    older, kept = world.readings[3].position, sum(len(b.lines) for b in world.batches[:4])
    first, world.lines, world.position = world.lines, world.lines[:kept], older
    await world.read(1)
    assert world.lines == first


@pytest.mark.looptime
async def test_with_another_key_no_line_is_read_twice() -> None:
    world = World()
    world.push(5, "one", "two")
    await world.read(30)
    assert world.position
    assert world.position["seen"]
    world.house.key = b"another"
    world.push(31, "three")
    assert await world.read(30) == ["three"]


@pytest.mark.looptime
async def test_a_restart_in_the_middle_of_history_stays_history() -> None:
    world = World(LokiSettings(url="http://loki", limit=3))
    for i in range(10):
        world.push(-100 + i, f"line {i}")
    await world.read(1)
    world.position = world.readings[1].position
    world.readings.clear()
    await world.read(1)
    assert world.batches
    assert all(batch.history for batch in world.batches)


# --- trouble ------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize(
    "fault",
    [
        failing(500, "ingester is gone"),
        failing(429, "too many outstanding requests"),
        failing(504, "context deadline exceeded"),
        failing(200, "<html>sign in</html>"),
        failing(302),
        timeout,
        cut,
    ],
)
async def test_trouble_in_the_middle_of_catching_up_changes_nothing(fault: Fault) -> None:
    world = World(LokiSettings(url="http://loki", limit=3))
    for i in range(40):
        world.push(-100 + i // 4, f"line {i}")
    world.server.faults = [fine, fine, fault, fine, fault, fault]
    assert await world.read(10) == [f"line {i}" for i in range(40)]
    assert len(world.house.gone) == 2
    assert not world.house.away


@pytest.mark.looptime
async def test_late_lines_are_found_however_often_the_search_is_disturbed() -> None:
    """It goes on where it was: else, of twenty pages with a fault in every fifth, none counted."""
    world = World(LokiSettings(url="http://loki", limit=2))
    for i in range(40):
        world.push(30 + i / 2, f"line {i}")
    await world.read(60)
    world.push(30.2, "late")
    world.server.faults = [fine, fine, fine, fine, failing(500)] * 200
    assert "late" in await world.read(45)
    assert Counter(line.text for line in world.lines).most_common(1)[0][1] == 1


@pytest.mark.looptime
async def test_a_crowd_is_read_however_often_that_is_disturbed() -> None:
    world = World(LokiSettings(url="http://loki", limit=10), max_entries=10)
    texts = [f"order {i:04}" for i in range(300)]
    world.push(-100, *texts)
    world.server.faults = [fine, fine, fine, fine, timeout] * 200
    assert sorted(await world.read(60)) == texts


@pytest.mark.looptime
async def test_a_slow_search_for_late_lines_leaves_most_of_the_time_to_new_ones() -> None:
    world = World(LokiSettings(url="http://loki", limit=2, late=Duration(8), every=Duration(1)))
    for i in range(6000):
        world.push(i / 50, f"line {i}")  # a search takes six seconds, and is due every four
    await world.read(120)
    starts = [int(p["start"]) for p in world.server.asked]
    assert sum(b < a for a, b in pairwise(starts)) <= 8, "it looked back"
    assert len(world.lines) > 100 * 50


@pytest.mark.looptime
async def test_a_server_that_asks_for_patience_gets_it() -> None:
    world = World()
    world.push(-10, "line")
    world.server.faults = [failing(429, "slow down", retry_after_secs=40)]
    assert await world.read(39) == []
    assert await world.read(41) == ["line"]


@pytest.mark.looptime
async def test_waits_grow_up_to_half_a_minute() -> None:
    world = World()
    world.server.faults = [failing(500)] * 100
    await world.read(300)
    assert 10 < spent(world) < 25


@pytest.mark.looptime
async def test_after_a_timeout_half_the_time_is_asked_for_and_later_more_again() -> None:
    world = World(LokiSettings(url="http://loki", history=Duration(7200)))
    world.server.faults = [timeout, timeout]
    await world.read(30)
    widths = [round((int(p["end"]) - int(p["start"])) / NS) for p in world.server.asked]
    assert widths[:5] == [3600, 1800, 900, 1800, 3600]


@pytest.mark.looptime
async def test_the_servers_limits_are_learnt_from_its_refusals() -> None:
    world = World(LokiSettings(url="http://loki", limit=5000), max_entries=7)
    world.server.faults = [
        failing(400, "the query time range exceeds the limit (query length: 5m0s, limit: 1m)")
    ]
    for i in range(50):
        world.push(-100 + i, f"line {i}")
    assert await world.read(3) == [f"line {i}" for i in range(50)]
    assert not world.house.gone
    assert max(int(p["end"]) - int(p["start"]) for p in world.server.asked[1:]) == 60 * NS


@pytest.mark.looptime
@pytest.mark.parametrize(
    "words",
    [
        "the query would read too many bytes (query: 49 MiB, limit: 1.0 MiB); consider adding more "
        "specific stream selectors or reduce the time range of the query",
        "query too large to execute on a single querier: (query: 5GB, limit: 1GB)",
    ],
)
async def test_a_window_that_costs_too_much_is_asked_for_in_halves(words: str) -> None:
    world = World()
    for i in range(50):
        world.push(-100 + i, f"line {i}")
    world.server.faults = [failing(400, words)] * 3
    assert await world.read(3) == [f"line {i}" for i in range(50)]
    assert not world.house.gone
    widths = [round((int(p["end"]) - int(p["start"])) / NS) for p in world.server.asked]
    assert widths == [295, 148, 74, 37, 74, 148, 37], "and over more again"


@pytest.mark.looptime
async def test_a_second_that_costs_too_much_is_told() -> None:
    world = World()
    world.server.faults = [failing(400, "the query would read too many bytes")] * 20
    await world.read(3)
    assert "too many bytes" in world.house.gone[0]


@pytest.mark.looptime
async def test_a_line_of_the_future_is_read_when_its_time_has_come() -> None:
    """Loki takes stamps of up to ten minutes from now."""
    world = World()
    world.push(300, "ahead")
    world.push(1, "now")
    assert await world.read(280) == ["now"]
    assert await world.read(40) == ["ahead"]


@pytest.mark.looptime
async def test_how_far_behind_we_are_can_be_read() -> None:
    world = World()
    await world.read(21)
    assert 5 <= world.house.gauges["lag_seconds"]() <= 11
    world.server.faults = [failing(500)] * 1000
    await world.read(600)
    assert world.house.gauges["lag_seconds"]() > 590


@pytest.mark.looptime
async def test_a_page_that_is_too_large_is_asked_for_in_halves() -> None:
    world = World(LokiSettings(url="http://loki", limit=8))
    for i in range(20):
        world.push(-100 + i, f"line {i}")
    world.server.faults = [too_large, too_large]
    assert await world.read(1) == [f"line {i}" for i in range(20)]
    assert [p["limit"] for p in world.server.asked[:3]] == ["8", "4", "2"]


@pytest.mark.looptime
async def test_a_line_larger_than_we_hold_is_told_and_not_skipped() -> None:
    world = World(LokiSettings(url="http://loki", limit=1))
    world.push(-10, "line")
    world.server.faults = [too_large]
    assert await world.read(10) == ["line"]
    assert "larger" in world.house.gone[0]


@pytest.mark.looptime
@pytest.mark.parametrize("status", [401, 403, 413])
async def test_a_refusal_is_told_once_and_asked_about_slowly(status: int) -> None:
    world = World()
    world.push(-10, "line")
    world.server.faults = [failing(status, "no org id")] * 4
    assert await world.read(239) == []
    assert spent(world) == 4
    assert len(world.house.gone) == 1
    assert str(status) in world.house.gone[0]
    assert "no org id" in world.house.gone[0]
    assert await world.read(10) == ["line"]


@pytest.mark.looptime
async def test_lines_are_neither_lost_nor_doubled_when_the_clock_goes_back() -> None:
    world = World()
    world.push(10, "one")
    await world.read(30)
    world.ahead_secs = -20
    world.push(11, "two")
    assert await world.read(90) == ["two"]


@pytest.mark.looptime
async def test_a_clock_that_was_an_hour_ahead_loses_no_lines() -> None:
    world = World()
    world.ahead_secs = 3600
    await world.read(100)
    world.ahead_secs = 0
    world.push(120, "line")
    assert await world.read(60) == ["line"]
    assert not world.batches[-1].history, "the daemon would not speak of it for an hour"


@pytest.mark.looptime
async def test_a_clock_that_is_not_set_yet_is_waited_for() -> None:
    world = World()
    await world.read(10)
    world.push(12, "line")
    world.ahead_secs = -50 * 365 * 86400
    assert await world.read(60) == []
    assert "clock" in world.house.gone[0]
    world.ahead_secs = 0
    assert await world.read(60) == ["line"]


# --- all of it together -------------------------------------------------------------------

FAULTS: list[Fault] = [
    fine, fine, fine, fine, failing(500), failing(429, "", 3.0), failing(503), timeout, cut,
    too_large,
]  # fmt: skip
LATE_S = 60.0

Arrival = tuple[float, float, str, int]
"""Seconds of arrival, of lateness; stream; text."""
arrivals = st.lists(
    st.tuples(
        st.integers(-20, 12).map(lambda n: n * 10.0),
        st.one_of(st.just(0.0), st.sampled_from([0.5, 10.0, 30.0, LATE_S])),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 3),
    ),
    max_size=100,
)
crashes = st.lists(
    st.tuples(st.integers(1, 80), st.integers(0, 12), st.sampled_from([0, 1, 70])), max_size=4
)
"""(readings until the crash, readings since the checkpoint, seconds away)"""


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(arrivals, crashes, st.lists(st.sampled_from(FAULTS), max_size=40), st.integers(2, 5))
def test_whatever_arrives_is_read_once(
    arriving: list[Arrival],
    crashing: list[tuple[int, int, int]],
    faults: list[Fault],
    limit: int,
) -> None:
    with closing(looptime.new_event_loop()) as loop:
        loop.run_until_complete(_read_once(arriving, crashing, faults, limit))


async def _read_once(
    arriving: list[Arrival], crashing: list[tuple[int, int, int]], faults: list[Fault], limit: int
) -> None:
    world = World(
        LokiSettings(url="http://loki", limit=limit, history=Duration(3600), late=Duration(LATE_S)),
        max_entries=5,
    )
    due = sorted(arriving)
    pushed: set[tuple[str, int, str]] = set()

    def deliver() -> None:
        while due and START_S + due[0][0] <= world.now():
            at_s, late_s, app, text = due.pop(0)
            world.push(at_s - late_s, str(text), app=app)
            pushed.add((app, START + round((at_s - late_s) * NS), str(text)))

    world.server.before = deliver
    world.server.faults = list(faults)
    for until, since, away_secs in crashing:
        await _run_and_crash(world, until, since)
        await asyncio.sleep(away_secs)
    await world.read(600)
    assert not due
    # Where even two lines are too large a page, one may have company that nobody can be shown.
    assert not world.house.counts["lost_lines_suspected"] or too_large in faults
    found = Counter((x.labels["app"], x.time_ns, x.text) for x in world.lines)
    assert found == Counter(pushed)


async def _run_and_crash(world: World, until: int, since: int) -> None:
    """Reads on, then falls back to what was known ``since`` readings before."""
    checkpoints = [(world.position, list(world.lines))]
    source = LokiSource(world.written, world.house.context(), world.server.connect)
    async with aclosing(source.stream(world.position)) as stream:
        async for reading in stream:
            world.take(reading)
            checkpoints.append((world.position, list(world.lines)))
            if len(checkpoints) > until:
                break
    world.position, world.lines = checkpoints[max(0, len(checkpoints) - 1 - since)]
