"""Clients that mean harm, or only are slow: the daemon's page answers all others at once."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import ClientSession, ClientTimeout

from aiopsd.web.door import ASK_SECS, MAX_CONNECTIONS
from tests.e2e.asking import beside, metric
from tests.e2e.daemon import PATIENCE_SECS, Daemon
from tests.loopback.exporter import Exporter

HOOK = "/hooks/alertmanager"
SLOW = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
AT_ONCE_SECS = 5.0  # on a machine that is busy with other things
ALERT = {
    "version": "4",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Doom", "service": "shop", "severity": "critical"},
            "annotations": {"summary": "doom is near"},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": "f00d",
        }
    ],
}


@pytest.fixture
async def hooked(daemon: Daemon, exporter: Exporter) -> Daemon:
    """A daemon that takes Alertmanager's webhook beside what it scrapes."""
    daemon.write(
        f"""
sources:
  app: {{type: scrape, targets: ["{exporter.url}/metrics"], every: 1s}}
  pager: {{type: alertmanager}}
incidents: {{quiet: 2s}}
"""
    )
    (daemon.folder / "playbooks" / "cure.yaml").unlink()
    await daemon.start()
    return daemon


PUSHED = ("/loki/api/v1/push", "/api/v1/write", HOOK)
PACKED = ("gzip", "deflate", "br", "zstd", "snappy")


async def test_what_is_not_packed_as_it_says(daemon: Daemon) -> None:
    """The reason in a sentence, counted and logged; no traceback of whoever unpacks it."""
    daemon.write(
        "sources: {a: {type: loki_push}, b: {type: remote_write}, c: {type: alertmanager}}\n"
    )
    (daemon.folder / "playbooks" / "cure.yaml").unlink(missing_ok=True)
    await daemon.start()
    answers = {}
    async with ClientSession(timeout=ClientTimeout(total=60)) as session:
        for path in PUSHED:
            for packed in PACKED:
                headers = {"Content-Encoding": packed, "Content-Type": "application/json"}
                url = f"http://127.0.0.1:{daemon.port}{path}"
                async with session.post(url, data=b'{"streams": []}', headers=headers) as answer:
                    answers[path, packed] = (answer.status, (await answer.text()).strip())
    for path in (PUSHED[0], HOOK):
        for packed in ("gzip", "deflate", "snappy"):
            said = f"it is not {packed}, as its Content-Encoding says"
            assert answers[path, packed] == (400, said)
        for packed in ("br", "zstd"):
            said = f"Content-Encoding '{packed}': gzip, deflate and snappy are read"
            assert answers[path, packed] == (415, said)
    assert {answers[PUSHED[1], packed][0] for packed in PACKED} == {415}
    page = daemon.get("/metrics")[1]
    for part in "abc":
        assert f'aiopsd_refused_requests_total{{part="{part}"}} {len(PACKED)}\n' in page
        assert daemon.log_lines(f"source={part} refused what 127.0.0.1 wrote")
    assert "Traceback" not in daemon.log()


class Loris:
    """A connection on which a byte comes every second, and no end."""

    def __init__(self, port: int, begin: bytes) -> None:
        self._port = port
        self._begin = begin
        self.lasted_secs = 0.0
        self.ended = asyncio.Event()

    async def live(self) -> None:
        """Until the other side has had enough."""
        born = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._begin)
        drip = asyncio.create_task(self._drip(writer))
        try:
            while await reader.read(1000):
                pass
        except OSError:
            pass
        finally:
            drip.cancel()
            writer.transport.abort()
            self.lasted_secs = time.monotonic() - born
            self.ended.set()

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(1)


@asynccontextmanager
async def lorises(daemon: Daemon, number: int, begin: bytes) -> AsyncIterator[list[Loris]]:
    crowd = [Loris(daemon.port, begin) for _ in range(number)]
    async with AsyncExitStack() as stack:
        for one in crowd:
            await stack.enter_async_context(_living(one))
        yield crowd


@asynccontextmanager
async def _living(one: Loris) -> AsyncIterator[None]:
    task = asyncio.create_task(one.live())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _living_of(crowd: list[Loris]) -> int:
    return sum(not one.ended.is_set() for one in crowd)


