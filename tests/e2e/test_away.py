"""Whatever goes away for a while comes back as if nothing had been: nothing lost, nothing made up.

While it is away the daemon says so once, stays ready, and heals by what it can still see.
AIOPSD_AWAY_SECS says for how long (6 by default).
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aiopsd.model import Incident, Run
from tests.e2e.asking import beside, metric, newest
from tests.e2e.conftest import ACT, PLAYBOOK, PROBE, RULES
from tests.e2e.daemon import PATIENCE_SECS, Daemon
from tests.e2e.parts import Part, part_of
from tests.loopback.exporter import Exporter
from tests.loopback.slack import TOKEN, LoopbackSlack

AWAY_SECS = float(os.environ.get("AIOPSD_AWAY_SECS", "6"))
BACK_SECS = PATIENCE_SECS + 1.5 * AWAY_SECS  # the longer it was away, the rarer it is asked
SICK = 'sick{service="api"}'
SLOW = """
  - {id: slow, select: slow, by: [service], every: 1s, severity: high, kind: latency,
     detector: {type: threshold, above: 0.5}}
"""


@pytest.mark.parametrize(
    "kind",
    [
        "prometheus",
        "loki",
        "target",
        "slack",
        pytest.param("mqtt", marks=pytest.mark.mosquitto),
        pytest.param("mqtt-source", marks=pytest.mark.mosquitto),
    ],
)
async def test_away_and_back(
    kind: str, tmp_path: Path, daemon: Daemon, exporter: Exporter, slack: LoopbackSlack
) -> None:
    async with part_of(kind, tmp_path, exporter, slack) as (part, second):
        _configure(daemon, part, exporter, second, slack)
        await daemon.start()
        await part.settled(daemon)
        async with _always_ready(daemon):
            await _break_and_heal_without(part, daemon, exporter)
            await daemon.until(lambda: daemon.log_lines("back", f"part={part.name} "), BACK_SECS)
            await part.whole(daemon)
        assert len(daemon.log_lines("gone", f"part={part.name} ")) == 1
        assert len(daemon.log_lines("back", f"part={part.name} ")) == 1
        assert metric(daemon, "gone", part.name) == 1
        others = [line for line in daemon.log_lines("gone part=") if part.name not in line]
        assert not others, "something else went away"
        assert await daemon.stop() == 0
    incidents, runs = await newest(daemon, Incident), await newest(daemon, Run)
    assert {a.rule for i in incidents for a in i.anomalies} <= {"sick", "slow"}, "made up"
    assert [i.kind for i in incidents].count("error-rate") == 1
    assert [(run.state, run.outcome) for run in runs] == [("closed", "healed")]


async def _break_and_heal_without(part: Part, daemon: Daemon, exporter: Exporter) -> None:
    """The part is away for this long at least, and until what broke meanwhile is healed."""
    left = time.monotonic()
    await part.go()
    exporter.gauges[SICK] = 1.0
    await daemon.until(lambda: (daemon.folder / "cured").exists())
    exporter.gauges[SICK] = 0.0
    await daemon.until(lambda: _healed(daemon))
    await asyncio.sleep(left + AWAY_SECS - time.monotonic())
    await part.come()


def _healed(daemon: Daemon) -> bool:
    outcomes = [run.get("outcome") for run in daemon.listing("runs")]
    return outcomes == ["healed"] and not daemon.open_incidents()


@asynccontextmanager
async def _always_ready(daemon: Daemon) -> AsyncIterator[None]:
    """/readyz says yes all the time."""
    said: set[tuple[int, str]] = set()

    async def ask() -> None:
        while True:
            said.add(await asyncio.to_thread(daemon.get, "/readyz"))
            await asyncio.sleep(0.2)

    async with beside(ask()):
        yield
    assert said == {(200, "ok\n")}


def _configure(
    daemon: Daemon, part: Part, exporter: Exporter, second: Exporter, slack: LoopbackSlack
) -> None:
    exporter.gauges['slow{service="db"}'] = 0.0
    daemon.write(
        f"""
sources:
  app: {{type: scrape, every: 1s, targets: ["{exporter.url}/metrics", "{second.url}/metrics"]}}
{part.sources}
notifiers:
  ops: {{type: slack, channel: ops, token_file: token, api_url: {slack.api_url}, edit_every: 1s}}
{part.notifiers}
automation: {{mode: auto}}
incidents: {{quiet: 2s}}
history: 0s
""",
        rules__test=RULES + SLOW + part.rules,
        playbooks__cure=PLAYBOOK.replace("PROBE", ', probe_argv: [./probe, "${root.service}"]'),
        act=ACT,
        probe=PROBE,
        token=TOKEN,
    )
