"""The remote_write source behind a real server: who is answered what, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, TCPConnector

from aiopsd.errors import ConfigError
from aiopsd.model import Position
from aiopsd.settings import Duration, SecretFile
from aiopsd.sources.remote_write import RemoteWriteSettings, RemoteWriteSource
from tests.loopback.prompb import VERSION1, VERSION2, Series, snappy, version1, version2
from tests.unit.sources.witness import Readings, Witness, commit_all, read, served

NOW_S = 1_795_422_703.0
T = 1_795_422_700_000


@pytest.fixture(autouse=True)
def everyone_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiopsd.sources.remote_write_gather.STRANGE_SECS", 0.0)


@dataclass
class Hook:
    """The source behind a real server, read and committed as the pipeline would."""

    source: RemoteWriteSource
    witness: Witness
    url: str
    session: ClientSession

    async def post(self, body: bytes, **headers: str) -> tuple[int, str, dict[str, str]]:
        headers = VERSION1 | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.url, data=body, headers=headers) as response:
            return response.status, await response.text(), dict(response.headers)

    async def write(self, *series: Series) -> int:
        return (await self.post(snappy(version1(series))))[0]


@asynccontextmanager
async def hook(
    base: Path = Path(), clock: Callable[[], float] = lambda: NOW_S, **settings: Any
) -> AsyncIterator[Hook]:
    witness = Witness(clock=clock, base=base)
    source = RemoteWriteSettings(**settings).build(witness.context("rw"))
    async with served(witness) as (url, session):
        yield Hook(source, witness, url, session)


@asynccontextmanager
async def committing(one: Hook, resume: Position | None = None) -> AsyncIterator[Readings]:
    async with read(one.source, resume) as readings:
        committer = asyncio.create_task(commit_all(one.source, readings))
        yield readings
        committer.cancel()


def up(job: str = "a", value: float = 1.0, time_ms: int = T) -> Series:
    return Series([("__name__", "up"), ("job", job)], [(value, time_ms)])


def samples(one: Hook, readings: Readings) -> list[tuple[str, float, float]]:
    return [
        (labels["job"], batch.time_s, value)
        for batch in readings.batches()
        for labels, value in one.witness.named(batch)
    ]


# --- what is answered 2xx -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("encode", "headers"), [(version1, VERSION1), (version2, VERSION2)], ids=["v1", "v2"]
)
async def test_a_request_is_scored_and_counted(
    encode: Callable[[Sequence[Series]], bytes], headers: dict[str, str]
) -> None:
    async with hook() as one, committing(one) as readings:
        body = snappy(encode([up("a", 1.5), up("b", 2.5)]))
        status, text, said = await one.post(body, **headers)
        assert (status, text) == (204, "")
        assert said["X-Prometheus-Remote-Write-Samples-Written"] == "2"
        assert said["X-Prometheus-Remote-Write-Histograms-Written"] == "0"
        assert said["X-Prometheus-Remote-Write-Exemplars-Written"] == "0"
        assert samples(one, readings) == [("a", T / 1000, 1.5), ("b", T / 1000, 2.5)]
        assert one.witness.counts["received_samples"] == 2


async def test_2xx_comes_after_the_commit_and_not_before() -> None:
    async with hook() as one, read(one.source) as readings:
        posting = asyncio.create_task(one.write(up()))
        await readings.until(lambda: readings.all)
        await asyncio.wait([posting], timeout=0.2)
        assert not posting.done()
        await one.source.commit(readings.all[0].position)
        assert await posting == 204


async def test_the_position_is_json_and_goes_on() -> None:
    async with hook() as one, committing(one) as readings:
        await one.write(up())
    position = msgspec.json.decode(msgspec.json.encode(readings.all[-1].position))
    async with hook() as one, committing(one, position) as readings:
        await one.write(up(time_ms=T + 1))
    assert readings.all[-1].position["request"] == position["request"] + 1


async def test_metadata_alone_is_fine() -> None:
    async with hook() as one, committing(one) as readings:
        assert (await one.post(snappy(version1([], [(1, "requests_total")]))))[0] == 204
        assert one.witness.counts["received_metadata"] == 1
        assert readings.batches() == []


async def test_types_of_endless_names_are_not_remembered() -> None:
    async with hook() as one, committing(one):
        body = version1([], [(1, "requests_total"), (1, "x" * 2000)])
        assert (await one.post(snappy(body)))[0] == 204
        assert one.witness.types == {"requests_total": "counter"}


async def test_bad_series_are_said_and_the_others_scored() -> None:
    async with hook() as one, committing(one) as readings:
        body = snappy(version1([Series([], [(1.0, T)]), up()]))
        status, text, said = await one.post(body)
        assert (status, said["X-Prometheus-Remote-Write-Samples-Written"]) == (400, "1")
        assert text == "1 series refused, the others are scored: a series without labels\n"
        assert samples(one, readings) == [("a", T / 1000, 1.0)]


async def test_a_large_request_is_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiopsd.sources.remote_write._AT_ONCE_BYTES", 10)
    async with hook() as one, committing(one) as readings:
        jobs = [f"job-{n}" for n in range(50)]
        done = await asyncio.gather(*(one.write(up(job)) for job in jobs))
        assert set(done) == {204}
        assert {job for job, _, _ in samples(one, readings)} == set(jobs)


async def test_a_sample_far_in_the_future_is_dropped() -> None:
    async with hook() as one, committing(one) as readings:
        assert await one.write(up("a", time_ms=T + 3_600_000), up("b")) == 204
        assert [job for job, _, _ in samples(one, readings)] == ["b"]
        assert one.witness.counts["ahead_samples"] == 1


@pytest.mark.parametrize(
    ("time_ms", "said"),
    [
        (32_503_680_000_000, "samples of 3000-01-01T00:00:00+00:00, in the future: look at"),
        (-5, "samples of -5 ms, before 1970: is it in milliseconds?"),
        (2**63 - 1, f"samples of {2**63 - 1} ms, in the future: look at"),
    ],
)
async def test_a_time_that_cannot_be_is_said_once(
    time_ms: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The sender has its 204, and nothing of it is ever scored."""
    async with hook() as one, committing(one) as readings:
        for _ in range(2):
            assert await one.write(up("a", time_ms=time_ms), up("b")) == 204
        assert [job for job, _, _ in samples(one, readings)] == ["b"]
    lines = [line for line in caplog.messages if "samples of" in line]
    assert len(lines) == 1
    assert f"source=rw drops some of what 127.0.0.1 writes, such as of up: {said}" in lines[0]


