"""The loopback Loki, asked what a real Loki was asked, says what the real one said."""

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession

from tests.loopback.loki import LoopbackLoki
from tests.loopback.recording import RECORDINGS, Recording

METADATA = {"detected_level", "pod", "trace_id"}
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
    "err_400_limit0",
    "err_400_points",
    "err_400_too_long_range",
    "err_400_too_many_entries",
    "err_404",
    "err_405",
    "label_values_filtered",
    "label_values_unknown",
    "push_partial_query",
    "ready",
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
        labels = {k: v for k, v in stream["stream"].items() if k not in METADATA}
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


@pytest.mark.parametrize("query", ['rate({app="x"}[1m])', '{app="same"} | json', "1+1"])
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
