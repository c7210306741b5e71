"""Rules that select from a stream, replayed over what a real Prometheus kept of that stream.

Scrapes are written to Prometheus, and the same bytes are read as ``remote_write`` would have read
them: both ways must say the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from aiopsd.config import Config, load
from aiopsd.offline.life import Life, Stream, Window
from aiopsd.offline.replay import RuleReport, chosen, replay
from aiopsd.offline.tally import Counts
from aiopsd.series import SeriesTable
from aiopsd.sources.remote_write_ticks import Ticks
from aiopsd.sources.remote_write_v1 import Version1
from tests.integration.programs import Program
from tests.loopback.prompb import VERSION1, Histogram, Series, snappy, version1

pytestmark = pytest.mark.prometheus
SCRAPE_SECS, SCRAPES, LEARN_SECS = 15, 720, 2700
RESET, SICK, GONE = 300, range(480, 520), range(560, 620)  # scrapes
RULES = """
pack: shop
rules:
  - id: errors
    select: errors_total{job=~"shop-.*"}
    over: requests_total{job=~"shop-.*"}
    as: rate
    by: [service]
    window: 2m
    detector: {type: threshold, above: 0.2}
  - {id: rate, select: requests_total, as: rate, by: [service], window: 2m,
     detector: {type: threshold, above: 60, below: 1}}
  - {id: slow, select: seconds_bucket, as: p95, by: [service], window: 2m,
     detector: {type: threshold, above: 0.5}}
  - {id: slow_native, select: wait_seconds_bucket, as: p95, by: [service], window: 2m,
     detector: {type: threshold, above: 0.5}}
  - {id: mean_native, select: wait_seconds, as: mean, by: [service], window: 2m,
     detector: {type: threshold, above: 0.3}}
  - {id: fast_native, select: 'wait_seconds_bucket{le="0.210224103813"}', as: rate,
     by: [service], window: 2m, detector: {type: threshold, below: 15}}
  - {id: gone, select: 'up{service="api"}', entity: [service], detector: {type: absent, after: 3m}}
  - {id: lines, select: log_lines, by: [service], detector: {type: novel}}
  - {id: nowhere, select: no_such_metric, by: [service], detector: {type: band}}
