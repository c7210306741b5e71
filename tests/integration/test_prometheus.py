"""The prometheus and scrape sources against real servers."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, web

from aiopsd.contracts import Query
from aiopsd.errors import Refused
from aiopsd.model import Batch
from aiopsd.settings import Duration
from aiopsd.sources.prometheus import PrometheusSettings, PrometheusSource
from aiopsd.sources.scrape import ScrapeSettings
from tests.integration.programs import Program
from tests.loopback.server import Call, LoopbackServer, Route
from tests.unit.sources.witness import Readings, Witness, read

needs_victoria = pytest.mark.skipif(
    shutil.which("victoria-metrics") is None, reason="not installed: victoria-metrics"
)
CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: shop
    static_configs: [{targets: ["TARGET"]}]
"""


class Shop(LoopbackServer):
    """Ten orders a second and the present time, to be scraped."""

    def routes(self) -> Sequence[Route]:
        return [("GET", "/metrics", self._metrics)]

    def _metrics(self, _call: Call) -> web.Response:
        now_s = time.time()
        text = f'shop_orders_total{{till="a"}} {10 * now_s}\nshop_time_seconds {now_s}\n'
        return web.Response(text=text)


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Program]:
    config = tmp_path / "prometheus.yml"
    async with Shop() as shop:
        config.write_text(CONFIG.replace("TARGET", f"127.0.0.1:{shop.port}"))
        program = Program(
            tmp_path,
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            "--web.listen-address=127.0.0.1:{port}",
            ready="/-/ready",
        )
        async with program:
            yield program


def build(program: Program, witness: Witness, **settings: Any) -> PrometheusSource:
    return PrometheusSettings(url=program.url, **settings).build(witness.context("prom"))


def is_whole(batches: list[Batch]) -> bool:
    return np.allclose(np.diff([batch.time_s for batch in batches]), 1, atol=0.0011)


ORDERS = Query("orders", "sum by (job) (rate(shop_orders_total[6s]))", 1)
TIME = Query("time", "shop_time_seconds", 1, keep=("job",))


def _is_ten(readings: Readings) -> bool:
    return readings.batches("orders")[-1].values.tolist() == [pytest.approx(10, rel=0.1)]


@pytest.mark.prometheus
async def test_rules_get_their_values(prometheus: Program) -> None:
    witness = Witness(queries=[ORDERS, TIME])
    async with read(build(prometheus, witness)) as readings:
        # once its window is full of samples, the rate is what the shop sells
        await readings.until(lambda: readings.batches("orders")[-1:] and _is_ten(readings))
        await readings.until(lambda: sum(len(b.series) for b in readings.batches("time")) >= 3)
    last = readings.batches("orders")[-1]
    assert [labels for labels, _ in witness.named(last)] == [{"job": "shop"}]
    for batch in readings.batches("time"):
        assert batch.values == pytest.approx(batch.time_s, abs=5)
    assert is_whole(readings.batches("orders"))
    assert witness.edges == []


@pytest.mark.prometheus
async def test_history_joins_the_present(prometheus: Program) -> None:
    source = build(prometheus, Witness())
    async with asyncio.timeout(90):
        while len(await source.instant("shop_time_seconds offset 5s")) == 0:
            await asyncio.sleep(0.1)
    witness = Witness(queries=[TIME], history_secs=60)
    began_s = time.time()
    async with read(build(prometheus, witness)) as readings:
        await readings.until(lambda: len([b for b in readings.batches() if not b.history]) >= 3)
    batches = readings.batches()
    assert is_whole(batches)
    assert batches[0].time_s < began_s - 3
    assert [b.history for b in batches] == sorted([b.history for b in batches], reverse=True)
    for batch in batches:
        assert batch.values == pytest.approx(batch.time_s, abs=5)


@pytest.mark.prometheus
async def test_killed_and_back_once_and_missed_ticks_are_read_again(prometheus: Program) -> None:
    witness = Witness(queries=[TIME, ORDERS])
    async with read(build(prometheus, witness)) as readings:
        await readings.until(lambda: sum(len(b.series) for b in readings.batches("time")) >= 3)
        await prometheus.kill()
        await readings.until(lambda: witness.is_gone("prom"))
        await asyncio.sleep(3)  # how long it is down: some ticks
        await prometheus.start()
        await readings.until(lambda: not witness.is_gone("prom"))
        back_s = time.time()
        await readings.until(lambda: readings.batches("time")[-1].time_s > back_s + 2)
    assert witness.edges == [("gone", "prom"), ("back", "prom")]
    first = next(n for n, b in enumerate(readings.batches("time")) if len(b.series))
    assert is_whole(readings.batches("time")[first:])
    assert witness.counts["reread_ticks"] >= 3


