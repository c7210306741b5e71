"""The loki_push source behind a real server: who is answered what, and when."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from aiopsd.errors import ConfigError
from aiopsd.model import LogBatch, LogLine, Position
from aiopsd.settings import Duration, SecretFile
from aiopsd.sources.loki_push import LokiPushSettings, LokiPushSource
from tests.loopback.logprotos import PROTOBUF, push_request
from tests.loopback.prompb import snappy
from tests.loopback.recording import Recording
from tests.unit.sources.witness import Readings, ReadsLines, Witness, commit_all, read, served

NOW_S = 1_795_421_700.0
NS = 10**9
AT_NS = int(NOW_S) * NS
JSON = {"Content-Type": "application/json"}


@dataclass
class Hook(ReadsLines):
    """The source behind a real server, read and committed as the pipeline would."""

    source: LokiPushSource
    witness: Witness
    url: str
    session: ClientSession
    readings: Readings = field(default_factory=Readings)

    async def post(self, body: bytes, **headers: str) -> tuple[int, str]:
        headers = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.url, data=body, headers=headers) as response:
            return response.status, await response.text()

    async def push(self, *texts: str, since_ns: int = AT_NS, **labels: str) -> int:
        return (await self.post(pushed(*texts, since_ns=since_ns, **labels)))[0]


def pushed(*texts: str, since_ns: int = AT_NS, **labels: str) -> bytes:
    values = [[str(since_ns + n), text] for n, text in enumerate(texts)]
    return json.dumps({"streams": [{"stream": labels or {"app": "a"}, "values": values}]}).encode()


@asynccontextmanager
async def hook(
    base: Path = Path(),
    clock: Callable[[], float] = lambda: NOW_S,
    room: Callable[[], bool] = lambda: True,
    **settings: Any,
) -> AsyncIterator[Hook]:
    witness = Witness(clock=clock, base=base)
    context = replace(witness.context("lp"), room=room)
    source = LokiPushSettings(**settings).build(context)
    async with served(witness) as (url, session):
        yield Hook(source, witness, url, session)


@asynccontextmanager
async def committing(one: Hook, resume: Position | None = None) -> AsyncIterator[None]:
    async with reading(one, resume):
        committer = asyncio.create_task(commit_all(one.source, one.readings))
        yield
        committer.cancel()


@asynccontextmanager
async def reading(one: Hook, resume: Position | None = None) -> AsyncIterator[None]:
    async with read(one.source, resume) as one.readings:
        yield


# --- what is answered 204 -----------------------------------------------------------------


async def test_lines_are_handed_on_with_their_labels() -> None:
    async with hook() as one, committing(one):
        values = [[str(AT_NS), "one"], [str(AT_NS + 1), "two", {"trace": "t1", "app": "no"}]]
        body = json.dumps({"streams": [{"stream": {"app": "a"}, "values": values}]}).encode()
        assert await one.post(body) == (204, "")
        assert one.lines == [
            LogLine(AT_NS, {"app": "a"}, "one"),
            LogLine(AT_NS + 1, {"app": "a", "trace": "t1"}, "two"),
        ]
        assert one.witness.counts["lines"] == 2


async def test_protobuf_and_packed_json() -> None:
    async with hook() as one, committing(one):
        body = snappy(push_request([('{app="a"}', [(AT_NS, "one")])]))
        async with one.session.post(one.url, data=body, headers=PROTOBUF) as response:
            assert response.status == 204
        packed = gzip.compress(pushed("two", since_ns=AT_NS + 5))
        assert await one.post(packed, Content_Encoding="gzip") == (204, "")
        assert one.texts == ["one", "two"]


async def test_204_comes_after_the_commit_and_not_before() -> None:
    async with hook() as one, reading(one):
        posting = asyncio.create_task(one.push("one"))
        await one.readings.until(lambda: one.lines)
        await asyncio.wait([posting], timeout=0.2)
        assert not posting.done()
        await one.source.commit(one.readings.all[-1].position)
        assert await posting == 204


async def test_what_waited_is_handed_on_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two of them what others have read gets its turn."""
    monkeypatch.setattr("aiopsd.sources.loki_push.READING_LINES", 3)
    async with hook() as one, reading(one):
        posting = [asyncio.create_task(one.push("a", "b", pod=f"{n}")) for n in range(7)]
        await one.readings.until(lambda: len(one.source._waiting) == 7)
        committer = asyncio.create_task(commit_all(one.source, one.readings))
        assert set(await asyncio.gather(*posting)) == {204}
        committer.cancel()
        sizes = [sum(len(batch.lines) for batch in reading.items) for reading in one.readings.all]
        assert (sum(sizes), max(sizes)) == (14, 2)


