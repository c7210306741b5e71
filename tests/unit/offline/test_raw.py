"""Raw samples out of a loopback Prometheus: each once, in order, at its own time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from yarl import URL

from aiopsd.errors import Refused
from aiopsd.model import Batch
from aiopsd.offline import raw
from aiopsd.offline.raw import RawHistory
from aiopsd.series import SeriesTable
from aiopsd.sources.fetch import Fetcher
from aiopsd.sources.prometheus_api import PrometheusApi
from tests.loopback.prometheus import ReplayPrometheus, Scraped

START_S, END_S = 1_700_000_000, 1_700_007_200
SAMPLES = {
    "web": [(START_S + n * 15.0, float(n)) for n in range(1, 481)],
    "api": [(START_S + n * 15.0 + 0.05, float(-n)) for n in range(480)],
}


def scraped(selector: str) -> Scraped:
    if selector == "up":
        for job, samples in SAMPLES.items():
            yield {"__name__": "up", "job": job}, samples


@pytest.fixture
async def prometheus() -> AsyncIterator[ReplayPrometheus]:
    async with ReplayPrometheus() as server:
        server.keep(scraped)
        yield server


async def read(server: ReplayPrometheus, table: SeriesTable) -> list[Batch]:
    async with Fetcher(timeout_secs=10, max_body_bytes=10**7) as fetcher:
        history = RawHistory(PrometheusApi(fetcher, URL(server.url)), table, 100)
        pages = [page async for page in history.pages(["up"], START_S, END_S)]
    assert pages[-1][0] == END_S
    return [batch for _, batches in pages for batch in batches]


async def values(server: ReplayPrometheus) -> dict[str, list[float]]:
    table = SeriesTable()
    return by_job(table, await read(server, table))


def by_job(table: SeriesTable, batches: list[Batch]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for batch in batches:
        for index, value in zip(batch.series.tolist(), batch.values.tolist(), strict=True):
            labels = table.labels(index)
            assert labels["__name__"] == "up"
            found.setdefault(labels["job"], []).append(value)
    return found


@pytest.mark.parametrize("points", [200_000, 30])
async def test_each_once_in_order(
    prometheus: ReplayPrometheus, monkeypatch: pytest.MonkeyPatch, points: int
) -> None:
    """A page ends where another begins: what stands there is in both answers."""
    monkeypatch.setattr(raw, "POINTS", points)
    table = SeriesTable()
    batches = await read(prometheus, table)
    wanted = {job: [v for t, v in samples if t > START_S] for job, samples in SAMPLES.items()}
    assert by_job(table, batches) == wanted
    times = [batch.time_s for batch in batches]
    assert times == sorted(times)
    assert len(set(times)) == len({round(t, 1) for s in SAMPLES.values() for t, _ in s})
    assert (len(prometheus.asked("/query")) > 20) == (points == 30)


async def test_too_much_at_once_is_asked_for_in_less(prometheus: ReplayPrometheus) -> None:
    whole = await values(prometheus)
    prometheus.fail_next(422, "too many samples", times=2, on="/query")
    assert await values(prometheus) == whole


async def test_what_is_refused_even_for_a_minute_is_refused(prometheus: ReplayPrometheus) -> None:
    prometheus.fail_next(422, "too many samples", times=20, on="/query")
    with pytest.raises(Refused, match="too many samples"):
        await read(prometheus, SeriesTable())


async def test_a_full_table_takes_what_it_can(prometheus: ReplayPrometheus) -> None:
    table = SeriesTable(1)
    assert len(by_job(table, await read(prometheus, table))) == 1
