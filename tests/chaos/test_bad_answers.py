"""Servers that answer nonsense, floods, trickles: refused with a reason; nobody else suffers."""

import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from aiohttp import web

from tests.e2e.asking import memory_mb, metric
from tests.e2e.daemon import Daemon
from tests.loopback.exporter import Exporter
from tests.loopback.faults import Answer, Fault, fail
from tests.loopback.prometheus import ReplayPrometheus
from tests.loopback.server import Call, LoopbackServer, Route

MB = 2**20
FEW_MB = 230  # 80 at rest, and a body of the 64 MiB that are allowed twice: packed out, and joined
SICK = 'sick{service="api"}'
FOR_EVER = 10**6


def flood(first: bytes, piece: bytes, pieces: int, pause_secs: float = 0.0) -> Fault:
    """An answer that is sent piece by piece, of a length that is not announced."""

    async def reply(request: web.Request, _answer: Answer) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        await answer.write(first)
        for _ in range(pieces):
            await answer.write(piece)
            await asyncio.sleep(pause_secs)
        return answer

    return reply


BOMB = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
ZEROS = gzip.compress(b"a" * 100 * MB)
LINES = b"".join(b'spare{n="%d"} 1\n' % n for n in range(50_000))


@pytest.fixture
async def bad() -> AsyncIterator[Exporter]:
    async with Exporter(**{'spare{service="db"}': 1.0}) as one:
        yield one


async def _sick_house(daemon: Daemon, config: str) -> dict[str, object]:
    """A daemon with an incident open that nobody heals."""
    (daemon.folder / "playbooks" / "cure.yaml").unlink()
    daemon.write(config + "incidents: {quiet: 2s}\nhistory: 0s\n")
    await daemon.start()
    (incident,) = await daemon.until(daemon.open_incidents)
    return incident


async def _unharmed(daemon: Daemon, exporter: Exporter, incident: dict[str, object]) -> None:
    """The other target is read as ever; what is open stays open, and ends when it is over."""
    scrapes = len(exporter.asked("/metrics"))
    await exporter.wait_asked(scrapes + 3, on="/metrics")
    assert [i["id"] for i in daemon.open_incidents()] == [incident["id"]]
    assert daemon.get("/readyz") == (200, "ok\n")
    exporter.gauges[SICK] = 0.0
    await daemon.until(lambda: not daemon.open_incidents())
    assert "Traceback" not in daemon.log()
    assert await daemon.stop() == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(flood(b"", b"x" * MB, 100), "larger than 16,777,216 bytes", id="one-line"),
        pytest.param(flood(b"", LINES, 150), "larger than 16,777,216 bytes", id="many-lines"),
        pytest.param(fail(200, b"x" * 100 * MB, {}), "has 104,857,600 bytes", id="announced"),
        pytest.param(fail(200, ZEROS, BOMB), "larger than 16,777,216 bytes", id="gzip-bomb"),
        pytest.param(flood(b"x 1\n", b"y", 600, 0.1), "no answer within 1 s", id="trickle"),
        pytest.param(fail(200, b"<html>hello</html>", {}), "a web page", id="html"),
        pytest.param(fail(200, b"\xff\x00\xfe" * 1000, {}), "answers no metrics", id="binary"),
        pytest.param(fail(200, b'a{b="c"' * 100_000, {}), "answers no metrics", id="torn"),
        pytest.param(fail(500, b"boom", {}), "status 500: boom", id="error"),
        pytest.param(fail(200, b"hi", {"Content-Encoding": "gzip"}), "", id="no-gzip"),
    ],
)
async def test_a_target_that_answers_nonsense(
    daemon: Daemon, exporter: Exporter, bad: Exporter, fault: Fault, reason: str
) -> None:
    exporter.gauges[SICK] = 1.0
    targets = f'["{exporter.url}/metrics", "{bad.url}/metrics"]'
    config = f"sources: {{app: {{type: scrape, every: 1s, targets: {targets}}}}}\n"
    incident = await _sick_house(daemon, config)
    bad.plan(fault, FOR_EVER, "/metrics")
    part = f"part=app/127.0.0.1:{bad.port} "
    (line,) = await daemon.until(lambda: daemon.log_lines("gone", part))
    assert reason in line
    await bad.wait_asked(len(bad.calls) + 3)
    assert memory_mb(daemon) < FEW_MB
    assert len(daemon.log_lines("gone", part)) == 1
    await _unharmed(daemon, exporter, incident)


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        pytest.param(
            lambda s: s.huge_body_next(100, FOR_EVER), "larger than 67,108,864", id="huge"
        ),
        pytest.param(lambda s: s.html_next(200, FOR_EVER), "a web page", id="html"),
        pytest.param(lambda s: s.html_next(502, FOR_EVER), "502: a web page", id="proxy"),
        pytest.param(
            lambda s: s.plan(fail(200, ZEROS, BOMB), FOR_EVER, ""), "larger than", id="gzip-bomb"
        ),
        pytest.param(
            lambda s: s.plan(flood(b"{", b" ", 600, 0.1), FOR_EVER, ""), "within 2 s", id="trickle"
        ),
        pytest.param(
            lambda s: s.plan(fail(200, b"[" * 100_000, {}), FOR_EVER, ""), "promises", id="deep"
        ),
    ],
)
async def test_a_prometheus_that_answers_nonsense(
    daemon: Daemon, exporter: Exporter, misbehave: Callable[[ReplayPrometheus], None], reason: str
) -> None:
    exporter.gauges[SICK] = 1.0
    rules = daemon.folder / "rules" / "test.yaml"
    rules.write_text(
        rules.read_text()
        + "  - {id: far, promql: far, every: 1s, kind: stale, severity: critical,\n"
        + "     detector: {type: absent, after: 3s}}\n"
    )
    async with ReplayPrometheus() as prometheus:
        prometheus.answer_from(lambda _query, _time: [({"service": "far"}, 1.0)])
        config = f"""
sources:
  app: {{type: scrape, every: 1s, targets: ["{exporter.url}/metrics"]}}
  prom: {{type: prometheus, url: {prometheus.url}, timeout: 2s}}
"""
        incident = await _sick_house(daemon, config)
        await prometheus.wait_asked(5, on="/query")
        misbehave(prometheus)
        (line,) = await daemon.until(lambda: daemon.log_lines("gone part=prom "))
        assert reason in line
        await prometheus.wait_asked(len(prometheus.calls) + 2)
        assert memory_mb(daemon) < FEW_MB
        assert len(daemon.log_lines("gone")) == 1
        await _unharmed(daemon, exporter, incident)


