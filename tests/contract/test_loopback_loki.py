"""The loopback Loki, asked what a real Loki was asked, says what the real one said."""

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession

from tests.loopback.loki import LoopbackLoki
from tests.loopback.loki_push import Limits
from tests.loopback.recording import RECORDINGS, Recording, Reply

METADATA = {"detected_level", "pod", "trace_id"}
PARSED = {"__error__", "__error_details__"}
"""What the recorded lines carried as structured metadata; their other labels name the stream."""

QUERIES = sorted(file.stem for file in (RECORDINGS / "loki").glob("query_range_*.json"))
PUSH_SAME_NS = Recording.load("loki/push_same_ts")
NS = 1795421524410668032
"""The nanosecond into which that push puts most of its lines."""

EXACT = [
    "buildinfo",
    "err_400_bad_direction",
    "err_400_bad_logql",
    "err_400_bad_logql2",
    "err_400_empty_matcher",
    "err_400_end_before_start",
    "err_400_instant_log_query",
    "detected_fields",
    "detected_labels",
    "err_400_limit0",
    "err_400_points",
    "err_400_too_long_range",
    "err_400_too_many_entries",
    "err_404",
    "err_405",
    "flush",
    "format_query",
    "index_stats",
    "index_volume",
    "index_volume_range",
    "label_values_filtered",
    "label_values_unknown",
    "patterns",
    "push_partial_query",
    "ready",
    "services",
]
EXACT_WITH_AUTH = [
    "err_400_bad_tenant",
    "err_401_no_tenant",
    "push_204_small",
    "push_401_no_tenant",
    "tenant_ok_labels",
]
PUSHES = [
    "push_204_no_labels",
    "push_400_future",
    "push_400_too_many_labels",
    "push_400_too_old",
    "push_partial",
    "push_same_ts",
]


def recorded_at() -> float:
    """When the pushes were recorded: the real server's limit for age tells."""
    return datetime(2026, 11, 23, 8, 35, 35, tzinfo=UTC).timestamp()


def load(loki: LoopbackLoki, recording: Recording) -> None:
    for stream in recording.reply.body["data"]["result"]:
        labels = {k: v for k, v in stream["stream"].items() if k not in METADATA | PARSED}
        merged = {k: v for k, v in stream["stream"].items() if k in METADATA}
        for ns, line, *more in stream["values"]:
            metadata = more[0]["structuredMetadata"] if more else merged
            loki.push(labels, [(int(ns), line, metadata)])


@pytest.fixture
async def loki() -> AsyncIterator[LoopbackLoki]:
    """A loopback Loki that holds every line of the recorded answers."""
    async with LoopbackLoki(clock=recorded_at) as server:
        await PUSH_SAME_NS.replay(server.url)
        for name in [*QUERIES, "push_partial_query"]:
            load(server, Recording.load(f"loki/{name}"))
        yield server


async def entries(loki: LoopbackLoki, query: str, **params: Any) -> list[tuple[int, str]]:
    """(nanoseconds, line) in the order of the answer."""
    asked = {"query": query, "start": str(NS - 1), "end": str(NS + 10**9), **params}
    async with (
        ClientSession() as session,
        session.get(f"{loki.url}/loki/api/v1/query_range", params=asked) as response,
    ):
        assert response.status == 200, await response.text()
        data = (await response.json())["data"]
    return [(int(ns), line) for stream in data["result"] for ns, line in stream["values"]]


@pytest.mark.parametrize("name", QUERIES)
async def test_log_query_is_answered_as_recorded(loki: LoopbackLoki, name: str) -> None:
    recording = Recording.load(f"loki/{name}")
    reply = await recording.replay(loki.url)
    assert (reply.status, reply.content_type) == (200, recording.reply.content_type)
    said, recorded = reply.body["data"], recording.reply.body["data"]
    returned = "totalEntriesReturned"
    assert said.pop("stats")["summary"][returned] == recorded.pop("stats")["summary"][returned]
    assert reply.body == recording.reply.body


@pytest.mark.parametrize("name", EXACT)
async def test_answer_is_the_recorded_one(loki: LoopbackLoki, name: str) -> None:
    recording = Recording.load(f"loki/{name}")
    reply = await recording.replay(loki.url)
    if name == "push_partial_query":
        del reply.body["data"]["stats"], recording.reply.body["data"]["stats"]
    assert reply == recording.reply


