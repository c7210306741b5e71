"""The alertmanager source against a real Alertmanager."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from aiopsd.model import Anomaly
from aiopsd.settings import SecretFile
from aiopsd.sources.alertmanager import AlertmanagerSettings, AlertmanagerSource
from tests.integration.programs import Program
from tests.unit.sources.witness import Readings, Witness, read

pytestmark = pytest.mark.alertmanager

CONFIG = """
route:
  receiver: aiopsd
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 4h
receivers:
  - name: aiopsd
    webhook_configs:
      - url: URL
        send_resolved: true
        http_config: {authorization: {credentials: s3cret}}
"""


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[tuple[AlertmanagerSource, Witness, str]]:
    """The source behind the daemon's address, not yet read by anybody."""
    (tmp_path / "token").write_text("s3cret")
    witness = Witness(base=tmp_path)
    settings = AlertmanagerSettings(token_file=SecretFile("token"))
    source = settings.build(witness.context("am"))
    app = web.Application()
    for path, handler in witness.routes.items():
        app.router.add_post(path, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield source, witness, f"http://127.0.0.1:{runner.addresses[0][1]}{settings.path}"
    await runner.cleanup()


@asynccontextmanager
async def alertmanager(folder: Path, hook: str) -> AsyncIterator[Program]:
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.replace("URL", hook))
    program = Program(
        folder,
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={folder / 'alerts'}",
        "--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        ready="/-/ready",
    )
    async with program:
        yield program


async def tell(program: Program, **more: Any) -> None:
    alert = {
        "labels": {"alertname": "TillDown", "service": "till", "severity": "critical"},
        "annotations": {"summary": "till-3 sells nothing", "description": "no order in 5 min"},
        **more,
    }
    async with (
        ClientSession() as session,
        session.post(f"{program.url}/api/v2/alerts", json=[alert]) as response,
    ):
        assert response.status == 200, await response.text()


def anomalies(readings: Readings) -> list[Anomaly]:
    items = [item for reading in readings.all for item in reading.items]
    return [item for item in items if isinstance(item, Anomaly)]


async def test_fires_resolves_and_waits_for_us(
    tmp_path: Path, daemon: tuple[AlertmanagerSource, Witness, str]
) -> None:
    source, witness, hook = daemon
    began = datetime.now(UTC) - timedelta(minutes=1)
    async with alertmanager(tmp_path, hook) as program:
        await tell(program, startsAt=began.isoformat())
        async with asyncio.timeout(90):
            while not witness.counts["refused_requests"]:  # nobody reads yet: 503, it tries again
                await asyncio.sleep(0.02)
        async with read(source) as readings:
            await readings.until(lambda: anomalies(readings))
            await source.commit(readings.all[-1].position)
            (firing,) = anomalies(readings)
            await tell(program, endsAt=datetime.now(UTC).isoformat())
            await readings.until(lambda: any(one.closed for one in anomalies(readings)))
            await source.commit(readings.all[-1].position)
    assert firing.onset_s == pytest.approx(began.timestamp(), abs=0.001)
    assert (firing.rule, firing.service, firing.severity) == ("TillDown", "till", "critical")
    assert (firing.title, firing.evidence) == ("till-3 sells nothing", ("no order in 5 min",))
    resolved = anomalies(readings)[-1]
    assert resolved.id == firing.id
    assert resolved.ended_s is not None
    assert resolved.ended_s >= firing.onset_s


async def test_what_is_journalled_is_not_sent_again(
    tmp_path: Path, daemon: tuple[AlertmanagerSource, Witness, str]
) -> None:
    """200 is believed: a second alert comes in a notification of its own group only."""
    source, _, hook = daemon
    async with alertmanager(tmp_path, hook) as program, read(source) as readings:
        await tell(program)
        await readings.until(lambda: len(readings.all) == 1)
        await source.commit(readings.all[-1].position)
        other = {"alertname": "StoreDown", "service": "store"}
        await tell(program, labels=other)
        await readings.until(lambda: len(readings.all) == 2)
        await source.commit(readings.all[-1].position)
    assert [one.service for one in anomalies(readings)] == ["till", "store"]
