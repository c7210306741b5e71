"""Rules that ask Loki for numbers: over HTTP, of a loopback Loki, held to recorded answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from yarl import URL

from aiopsd.contracts import Query
from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Batch, Position
from aiopsd.settings import Duration
from aiopsd.sources.fetch import Fetcher
from aiopsd.sources.loki import LokiSettings
from aiopsd.sources.loki_query import checked_metric
from aiopsd.sources.loki_rules import CountingApi, counts
from tests.e2e.asking import beside
from tests.loopback.loki import LoopbackLoki
from tests.loopback.recording import Recording
from tests.unit.sources.house import House

NS = 10**9
NOW_S = 1_800_000_000.0
STEP_SECS = 10.0
ERRORS = 'sum by (service) (count_over_time({app="shop"} |= "error" [10s]))'


@pytest.fixture
async def loki() -> AsyncIterator[LoopbackLoki]:
    async with LoopbackLoki(clock=lambda: NOW_S) as server:
        yield server


@asynccontextmanager
async def asking(loki: LoopbackLoki) -> AsyncIterator[CountingApi]:
    async with Fetcher(timeout_secs=10, max_body_bytes=10**7) as fetcher:
        yield CountingApi(fetcher, URL(loki.url))


def push(loki: LoopbackLoki, service: str, at_s: float, lines: int = 1) -> None:
    ns = int(at_s * NS)
    entries = [(ns - i, f"error {i}", None) for i in range(lines)]
    loki.push({"app": "shop", "service": service}, entries)


# --- recorded answers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("instant_scalar", [({}, 2.0)]),
        ("instant_empty_vector", []),
        ("instant_vector", [({"app": "cart"}, 16800.0), ({"app": "checkout"}, 16800.0),
                            ({"app": "payments"}, 16662.0)]),
        ("instant_topk", [({"level": "info"}, 12587.0), ({"level": "warn"}, 12559.0)]),
        ("index_volume", [({"app": "cart"}, 1078272.0), ({"app": "checkout"}, 1076224.0),
                          ({"app": "payments"}, 1075200.0)]),
    ],
)  # fmt: skip
async def test_recorded_numbers(
    loki: LoopbackLoki, name: str, values: list[tuple[dict[str, str], float]]
) -> None:
    reply = Recording.load(f"loki/{name}").reply
    loki.fail_next(200, json.dumps(reply.body), {"Content-Type": reply.content_type})
    async with asking(loki) as api:
        vector = await api.instant(ERRORS, NOW_S)
    assert list(zip(vector.labels, vector.values.tolist(), strict=True)) == values


@pytest.mark.parametrize(
    "name", ["metric_matrix_count_over_time", "metric_matrix_gap", "metric_matrix_rate"]
)
async def test_recorded_ranges(loki: LoopbackLoki, name: str) -> None:
    recording = Recording.load(f"loki/{name}")
    reply = recording.reply
    loki.fail_next(200, json.dumps(reply.body), {"Content-Type": reply.content_type})
    rows = reply.body["data"]["result"]
    times = [time_s for row in rows for time_s, _ in row["values"]]
    step_secs = float(recording.params["step"].removesuffix("s"))
    async with asking(loki) as api:
        matrix = await api.range(ERRORS, min(times), max(times), step_secs)
    told = {
        (json.dumps(matrix.labels[s]), t): v
        for s, t, v in zip(matrix.series, matrix.times_s, matrix.values, strict=True)
    }
    for row in rows:
        for time_s, value in row["values"]:
            assert told[json.dumps(row["metric"]), time_s] == float(value)
    assert len(told) == sum(len(row["values"]) for row in rows), "none is missing: none is added"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("err_400_max_series", Refused, "maximum number of series"),
        ("err_400_points", Refused, "maximum resolution"),
        ("err_400_bad_logql", Refused, "parse error"),
        ("err_400_instant_log_query", Refused, "log queries are not supported"),
        ("err_400_too_long_range", Refused, "time range exceeds"),
        ("query_429_concurrent", Unreachable, "too many outstanding requests"),
        ("err_401_no_tenant", Unreachable, "no org id"),
        ("query_range_streams_forward", Refused, "streams"),
    ],
)
async def test_recorded_refusals(
    loki: LoopbackLoki, name: str, kind: type[Exception], words: str
) -> None:
    reply = Recording.load(f"loki/{name}").reply
    body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
    loki.fail_next(reply.status, body, {"Content-Type": reply.content_type})
    async with asking(loki) as api:
        with pytest.raises(kind, match=words):
            await api.instant(ERRORS, NOW_S)


# --- zeros --------------------------------------------------------------------------------


async def test_a_count_that_fell_silent_is_zero_for_an_hour(loki: LoopbackLoki) -> None:
    push(loki, "cart", NOW_S, lines=3)
    push(loki, "till", NOW_S + 60)
    told = []
    async with asking(loki) as api:
        for after_secs in (0, 60, 3600, 3670):
            vector = await api.instant(ERRORS, NOW_S + after_secs)
            pairs = zip(vector.labels, vector.values.tolist(), strict=True)
            told.append({labels["service"]: value for labels, value in pairs})
    assert told == [{"cart": 3}, {"cart": 0, "till": 1}, {"cart": 0, "till": 0}, {}]


async def test_holes_of_a_range_are_zero_from_the_first_sample_on(loki: LoopbackLoki) -> None:
    push(loki, "cart", NOW_S + 20, lines=2)
    push(loki, "cart", NOW_S + 50)
    push(loki, "till", NOW_S + 70)
    async with asking(loki) as api:
        first = await api.range(ERRORS, NOW_S, NOW_S + 40, STEP_SECS)
        second = await api.range(ERRORS, NOW_S + 50, NOW_S + 80, STEP_SECS)
    assert [list(m.values) for m in (first, second)] == [[2, 0, 0], [1, 0, 0, 0, 1, 0]]
    assert list(first.times_s - NOW_S) == [20, 30, 40]
    assert list(second.times_s - NOW_S) == [50, 60, 70, 80, 70, 80]
    assert [labels["service"] for labels in second.labels] == ["cart", "till"]


async def test_a_range_remembers_for_an_hour_as_well(loki: LoopbackLoki) -> None:
    push(loki, "cart", NOW_S)
    push(loki, "till", NOW_S + 6990)
    async with asking(loki) as api:
        matrix = await api.range(ERRORS, NOW_S, NOW_S + 7000, STEP_SECS)
    times_s = matrix.times_s[matrix.series == 0] - NOW_S
    assert [times_s.min(), times_s.max()] == [0, 3600]


@pytest.mark.parametrize(
    ("query", "zeros"),
    [
        (ERRORS, True),
        ('rate({a="b"} |= "unwrap" [1m])', True),
        ('bytes_over_time({a="b"}[1m]) / bytes_over_time({a="c"}[1m])', True),
        ('topk(3, rate({a="b"}[1m]))', False),
        ('avg_over_time({a="b"} | logfmt | unwrap ms [1m])', False),
        ('sum(rate({a="b"} | unwrap bytes(size) [1m]))', False),
        ('absent_over_time({a="b"}[1m])', False),
    ],
)
def test_what_counts_lines(query: str, zeros: bool) -> None:
    assert counts(query) == zeros


# --- through the source -------------------------------------------------------------------


@dataclass
class Listener:
    loki: LoopbackLoki
    house: House
    query: str = ""
    position: Position | None = None
    batches: list[Batch] = field(default_factory=list)

    def running(self) -> AbstractAsyncContextManager[None]:
        return beside(self._run())

    async def _run(self) -> None:
        written = LokiSettings(
            url=self.loki.url, query=self.query, every=Duration(0.1), delay=Duration(0.1)
        )
        async with aclosing(written.build(self.house.context()).stream(self.position)) as stream:
            async for reading in stream:
                self.position = json.loads(json.dumps(reading.position))
                self.batches += [item for item in reading.items if isinstance(item, Batch)]

    async def until(self, batches: int) -> None:
        async with asyncio.timeout(60):
            while len(self.batches) < batches:
                await asyncio.sleep(0.01)


def asked(*rules: str) -> House:
    queries = [
        Query(rule, f'sum by (service) (count_over_time({{app="{rule}"}}[2s]))', 1.0)
        for rule in rules
    ]
    return House(queries=queries, history_secs=5.0)


async def test_a_rule_is_asked_at_whole_multiples_of_its_cadence() -> None:
    async with LoopbackLoki() as loki:
        push(loki, "cart", time.time())
        listener = Listener(loki, asked("shop"))
        async with listener.running():
            await listener.until(4)
        live = [batch for batch in listener.batches if not batch.history]
        assert {batch.rule for batch in live} == {"shop"}
        assert all(batch.time_s == int(batch.time_s) for batch in live)
        assert {b.time_s - a.time_s for a, b in pairwise(live)} == {1.0}
        assert not loki.asked("/series")
        assert all("count_over_time" in call.params["query"] for call in loki.asked("/query_range"))


async def test_each_rule_goes_on_where_it_stood_and_lines_come_as_well() -> None:
    async with LoopbackLoki() as loki:
        for ago_s in range(20):
            push(loki, "cart", time.time() - ago_s)
        listener = Listener(loki, asked("shop", "bank"), query='{app=~".+"}')
        async with listener.running(), asyncio.timeout(60):
            await listener.until(4)
            while not _stands(listener.position or {}):
                await asyncio.sleep(0.01)
        position = listener.position or {}
        assert position["rules"].keys() == {"shop", "bank"}
        assert int(position["cursor"]) > 0
        seen = {(batch.rule, batch.time_s) for batch in listener.batches}
        listener.batches.clear()
        async with listener.running():
            await listener.until(4)
        again = seen & {(batch.rule, batch.time_s) for batch in listener.batches}
        assert not {time_s for rule, time_s in again if time_s <= position["rules"][rule]}


def _stands(position: Position) -> bool:
    """Lines and both rules have come so far."""
    return len(position.get("rules", ())) == 2 and int(position.get("cursor", 0)) > 0


async def test_a_rule_that_is_refused_keeps_no_other_from_going_on() -> None:
    house = asked("shop")
    house.queries = [*house.queries, Query("wrong", "quantile_over_time(1)", 1.0)]
    async with LoopbackLoki() as loki:
        listener = Listener(loki, house)
        async with listener.running():
            await listener.until(4)
        assert {batch.rule for batch in listener.batches} == {"shop"}
        assert house.counts["failed_queries"] > 0


async def test_without_lines_and_rules_it_still_tells_whether_loki_is_there() -> None:
    async with LoopbackLoki() as loki:
        listener = Listener(loki, House())
        await loki.stop()
        async with listener.running(), asyncio.timeout(60):
            while not listener.house.away:
                await asyncio.sleep(0.01)


# --- what is written ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        ERRORS,
        'rate({app="shop"} |= "a } b [1m] \\" {" [5m])',
        "sum(rate({app=`sh]op`} | json | status >= 500 [1m])) # errors (all",
        'rate({a="b"}[1m]) / rate({a="c"}[1m] offset 5m)',
        'sum by (a) (count_over_time({job=~".+"} | pattern `<_> [<at>] <_>` [$__auto]))',
    ],
)
def test_a_good_metric_query_passes(query: str) -> None:
    checked_metric(query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('{app="shop"} |= "error"', "selects lines"),
        ('rate({app="shop"})', "needs a range"),
        ('rate({app="shop"}[1m]', r"\) is missing"),
        ('rate({app="shop"}[1m]))', r"\) at column 23 has no counterpart"),
        ('rate({app="shop}[1m])', "column 11"),
        ('rate({app="shop"}[1m)', r"\[ at column 18"),
        ("1 + 1", "names no stream"),
    ],
)
def test_a_wrong_metric_query_says_what_is_wrong(query: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_metric(query)