@pytest.mark.parametrize("name", EXACT_WITH_AUTH)
async def test_answer_with_tenants_is_the_recorded_one(name: str) -> None:
    async with LoopbackLoki(auth=True, clock=recorded_at) as loki:
        recording = Recording.load(f"loki/{name}")
        assert await recording.replay(loki.url) == recording.reply


@pytest.mark.parametrize("name", PUSHES)
async def test_push_is_taken_or_refused_as_recorded(name: str) -> None:
    async with LoopbackLoki(clock=recorded_at) as loki:
        recording = Recording.load(f"loki/{name}")
        assert await recording.replay(loki.url) == recording.reply


# Metric queries


def shown(reply: Reply) -> tuple[int, str, str, Any]:
    data = reply.body["data"]
    return reply.status, reply.content_type, data["resultType"], data["result"]


@pytest.mark.parametrize("name", ["instant_empty_vector", "metric_matrix_gap"])
async def test_metric_query_is_answered_as_recorded(loki: LoopbackLoki, name: str) -> None:
    recording = Recording.load(f"loki/{name}")
    assert shown(await recording.replay(loki.url)) == shown(recording.reply)


async def test_a_number_is_answered_as_recorded() -> None:
    recording = Recording.load("loki/instant_scalar")
    at_s = recording.reply.body["data"]["result"][0] / 1000
    async with LoopbackLoki(clock=lambda: at_s) as loki:
        assert shown(await recording.replay(loki.url)) == shown(recording.reply)


@pytest.mark.parametrize("name", ["instant_vector", "instant_topk"])
async def test_lines_are_counted_as_recorded(name: str) -> None:
    """One stream a recorded series, with as many lines as that counted."""
    recording = Recording.load(f"loki/{name}")
    async with LoopbackLoki() as loki:
        for row in recording.reply.body["data"]["result"]:
            lines = [(NS - i * 10**6, "x", None) for i in range(int(row["value"][1]))]
            loki.push({"env": "prod", **row["metric"]}, reversed(lines))
        loki.push({"env": "prod", "level": "debug", "app": "cart"}, [(NS - 10**15, "old", None)])
        recording.params["time"] = str(NS)
        status, _, kind, rows = shown(await recording.replay(loki.url))
        told = [row["metric"] | {"n": row["value"][1]} for row in rows]
        recorded = recording.reply.body["data"]["result"]
        assert (status, kind) == (200, "vector")
        assert told == [row["metric"] | {"n": row["value"][1]} for row in recorded]


@pytest.mark.parametrize("name", ["metric_matrix_count_over_time", "metric_matrix_rate"])
async def test_a_range_of_counts_is_answered_as_recorded(name: str) -> None:
    """Lines are put where the recorded answer counted them."""
    recording = Recording.load(f"loki/{name}")
    times = 60 if "rate" in name else 1
    async with LoopbackLoki() as loki:
        for row in recording.reply.body["data"]["result"]:
            labels = {"env": "prod", "app": "cart"} | row["metric"]
            for time_s, count in row["values"]:
                lines = round(float(count) * times)
                last_ns = time_s * 10**9
                loki.push(
                    labels, [(last_ns - i, f"connection {i}", None) for i in reversed(range(lines))]
                )
        assert shown(await recording.replay(loki.url)) == shown(recording.reply)


async def test_too_many_series_are_refused_as_recorded() -> None:
    recording = Recording.load("loki/err_400_max_series")
    async with LoopbackLoki() as loki:
        end_ns = int(recording.params["end"])
        for i in range(501):
            loki.push({"level": "error"}, [(end_ns - NS, str(i), {"trace_id": str(i)})])
            loki.push({"level": "error"}, [(end_ns - 60 * 10**9, f"{i}", {"trace_id": str(i)})])
        assert await recording.replay(loki.url) == recording.reply


@pytest.mark.parametrize("name", ["query_429_concurrent", "query_err_timeout_or_ok"])
async def test_a_busy_server_says_so_when_it_is_told_to(name: str) -> None:
    recording = Recording.load(f"loki/{name}")
    async with LoopbackLoki(auth=True) as loki:
        loki.fail_next(429, recording.reply.body)
        assert await recording.replay(loki.url) == recording.reply