async def _always_well(daemon: Daemon, slowest: list[float]) -> None:
    while True:
        asked = time.monotonic()
        assert await asyncio.to_thread(daemon.get, "/healthz") == (200, "ok\n")
        slowest[0] = max(slowest[0], time.monotonic() - asked)
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("begin", "within_secs"),
    [
        pytest.param(SLOW, ASK_SECS, id="header"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + SLOW, ASK_SECS, id="second"),
        pytest.param(
            f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n".encode(),
            25.0,  # the hook's `answer_within`, and aiohttp's ten seconds for the rest
            id="body",
        ),
        pytest.param(
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
            25.0,
            id="unwanted-body",
        ),
    ],
)
async def test_slow_lorises(hooked: Daemon, begin: bytes, within_secs: float) -> None:
    slowest = [0.0]
    async with beside(_always_well(hooked, slowest)), lorises(hooked, 150, begin) as crowd:
        async with asyncio.timeout(within_secs + PATIENCE_SECS):
            for one in crowd:
                await one.ended.wait()
    assert slowest[0] < AT_ONCE_SECS
    assert max(one.lasted_secs for one in crowd) < within_secs + AT_ONCE_SECS
    assert await hooked.stop() == 0


async def test_more_connections_than_there_may_be(hooked: Daemon, exporter: Exporter) -> None:
    """The oldest make room, and the sources do not notice."""
    slowest = [0.0]
    async with lorises(hooked, 1200, SLOW) as crowd, beside(_always_well(hooked, slowest)):
        await hooked.until(lambda: _living_of(crowd) <= MAX_CONNECTIONS, ASK_SECS / 2)
        scraped = len(exporter.asked("/metrics"))
        await exporter.wait_asked(scraped + 3, on="/metrics")
    assert slowest[0] < AT_ONCE_SECS
    assert not [line for line in hooked.log_lines("gone") if "no answer within" not in line]
    assert await hooked.stop() == 0


@pytest.mark.parametrize(
    ("method", "body", "status", "words"),
    [
        ("POST", b"{", 400, "not an Alertmanager webhook"),
        ("POST", b"[" * 900_000, 400, "not an Alertmanager webhook"),
        ("POST", b'{"alerts":' + b"[" * 400_000 + b"]" * 400_000 + b"}", 400, "not an Alert"),
        ("POST", b"x" * 1_500_000, 413, "more than 1,000,000 bytes"),
        ("POST", b"x" * 60_000_000, 413, "more than 1,000,000 bytes"),
        ("POST", b"\xff\xfe\x00", 400, "not an Alertmanager webhook"),
        ("GET", b"", 405, "405"),
        ("PUT", b"{}", 405, "405"),
    ],
)
async def test_what_is_no_notification(
    hooked: Daemon, method: str, body: bytes, status: int, words: str
) -> None:
    """It is refused in a sentence; the good one before it stays, the good one after it counts."""
    async with ClientSession(
        f"http://127.0.0.1:{hooked.port}", timeout=ClientTimeout(total=PATIENCE_SECS)
    ) as session:
        async with session.post(HOOK, json=ALERT) as answer:
            assert answer.status == 200
        await hooked.until(hooked.open_incidents)
        try:
            async with session.request(method, HOOK, data=body) as answer:
                text = await answer.text()
                assert (answer.status, words in text) == (status, True), text
        except OSError:  # it may hang up on a sender who goes on talking
            assert status == 413
        over = json.loads(json.dumps(ALERT).replace("firing", "resolved"))
        over["alerts"][0]["endsAt"] = "2026-01-01T00:01:00Z"
        assert len(hooked.open_incidents()) == 1
        async with session.post(HOOK, json=over) as answer:
            assert answer.status == 200
    await hooked.until(lambda: not hooked.open_incidents())
    if method == "POST":
        assert metric(hooked, "refused_requests", "pager") == 1
    assert "Traceback" not in hooked.log()
    assert await hooked.stop() == 0


@pytest.mark.parametrize(
    "starts_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"]
)
async def test_an_alert_from_another_age(daemon: Daemon, starts_at: str) -> None:
    """Told to people as well: Slack, too, must be able to say when that was."""
    config = (daemon.folder / "aiopsd.yaml").read_text()
    config = config.replace("notifiers:", "  pager: {type: alertmanager}\nnotifiers:")
    (daemon.folder / "aiopsd.yaml").write_text(config)
    (daemon.folder / "playbooks" / "cure.yaml").unlink()
    await daemon.start()
    alert = json.loads(json.dumps(ALERT).replace("2026-01-01T00:00:00Z", starts_at))
    async with ClientSession(f"http://127.0.0.1:{daemon.port}") as session:
        async with session.post(HOOK, json=alert) as answer:
            assert answer.status == 200
        await daemon.until(daemon.open_incidents)
        await daemon.until(lambda: metric(daemon, "notices", "ops") > 0)
        over = json.loads(json.dumps(alert).replace("firing", "resolved"))
        over["alerts"][0]["endsAt"] = "2026-01-01T00:01:00Z"
        async with session.post(HOOK, json=over) as answer:
            assert answer.status == 200
    await daemon.until(lambda: not daemon.open_incidents())
    assert not daemon.log_lines("refused")
    assert await daemon.stop() == 0