async def test_a_crowded_request_is_few_ticks_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    crowd = Series([("__name__", "load")], [(1.0, T - 50_000 + ms) for ms in range(50_000)])
    async with hook() as one, committing(one) as readings:
        assert await one.write(crowd) == 204
        assert len(readings.batches()) == 500
        assert one.witness.counts["thinned_samples"] == 49_500
    (line,) = [line for line in caplog.messages if "within `resolution`" in line]
    assert "such as of load: many samples" in line


# --- what is answered 503, so that it comes again ---------------------------------------------


async def test_before_it_is_read_and_after_it_must_come_again() -> None:
    async with hook() as one:
        status, _, said = await one.post(snappy(version1([up()])))
        assert (status, said["Retry-After"]) == (503, "1")
        async with committing(one):
            assert await one.write(up()) == 204
        assert await one.write(up()) == 503
    assert one.witness.counts["refused_requests"] == 2


async def test_what_nobody_took_is_given_back() -> None:
    """The reader is gone before it could hand it on."""
    async with hook(gather=Duration(1)) as one:
        async with read(one.source) as readings:
            first = asyncio.create_task(one.write(up("a")))
            await readings.until(lambda: readings.all)
            one.source._gathering.comes(Silent())  # whom it waits for
            second = asyncio.create_task(one.write(up("b")))
            await readings.until(lambda: len(one.source._waiting) == 2)
        assert await second == 503
        await one.source.commit(readings.all[0].position)
        assert await first == 204
    assert one.source._waiting.size == 0


class Silent:
    """A connection that says no more."""

    def is_closing(self) -> bool:
        return False


async def test_too_many_waiting_samples() -> None:
    async with hook(waiting_samples=2) as one, read(one.source) as readings:
        first = asyncio.create_task(one.write(up("a"), up("b")))
        await readings.until(lambda: readings.all)
        assert await one.write(up("c")) == 503
        await one.source.commit(readings.all[0].position)
        assert await first == 204
        third = asyncio.create_task(one.write(up("c")))
        await readings.until(lambda: len(readings.all) == 2)
        await one.source.commit(readings.all[1].position)
        assert await third == 204