async def test_a_query_that_was_to_cost_too_much_and_did_not() -> None:
    """The recording's name promises an error; the server answered."""
    recording = Recording.load("loki/query_err_max_bytes_read")
    async with LoopbackLoki(auth=True) as loki:
        for stream in recording.reply.body["data"]["result"]:
            labels = {k: v for k, v in stream["stream"].items() if k not in METADATA}
            lines = [(int(ns), line, None) for ns, line in stream["values"]]
            loki.push(labels, lines, tenant="team-a")
        assert shown(await recording.replay(loki.url)) == shown(recording.reply)


# Pushes


async def test_a_line_too_far_behind_its_stream_is_refused_as_recorded() -> None:
    recording = Recording.load("loki/push_400_out_of_order")
    head = datetime(2026, 11, 23, 8, 36, 15, tzinfo=UTC).timestamp()
    async with LoopbackLoki(clock=lambda: head) as loki:
        labels = json.loads(recording.sent)["streams"][0]["stream"]
        loki.push(labels, [(int(head) * 10**9, "head", None)])
        assert await recording.replay(loki.url) == recording.reply


async def test_limits_of_pushes_are_told_as_recorded() -> None:
    async with LoopbackLoki(auth=True, clock=recorded_at) as loki:
        loki.push_limits = Limits(burst_bytes=13_000, rate_bytes=10_485, streams=5)
        limited = Recording.load("loki/push_429_rate_limited")
        assert await limited.replay(loki.url) == limited.reply
        burst = Recording.load("loki/push_429_batch_over_burst")
        values = [[str(NS + i), "z" * 150] for i in range(300)]
        body = json.dumps({"streams": [{"stream": {"app": "rl"}, "values": values}]})
        assert await dataclasses.replace(burst, sent=body).replay(loki.url) == burst.reply
        for i in range(5):
            loki.push({"app": "rl", "n": str(i + 10)}, [(NS, "z", None)], tenant="team-a")
        streams = Recording.load("loki/push_429_max_streams")
        assert await streams.replay(loki.url) == streams.reply


async def test_a_push_with_metadata_is_taken_as_recorded(loki: LoopbackLoki) -> None:
    recording = Recording.load("loki/push_204")
    values = [[str(NS), "line", {"trace_id": "abc"}]]
    body = json.dumps({"streams": [{"stream": {"app": "meta"}, "values": values}]})
    assert await dataclasses.replace(recording, sent=body).replay(loki.url) == recording.reply
    assert await entries(loki, '{app="meta"}') == [(NS, "line")]


async def test_broken_json_is_refused_in_words_of_our_own(loki: LoopbackLoki) -> None:
    recording = Recording.load("loki/push_400_bad_json")
    reply = await recording.replay(loki.url)
    assert (reply.status, reply.content_type) == (400, recording.reply.content_type)
    assert reply.body.split(":")[0] == recording.reply.body.split(":")[0]


async def test_long_line_is_refused_as_recorded(loki: LoopbackLoki) -> None:
    recording = Recording.load("loki/push_400_line_too_long")
    now_ns = int(recorded_at() * 10**9)
    stream = {"stream": {"app": "long"}, "values": [[str(now_ns), "x" * 300_000]]}
    again = dataclasses.replace(recording, sent=json.dumps({"streams": [stream]}))
    assert await again.replay(loki.url) == recording.reply


async def test_stamps_must_be_strings(loki: LoopbackLoki) -> None:
    recording = Recording.load("loki/push_400_bad_json")
    numbered = '{"streams": [{"stream": {"app": "n"}, "values": [[1795421624410668032, "x"]]}]}'
    again = dataclasses.replace(recording, sent=numbered)
    assert (await again.replay(loki.url)).status == 400


async def test_good_lines_of_a_partly_bad_push_are_kept() -> None:
    async with LoopbackLoki(clock=recorded_at) as loki:
        await Recording.load("loki/push_partial").replay(loki.url)
        query = Recording.load("loki/push_partial_query")
        reply = await query.replay(loki.url)
        assert reply.body["data"]["result"] == query.reply.body["data"]["result"]


async def test_discovery_lists_what_is_there(loki: LoopbackLoki) -> None:
    # The recorded server held more streams than the recorded answers show: add those.
    for app in ("burst", "burst2", "tail"):
        loki.push({"app": app, "s": "0", "__stream_shard__": "0"}, [(NS, "a line", None)])
    for level in ("info", "warn"):
        loki.push(
            {"app": "cart", "env": "prod", "level": level, "namespace": "shop"}, [(NS, "", None)]
        )
    for name in ("labels", "label_values_app", "series"):
        recording = Recording.load(f"loki/{name}")
        reply = await recording.replay(loki.url)
        assert reply.content_type == recording.reply.content_type
        by_text = {"key": str} if name != "series" else {"key": lambda s: str(sorted(s.items()))}
        assert sorted(reply.body["data"], **by_text) == sorted(
            recording.reply.body["data"], **by_text
        )


