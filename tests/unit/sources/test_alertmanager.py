"""Alertmanager's webhook: what an alert becomes, and when its sender is told 200."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, ClientTimeout, web

from aiopsd.errors import ConfigError
from aiopsd.model import Anomaly
from aiopsd.settings import Duration, SecretFile
from aiopsd.sources.alertmanager import (
    Alert,
    AlertmanagerSettings,
    AlertmanagerSource,
    anomaly_of,
)
from tests.loopback.recording import RECORDINGS
from tests.unit.sources.witness import Readings, Witness, read

NOW_S = 1_795_500_000.0
RECORDED = json.loads(
    (RECORDINGS / "prometheus" / "alertmanager" / "webhook_firing.json").read_text()
)["body"]


@dataclass
class Hook:
    """The source behind a real server, read and committed as the pipeline would."""

    source: AlertmanagerSource
    witness: Witness
    url: str
    port: int
    session: ClientSession

    async def post(self, body: Any, **more: Any) -> tuple[int, str]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(self.url, data=data, **more) as response:
            return response.status, await response.text()

    async def commit_all(self, readings: Readings) -> None:
        for number in count(1):
            await readings.until(lambda wanted=number: len(readings.all) >= wanted)
            await self.source.commit(readings.all[number - 1].position)


@asynccontextmanager
async def hook(base: Path = Path(), **settings: Any) -> AsyncIterator[Hook]:
    witness = Witness(clock=lambda: NOW_S, base=base)
    source = AlertmanagerSettings(**settings).build(witness.context("am"))
    app = web.Application(client_max_size=2_000_000)
    for path, handler in witness.routes.items():
        app.router.add_post(path, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession(timeout=ClientTimeout(total=60)) as session:
        (path,) = witness.routes
        yield Hook(source, witness, f"http://127.0.0.1:{port}{path}", port, session)
    await runner.cleanup()


@asynccontextmanager
async def committing(one: Hook) -> AsyncIterator[Readings]:
    async with read(one.source) as readings:
        committer = asyncio.create_task(one.commit_all(readings))
        yield readings
        committer.cancel()


def webhook(**alert: Any) -> dict[str, Any]:
    return {**RECORDED, "alerts": [{**RECORDED["alerts"][0], **alert}]}


async def became(body: dict[str, Any], **settings: Any) -> Anomaly:
    async with hook(**settings) as one, committing(one) as readings:
        assert (await one.post(body))[0] == 200
    (anomaly,) = readings.all[0].items
    assert isinstance(anomaly, Anomaly)
    return anomaly


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


# --- what an alert becomes ----------------------------------------------------------------


async def test_recorded_notification() -> None:
    labels = RECORDED["alerts"][0]["labels"]
    assert await became(RECORDED) == Anomaly(
        id="alertmanager:5b0426d0ef0cd474",
        rule="TargetDown",
        kind="availability",
        severity="critical",
        tier="certain",
        labels=labels,
        entity={"job": "down"},
        service="down",
        onset_s=at("2026-11-23T08:04:41.955"),
        seen_s=NOW_S,
        detector="alertmanager",
        title="127.0.0.1:19999 of down is down",
        score=1.0,
        observed=1.0,
        lasts_secs=5 * 3600,
    )


async def test_resolved() -> None:
    anomaly = await became(webhook(status="resolved", endsAt="2026-11-23T09:00:00Z"))
    assert anomaly.id == "alertmanager:5b0426d0ef0cd474"
    assert anomaly.ended_s == at("2026-11-23T09:00:00")
    assert anomaly.observed == 0
    assert anomaly.closed


async def test_nothing_begins_or_ends_in_the_future() -> None:
    """Or before there was a clock: Go's zero time is the year 1."""
    never, late = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"
    assert (await became(webhook(startsAt=never))).onset_s == 0
    assert (await became(webhook(startsAt=late))).onset_s == NOW_S
    over = await became(webhook(status="resolved", startsAt=late, endsAt=late))
    assert (over.onset_s, over.ended_s) == (NOW_S, NOW_S)


async def test_it_survives_the_journal() -> None:
    anomaly = await became(RECORDED)
    assert msgspec.json.decode(msgspec.json.encode(anomaly), type=Anomaly) == anomaly


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ("critical", "critical"), ("page", "critical"), ("error", "high"), ("HIGH", "high"),
        ("major", "high"), ("warning", "low"), ("info", "info"), ("none", "info"),
        ("whatever", "low"), (None, "low"),
    ],
)  # fmt: skip
async def test_severity(severity: str | None, expected: str) -> None:
    labels = {"alertname": "A"} | ({"severity": severity} if severity else {})
    assert (await became(webhook(labels=labels))).severity == expected