"""
FOUND = {"errors": 1, "rate": 0, "slow": 1, "slow_native": 1, "mean_native": 1, "fast_native": 1,
         "gone": 1, "nowhere": 0}  # fmt: skip


def scrapes(begin_ms: int) -> list[tuple[int, list[Series]]]:
    """Of two services, each at its own moment; ``api`` is sick for ten minutes, and away later."""
    random, found = np.random.default_rng(3), []
    for number, service in enumerate(("web", "api")):
        counted, spent = np.zeros(3), 0.0  # requests, errors, fast ones
        natives = np.zeros(2)
        for n in range(SCRAPES):
            if n == RESET:
                counted, natives, spent = np.zeros(3), np.zeros(2), 0.0
            sick = service == "api" and n in SICK
            requests = random.poisson(450)
            fast = random.binomial(requests, 0.3 if sick else 0.99)
            counted += requests, random.binomial(requests, 0.4 if sick else 0.01), fast
            natives += fast, requests - fast
            spent += fast * 0.2 + (requests - fast) * 0.8
            time_ms = begin_ms + n * SCRAPE_SECS * 1000 + number * 4321
            if not (service == "api" and n in GONE):
                found.append((time_ms, _scrape(service, time_ms, counted, natives, spent)))
    return sorted(found, key=lambda one: one[0])


def _scrape(
    service: str, time_ms: int, counted: np.ndarray, natives: np.ndarray, spent: float
) -> list[Series]:
    def one(name: str, value: float, **more: str) -> Series:
        labels = {"__name__": name, "job": f"shop-{service}", "service": service} | more
        return Series(sorted(labels.items()), [(float(value), time_ms)])

    requests, errors, fast = counted
    buckets = {"0.25": fast, "1": requests, "+Inf": requests}
    # In schema 3 bucket i ends at 2^(i/8): 0.2102 and 0.8409 are the ends of -18 and -2.
    wait = Histogram(time_ms, requests, spent, 3, positive=(((-18, 1), (15, 1)), natives.tolist()))
    native = {"__name__": "wait_seconds", "job": f"shop-{service}", "service": service}
    return [
        one("up", 1),
        one("requests_total", requests),
        one("errors_total", errors),
        *(one("seconds_bucket", value, le=le) for le, value in buckets.items()),
        Series(sorted(native.items()), (), [wait]),
    ]


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Program]:
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    program = Program(
        tmp_path,
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        "--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
        ready="/-/ready",
    )
    async with program:
        yield program


def configured(folder: Path, url: str) -> Config:
    (folder / "rules").mkdir()
    (folder / "rules" / "shop.yaml").write_text(RULES)
    path = folder / "aiopsd.yaml"
    path.write_text(f"sources:\n  prom: {{type: prometheus, url: '{url}'}}\n"
                    "  pushed: {type: remote_write}\n")  # fmt: skip
    return load(path)


async def write(url: str, written: list[tuple[int, list[Series]]]) -> None:
    async with aiohttp.ClientSession() as session:
        for _, series in written:
            body = snappy(version1(series))
            async with session.post(f"{url}/api/v1/write", data=body, headers=VERSION1) as answer:
                assert answer.status == 204, await answer.text()


def streamed(
    config: Config, rule: str, window: Window, written: list[tuple[int, list[Series]]]
) -> tuple[int, Counts]:
    """Ticks and anomalies of this rule, from the bytes that were written."""
    (settings,) = chosen(config, [rule])
    life = Life(settings, SeriesTable(), window)
    stream, reader, ticks = Stream(life, settings.selection()), Version1(life.table), Ticks(100)
    for _, series in written:
        for batch in ticks.batches([reader.read(version1(series))], 2**62):
            stream.feed(batch)
    stream.end()
    return life.ticks, life.tally.counts(window.end_s)


async def test_as_the_stream_was(prometheus: Program, tmp_path: Path) -> None:
    end_s = int(time.time())
    begin_s = end_s - SCRAPE_SECS * SCRAPES
    written = scrapes(1000 * begin_s)
    await write(prometheus.url, written)
    config = configured(tmp_path, prometheus.url)
    window = Window(begin_s - 1, begin_s + LEARN_SECS, end_s + 10)
    report = await asyncio.wait_for(
        replay(config, chosen(config, []), window, lambda: end_s, lambda _rule, _share: None), 300
    )
    reports = {one.rule: one for one in report.rules}
    assert "log lines" in reports.pop("lines").trouble
    for rule, one in reports.items():
        assert one.trouble == ""
        assert one.counts is not None
        assert (one.ticks, one.counts) == streamed(config, rule, window, written), rule
        assert one.counts.certain + one.counts.suspicious == FOUND[rule], rule
    _soundly(reports, begin_s)


def _soundly(reports: dict[str, RuleReport], begin_s: int) -> None:
    errors, gone = (reports[rule].counts for rule in ("errors", "gone"))
    assert errors is not None
    assert gone is not None
    assert errors.examples[0].labels == {"service": "api"}
    assert errors.examples[0].onset_s == pytest.approx(begin_s + SICK[0] * SCRAPE_SECS, abs=120)
    assert gone.examples[0].onset_s == pytest.approx(begin_s + GONE[0] * SCRAPE_SECS, abs=200)
    assert gone.longest_secs == pytest.approx(len(GONE) * SCRAPE_SECS - 180, abs=60)
    assert reports["rate"].heard_share == pytest.approx(1.0, abs=0.1)
    assert reports["errors"].heard_share == pytest.approx(0.93, abs=0.07)
    assert reports["nowhere"].series == 0