@pytest.mark.prometheus
async def test_refusal_in_its_words(prometheus: Program, caplog: pytest.LogCaptureFixture) -> None:
    witness = Witness(
        queries=[TIME, Query("broken", "sum((", 1), Query("range", "shop_orders_total[5s]", 1)]
    )
    async with read(build(prometheus, witness)) as readings:
        await readings.until(lambda: len(readings.batches("time")) >= 3)
    assert caplog.text.count("rule=broken refused: ") == 1
    assert "unclosed left parenthesis" in caplog.text
    assert "rule=range refused: answers a matrix, not a vector: wrap" in caplog.text
    assert witness.edges == []
    with pytest.raises(Refused, match="unclosed left parenthesis"):
        await build(prometheus, witness).instant("sum((")


@pytest.mark.prometheus
async def test_one_number_now(prometheus: Program) -> None:
    source = build(prometheus, Witness())
    assert await source.instant("vector(2) + 1") == [({}, 3)]
    assert await source.instant("1 + 1") == [({}, 2)]
    assert await source.instant("vector(1) / 0") == []
    long = " + ".join(["vector(1)"] * 1000)
    assert await source.instant(long) == [({}, 1000)]


@pytest.mark.prometheus
async def test_scraping_prometheus_itself(prometheus: Program) -> None:
    witness = Witness()
    settings = ScrapeSettings(targets=(f"{prometheus.url}/metrics",), every=Duration(1))
    async with read(settings.build(witness.context("scrape"))) as readings:
        await readings.until(lambda: len(readings.all) >= 3)
    for batch in readings.batches(""):
        assert len(batch.series) > 200
    assert witness.counts["bad_lines"] == 0
    assert witness.edges == []


@pytest.fixture
async def victoria(tmp_path: Path) -> AsyncIterator[Program]:
    program = Program(
        tmp_path,
        "victoria-metrics",
        "-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={tmp_path / 'data'}",
        "-retentionPeriod=1",
        ready="/health",
    )
    async with program:
        yield program


async def feed(victoria: Program, since_s: float) -> None:
    """A sample a second whose value is its time, for ever and from the past on."""
    async with ClientSession() as session:
        while True:
            until_s = int(time.time())
            lines = [f'clock{{a="b"}} {s} {s}000' for s in range(int(since_s), until_s + 1)]
            since_s = until_s + 1
            await session.post(f"{victoria.url}/api/v1/import/prometheus", data="\n".join(lines))
            await session.get(f"{victoria.url}/internal/force_flush")
            await asyncio.sleep(0.5)


@needs_victoria
@pytest.mark.parametrize(("delay_secs", "behind_secs"), [(30, 1.1), (0, 6)])
async def test_victoria_metrics_gives_what_is_asked(
    victoria: Program, delay_secs: float, behind_secs: float
) -> None:
    """Its own way is to give the value of half a minute ago as that of now."""
    feeding = asyncio.create_task(feed(victoria, time.time() - 300))
    source = build(victoria, Witness(), delay=Duration(delay_secs))
    async with asyncio.timeout(90):
        while len(await source.instant("clock offset 1m")) == 0:
            await asyncio.sleep(0.1)
    witness = Witness(queries=[Query("clock", "clock", 1)], history_secs=120 if delay_secs else 0)
    async with read(build(victoria, witness, delay=Duration(delay_secs))) as readings:
        await readings.until(lambda: len([b for b in readings.batches() if not b.history]) >= 4)
    feeding.cancel()
    batches = readings.batches("clock")
    assert is_whole(batches)
    for batch in batches:
        assert witness.named(batch)[0][0] == {"a": "b"}
        assert 0 <= batch.time_s - batch.values[0] < behind_secs
    taught = len([batch for batch in batches if batch.history])
    assert taught == (pytest.approx(120, abs=1) if delay_secs else 0)
    assert witness.edges == []


@needs_victoria
async def test_victoria_metrics_refuses_in_its_words(victoria: Program) -> None:
    with pytest.raises(Refused, match="unexpected token"):
        await build(victoria, Witness()).instant("sum((")