async def test_many_at_once_are_each_answered() -> None:
    async with hook() as one, committing(one):
        answers = await asyncio.gather(*(one.push(f"{n}", pod=f"{n}") for n in range(50)))
        assert set(answers) == {204}
        assert sorted(map(int, one.texts)) == list(range(50))


@pytest.mark.parametrize("name", ["push_204_small", "push_204_no_labels", "push_same_ts"])
async def test_answers_as_the_real_one(name: str) -> None:
    recording = Recording.load(f"loki/{name}")
    async with hook(path=recording.path) as one, committing(one):
        assert await one.post(recording.sent.encode()) == (recording.reply.status, "")
        assert one.lines


@pytest.mark.parametrize("name", ["push_400_bad_json", "push_401_no_tenant"])
async def test_refuses_as_the_real_one(name: str) -> None:
    recording = Recording.load(f"loki/{name}")
    async with hook(tenants=("team-a",) if "401" in name else ()) as one, committing(one):
        status, text = await one.post(recording.sent.encode())
        assert status == recording.reply.status
        assert ("401" not in name) or text == recording.reply.body


@pytest.mark.parametrize(
    "name", ["push_400_future", "push_400_too_old", "push_400_too_many_labels"]
)
async def test_takes_what_the_real_one_would_drop(name: str) -> None:
    """A client whose clock is wrong is told of in /metrics; its errors are seen all the same."""
    async with hook() as one, committing(one):
        assert (await one.post(Recording.load(f"loki/{name}").sent.encode()))[0] == 204
        assert len(one.lines) == 1
        assert one.witness.counts["ahead_lines"] == (name == "push_400_future")