async def test_too_much_on_its_way() -> None:
    """Bodies that come slowly fill no memory."""
    async with hook(max_body_bytes=1000) as one, committing(one) as readings:
        host, port = one.url.removeprefix("http://").partition("/")[0].split(":")
        slow = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(8)]
        for writer in slow:
            writer.write(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        await readings.until(lambda: one.source._coming.bytes == 8000)
        assert await one.write(up()) == 503
        for writer in slow:
            writer.close()
        await readings.until(lambda: one.source._coming.bytes == 0)
        assert await one.write(up()) == 204


async def test_a_retry_after_a_lost_answer_doubles_nothing() -> None:
    async with hook(answer_within=Duration(0.05)) as one, read(one.source) as readings:
        assert await one.write(up("a", 1.0)) == 503
        assert await one.write(up("a", 1.0), up("b", 2.0)) == 503
        await readings.until(lambda: len(readings.all) == 2)
        await one.source.commit(readings.all[-1].position)
        assert samples(one, readings) == [("a", T / 1000, 1.0), ("b", T / 1000, 2.0)]
        assert one.witness.counts["late_samples"] == 1
        assert one.source._waiting.size == 0


# --- what is answered 4xx, so that it does not ------------------------------------------------


async def test_what_is_refused_for_good_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    body = snappy(version1([up()]))
    async with hook(tmp_path, token_file=SecretFile("token")) as one, committing(one):
        for token in ("wrong", "wrong", "s3cret", "wrong"):
            await one.post(body, Authorization=f"Bearer {token}")
    said = [line for line in caplog.messages if "refused what" in line]
    assert len(said) == 2
    assert said[0].endswith("which it now drops: wrong or missing token (401)")


async def test_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    body = snappy(version1([up()]))
    async with hook(tmp_path, token_file=SecretFile("token")) as one, committing(one):
        assert (await one.post(body))[0] == 401
        status, _, said = await one.post(body, Authorization="Bearer wrong")
        assert (status, said["WWW-Authenticate"]) == (401, 'Bearer realm="aiopsd"')
        assert (await one.post(body, Authorization="Bearer s3cret"))[0] == 204
        assert (await one.post(body, Authorization="Basic dTpzM2NyZXQ="))[0] == 204


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content-Encoding": "lz4"}, "only snappy"),
        ({"Content-Type": "application/json"}, "only application/x-protobuf"),
        ({"Content-Type": "application/x-protobuf;proto=x.Y"}, "only application/x-protobuf"),
    ],
)
async def test_what_is_not_read_is_415(headers: dict[str, str], said: str) -> None:
    async with hook() as one, committing(one):
        status, text, _ = await one.post(snappy(version1([up()])), **headers)
        assert status == 415
        assert said in text


@pytest.mark.parametrize("kind", ["", "; proto=prometheus.WriteRequest", ";charset=x"])
async def test_kinds_of_1_0(kind: str) -> None:
    async with hook() as one, committing(one):
        headers = {"Content-Type": f"application/x-protobuf{kind}"}
        assert (await one.post(snappy(version1([up()])), **headers))[0] == 204


async def test_limits_are_413() -> None:
    async with hook(max_body_bytes=500, max_unpacked_bytes=2000) as one, committing(one):
        status, text, _ = await one.post(b"x" * 501)
        assert (status, text) == (413, "a body of more than 500 bytes\n")
        status, text, _ = await one.post(snappy(bytes(2001)))
        assert (status, text) == (413, "2,001 bytes in a request; the limit is 2,000\n")
        assert await one.write(up()) == 204


async def test_garbage_is_400_with_a_sentence() -> None:
    async with hook() as one, committing(one) as readings:
        for body in (b"", b"garbage", snappy(b"garbage"), snappy(version1([up()])[:-1])):
            status, text, _ = await one.post(body)
            assert status == 400
            assert text.startswith("not a remote_write request: ")
        assert readings.all == []
        assert await one.write(up()) == 204
    assert one.witness.counts["refused_requests"] == 4


async def test_a_body_that_is_cut_off_does_no_harm() -> None:
    async with hook() as one, committing(one) as readings:
        host, port = one.url.removeprefix("http://").partition("/")[0].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"
        writer.write(head.encode())
        await writer.drain()
        await readings.until(lambda: one.source._gathering._writers)
        writer.close()
        await readings.until(lambda: one.witness.counts["refused_requests"])
        assert await one.write(up()) == 204


# --- requests of one tick wait for one another ------------------------------------------------


async def test_connections_that_write_are_gathered() -> None:
    """In each round every connection has one request here; the last one lets all go."""
    async with hook(gather=Duration(1)) as one:
        connections = [ClientSession(connector=TCPConnector(limit=1)) for _ in range(4)]
        hooks = [Hook(one.source, one.witness, one.url, session) for session in connections]
        began = time.monotonic()
        async with committing(one) as readings:
            for tick in range(5):
                series = [up(str(n), tick, T + 1000 * tick) for n in range(4)]
                pairs = zip(hooks, series, strict=True)
                done = await asyncio.gather(*(h.write(s) for h, s in pairs))
                assert set(done) == {204}
        for session in connections:
            await session.close()
        sizes = [len(batch.series) for batch in readings.batches()]
        assert sum(sizes) == 20
        assert sizes[-3:] == [4, 4, 4], "a tick was torn"
        assert time.monotonic() - began < 4, "somebody waited for nobody"


