"""The prometheus source against a server that answers, refuses, stalls and goes away."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.contracts import Query
from aiopsd.errors import ConfigError, Refused, Unreachable
from aiopsd.model import Batch, Labels, Position
from aiopsd.series import SeriesTable
from aiopsd.settings import Duration, SecretFile
from aiopsd.sources.prometheus import PrometheusSettings, PrometheusSource
from aiopsd.sources.prometheus_rule import Grid
from tests.loopback.prometheus import QUERY, QUERY_RANGE, BadData, ReplayPrometheus, Vector
from tests.unit.sources.witness import Witness, read

EVERY_SECS = 0.2
UP = Query("up", "up", EVERY_SECS)


def two_hosts(query: str, at: float) -> Vector:
    """Every query has two series; a value tells its own time."""
    if query == "1":
        return [({}, 1.0)]
    return [({"__name__": query, "host": name}, at) for name in "ab"]


@pytest.fixture
async def server() -> AsyncIterator[ReplayPrometheus]:
    async with ReplayPrometheus() as replay:
        replay.answer_from(two_hosts)
        yield replay


def build(server: ReplayPrometheus, witness: Witness, **settings: Any) -> PrometheusSource:
    return PrometheusSettings(url=server.url, **settings).build(witness.context("prom"))


def times(batches: list[Batch]) -> list[float]:
    return [batch.time_s for batch in batches]


def is_whole(batches: list[Batch], every_secs: float = EVERY_SECS) -> bool:
    """One batch a tick, in order, without a hole."""
    return np.allclose(np.diff(times(batches)), every_secs, atol=0.0011)


def done(readings: Any) -> Position:
    position: Position = readings.all[-1].position
    return position


# --- ticks --------------------------------------------------------------------------------


async def test_every_tick_is_one_batch(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP])
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 4)
    batches = readings.batches("up")
    assert is_whole(batches)
    for batch in batches:
        assert not batch.history
        at = batch.time_s
        assert witness.named(batch) == [({"host": "a"}, at), ({"host": "b"}, at)]
    assert {call.path for call in server.calls} == {QUERY}
    assert times(batches) == [float(c.params["time"]) for c in server.calls][: len(batches)]


async def test_a_tick_without_series_is_told_too(server: ReplayPrometheus) -> None:
    server.answer_from(lambda _query, _time: [])
    witness = Witness(queries=[UP])
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
    assert [len(batch.series) for batch in readings.batches()][:2] == [0, 0]


async def test_rules_have_their_own_cadence(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP, Query("slow", "slow", 4 * EVERY_SECS)])
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.batches("slow")) >= 3)
    assert is_whole(readings.batches("slow"), 4 * EVERY_SECS)
    assert is_whole(readings.batches("up"))


async def test_a_rule_without_cadence_takes_that_of_the_source(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[Query("up", "up", 0)])
    async with read(build(server, witness, every=Duration(0.1))) as readings:
        await readings.until(lambda: len(readings.all) >= 3)
    assert is_whole(readings.batches(), 0.1)


async def test_delay_asks_about_the_past(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP])
    async with read(build(server, witness, delay=Duration(30))) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
        behind_secs = time.time() - readings.batches()[-1].time_s
    assert behind_secs == pytest.approx(30, abs=5)
    assert not readings.batches()[-1].history


@given(st.text(min_size=1), st.floats(0.01, 86_400), st.floats(0, 4e9))
def test_grid(rule: str, every_secs: float, now_s: float) -> None:
    grid = Grid.of(rule, every_secs)
    tick = grid.at_or_before(now_s)
    assert tick <= round(now_s * 1000) < tick + grid.every_ms
    assert grid.at_or_before(tick / 1000) == tick
    assert Grid.of(rule, every_secs) == grid


def test_grid_spreads_rules() -> None:
    assert len({Grid.of(f"rule {n}", 15).offset_ms // 1000 for n in range(200)}) == 15


# --- labels -------------------------------------------------------------------------------


async def test_kept_labels_and_those_that_fall_together(
    server: ReplayPrometheus, caplog: pytest.LogCaptureFixture
) -> None:
    four = [({"host": host, "path": path}, len(path)) for host in "ab" for path in ("/", "/x")]
    server.answer_from(lambda _query, _time: four)
    witness = Witness(queries=[Query("up", "up", EVERY_SECS, keep=("host", "zone"))])
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
    batch = readings.batches()[0]
    assert witness.named(batch) == [({"host": "a"}, 1), ({"host": "b"}, 1)]
    assert witness.counts["duplicate_series"] >= 4
    assert caplog.text.count("2 series share their labels") == 1


class Counting(SeriesTable):
    """How many series were asked for by their labels."""

    asked = 0

    def intern(self, rule: str, labels: Labels, source: str = "", *, clean: bool = False) -> int:
        self.asked += 1
        return super().intern(rule, labels, source, clean=clean)


async def test_known_series_cost_no_work_on_labels(server: ReplayPrometheus) -> None:
    """Not at the next tick, not in what is read again, and not where there is no room."""
    hosts = ["a", "b", "c"]
    server.answer_from(lambda _query, at: [({"host": name}, at) for name in hosts])
    witness = Witness(queries=[UP], table=Counting(limit=4), history_secs=2)
    table = witness.table
    assert isinstance(table, Counting)
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 3)
        assert table.asked == 3
        hosts += ["d", "e"]
        await readings.until(lambda: table.refused >= 3)
    assert table.asked == 5
    assert {len(batch.series) for batch in readings.batches()} == {3, 4}
    assert is_whole(readings.batches())


async def test_a_series_that_expired_is_looked_up_anew(server: ReplayPrometheus) -> None:
    hosts = ["a", "b"]
    server.answer_from(lambda _query, at: [({"host": name}, at) for name in hosts])
    witness = Witness(queries=[UP])
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
        hosts[:] = ["b"]
        await readings.until(lambda: len(readings.batches()[-1].series) == 1)
        while len(witness.table) == 2:
            witness.table.expire(math.inf)
        witness.table.intern("up", {"host": "c"})
        hosts[:] = ["a", "b"]
        await readings.until(lambda: len(readings.batches()[-1].series) == 2)
    assert [labels["host"] for labels, _ in witness.named(readings.batches()[-1])] == ["a", "b"]


async def test_series_that_the_table_cannot_take_are_left_out(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP], table=SeriesTable(limit=1), history_secs=2)
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
    for batch in readings.batches():
        assert [labels for labels, _ in witness.named(batch)] == [{"host": "a"}]
    assert witness.table.refused > 0
    assert "duplicate_series" not in witness.counts


@pytest.mark.parametrize(
    ("recording", "counted", "said"),
    [
        ("warnings_remote_read_failed", "query_warnings", "warning: remote_read"),
        ("query_native_histogram", "native_histograms", "use histogram_quantile()"),
    ],
)
async def test_what_is_odd_is_counted_and_said_once(
    server: ReplayPrometheus,
    caplog: pytest.LogCaptureFixture,
    recording: str,
    counted: str,
    said: str,
) -> None:
    server.answer_with(recording)
    witness = Witness(queries=[UP])
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: witness.counts[counted] >= 3)
    assert caplog.text.count(said) == 1
    assert witness.edges == []


# --- the past -----------------------------------------------------------------------------


async def test_history_comes_first_and_only_teaches(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP], history_secs=60)
    began_s = time.time()
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: any(not b.history for b in readings.batches()))
        await readings.until(lambda: readings.batches()[-1].time_s > began_s + EVERY_SECS)
    batches = readings.batches()
    assert is_whole(batches)
    assert batches[0].time_s == pytest.approx(began_s - 60, abs=2)
    assert all(batch.history == (batch.time_s <= began_s - EVERY_SECS) for batch in batches)
    assert all(batch.values == pytest.approx(batch.time_s, abs=0.001) for batch in batches)
    assert len(server.asked(QUERY_RANGE)) == 1
    assert "reread_ticks" not in witness.counts


async def test_history_may_be_set_for_the_source_alone(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP], history_secs=3600)
    async with read(build(server, witness, history=Duration(0))) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
    assert not any(batch.history for batch in readings.batches())


async def test_long_history_is_read_in_pieces(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[Query("up", "up", 1)], history_secs=25_000)
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: any(not b.history for b in readings.batches()))
    assert is_whole(readings.batches(), 1)
    assert len(readings.batches()) >= 25_000
    for call in server.asked(QUERY_RANGE):
        points = int(float(call.params["end"]) - float(call.params["start"])) + 1
        assert points <= 10_000
    assert max(len(reading.items) for reading in readings.all) <= 64


async def test_too_large_an_answer_is_read_in_smaller_pieces(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[Query("up", "up", 1)], history_secs=3000)
    async with read(build(server, witness, max_body_bytes=60_000)) as readings:
        await readings.until(lambda: any(not b.history for b in readings.batches()))
    assert is_whole(readings.batches(), 1)
    assert len(readings.batches()) >= 2999
    assert witness.edges == []


async def test_gaps_of_the_past_are_no_ticks(server: ReplayPrometheus) -> None:
    began_s = time.time()
    server.answer_from(lambda query, at: two_hosts(query, at) if at > began_s - 10 else [])
    witness = Witness(queries=[UP], history_secs=60)
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: any(not b.history for b in readings.batches()))
    assert min(times(readings.batches())) > began_s - 10


async def test_resumes_after_the_last_tick_that_was_saved(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP], history_secs=3600)
    grid = Grid.of("up", EVERY_SECS)
    last_s = grid.at_or_before(time.time() - 8) / 1000
    resume = {"time": last_s, "rules": {"up": last_s}}
    async with read(build(server, witness), resume) as readings:
        await readings.until(lambda: times(readings.batches())[-1:] > [time.time() - 1])
    batches = readings.batches()
    assert batches[0].time_s == pytest.approx(last_s + EVERY_SECS, abs=0.001)
    assert is_whole(batches)
    assert not any(batch.history for batch in batches)  # a restart must not hide what happened
    assert witness.counts["reread_ticks"] >= 35


async def test_what_is_long_over_only_teaches_after_a_restart(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[Query("up", "up", 1)], history_secs=3600)
    now_s = time.time()
    async with read(build(server, witness), {"rules": {"up": now_s - 1200}}) as readings:
        await readings.until(lambda: times(readings.batches())[-1:] > [now_s])
    assert is_whole(readings.batches(), 1)
    history = [batch.time_s for batch in readings.batches() if batch.history]
    assert max(history) == pytest.approx(now_s - 600, abs=10)
    assert len(history) == pytest.approx(600, abs=10)


async def test_a_new_rule_reads_its_history_beside_a_known_one(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP, Query("new", "new", EVERY_SECS)], history_secs=60)
    now_s = time.time()
    resume = {"time": now_s - 1, "rules": {"up": now_s - 1, "deleted": now_s - 1}}
    async with read(build(server, witness), resume) as readings:
        await readings.until(lambda: any(not b.history for b in readings.batches("new")))
        await readings.until(lambda: len(readings.batches("up")) > 3)
    assert readings.batches("new")[0].time_s == pytest.approx(now_s - 60, abs=2)
    assert readings.batches("up")[0].time_s >= now_s - 1 - EVERY_SECS
    assert done(readings)["rules"].keys() == {"up", "new"}


async def test_position_is_never_ahead_of_what_was_handed_over(server: ReplayPrometheus) -> None:
    queries = [Query(f"rule{n}", "up", EVERY_SECS) for n in range(5)]
    witness = Witness(queries=queries, history_secs=60)
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.batches()) > 1600)
    newest: dict[str, float] = {}
    for reading in readings.all:
        newest |= {item.rule: item.time_s for item in reading.items if isinstance(item, Batch)}
        assert reading.position["rules"] == pytest.approx(newest, abs=0.001)
        assert reading.position["time"] == pytest.approx(max(newest.values()), abs=0.001)


async def test_a_hole_beyond_reach_is_counted(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[Query("up", "up", 60)])
    now_s = time.time()
    async with read(build(server, witness), {"rules": {"up": now_s - 86_400 - 6000}}) as readings:
        await readings.until(lambda: times(readings.batches())[-1:] > [now_s - 61])
    assert witness.counts["skipped_ticks"] == pytest.approx(100, abs=1)
    assert readings.batches()[0].time_s == pytest.approx(now_s - 86_400, abs=61)


# --- trouble ------------------------------------------------------------------------------

Misbehaviour = Callable[[ReplayPrometheus], None]
MISBEHAVIOUR: Mapping[str, tuple[Misbehaviour, str]] = {
    "500": (lambda s: s.fail_next(500, "boom", times=2), "status 500: boom"),
    "503": (lambda s: s.fail_next(503, "Service Unavailable", times=2), "status 503"),
    "401": (lambda s: s.fail_next(401, "who?", times=2), "token_file"),
    "web page": (lambda s: s.html_next(times=2), "a web page"),
    "cut off": (lambda s: s.truncate_next(times=2), "cut off"),
    "half a JSON": (lambda s: s.truncate_next(times=2, clean=True), "not what the query API"),
    "hung": (lambda s: s.hang_next(30, times=2), "no answer within 0.5 s"),
    "trickle": (lambda s: s.trickle_next(30, times=2), "no answer within 0.5 s"),
    "hung up": (lambda s: s.lose_answer_next(times=4), "hung up"),
    "flood": (lambda s: s.huge_body_next(100, times=2), "larger than 100,000 bytes"),
}


@pytest.mark.parametrize("how", MISBEHAVIOUR)
async def test_gone_once_back_once_and_nothing_lost(server: ReplayPrometheus, how: str) -> None:
    misbehave, words = MISBEHAVIOUR[how]
    witness = Witness(queries=[UP])
    source = build(server, witness, timeout=Duration(0.5), max_body_bytes=100_000)
    async with read(source) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
        misbehave(server)
        await readings.until(lambda: ("back", "prom") in witness.edges)
        back_s = time.time()
        await readings.until(lambda: readings.batches()[-1].time_s > back_s)
    assert witness.edges == [("gone", "prom"), ("back", "prom")]
    assert words in witness.reasons["prom"]
    assert server.url in witness.reasons["prom"]
    batches = readings.batches()
    assert is_whole(batches)
    assert not any(batch.history for batch in batches)
    assert all(batch.values == pytest.approx(batch.time_s, abs=0.001) for batch in batches)
    assert witness.counts["reread_ticks"] >= 2


async def test_away_with_many_rules(
    server: ReplayPrometheus, caplog: pytest.LogCaptureFixture
) -> None:
    """One of them finds out for all: nobody storms a server that is coming up."""
    queries = [Query(f"rule{n}", "up", EVERY_SECS) for n in range(20)]
    witness = Witness(queries=queries)
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 40)
        async with server.away():
            await readings.until(lambda: witness.is_gone("prom"))
            await asyncio.sleep(1.5)  # how long it is away
            asked = len(server.calls)
        await readings.until(lambda: not witness.is_gone("prom"))
        back_s = time.time()
        last = [query.rule for query in queries]
        await readings.until(
            lambda: all(readings.batches(rule)[-1].time_s > back_s for rule in last)
        )
    assert len(server.calls) - asked < 500
    assert witness.edges == [("gone", "prom"), ("back", "prom")]
    assert all(is_whole(readings.batches(query.rule)) for query in queries)
    assert "not answered" not in caplog.text
    assert witness.counts["failed_queries"] == 0


async def test_away_from_the_start(server: ReplayPrometheus) -> None:
    witness = Witness(queries=[UP], history_secs=30)
    async with server.away(), read(build(server, witness)) as readings:
        await readings.until(lambda: witness.is_gone("prom"))
        await server.start()
        await readings.until(lambda: any(not b.history for b in readings.batches()))
        await server.stop()
    assert "connection refused" in witness.reasons["prom"]
    assert is_whole(readings.batches())


async def test_refused_rule_is_said_once_and_the_others_go_on(
    server: ReplayPrometheus, caplog: pytest.LogCaptureFixture
) -> None:
    broken = True

    def answer(query: str, at: float) -> Vector:
        if query == "sum((" and broken:
            raise BadData("1:6: parse error: unclosed left parenthesis")
        return two_hosts(query, at)

    server.answer_from(answer)
    caplog.set_level(logging.INFO)
    witness = Witness(queries=[UP, Query("broken", "sum((", 0.05)], history_secs=10)
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: witness.counts["failed_queries"] >= 8)
        assert "answered again" not in caplog.text
        asked = [c for c in server.asked(QUERY) if c.params["query"] == "sum(("]
        assert len(asked) <= 7  # of some thirty ticks: ever more slowly
        broken = False
        await readings.until(lambda: readings.batches("broken"))
    assert is_whole(readings.batches("up"))
    assert witness.edges == []
    assert caplog.text.count("1:6: parse error: unclosed left parenthesis") == 1
    assert "source=prom rule=broken refused: " in caplog.text
    assert caplog.text.count("answered again source=prom rule=broken") == 1
    assert witness.counts["skipped_ticks"] > 0


@pytest.mark.parametrize("history_secs", [0, 30])
async def test_one_heavy_query_is_not_the_server(
    server: ReplayPrometheus, caplog: pytest.LogCaptureFixture, history_secs: float
) -> None:
    def answer(query: str, at: float) -> Vector:
        if query == "heavy":
            return [({"filler": "x" * 200_000}, 1.0)]
        return two_hosts(query, at)

    server.answer_from(answer)
    witness = Witness(queries=[UP, Query("heavy", "heavy", 0.1)], history_secs=history_secs)
    async with read(build(server, witness, max_body_bytes=100_000)) as readings:
        await readings.until(lambda: witness.counts["failed_queries"] >= 4)
        now_s = time.time()
        await readings.until(lambda: readings.batches("up")[-1].time_s > now_s)
    assert is_whole(readings.batches("up"))
    assert witness.edges == []
    assert caplog.text.count("rule=heavy not answered: the answer") == 1


async def test_one_hiccup_is_no_news(
    server: ReplayPrometheus, caplog: pytest.LogCaptureFixture
) -> None:
    witness = Witness(queries=[UP])
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
        server.fail_next(500, "boom")
        await readings.until(lambda: witness.counts["failed_queries"] == 1)
        seen = len(readings.all)
        await readings.until(lambda: len(readings.all) >= seen + 3)
    assert is_whole(readings.batches())
    assert witness.edges == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_one_tick_that_cannot_be_had_does_not_stop_the_rest(
    server: ReplayPrometheus,
) -> None:
    poisoned_s = time.time() + 1

    def answer(query: str, at: float) -> Vector:
        if query == "up" and poisoned_s <= at < poisoned_s + EVERY_SECS:
            raise BadData("many-to-many matching not allowed")
        return two_hosts(query, at)

    server.answer_from(answer)
    witness = Witness(queries=[UP])
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: times(readings.batches())[-1:] > [poisoned_s + 2])
    assert witness.counts["skipped_ticks"] >= 1


async def test_clock_that_goes_back_hides_nothing_later(server: ReplayPrometheus) -> None:
    shift_secs = 0.0
    witness = Witness(queries=[UP], clock=lambda: time.time() + shift_secs)
    async with read(build(server, witness)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
        shift_secs = -2.0
        seen = len(readings.all)
        await readings.until(lambda: len(readings.all) >= seen + 2)
    assert is_whole(readings.batches())


# --- who we are there ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        ({"token_file": SecretFile("secret")}, "Authorization", "Bearer s3cret"),
        (
            {"username": "ops", "password_file": SecretFile("secret")},
            "Authorization",
            "Basic b3BzOnMzY3JldA==",
        ),
        ({"tenant": "shop"}, "X-Scope-OrgID", "shop"),
        ({"headers": {"X-Via": "aiopsd"}}, "X-Via", "aiopsd"),
    ],
)
async def test_credentials(
    server: ReplayPrometheus,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, Any],
    header: str,
    value: str,
) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    witness = Witness(queries=[UP], base=tmp_path)
    source = build(server, witness, **settings)
    async with read(source) as readings:
        await readings.until(lambda: readings.all)
        server.fail_next(401, "not you", times=2)
        await readings.until(lambda: witness.is_gone("prom"))
    await source.instant("up")
    assert {call.headers.get(header) for call in server.calls} == {value}
    assert "s3cret" not in caplog.text + str(witness.reasons)


async def test_no_rules_still_tells_whether_it_is_there(server: ReplayPrometheus) -> None:
    witness = Witness()
    async with server.away(), read(build(server, witness)) as readings:
        await readings.until(lambda: witness.is_gone("prom"))
        await server.start()
        await readings.until(lambda: not witness.is_gone("prom"))
        await server.stop()
    assert readings.all == []


# --- one number now -----------------------------------------------------------------------


async def test_instant_gives_finite_samples(server: ReplayPrometheus) -> None:
    source = build(server, Witness())
    server.answer_with("query_nan_inf")
    found = await source.instant("app_special")
    assert [(labels["kind"], value) for labels, value in found] == [
        ("one", 1.0),
        ('uni "q" \\ ünï\n2nd', 2.0),
    ]
    assert all("__name__" not in labels for labels, _ in found)


async def test_instant_asks_about_now(server: ReplayPrometheus) -> None:
    source = build(server, Witness(clock=lambda: 1_800_000_000.5), delay=Duration(30))
    assert await source.instant("up") == [
        ({"host": "a"}, 1_799_999_970.5),
        ({"host": "b"}, 1_799_999_970.5),
    ]


async def test_instant_tells_whose_fault_it_is(server: ReplayPrometheus) -> None:
    source = build(server, Witness(), timeout=Duration(0.3))
    server.answer_with("err_400_parse")
    with pytest.raises(Refused, match="unclosed left parenthesis"):
        await source.instant("sum((")
    server.hang_next(30)
    with pytest.raises(Unreachable, match="no answer within"):
        await source.instant("up")


# --- settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"url": "127.0.0.1:9090"}, "must be like http://host:9090"),
        ({"url": "ftp://host/"}, "must be like http://host:9090"),
        ({"url": "http://u:s3cret@host/"}, "use `username` and `password_file`"),
        ({"url": "http://["}, "is not an address"),
        ({"timeout": Duration(0)}, "longer than 0s"),
        ({"username": "ops"}, "belong together"),
        ({"headers": {"X-A": "a\nb"}}, "control character"),
        ({"headers": {"X A": "a"}}, "not a header's name"),
        ({"tenant": "a\nb"}, "control character"),
        ({"max_body_bytes": 0}, "at least 1"),
        (
            {
                "token_file": SecretFile("a"),
                "username": "b",
                "password_file": SecretFile("c"),
            },
            "exclude each other",
        ),
    ],
)
def test_wrong_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match="`") as error:
        PrometheusSettings(**{"url": "http://host", **settings})
    assert sentence in str(error.value)
    assert "s3cret" not in str(error.value)


def test_wrong_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two\nlines")
    (tmp_path / "ca.pem").write_text("no certificate")
    context = Witness(base=tmp_path).context()
    for settings in (
        PrometheusSettings(url="http://host", token_file=SecretFile("token")),
        PrometheusSettings(url="http://host", token_file=SecretFile("missing")),
        PrometheusSettings(url="https://host", ca_file="ca.pem"),
        PrometheusSettings(url="https://host", ca_file="missing.pem"),
    ):
        with pytest.raises(ConfigError):
            settings.build(context)
