"""What the query API may answer, recorded and worse: numbers, or whose fault it is."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from yarl import URL

from aiopsd.errors import Refused, Unreachable
from aiopsd.sources.fetch import Fetcher, TooLarge
from aiopsd.sources.prometheus_api import PrometheusApi
from tests.loopback.prometheus import ReplayPrometheus
from tests.loopback.recording import Recording

AT_S = 1_795_421_130.832


@pytest.fixture
async def server() -> AsyncIterator[ReplayPrometheus]:
    async with ReplayPrometheus() as replay:
        yield replay


@asynccontextmanager
async def asking(server: ReplayPrometheus, **limits: float) -> AsyncIterator[PrometheusApi]:
    fetcher = Fetcher(
        timeout_secs=limits.get("timeout_secs", 30),
        max_body_bytes=int(limits.get("max_body_bytes", 64 * 2**20)),
    )
    async with fetcher:
        yield PrometheusApi(fetcher, URL(server.url))


@pytest.fixture
async def api(server: ReplayPrometheus) -> AsyncIterator[PrometheusApi]:
    async with asking(server) as one:
        yield one


async def test_vector(server: ReplayPrometheus, api: PrometheusApi) -> None:
    server.answer_with("query_vector")
    vector = await api.instant("up", AT_S)
    result = Recording.load("prometheus/query_vector").reply.body["data"]["result"]
    assert len(vector.labels) == len(result) > 2
    assert vector.labels[0] == {"instance": "127.0.0.1:19090", "job": "prometheus"}
    assert vector.values.tolist() == [float(one["value"][1]) for one in result]
    assert (vector.warnings, vector.histograms) == ((), 0)


async def test_no_series(server: ReplayPrometheus, api: PrometheusApi) -> None:
    server.answer_with("query_empty")
    vector = await api.instant("nosuchmetric", AT_S)
    assert (vector.labels, vector.values.tolist()) == ([], [])


async def test_nan_and_infinities(server: ReplayPrometheus, api: PrometheusApi) -> None:
    server.answer_with("query_nan_inf")
    vector = await api.instant("app_special", AT_S)
    by_kind = dict(zip((one["kind"] for one in vector.labels), vector.values, strict=True))
    assert math.isnan(by_kind["nan"])
    assert (by_kind["pinf"], by_kind["ninf"], by_kind["one"]) == (math.inf, -math.inf, 1)
    assert by_kind['uni "q" \\ ünï\n2nd'] == 2


async def test_scalar_is_one_series_without_labels(
    server: ReplayPrometheus, api: PrometheusApi
) -> None:
    server.answer_with("query_scalar")
    vector = await api.instant("scalar(vector(1.5))", AT_S)
    assert (vector.labels, vector.values.tolist()) == ([{}], [1.5])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("query_string", "answers a string, not a vector"),
        ("query_range_selector_matrix", "answers a matrix, not a vector: wrap the range selector"),
        ("err_400_parse", "1:6: parse error: unclosed left parenthesis"),
        ("err_422_many_to_many", "many-to-many matching not allowed"),
        ("err_422_agent_mode", "unavailable with Prometheus Agent"),
        ("victoriametrics/err_422_parse", "unexpected token"),
    ],
)
async def test_refusal_in_the_servers_words(
    server: ReplayPrometheus, api: PrometheusApi, name: str, words: str
) -> None:
    server.answer_with(name)
    with pytest.raises(Refused) as refused:
        await api.instant("whatever", AT_S)
    assert words in str(refused.value)


async def test_native_histograms_are_left_out_and_counted(
    server: ReplayPrometheus, api: PrometheusApi
) -> None:
    server.answer_with("query_native_histogram")
    vector = await api.instant("nh_seconds", AT_S)
    assert (len(vector.labels), vector.histograms) == (0, 1)
    server.answer_with("query_range_native_histogram")
    matrix = await api.range("nh_seconds", AT_S, AT_S + 20, 5)
    assert (len(matrix.values), matrix.histograms) == (0, 5)


async def test_warnings(server: ReplayPrometheus, api: PrometheusApi) -> None:
    server.answer_with("warnings_remote_read_failed")
    vector = await api.instant("up", AT_S)
    assert vector.values.tolist() == [1]
    assert "connection refused" in vector.warnings[0]
    server.answer_with("warnings_query_range")
    matrix = await api.range("up", AT_S, AT_S + 20, 5)
    assert len(matrix.values) == 5
    assert "connection refused" in matrix.warnings[0]


async def test_partial_answer_of_a_cluster_is_a_warning(
    server: ReplayPrometheus, api: PrometheusApi
) -> None:
    body = b'{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}'
    server.fail_next(200, body, {"Content-Type": "application/json"})
    assert (await api.instant("up", AT_S)).warnings == ("the answer is partial",)


async def test_matrix_with_gaps(server: ReplayPrometheus, api: PrometheusApi) -> None:
    server.answer_with("query_range_stale_gaps")
    matrix = await api.range("app_ephemeral", AT_S, AT_S + 50, 1)
    result = Recording.load("prometheus/query_range_stale_gaps").reply.body["data"]["result"]
    assert [one["id"] for one in matrix.labels] == [one["metric"]["id"] for one in result]
    for index, row in enumerate(result):
        mine = matrix.series == index
        assert matrix.times_s[mine].tolist() == [at for at, _ in row["values"]]
        assert matrix.values[mine].tolist() == [float(text) for _, text in row["values"]]


@pytest.mark.parametrize("metric", ["[]", '{"a":1}', "7"])
async def test_labels_that_are_none_are_the_servers_trouble(
    server: ReplayPrometheus, api: PrometheusApi, metric: str
) -> None:
    body = value("1").replace('"metric":{}', f'"metric":{metric}')
    server.fail_next(200, body, JSON)
    vector = await api.instant("up", AT_S)
    with pytest.raises(Unreachable, match="not what the query API promises"):
        _ = vector.labels


Misbehaviour = Callable[[ReplayPrometheus], object]
JSON = {"Content-Type": "application/json"}
DEEP = '{"status":"success","data":{},"x":' + "[" * 10_000 + "]" * 10_000 + "}"
TIMED_OUT = json.dumps(Recording.load("prometheus/err_503_timeout").reply.body)


@pytest.mark.parametrize(
    ("misbehave", "words"),
    [
        (lambda s: s.fail_next(500, "boom"), "status 500: boom"),
        (lambda s: s.fail_next(401, "no token"), "status 401: no token (see `token_file`"),
        (lambda s: s.fail_next(404, "404 page not found"), "is the path of `url` right?"),
        (lambda s: s.fail_next(429, "slow down"), "status 429: slow down"),
        (lambda s: s.answer_with("err_503_not_ready_query"), "status 503: Service Unavailable"),
        (lambda s: s.fail_next(503, TIMED_OUT, JSON), "query timed out in expression evaluation"),
        (lambda s: s.fail_next(422, TIMED_OUT, JSON), "query timed out in expression evaluation"),
        (lambda s: s.fail_next(200, DEEP, JSON), "not what the query API promises: maximum recurs"),
        (lambda s: s.fail_next(500, DEEP, JSON), "status 500: {"),
        (lambda s: s.html_next(), "a web page (does a login or a proxy stand in the way?)"),
        (lambda s: s.html_next(502), "status 502: a web page"),
        (lambda s: s.truncate_next(), "cut off"),
        (lambda s: s.truncate_next(clean=True), "not what the query API promises"),
        (lambda s: s.lose_answer_next(times=9), "hung up"),
        (lambda s: s.fail_next(200, b"\xff\xfe", JSON), "not what the query API promises"),
        (lambda s: s.fail_next(200, "[]", JSON), "not what the query API promises"),
        (lambda s: s.fail_next(200, value("high"), JSON), "no number"),
        (lambda s: s.fail_next(302, "", {"Location": "http://login/?t=s3cret"}), "http://login/;"),
        (lambda s: s.fail_next(302, "", {"Location": "http://["}), "no address"),
        (lambda s: s.fail_next(302, "", {"Location": "/api/v1/query"}, times=9), "in a circle"),
    ],
)
async def test_the_servers_trouble(
    server: ReplayPrometheus, api: PrometheusApi, misbehave: Misbehaviour, words: str
) -> None:
    misbehave(server)
    with pytest.raises(Unreachable) as trouble:
        await api.instant("up", AT_S)
    assert words in str(trouble.value)
    assert "s3cret" not in str(trouble.value)


def value(text: str) -> str:
    result = f'[{{"metric":{{}},"value":[1,"{text}"]}}]'
    return f'{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}'


@pytest.mark.parametrize("how", ["hang_next", "trickle_next"])
async def test_slow_answer_has_a_deadline(server: ReplayPrometheus, how: str) -> None:
    server.answer_with("query_vector")
    getattr(server, how)(20)
    async with asking(server, timeout_secs=0.3) as api:
        with pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
            await api.instant("up", AT_S)
        assert len((await api.instant("up", AT_S)).values) > 2


async def test_nobody_listens(server: ReplayPrometheus, api: PrometheusApi) -> None:
    async with server.away():
        with pytest.raises(Unreachable, match="connection refused"):
            await api.instant("up", AT_S)


async def test_flood_is_refused_early(server: ReplayPrometheus) -> None:
    server.huge_body_next(100)
    async with asking(server) as api:
        tracemalloc.start()
        with pytest.raises(TooLarge, match="larger than 8,000,000 bytes"):
            await api.range("up", AT_S, AT_S + 10, 1)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 40_000_000  # the server, here in the same process, included


async def test_announced_flood_is_not_even_read(server: ReplayPrometheus) -> None:
    server.fail_next(200, b"x" * 2_000_000, JSON)
    async with asking(server, max_body_bytes=1_000_000) as api:
        with pytest.raises(TooLarge, match="has 2,000,000 bytes, more than 1,000,000"):
            await api.instant("up", AT_S)


async def test_the_ceiling_of_an_instant_answer(server: ReplayPrometheus) -> None:
    server.huge_body_next(9, times=2)
    async with asking(server) as api:
        assert len((await api.instant("up", AT_S)).values) == 1
    async with asking(server, max_body_bytes=9 * 2**20) as api:
        with pytest.raises(TooLarge, match="larger than 9,437,184 bytes"):
            await api.instant("up", AT_S)


async def test_long_query_is_posted(server: ReplayPrometheus, api: PrometheusApi) -> None:
    query = " or ".join(f"metric_number_{n}" for n in range(200))
    server.answer_from(lambda asked, at: [({"ok": str(asked == query)}, at)])
    vector = await api.instant(query, AT_S)
    assert vector.labels == [{"ok": "True"}]
    assert server.calls[-1].method == "POST"


async def test_where_post_is_forbidden_long_queries_are_got(
    server: ReplayPrometheus, api: PrometheusApi
) -> None:
    query = " or ".join(f"metric_number_{n}" for n in range(200))
    server.answer_from(lambda asked, at: [({"ok": str(asked == query)}, at)])
    server.fail_next(405, "Method Not Allowed")
    for _ in range(2):
        assert (await api.instant(query, AT_S)).labels == [{"ok": "True"}]
    assert [call.method for call in server.calls] == ["POST", "GET", "GET"]


async def test_the_path_and_query_of_the_address_stay(server: ReplayPrometheus) -> None:
    async with Fetcher(timeout_secs=30, max_body_bytes=1000) as fetcher:
        api = PrometheusApi(fetcher, URL(f"{server.url}/prometheus/?dedup=true"))
        with pytest.raises(Unreachable, match="404"):  # the loopback has no such prefix
            await api.instant('a{b="c d+&e"}', AT_S)
    call = server.calls[-1]
    assert call.path == "/prometheus/api/v1/query"
    assert call.params["dedup"] == "true"
    assert (call.params["query"], call.params["time"]) == ('a{b="c d+&e"}', f"{AT_S:.3f}")


async def test_redirect_within_the_server_is_followed(
    server: ReplayPrometheus, api: PrometheusApi
) -> None:
    server.answer_from(lambda _query, at: [({}, at)])
    server.fail_next(307, "", {"Location": f"/api/v1/query?query=up&time={AT_S}"})
    assert (await api.instant("up", AT_S)).values.tolist() == [AT_S]


async def test_a_large_answer_is_decoded_beside_the_loop(
    server: ReplayPrometheus, api: PrometheusApi
) -> None:
    many = [({"n": str(n), "__name__": "m"}, n) for n in range(10_000)]
    server.answer_from(lambda _query, _time: many)
    vector = await api.instant("m", AT_S)
    assert np.array_equal(vector.values, np.arange(10_000))
    assert vector.labels[-1] == {"n": "9999"}