async def test_series_has_a_stream_only_while_it_had_lines(loki: LoopbackLoki) -> None:
    params = {"match[]": '{app="same"}', "start": str(NS + 1), "end": str(NS + 2)}
    async with (
        ClientSession() as session,
        session.get(f"{loki.url}/loki/api/v1/series", params=params) as response,
    ):
        assert [stream["level"] for stream in (await response.json())["data"]] == ["info"]


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ('{app="same"} |= "line 1"', ["line 1"]),
        ('{app="same"} != "line"', ["later by 1ns", "other stream same ts"]),
        ('{app="same"} |~ "line [45]"', ["line 4", "line 5"]),
        ('{app="same"} !~ "line|later"', ["other stream same ts"]),
        ('{app="same"} |= "line" !~ "[0-5]"', ["line 6"]),
        ('{app="same", level="warn"}', ["other stream same ts"]),
        ('{app="same", level!="info"}', ["other stream same ts"]),
        ('{app=~"sa.e", level=~"w.*"}', ["other stream same ts"]),
        ('{app=~"sa", level=~"w.*"}', []),
        ('{app="same", level!~"inf.*"}', ["other stream same ts"]),
        ('{app="same", nosuch=""} |= `line 1`', ["line 1"]),
    ],
)
async def test_selectors_and_line_filters(loki: LoopbackLoki, query: str, lines: list[str]) -> None:
    assert sorted(line for _, line in await entries(loki, query, direction="forward")) == lines


@pytest.mark.parametrize(
    "query", ['quantile_over_time(0.9, {app="x"}[1m])', '{app="same"} | logfmt', "1*1"]
)
async def test_what_is_not_modelled_is_not_answered(loki: LoopbackLoki, query: str) -> None:
    async with (
        ClientSession() as session,
        session.get(f"{loki.url}/loki/api/v1/query_range", params={"query": query}) as response,
    ):
        assert response.status == 501


async def test_a_page_cut_inside_one_nanosecond_can_be_resumed(loki: LoopbackLoki) -> None:
    whole = await entries(loki, '{app="same"}', direction="forward")
    page = await entries(loki, '{app="same"}', direction="forward", limit=8)
    assert len(whole) == 9
    assert {ns for ns, _ in page} == {NS}, "all of one nanosecond, over both streams"
    again = await entries(loki, '{app="same"}', direction="forward", start=str(NS))
    assert again == whole


async def test_tenants_do_not_see_each_other() -> None:
    async with LoopbackLoki(auth=True) as loki, ClientSession() as session:
        loki.push({"app": "shop"}, [(NS, "secret", None)], tenant="team-a")
        for tenant, names in (("team-a", {"app", "service_name"}), ("team-b", set())):
            headers = {"X-Scope-OrgID": tenant}
            async with session.get(f"{loki.url}/loki/api/v1/labels", headers=headers) as response:
                assert set((await response.json()).get("data", [])) == names


async def test_a_form_asks_like_a_query_string(loki: LoopbackLoki) -> None:
    form = {"query": '{app="same"}', "start": str(NS), "end": str(NS + 1), "limit": "2"}
    async with (
        ClientSession() as session,
        session.post(f"{loki.url}/loki/api/v1/query_range", data=form) as response,
    ):
        data = (await response.json())["data"]
    assert sum(len(stream["values"]) for stream in data["result"]) == 2
    assert loki.asked("/query_range")[-1].params["limit"] == "2"


async def test_a_recorded_refusal_can_be_played_at_will(loki: LoopbackLoki) -> None:
    busy = Recording.load("loki/query_429_concurrent").reply
    loki.fail_next(busy.status, busy.body, on="/query_range")
    recording = Recording.load("loki/query_range_empty")
    assert await recording.replay(loki.url) == busy
    assert (await recording.replay(loki.url)).status == 200


async def test_a_cut_answer_breaks_off(loki: LoopbackLoki) -> None:
    loki.truncate_next()
    with pytest.raises(ClientPayloadError):
        await Recording.load("loki/query_range_default_limit_100").replay(loki.url)