@pytest.mark.parametrize(
    ("labels", "entity", "service", "kind"),
    [
        (
            {"service": "shop", "job": "j", "kind": "latency"},
            {"service": "shop"},
            "shop",
            "latency",
        ),
        ({"instance": "h:1", "pod": "p"}, {"instance": "h:1"}, "", "availability"),
        ({"kind": "nonsense"}, {"alertname": "A"}, "", "availability"),
        ({"service": "", "job": "j"}, {"job": "j"}, "j", "availability"),
    ],
)
async def test_what_the_labels_say(
    labels: dict[str, str], entity: dict[str, str], service: str, kind: str
) -> None:
    anomaly = await became(webhook(labels={"alertname": "A", **labels}))
    assert (anomaly.entity, anomaly.service, anomaly.kind) == (entity, service, kind)


async def test_words() -> None:
    anomaly = await became(webhook(annotations={"description": "3 of 5 replicas"}))
    assert (anomaly.title, anomaly.evidence) == ("TargetDown", ("3 of 5 replicas",))


async def test_without_fingerprint_the_labels_name_it() -> None:
    one = await became(webhook(fingerprint=""))
    again = await became(webhook(fingerprint="", status="resolved"))
    other = await became(webhook(fingerprint="", labels={"alertname": "Other"}))
    assert one.id == again.id != other.id


async def test_what_the_labels_are_cannot_be_tried_out_on_the_name() -> None:
    alert = msgspec.convert(webhook(fingerprint="")["alerts"][0], Alert)
    plain, ours = anomaly_of(alert, NOW_S, 1.0), anomaly_of(alert, NOW_S, 1.0, b"key")
    assert plain.id != ours.id != anomaly_of(alert, NOW_S, 1.0, b"another").id
    assert (await became(webhook(fingerprint=""))).id not in (plain.id, ours.id)


async def test_how_long_it_lasts_without_news() -> None:
    assert (await became(RECORDED, lasts=Duration(60))).lasts_secs == 60


# --- when its sender is told --------------------------------------------------------------


async def test_200_only_after_the_commit() -> None:
    async with hook() as one, read(one.source) as readings:
        answer = asyncio.create_task(one.post(RECORDED))
        await readings.until(lambda: readings.all)
        assert not answer.done()
        await one.source.commit(readings.all[0].position)
        assert await answer == (200, "1 alerts journalled\n")


async def test_a_commit_covers_those_before() -> None:
    async with hook() as one, read(one.source) as readings:
        answers = [asyncio.create_task(one.post(RECORDED)) for _ in range(3)]
        await readings.until(lambda: len(readings.all) == 3)
        assert [r.position for r in readings.all] == [{"request": n} for n in (1, 2, 3)]
        await one.source.commit({"request": 2})
        await readings.until(lambda: sum(answer.done() for answer in answers) == 2)
        await one.source.commit({"request": 3})
        assert [(await answer)[0] for answer in answers] == [200, 200, 200]


async def test_numbers_go_on_after_a_restart() -> None:
    async with hook() as one, read(one.source, {"request": 41}) as readings:
        answer = asyncio.create_task(one.post(RECORDED))
        await readings.until(lambda: readings.all)
        assert readings.all[0].position == {"request": 42}
        await one.source.commit({"request": 42})
        assert (await answer)[0] == 200


async def test_503_when_the_journal_takes_too_long() -> None:
    async with hook(answer_within=Duration(0.2)) as one, read(one.source) as readings:
        assert await one.post(RECORDED) == (503, "taken, but not journalled in time\n")
        await one.source.commit(readings.all[0].position)  # late, and no harm


async def test_503_while_nobody_reads() -> None:
    async with hook() as one:
        assert (await one.post(RECORDED))[0] == 503
        async with committing(one):
            await _eventually(one, 200)
        assert (await one.post(RECORDED))[0] == 503


async def _eventually(one: Hook, status: int) -> None:
    async with asyncio.timeout(60):
        while (await one.post(RECORDED))[0] != status:
            await asyncio.sleep(0.01)