async def test_samples_that_are_no_numbers(daemon: Daemon, exporter: Exporter) -> None:
    """NaN, infinity, doubles and timestamps of other ages neither open nor end an incident."""
    exporter.gauges[SICK] = 1.0
    daemon_config = (
        f'sources: {{app: {{type: scrape, every: 1s, targets: ["{exporter.url}/metrics"]}}}}\n'
    )
    incident = await _sick_house(daemon, daemon_config)
    del exporter.gauges[SICK]
    for lines in (
        f"{SICK} NaN",
        f"{SICK} +Inf\n{SICK} -Inf",
        f"{SICK} 1\n{SICK} 0\n{SICK} 0",  # of several, the first counts
        f"{SICK} 1 1000\n",  # fifty years ago
        f"{SICK} 1 99999999999999\n",  # in three thousand years
        f"{SICK} 1e400\n{SICK} 0x1\n{SICK} 1_0\n{SICK} \n{SICK}",
        "",  # not there at all
    ):
        exporter.extra = lines + '\nsick{service="db"} NaN\nsick{service="db"} 7'
        await exporter.wait_asked(len(exporter.calls) + 4)
        assert [i["id"] for i in daemon.open_incidents()] == [incident["id"]], lines
    assert metric(daemon, "duplicate_samples", "app") > 0
    assert metric(daemon, "bad_lines", "app") > 0
    exporter.extra, exporter.gauges[SICK] = "", 1.0
    await _unharmed(daemon, exporter, incident)


class Explosion(LoopbackServer):
    """Once it is lit, every answer has other series than the one before."""

    def __init__(self, series: int) -> None:
        super().__init__()
        self._series = series
        self.lit = False

    def routes(self) -> Sequence[Route]:
        return [("GET", "/metrics", self._metrics)]

    def _metrics(self, call: Call) -> web.Response:
        at = len(self.calls) * self._series * self.lit
        series = self._series if self.lit else 1
        names = (f'request_seconds{{id="{n}",path="/a/b/c"}} 1' for n in range(at, at + series))
        return web.Response(text="\n".join(names) + "\n")


async def test_a_target_with_new_series_in_every_answer(daemon: Daemon, exporter: Exporter) -> None:
    """The table takes what fits, the rest is counted; memory does not grow without end."""
    exporter.gauges[SICK] = 1.0
    daemon.limits += ", series: 10000"  # names are remembered up to three times that
    async with Explosion(20_000) as bomb:
        targets = f'["{exporter.url}/metrics", "{bomb.url}/metrics"]'
        incident = await _sick_house(
            daemon,
            f"sources: {{app: {{type: scrape, every: 1s, targets: {targets}}}}}\n",
        )
        bomb.lit = True
        await bomb.wait_asked(len(bomb.calls) + 15, within_secs=120)
        await daemon.until(
            lambda: re.search(
                r"^aiopsd_series_refused [1-9]", daemon.get("/metrics")[1], re.MULTILINE
            )
        )
        full_mb = memory_mb(daemon)
        began = time.monotonic()
        await bomb.wait_asked(len(bomb.calls) + 20, within_secs=120)
        grown_mb = memory_mb(daemon) - full_mb
        print(f"{full_mb:.0f} MB when full, {grown_mb:+.0f} MB {time.monotonic() - began:.0f} s on")
        # 400,000 more names would be over 100 MB. Peaks, which a checkpoint makes every second.
        assert grown_mb < 80
        await _unharmed(daemon, exporter, incident)