@pytest.mark.parametrize(
    ("unit", "a_second"), [("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6)]
)
async def test_stamps_in_another_unit_are_counted_and_said_once(
    unit: str, a_second: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with hook() as one, committing(one):
        for n in range(2):
            assert await one.push("hello", since_ns=int(NOW_S) * a_second + n) == 204
        assert await one.push("and in nanoseconds") == 204
        assert one.witness.counts["odd_stamps"] == 2
        assert len(one.lines) == 3
        assert max(batch.time_s for batch in one.batches) == NOW_S
    (said,) = [text for text in caplog.messages if "stamps" in text]
    stamp = int(NOW_S) * a_second
    assert f"stamps of 127.0.0.1 are in {unit}, not in nanoseconds: {stamp} says 1970-01-" in said
    assert "and means 2026-11-23 08:15:00Z" in said


async def test_a_stream_that_nobody_can_read_keeps_no_other_out() -> None:
    async with hook() as one, committing(one):
        body = snappy(push_request([("{", [(AT_NS, "lost")]), ("{}", [(AT_NS, "kept")])]))
        async with one.session.post(one.url, data=body, headers=PROTOBUF) as response:
            assert response.status == 400
            assert "1 streams refused, the others are counted" in await response.text()
        assert one.texts == ["kept"]
        assert one.witness.counts["bad_streams"] == 1


# --- what comes again ---------------------------------------------------------------------


async def test_a_batch_that_comes_again_is_counted_once() -> None:
    async with hook() as one, committing(one):
        assert [await one.push("one", "two") for _ in range(3)] == [204] * 3
        assert one.texts == ["one", "two"]
        assert one.witness.counts["resent_lines"] == 4


async def test_lines_that_come_again_in_another_batch_are_counted_once() -> None:
    """A client that was started again reads a piece of its files once more."""
    async with hook() as one, committing(one):
        await one.push("one", "two", "three")
        await one.push("two", "three", "four", since_ns=AT_NS + 1)
        assert one.texts == ["one", "two", "three", "four"]
        await one.push("two", since_ns=AT_NS + 1, app="b")  # another stream
        await one.push("two", since_ns=AT_NS + 7)  # another moment
        assert len(one.texts) == 6


async def test_equal_lines_of_one_batch_are_so_many_lines() -> None:
    """Whose stamps are coarse says the same more than once in a moment, and means it."""
    async with hook() as one, committing(one):
        values = [[str(AT_NS), "refused"]] * 3
        body = json.dumps({"streams": [{"stream": {"app": "a"}, "values": values}]}).encode()
        assert await one.post(body) == (204, "")
        assert await one.post(body + b" ") == (204, "")
        assert one.texts == ["refused"] * 3


async def test_known_for_a_while_and_not_for_ever() -> None:
    now_s = NOW_S
    async with hook(clock=lambda: now_s, resent_within=Duration(60)) as one, committing(one):
        await one.push("one")
        now_s += 29
        await one.push("one", "two")
        assert one.texts == ["one", "two"]
        now_s += 61
        await one.push("one", "three")  # nobody sends anything again after so long
        assert one.texts == ["one", "two", "one", "three"]


async def test_too_many_to_know_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiopsd.sources.loki_push_seen.LINES", 2)
    async with hook() as one, committing(one):
        for n in range(6):
            await one.push(f"{n}", f"{n}!", since_ns=AT_NS + 10 * n)
        assert one.witness.counts["keys_forgotten_early"] == 8


async def test_taken_but_not_answered_in_time_is_not_counted_again() -> None:
    async with hook(answer_within=Duration(0.2)) as one, reading(one):
        assert (await one.post(pushed("one")))[0] == 503
        await one.source.commit(one.readings.all[-1].position)
        again = asyncio.create_task(one.push("one"))
        await one.readings.until(lambda: len(one.readings.all) > 1)
        await one.source.commit(one.readings.all[-1].position)
        assert await again == 204
        assert one.texts == ["one"]


async def test_a_crash_before_the_answer_counts_once() -> None:
    """In the checkpoint, but nobody was told: what comes again is known."""
    async with hook(answer_within=Duration(1)) as one, reading(one):
        posting = asyncio.create_task(one.push("one"))
        await one.readings.until(lambda: one.lines)
        position = json.loads(json.dumps(one.readings.all[-1].position))
        posting.cancel()
    later = NOW_S + 7
    async with hook(clock=lambda: later) as one, committing(one, position):
        assert await one.push("one") == 204
        assert one.texts == []
        assert await one.push("two") == 204
        assert one.texts == ["two"]
        assert one.witness.counts["gaps"] == 0


async def test_what_was_kept_is_known_after_a_crash() -> None:
    """The position of a checkpoint, and what each reading since then has added to it."""
    async with hook() as one, committing(one):
        assert await one.push("one") == await one.push("one") == 204
        position = json.loads(json.dumps(one.readings.all[-1].position))
        assert await one.push("two") == 204
        readings = list(one.readings.all)
    assert [len(r.news["taken"]) for r in readings if r.news is not None] == [1, 1]
    for start, since in (({}, readings), (position, readings[-1:])):
        async with hook(clock=lambda: NOW_S + 7) as one:
            resume = start
            for news in [json.loads(json.dumps(r.news)) for r in since if r.news]:
                resume = one.source.again(resume, NOW_S, news)
            async with committing(one, resume):
                assert await one.push("one") == await one.push("two") == 204
                assert await one.push("three") == 204
            assert one.texts == ["three"]
            assert one.witness.counts["gaps"] == 0


async def test_what_was_kept_and_is_damaged_is_a_gap() -> None:
    async with hook() as one, committing(one):
        assert await one.push("one") == 204
    position = json.loads(json.dumps(one.readings.all[-1].position))
    for start, since_s in ((position, NOW_S), ({}, NOW_S + 2)):
        async with hook(clock=lambda: NOW_S + 7) as one:
            resume = one.source.again(start, NOW_S + 2, None)
            resume = one.source.again(resume, NOW_S + 3, None)
            resume = one.source.again(resume, NOW_S + 4, {"newest": NOW_S + 4, "taken": ["a"]})
            async with committing(one, resume):
                assert await one.push("two") == 204
            counts = one.witness.counts
            assert (counts["gaps"], counts["gap_seconds"]) == (1, NOW_S + 7 - since_s)
            assert "missed" not in one.readings.all[-1].position


async def test_a_crash_of_a_version_that_kept_nothing_is_a_gap() -> None:
    old = {"request": 3, "newest": NOW_S, "taken": [], "life": {"over": False}}
    async with hook(clock=lambda: NOW_S + 7) as one, committing(one, old):
        assert await one.push("two") == 204
        assert (one.witness.counts["gaps"], one.witness.counts["gap_seconds"]) == (1, 7)


async def test_without_room_for_what_is_to_be_kept_a_client_waits() -> None:
    room = [False]
    async with hook(room=lambda: room[0]) as one, committing(one):
        status, text = await one.post(pushed("one"))
        assert (status, "waits for a checkpoint" in text) == (503, True)
        room[0] = True
        assert await one.push("one") == 204
        assert one.texts == ["one"]


async def test_an_end_in_order_leaves_no_gap() -> None:
    async with hook() as one, committing(one):
        await one.push("one")
    position = json.loads(json.dumps(one.readings.all[-1].position))
    async with hook(clock=lambda: NOW_S + 60) as one, committing(one, position):
        await one.push("two")
        assert one.witness.counts["gaps"] == 0
        assert one.readings.all[-1].position["request"] == position["request"] + 1


# --- by time ------------------------------------------------------------------------------


async def test_a_backlog_is_handed_on_as_it_would_have_come() -> None:
    """After an hour away a client sends all of it at once: that is no flood."""
    async with hook() as one, committing(one):
        values = [[str(AT_NS - 3600 * NS + n * NS // 4), f"{n}"] for n in range(14_400)]
        body = json.dumps({"streams": [{"stream": {"app": "a"}, "values": values}]}).encode()
        assert await one.post(body) == (204, "")
        assert one.texts == [f"{n}" for n in range(14_400)]
        assert {len(batch.lines) for batch in one.batches} == {4}
        times = [batch.time_s for batch in one.batches]
        assert times == sorted(times)
        assert times[-1] <= NOW_S


async def test_what_comes_at_once_is_one_tick() -> None:
    async with hook() as one, committing(one):
        await one.push("one", "two", since_ns=AT_NS - NS // 2)
        assert [batch.time_s for batch in one.batches] == [NOW_S]


async def test_silence_is_news_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiopsd.sources.loki_push.QUIET_SECS", 0.05)
    async with hook() as one, committing(one):
        await one.readings.until(lambda: len(one.readings.all) >= 2)
        assert one.readings.all[0].items == (LogBatch(NOW_S, ()),)


# --- what is not taken --------------------------------------------------------------------


async def test_before_and_after_it_runs_it_is_503() -> None:
    async with hook() as one:
        assert (await one.post(pushed("one")))[0] == 503
        async with committing(one):
            assert await one.push("one") == 204
        assert (await one.post(pushed("one")))[0] == 503


async def test_what_nobody_took_goes_back_to_its_client() -> None:
    async with hook() as one:
        async with reading(one):
            first = asyncio.create_task(one.push("one"))
            await one.readings.until(lambda: one.lines)
        # The reading was handed on and will be committed; a request after it was not.
        await one.source.commit(one.readings.all[-1].position)
        assert await first == 204


async def test_too_much_waiting_is_503_and_comes_again() -> None:
    async with hook(waiting_bytes=100) as one, reading(one):
        first = asyncio.create_task(one.push("x" * 200))
        await one.readings.until(lambda: one.lines)
        async with one.session.post(one.url, data=pushed("two"), headers=JSON) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
        await one.source.commit(one.readings.all[-1].position)
        assert await first == 204
        second = asyncio.create_task(one.push("two"))
        await one.readings.until(lambda: len(one.lines) == 2)
        await one.source.commit(one.readings.all[-1].position)
        assert await second == 204


async def test_json_that_does_not_say_so_is_answered_with_what_to_do() -> None:
    async with hook() as one, committing(one):  # as `curl -d` sends it
        kind = "application/x-www-form-urlencoded"
        status, said = await one.post(pushed("x"), Content_Type=kind)
        assert status == 400
        assert "say so by the header Content-Type: application/json" in said


async def test_too_large_is_413(caplog: pytest.LogCaptureFixture) -> None:
    async with hook(max_body_bytes=1000) as one, committing(one):
        assert (await one.post(pushed("x" * 2000)))[0] == 413
        packed = gzip.compress(pushed("x" * 2000))
        assert (await one.post(packed, Content_Encoding="gzip"))[0] == 413
        body = snappy(push_request([("{}", [(AT_NS, "x" * 2000)])]))
        assert (await one.post(body, Content_Type="application/x-protobuf"))[0] == 413
        assert one.lines == []
        assert one.witness.counts["refused_requests"] == 3
    assert caplog.text.count("which it now drops") == 1


async def test_each_reason_is_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    stamps = [json.dumps({"streams": [{"values": [[stamp, "x"]]}]}) for stamp in ("one", "two")]
    async with hook() as one, committing(one):
        for body in (b"{", b"{}", b"{}", *(text.encode() for text in stamps)):
            assert (await one.post(body))[0] == 400
        assert (await one.post(b"{}", Content_Encoding="gzip"))[0] == 400
    told = [r.getMessage().partition("drops: ")[2] for r in caplog.records]
    assert [text for text in told if text] == [
        "not a push request: Expecting property name enclosed in double quotes: line 1 column 2 "
        "(char 1) (400)",
        "not a push request: Object missing required field `streams` (400)",
        "not a push request: a stamp that is no nanoseconds: 'one' (400)",
        "it is not gzip, as its Content-Encoding says (400)",
    ]


async def test_a_slow_body_is_503_since_408_would_be_dropped() -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"streams"'
        await asyncio.sleep(1)
        yield b": []}"

    within = Duration(0.1)
    async with (
        hook(answer_within=within) as one,
        committing(one),
        one.session.post(one.url, data=slowly(), headers=JSON) as response,
    ):
        assert response.status == 503


async def test_only_with_the_token_and_the_tenant(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    settings: dict[str, Any] = {"token_file": SecretFile("token"), "tenants": ("a", "b")}
    async with hook(tmp_path, **settings) as one, committing(one):
        good = {"Authorization": "Bearer s3cret", "X_Scope_OrgID": "a"}
        assert (await one.post(pushed("x"), **good))[0] == 204
        assert (await one.post(pushed("x"), **good | {"Authorization": "Bearer no"}))[0] == 401
        assert (await one.post(pushed("x"), **good | {"X_Scope_OrgID": "c"}))[0] == 403
        assert (await one.post(pushed("x"), **good | {"X_Scope_OrgID": "b"}))[0] == 204
        assert one.texts == ["x", "x"]  # the same line of another tenant is another line


async def test_who_falls_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = NOW_S
    monkeypatch.setattr("aiopsd.sources.pushed_senders.LOOKS", 1000)
    async with hook(clock=lambda: now_s, silent_after=Duration(10)) as one, committing(one):
        await one.push("one")
        now_s += 10
        await one.readings.until(lambda: one.witness.is_gone("lp/127.0.0.1"))
        await one.push("two")
        assert not one.witness.is_gone("lp/127.0.0.1")


def test_two_cannot_listen_on_one_path() -> None:
    context = Witness().context("lp")
    LokiPushSettings().build(context)
    with pytest.raises(ConfigError, match="is taken already"):
        LokiPushSettings().build(context)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"path": "push"}, "path"),
        ({"tenants": ("a b",)}, "tenants"),
        ({"max_body_bytes": 0}, "max_body_bytes"),
        ({"resent_within": Duration(0)}, "resent_within"),
    ],
)
def test_wrong_settings_say_what_is_wrong(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LokiPushSettings(**wrong)