async def test_503_when_too_many_wait() -> None:
    async with hook(waiting=2, answer_within=Duration(300)) as one, asyncio.timeout(60):
        stream = one.source.stream(None)
        first = asyncio.ensure_future(anext(stream))  # one is taken, and the reader stops there
        await asyncio.sleep(0)
        posts = [asyncio.create_task(one.post(RECORDED))]
        await first
        posts += [asyncio.create_task(one.post(RECORDED)) for _ in range(3)]
        (refused,), _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        assert await refused == (503, "too many notifications are waiting to be journalled\n")
        await one.source.commit({"request": 1})
        assert (await posts[0])[0] == 200
        await stream.aclose()  # what nobody took is told at once
        assert sorted([(await post)[0] for post in posts]) == [200, 503, 503, 503]


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not an Alertmanager webhook (version 4): Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"\xff", "not an Alertmanager webhook"),
        (b'{"alerts":[],"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "maximum recursion depth"),
        (b"{}", "missing required field `alerts`"),
        (webhook(status="pending"), "Invalid enum value 'pending'"),
        (webhook(labels={"alertname": 1}), "$.alerts[0].labels[...]"),
        (webhook(startsAt="yesterday"), "$.alerts[0].startsAt"),
        (webhook(startsAt="2026-11-23T08:04:41"), "$.alerts[0].startsAt"),
    ],
)
async def test_400_in_a_sentence(body: Any, words: str) -> None:
    async with hook() as one, committing(one) as readings:
        status, text = await one.post(body)
        assert (status, readings.all) == (400, [])
        assert words in text
        assert one.witness.counts["refused_requests"] == 1
        assert (await one.post(RECORDED))[0] == 200


async def test_what_is_refused_is_in_the_log_once_until_it_goes_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    why = "not an Alertmanager webhook (version 4): Object missing required field `alerts` (400)"
    async with hook() as one, committing(one):
        for told in (1, 1, 2):
            if told == 2:
                assert (await one.post(RECORDED))[0] == 200
            assert (await one.post(b"{}"))[0] == 400
            assert caplog.text.count("source=am refused what 127.0.0.1 wrote") == told
    assert caplog.text.count(why) == 2


async def test_packed() -> None:
    packed, plain = gzip.compress(json.dumps(RECORDED).encode()), {"Content-Encoding": "gzip"}
    async with hook() as one, committing(one):
        assert (await one.post(packed, headers=plain))[0] == 200
        assert await one.post(RECORDED, headers=plain) == (
            400,
            "it is not gzip, as its Content-Encoding says\n",
        )
        assert one.witness.counts["refused_requests"] == 1


async def test_413() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    async with hook(max_body_bytes=1000) as one, committing(one):
        assert (await one.post(b" " * 1001))[0] == 413
        async with one.session.post(one.url, data=chunks()) as response:
            assert response.status == 413
            assert "more than 1,000 bytes" in await response.text()
        assert (await one.post(RECORDED))[0] == 200


async def test_408_for_a_body_that_does_not_come() -> None:
    async with hook(answer_within=Duration(0.3)) as one, committing(one):
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        path = "/hooks/alertmanager"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{{".encode())
        async with asyncio.timeout(60):
            answer = await reader.readline()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_sender_that_hangs_up_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with hook() as one, committing(one) as readings:
        _, writer = await asyncio.open_connection("127.0.0.1", one.port)
        head = "POST /hooks/alertmanager HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{"
        writer.write(head.encode())
        await writer.drain()
        writer.close()
        await readings.until(lambda: one.witness.counts["refused_requests"] == 1)
        assert (await one.post(RECORDED))[0] == 200
    assert not caplog.records


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer s3cret"}, 200),
        ({"Authorization": "bearer s3cret"}, 200),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "s3cret"}, 401),
        ({"Authorization": basic("any:s3cret")}, 200),
        ({"Authorization": basic("s3cret:wrong")}, 401),
        ({"Authorization": "Basic !"}, 401),
        ({"Authorization": basic("\xff")}, 401),
        ({"Authorization": "Digest s3cret"}, 401),
    ],
)
async def test_token(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    async with hook(tmp_path, token_file=SecretFile("token")) as one, committing(one):
        got, text = await one.post(RECORDED, headers=headers)
        assert got == status
        assert "s3cret" not in text


async def test_truncated_notifications_are_counted() -> None:
    async with hook() as one, committing(one):
        await one.post({**RECORDED, "truncatedAlerts": 3})
    assert one.witness.counts["truncated_alerts"] == 3


# --- settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"path": "hooks"},
        {"path": "/hooks/{name}"},
        {"waiting": 0},
        {"max_body_bytes": 0},
        {"answer_within": Duration(0)},
        {"lasts": Duration(0)},
    ],
)
def test_wrong_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        AlertmanagerSettings(**settings)


def test_one_path_is_one_source() -> None:
    context = Witness().context()
    AlertmanagerSettings().build(context)
    with pytest.raises(ConfigError, match="taken already"):
        AlertmanagerSettings().build(context)
    AlertmanagerSettings(path="/hooks/other").build(context)
