"""A real exporter without a single rule: each of its series is watched, once, as what it is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiopsd.model import Batch
from aiopsd.settings import Duration
from aiopsd.sources.scrape import ScrapeSettings
from aiopsd.transforms import BUILT_IN, Transforms, Unruled
from tests.integration.programs import Program
from tests.unit.sources.witness import Witness, read

pytestmark = [pytest.mark.node_exporter]


@pytest.fixture
async def exporter(tmp_path: Path) -> AsyncIterator[Program]:
    address = "--web.listen-address=127.0.0.1:{port}"
    async with Program(tmp_path, "prometheus-node-exporter", address, ready="/metrics") as one:
        yield one


async def test_every_series_of_a_real_host_is_watched_as_what_it_is(exporter: Program) -> None:
    witness, every = Witness(clock=time.time), Duration(0.5)
    settings = ScrapeSettings(targets=(f"{exporter.url}/metrics",), every=every)
    transforms = Transforms({}, witness.table, Unruled(witness.types))
    watched: dict[str, dict[str, int]] = {}
    async with read(settings.build(witness.context("scrape"))) as readings:
        await readings.until(lambda: len(readings.all) >= 4)
    raw = readings.batches("")
    for batch in raw:
        for out in transforms.feed(batch):
            note(witness, watched, out)
    for out in transforms.flush():
        note(witness, watched, out)
    names = {witness.table.labels(int(i))["__name__"] for i in raw[0].series}
    assert names <= set(watched), "of each metric, something is watched"
    assert all(len(hows) == 1 for hows in watched.values()), "and only in one way"
    how = {name: next(iter(hows)) for name, hows in watched.items()}
    assert how["node_cpu_seconds_total"] == "rate"
    assert how["node_load1"] == how["up"] == how["node_memory_MemFree_bytes"] == "value"
    assert how["go_gc_duration_seconds"] == "value", "a summary's quantiles"
    assert how["go_gc_duration_seconds_count"] == "rate"
    assert witness.types["node_cpu_seconds_total"] == "counter"
    assert witness.table.refused == 0


def note(witness: Witness, watched: dict[str, dict[str, int]], out: Batch) -> None:
    how = {one.rule: one.how for one in BUILT_IN}[out.rule]
    for index in out.series.tolist():
        hows = watched.setdefault(witness.table.labels(index)["__name__"], {})
        hows[how] = hows.get(how, 0) + 1