async def test_a_lone_connection_never_waits() -> None:
    async with hook(gather=Duration(1)) as one, committing(one):
        began = time.monotonic()
        for tick in range(10):
            assert await one.write(up(time_ms=T + 1000 * tick)) == 204
        assert time.monotonic() - began < 5


async def test_at_first_everyone_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shards come back after an outage, one a bit later: none runs ahead."""
    monkeypatch.setattr("aiopsd.sources.remote_write_gather.STRANGE_SECS", 5.0)
    async with hook(gather=Duration(1)) as one, committing(one) as readings:
        first = asyncio.create_task(one.write(up("a"), up("a", time_ms=T + 1000)))
        await readings.until(lambda: one.source._waiting)
        await asyncio.sleep(0.2)
        assert await one.write(up("b"), up("b", time_ms=T + 1000)) == await first == 204
        assert [len(batch.series) for batch in readings.batches()] == [2, 2]


async def test_nobody_waits_long_for_who_does_not_come() -> None:
    async with hook(gather=Duration(0.3)) as one, committing(one):
        one.source._gathering.comes(Silent())
        began = time.monotonic()
        assert await one.write(up()) == 204
        assert 0.3 <= time.monotonic() - began < 5


# --- lives ------------------------------------------------------------------------------------


async def test_a_crash_leaves_a_dated_gap(caplog: pytest.LogCaptureFixture) -> None:
    async with hook() as one, committing(one) as readings:
        await one.write(up())
        saved = msgspec.json.encode(readings.all[-1].position)  # a checkpoint; then kill -9
    crashed = msgspec.json.decode(saved)
    async with hook() as one, committing(one, crashed) as readings:
        await one.write(up(time_ms=T + 7500))
        await one.write(up(time_ms=T + 9000))
    assert (one.witness.counts["gaps"], one.witness.counts["gap_seconds"]) == (1, 7)
    (line,) = [record.getMessage() for record in caplog.records if "gap" in record.getMessage()]
    assert "from=2026-11-23T08:31:40.000+00:00 until=2026-11-23T08:31:47.500+00:00" in line
    ended = msgspec.json.decode(msgspec.json.encode(readings.all[-1].position))
    async with hook() as one, committing(one, ended) as readings:  # in order, this time
        await one.write(up(time_ms=T + 20_000))
    assert one.witness.counts["gaps"] == 1, "it is remembered, and no other has come"
    assert readings.all[-1].position["gap_secs"] == 7.5


async def test_no_gap_where_nothing_newer_comes() -> None:
    async with hook() as one, committing(one) as readings:
        await one.write(up())
        saved = msgspec.json.encode(readings.all[-1].position)
    async with hook() as one, committing(one, msgspec.json.decode(saved)) as readings:
        await one.write(up("b"), up("a", time_ms=T - 1000))
    assert one.witness.counts["gaps"] == 0


async def test_a_silent_sender_is_gone_and_comes_back() -> None:
    clock = Clock()
    silent = {"clock": clock, "silent_after": Duration(0.04)}
    async with hook(**silent) as one, committing(one) as readings:
        await readings.until(lambda: one.source._streaming)
        clock.now_s += 0.05
        await readings.until(lambda: one.witness.is_gone("rw"))
        assert one.witness.reasons["rw"] == "nobody has written yet"
        await one.write(up())
        assert one.witness.edges == [("gone", "rw"), ("back", "rw")]
        clock.now_s += 0.05
        await readings.until(lambda: one.witness.is_gone("rw/127.0.0.1"))
        await one.write(up(time_ms=T + 1))
        assert not one.witness.is_gone("rw/127.0.0.1")
        await one.write(up(time_ms=T + 2))
    async with hook(**silent) as later, committing(later, readings.all[-1].position) as again:
        await again.until(lambda: later.source._streaming)
        clock.now_s += 0.05
        await again.until(lambda: later.witness.is_gone("rw/127.0.0.1"))


class Clock:
    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def test_two_sources_on_one_path() -> None:
    witness = Witness()
    RemoteWriteSettings().build(witness.context("one"))
    with pytest.raises(ConfigError, match=r"two: `path: /api/v1/write` is taken"):
        RemoteWriteSettings().build(witness.context("two"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"path": "write"}, "must be like"),
        ({"max_body_bytes": 0}, "at least 1"),
        ({"waiting_samples": 0}, "at least 1"),
        ({"gather": Duration(2)}, "at most 1s"),
        ({"silent_after": Duration(0)}, "longer than 0s"),
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RemoteWriteSettings(**wrong)
