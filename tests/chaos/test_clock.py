"""A clock that was wrong and is set right: the daemon sees, heals and ends things as before."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.asking import beside
from tests.e2e.conftest import PLAYBOOK, RULES
from tests.e2e.daemon import Daemon
from tests.loopback.exporter import Exporter
from tests.loopback.loki import LoopbackLoki
from tests.loopback.prometheus import ReplayPrometheus

HOUR_SECS, DAY_SECS, YEAR_SECS = 3600.0, 86400.0, 365 * 86400.0
SICK, ILL = 'sick{service="api"}', 'sick{service="db"}'
RULES_OF_ALL = (
    RULES
    + """
  - {id: far, promql: far, every: 1s, severity: critical, kind: latency,
     detector: {type: threshold, above: 0.5}}
  - {id: loud, select: 'log_lines{level="error"}', by: [service], severity: critical,
     kind: log-novelty, detector: {type: threshold, above: 0.5}}
"""
)


async def start_ahead(daemon: Daemon, secs: float, until_file: Path = Path()) -> None:
    with daemon.log_path.open("ab") as log:
        daemon.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.one_clock"),
            *(str(daemon.folder / "aiopsd.yaml"), str(secs), str(until_file)),
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[2],
        )
    await daemon.until(lambda: daemon.get("/readyz")[0] == 200)


def rules_open(daemon: Daemon) -> set[str]:
    found = [a for i in daemon.open_incidents() for a in i["anomalies"]]
    return {a["rule"] for a in found if "ended_s" not in a}


@asynccontextmanager
async def crying(loki: LoopbackLoki, ahead_secs: float = 0.0) -> AsyncIterator[None]:
    """A service that writes an error a few times a second, by that clock."""

    async def cry() -> None:
        while True:
            now_ns = int((time.time() + ahead_secs) * 1e9)
            loki.push({"service": "till"}, [(now_ns, "error: no change left", None)])
            await asyncio.sleep(0.3)

    async with beside(cry()):
        yield


@pytest.mark.parametrize("ahead_secs", [HOUR_SECS, YEAR_SECS])
async def test_a_clock_that_was_ahead_before_a_restart(
    daemon: Daemon, exporter: Exporter, ahead_secs: float
) -> None:
    """What it learned and journalled then has times that are still to come."""
    level = 1.0
    async with LoopbackLoki() as loki, ReplayPrometheus() as prometheus:
        prometheus.answer_from(lambda _query, _time: [({"service": "far"}, level)])
        _configure(daemon, exporter, prometheus, loki)
        async with crying(loki, ahead_secs):
            await start_ahead(daemon, ahead_secs)
            exporter.gauges[SICK] = 1.0
            await daemon.until(lambda: (daemon.folder / "cured").exists())
            exporter.gauges[SICK] = 0.0
            await daemon.until(lambda: rules_open(daemon) == {"far", "loud"})
            before = {i["id"] for i in daemon.open_incidents()}
            assert await daemon.stop() == 0

        exporter.gauges[ILL] = 1.0
        async with crying(loki):
            await daemon.start()
            assert before <= {i["id"] for i in daemon.open_incidents()}
            await daemon.until(lambda: "db" in (daemon.folder / "cured").read_text())
            exporter.gauges[ILL] = 0.0
        level = 0.0
        if ahead_secs > DAY_SECS:  # perhaps it is now that the clock is wrong: Loki waits
            (gone,) = await daemon.until(lambda: daemon.log_lines("gone part=logs"))
            assert "our clock stands" in gone
            await daemon.until(lambda: rules_open(daemon) == {"loud"})
        else:
            await daemon.until(lambda: not daemon.open_incidents())
        assert await daemon.stop() == 0


async def test_a_clock_that_goes_back_while_we_live(daemon: Daemon, exporter: Exporter) -> None:
    """A daemon that is set back by an hour begins anew, and sees again within seconds."""
    async with LoopbackLoki() as loki, ReplayPrometheus() as prometheus:
        level = 1.0
        prometheus.answer_from(lambda _query, _time: [({"service": "far"}, level)])
        _configure(daemon, exporter, prometheus, loki)
        await start_ahead(daemon, HOUR_SECS, until_file=daemon.folder / "set")
        (far,) = await daemon.until(daemon.open_incidents)
        (daemon.folder / "set").touch()
        await daemon.until(lambda: daemon.log_lines("the clock went back by 3"))
        await daemon.until(lambda: len(daemon.log_lines("ready rules=")) == 2)
        exporter.gauges[SICK] = 1.0
        async with crying(loki):
            await daemon.until(lambda: (daemon.folder / "cured").exists())
            exporter.gauges[SICK] = 0.0
            await daemon.until(lambda: rules_open(daemon) == {"far", "loud"})
        assert far["id"] in {i["id"] for i in daemon.open_incidents()}
        level = 0.0
        await daemon.until(lambda: not daemon.open_incidents())
        assert await daemon.stop() == 0


def _configure(
    daemon: Daemon, exporter: Exporter, prometheus: ReplayPrometheus, loki: LoopbackLoki
) -> None:
    daemon.write(
        f"""
sources:
  app: {{type: scrape, every: 1s, targets: ["{exporter.url}/metrics"]}}
  prom: {{type: prometheus, url: {prometheus.url}, timeout: 3s}}
  logs: {{type: loki, url: {loki.url}, every: 1s, delay: 1s, history: 0s, timeout: 3s}}
automation: {{mode: auto}}
incidents: {{quiet: 2s}}
history: 0s
""",
        rules__test=RULES_OF_ALL,
        playbooks__cure=PLAYBOOK.replace("PROBE", ', probe_argv: [./probe, "${root.service}"]'),
    )
