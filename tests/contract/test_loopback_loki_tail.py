"""The loopback Loki's tail, held to recordings of a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.loopback.loki import LoopbackLoki
from tests.loopback.recording import RECORDINGS, Recording

CATEGORIZE = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
METADATA = {"detected_level", "pod", "trace_id"}
NS = 1795421733267794944


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / f"loki/{name}.json").read_text())


def streams(frames: list[Any]) -> list[str]:
    """Whatever the order: lines of one push come in any."""
    return sorted(json.dumps(one, sort_keys=True) for frame in frames for one in frame["streams"])


@pytest.fixture
async def loki() -> AsyncIterator[LoopbackLoki]:
    async with LoopbackLoki() as server:
        yield server


async def tail(
    loki: LoopbackLoki, session: ClientSession, headers: dict[str, str] | None = None
) -> ClientWebSocketResponse:
    query = {"query": '{app=~"tail|burst2"}', "limit": "50"}
    socket = await session.ws_connect(
        f"{loki.url}/loki/api/v1/tail", params=query, headers=headers or {}
    )
    async with asyncio.timeout(20):
        while not loki.tails:
            await asyncio.sleep(0.01)
    return socket


async def told_of(
    loki: LoopbackLoki, socket: ClientWebSocketResponse, frames: list[Any]
) -> list[Any]:
    """What the tail says of the lines of these frames, which are pushed frame by frame."""
    told: list[Any] = []
    async with asyncio.timeout(20):
        for frame in frames:
            for one in frame["streams"]:
                (ns, line, *more) = one["values"][0]
                metadata = more[0]["structuredMetadata"] if more else {}
                loki.push(one["stream"], [(int(ns), line, metadata)])
                told.append(await socket.receive_json())
    return told


async def test_lines_come_as_recorded(loki: LoopbackLoki) -> None:
    recording = recorded("tail_frames")
    assert recording["handshake"]["status"] == 101
    frames = [frame["data"] for frame in recording["frames"]]
    async with ClientSession() as session:
        socket = await tail(loki, session)
        told = await told_of(loki, socket, frames)
    assert streams(told) == streams(frames)
    assert {tuple(frame) for frame in told} == {tuple(frame) for frame in frames}


async def test_labels_are_categorized_as_recorded(loki: LoopbackLoki) -> None:
    frames = recorded("tail_categorize_frames")["frames"]
    async with ClientSession() as session:
        socket = await tail(loki, session, CATEGORIZE)
        told = await told_of(loki, socket, frames)
    assert streams(told) == streams(frames)
    assert {tuple(frame) for frame in told} == {tuple(frame) for frame in frames}


async def test_what_a_slow_reader_misses_is_noted_as_recorded(loki: LoopbackLoki) -> None:
    recording = recorded("tail_dropped_entries")
    sent, first = recording["sent"], recording["first_frame_with_dropped"]
    labels = {"app": "burst2", "s": "0"}
    async with ClientSession() as session:
        socket = await tail(loki, session)
        loki.push(labels, [(NS + i, f"line {i}", None) for i in range(sent)])
        frame = await socket.receive_json()
    assert frame.keys() == first.keys()
    assert len(frame["dropped_entries"]) == 1000, "beyond that not even the notice"
    told, noted = frame["dropped_entries"][0], first["dropped_entries"][0]
    assert told.keys() == noted.keys()
    assert msgspec.convert(told, dict[str, Any])["timestamp"].isdecimal()
    assert told["labels"]["app"] == noted["labels"]["app"]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("tail_err_400", {"query": '{app="tail"'}),
        ("tail_err_delay_for", {"query": '{app="tail"}', "delay_for": "6"}),
        ("tail_err_metric_query", {"query": 'rate({app="tail"}[1m])'}),
    ],
)
async def test_a_tail_is_refused_as_recorded(
    loki: LoopbackLoki, name: str, params: dict[str, str]
) -> None:
    response = recorded(name)["response"]
    recording = Recording(name, "GET", "/loki/api/v1/tail", params, {}, "", None)  # type: ignore[arg-type]
    reply = await recording.replay(loki.url)
    assert (reply.status, reply.content_type, reply.body) == (
        response["status"], response["headers"]["Content-Type"], response["body"],
    )  # fmt: skip


async def test_a_metric_query_is_refused_after_yes_was_said(loki: LoopbackLoki) -> None:
    async with ClientSession() as session:
        url = f"{loki.url}/loki/api/v1/tail"
        socket = await session.ws_connect(url, params={"query": 'rate({app="tail"}[1m])'})
        message = await socket.receive()
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)


async def test_the_end_of_the_server_is_told_as_recorded(loki: LoopbackLoki) -> None:
    _, kind, code, reason = recorded("shutdown_sigterm")["tail"][-1]
    async with ClientSession() as session:
        socket = await tail(loki, session)
        loki.end_tails(int(code), reason)
        message = await socket.receive()
    assert (message.type.name, str(message.data), message.extra) == (kind, code, reason)


async def test_one_tenant_at_a_time() -> None:
    async with LoopbackLoki(auth=True, multi_tenant=True) as loki:
        recording = Recording("", "GET", "/loki/api/v1/tail", {"query": '{a="b"}'},
                              {"X-Scope-OrgID": "a|b"}, "", None)  # type: ignore[arg-type]  # fmt: skip
        reply = await recording.replay(loki.url)
        assert (reply.status, reply.body) == (400, "multiple org IDs present")
