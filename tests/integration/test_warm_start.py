"""Weeks of history in a real Prometheus are fitted beside a real daemon."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from aiopsd.errors import Unreachable
from aiopsd.fitting.job import Done, Failed, Found, Job, Question
from aiopsd.fitting.teacher import fitted
from aiopsd.stores import SqliteStore
from tests.e2e.daemon import daemon_in
from tests.integration.programs import Program
from tests.loopback.prometheus import ReplayPrometheus

pytestmark = pytest.mark.prometheus
DAYS, STEP_SECS = 25, 600
SCRAPE_SECS = 240  # a sample is found for five minutes
RULES = """
pack: shop
rules:
  - {id: orders, promql: orders, detector: {type: band}, entity: [till]}
  - {id: wrong, promql: "sum(orders", detector: {type: band}}
  - {id: fixed, promql: orders, detector: {type: threshold, above: 1e9}, entity: [till]}
"""


def weeks_of_orders(folder: Path) -> None:
    """Two tills: one that rests on weekends, and one that never changes its ways."""
    random, now_s = np.random.default_rng(0), int(time.time()) // SCRAPE_SECS * SCRAPE_SECS
    times_s = now_s - DAYS * 86400 + np.arange(DAYS * 86400 // SCRAPE_SECS) * SCRAPE_SECS
    swing = 30 * np.sin(2 * np.pi * (times_s % 86400) / 86400)
    weekday = (times_s // 86400 - 4) % 7
    tills = {"a": (100 + swing) * np.where(weekday < 5, 1, 0.5), "b": np.full(len(times_s), 100.0)}
    lines = ["# TYPE orders gauge"]
    for till, values in tills.items():
        noisy = values + 4 * random.standard_normal(len(values))
        lines += [
            f'orders{{till="{till}"}} {v:.3f} {t}' for t, v in zip(times_s, noisy, strict=True)
        ]
    text = folder / "orders.om"
    text.write_text("\n".join([*lines, "# EOF\n"]))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, folder / "data"],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weeks")
    weeks_of_orders(folder)
    (folder / "prometheus.yml").write_text("global: {}\n")
    return folder


@pytest.fixture
async def prometheus(blocks: Path, tmp_path: Path) -> AsyncIterator[Program]:
    program = Program(
        tmp_path,
        "prometheus",
        f"--config.file={blocks / 'prometheus.yml'}",
        f"--storage.tsdb.path={blocks / 'data'}",
        "--storage.tsdb.retention.time=1y",
        "--web.listen-address=127.0.0.1:{port}",
        ready="/-/ready",
    )
    async with program:
        yield program


def job(url: str, **changes: Any) -> Job:
    return msgspec.structs.replace(
        Job(
            url=url,
            headers={"Authorization": "Bearer not-to-be-seen"},
            questions=(Question("orders", "orders"), Question("wrong", "sum(orders")),
            start_s=time.time() - 28 * 86400,
            end_s=time.time(),
            step_secs=STEP_SECS,
            timeout_secs=30,
            max_series=10,
            memory_bytes=512 * 2**20,
        ),
        **changes,
    )


async def test_what_it_finds(prometheus: Program) -> None:
    words = [word async for word in fitted(job(prometheus.url), 120)]
    found = {word.labels["till"]: word for word in words if isinstance(word, Found)}
    assert found["a"].period == "week"
    assert found["b"].period == "none"
    assert found["b"].level == pytest.approx(100, abs=2)
    assert found["a"].scale == pytest.approx(2.7, rel=0.3)
    assert [word for word in words if isinstance(word, Done)] == [Done("orders", 2)]
    (failed,) = [word for word in words if isinstance(word, Failed)]
    assert failed.rule == "wrong"
    assert "parse error" in failed.reason


async def test_more_series_than_allowed_are_left_out(prometheus: Program) -> None:
    one = job(prometheus.url, max_series=1, questions=(Question("orders", "orders"),))
    words = [word async for word in fitted(one, 120)]
    assert words[-1] == Done("orders", 1, 1)


async def test_too_much_for_its_memory_fails_the_rule_only() -> None:
    points = ",".join(f'[{1_700_000_000 + n},"{n}.5"]' for n in range(4000))
    rows = ",".join(f'{{"metric":{{"n":"{n}"}},"values":[{points}]}}' for n in range(500))
    flood = f'{{"status":"success","data":{{"resultType":"matrix","result":[{rows}]}}}}'
    questions = (Question("many", "many"), Question("orders", "orders"))
    tight = -300 * 2**20  # less than the room that is meant for the libraries alone
    async with ReplayPrometheus() as server:
        server.fail_next(200, flood, {"Content-Type": "application/json"})
        one = job(server.url, questions=questions, memory_bytes=tight)
        words = [word async for word in fitted(one, 120)]
    (failed,) = [word for word in words if isinstance(word, Failed)]
    assert (failed.rule, failed.reason.split()[0]) == ("many", "more")
    assert words[-1] == Done("orders", 0)


async def test_nothing_of_the_job_is_seen_from_outside(prometheus: Program) -> None:
    seen = set[str]()
    stop = asyncio.Event()

    async def look() -> None:
        while not stop.is_set():
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = place.read_bytes()
                    if b"aiopsd.fitting" in line:
                        seen.add(line.decode() + (place.parent / "environ").read_text())
                except OSError:
                    continue
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    async for _ in fitted(job(prometheus.url), 120):
        pass
    stop.set()
    await looking
    assert seen
    assert not any("not-to-be-seen" in line for line in seen)


async def test_it_is_ended_in_time() -> None:
    async with ReplayPrometheus() as server:
        server.hang_next(3600)
        with pytest.raises(Unreachable, match="not done after 3 s"):
            async for _ in fitted(job(server.url), 3):
                pass
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if _is_ours(p)]


def _is_ours(place: Path) -> bool:
    try:
        parent = (place.parent / "stat").read_text().rpartition(")")[2].split()[1]
        return b"aiopsd.fitting" in place.read_bytes() and int(parent) == os.getpid()
    except OSError:
        return False


async def test_a_daemon_learns_while_it_runs_and_only_once(
    prometheus: Program, tmp_path: Path
) -> None:
    async with daemon_in(tmp_path) as daemon:
        daemon.write(
            f"sources: {{prom: {{type: prometheus, url: {prometheus.url}}}}}\n"
            f"warm_start: {{history: {DAYS}d}}\n",
            rules__shop=RULES,
        )
        await daemon.start()
        await daemon.until(
            lambda: daemon.log_lines("warm start: learned", "rule=orders", "series=2")
        )
        (line,) = daemon.log_lines("warm start: not learned")
        assert "rule=wrong" in line
        assert not daemon.log_lines("rule=fixed", "warm start"), "a limit has nothing to learn"
        assert 'aiopsd_fitted_series_total{part="prom"} 2' in daemon.get("/metrics")[1]
        assert await daemon.stop() == 0
        daemon.log_path.write_text("")
        await daemon.start()
        (line,) = await daemon.until(lambda: daemon.log_lines("warm start: fitting"))
        assert "rules=1" in line, "only what failed is asked again"
        assert await daemon.stop() == 0
    store = SqliteStore(tmp_path / "state" / "journal.db", time.time, read_only=True)
    parts = await store.load_checkpoint()
    await store.close()
    assert msgspec.json.decode(parts["taught"]) == {"orders": "orders"}
