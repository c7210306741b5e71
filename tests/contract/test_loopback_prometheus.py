"""The replaying Prometheus repeats recordings, and refuses what the real one refused."""

import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession, ClientTimeout

from tests.loopback.prometheus import ReplayPrometheus, value_text
from tests.loopback.recording import RECORDINGS, Recording

ANSWERS = [
    file.relative_to(RECORDINGS / "prometheus").with_suffix("").as_posix()
    for pattern in (
        "query_*",
        "warnings_*query*",
        "warnings_remote*",
        "victoriametrics/q*",
        "err_422*",
    )
    for file in sorted((RECORDINGS / "prometheus").glob(f"{pattern}.json"))
]
REFUSALS = [
    "err_400_bad_time",
    "err_400_end_before_start",
    "err_400_noquery",
    "err_400_step0",
    "err_400_too_many_points",
    "err_404",
    "err_405",
]


@pytest.fixture
async def prometheus() -> AsyncIterator[ReplayPrometheus]:
    async with ReplayPrometheus() as server:
        yield server


async def ask(prometheus: ReplayPrometheus, path: str, **params: Any) -> Any:
    async with (
        ClientSession() as session,
        session.get(f"{prometheus.url}/api/v1/{path}", params=params) as response,
    ):
        return await response.json()


@pytest.mark.parametrize("name", [*ANSWERS, "err_503_timeout", "err_503_not_ready_query"])
async def test_recording_is_repeated(prometheus: ReplayPrometheus, name: str) -> None:
    prometheus.answer_with(name)
    recording = Recording.load(f"prometheus/{name}")
    assert await recording.replay(prometheus.url) == recording.reply


@pytest.mark.parametrize("name", ["buildinfo", "ready", "query_empty"])
async def test_unscripted_answer_is_the_recorded_one(
    prometheus: ReplayPrometheus, name: str
) -> None:
    recording = Recording.load(f"prometheus/{name}")
    assert await recording.replay(prometheus.url) == recording.reply


@pytest.mark.parametrize("name", REFUSALS)
async def test_wrong_parameters_are_refused_as_recorded(
    prometheus: ReplayPrometheus, name: str
) -> None:
    recording = Recording.load(f"prometheus/{name}")
    assert await recording.replay(prometheus.url) == recording.reply


@pytest.mark.parametrize("name", ["query_range_matrix", "query_range_stale_gaps"])
async def test_a_function_of_time_gives_the_recorded_matrix(
    prometheus: ReplayPrometheus, name: str
) -> None:
    """The recorded samples, served one step at a time, make up the recorded answer again."""
    recording = Recording.load(f"prometheus/{name}")
    series = recording.reply.body["data"]["result"]

    def evaluate(_query: str, at: float) -> list[tuple[Mapping[str, str], float]]:
        return [
            (one["metric"], float(value))
            for one in series
            for stamp, value in one["values"]
            if math.isclose(stamp, at, abs_tol=0.001, rel_tol=0)
        ]

    prometheus.answer_from(evaluate)
    assert await recording.replay(prometheus.url) == recording.reply


async def test_a_function_answers_instant_queries(prometheus: ReplayPrometheus) -> None:
    prometheus.answer_from(lambda query, at: [({"job": query}, at / 2)])
    answer = await ask(prometheus, "query", query="shop", time="100.5")
    assert answer["data"]["result"] == [{"metric": {"job": "shop"}, "value": [100.5, "50.25"]}]


async def test_a_function_takes_over_from_a_recording(prometheus: ReplayPrometheus) -> None:
    prometheus.answer_with("query_vector")
    prometheus.answer_from(lambda _query, _at: [])
    assert (await ask(prometheus, "query", query="up"))["data"]["result"] == []


async def test_range_includes_both_ends(prometheus: ReplayPrometheus) -> None:
    prometheus.answer_from(lambda _query, at: [({}, at)] if at != 30 else [])
    answer = await ask(prometheus, "query_range", query="x", start=0, end=60, step="30s")
    assert answer["data"]["result"] == [{"metric": {}, "values": [[0, "0"], [60, "60"]]}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (1.0, "1"),
        (0.0, "0"),
        (1e20, "1" + "0" * 20),
        (1e21, "1e+21"),
        (0.0000015, "0.0000015"),
        (-1.5e-7, "-1.5e-07"),
        (0.33024455611390346, "0.33024455611390346"),
    ],
)
def test_values_are_written_as_prometheus_writes_them(value: float, text: str) -> None:
    assert value_text(value) == text


async def test_huge_body_flows_until_the_client_has_enough(prometheus: ReplayPrometheus) -> None:
    prometheus.huge_body_next(mb=512)
    async with (
        ClientSession() as session,
        session.get(f"{prometheus.url}/api/v1/query") as response,
    ):
        assert len(await response.content.readexactly(3 * 2**20)) == 3 * 2**20
    assert (await ask(prometheus, "query", query="x"))["status"] == "success"


async def test_huge_body_is_sound_json(prometheus: ReplayPrometheus) -> None:
    prometheus.huge_body_next(mb=2)
    answer = await ask(prometheus, "query", query="x")
    assert len(answer["data"]["result"][0]["metric"]["filler"]) > 2 * 2**20


async def test_trickling_body_comes_whole_to_the_patient_only(prometheus: ReplayPrometheus) -> None:
    prometheus.answer_with("query_vector")
    prometheus.trickle_next(0.2)
    patient = await ask(prometheus, "query")
    assert patient == Recording.load("prometheus/query_vector").reply.body
    prometheus.trickle_next(60)
    async with ClientSession(timeout=ClientTimeout(total=0.3)) as session:
        with pytest.raises(TimeoutError):
            async with session.get(f"{prometheus.url}/api/v1/query") as response:
                await response.read()


async def test_wrong_content(prometheus: ReplayPrometheus) -> None:
    prometheus.html_next()
    prometheus.truncate_next(clean=True)
    prometheus.truncate_next()
    async with ClientSession() as session:
        url = f"{prometheus.url}/api/v1/query?query=x"
        async with session.get(url) as response:
            assert (response.status, response.content_type) == (200, "text/html")
        async with session.get(url) as response:
            assert (await response.text()).startswith('{"status"')
            with pytest.raises(ValueError, match=r"JSON|Unterminated|Expecting"):
                await response.json()
        async with session.get(url) as response:
            with pytest.raises(ClientPayloadError):
                await response.read()
