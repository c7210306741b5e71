"""kill -9 in the middle of an incident and of an action: the same incident, nothing twice."""

import asyncio

from aiopsd.model import Incident, Run
from tests.e2e.conftest import PLAYBOOK
from tests.e2e.daemon import Daemon
from tests.loopback.exporter import Exporter
from tests.loopback.slack import LoopbackSlack

SICK = 'sick{service="api"}'


def acts(daemon: Daemon) -> list[str]:
    path = daemon.folder / "acts"
    return path.read_text().splitlines() if path.exists() else []


async def test_in_the_middle_of_an_incident(
    daemon: Daemon, exporter: Exporter, slack: LoopbackSlack
) -> None:
    (daemon.folder / "playbooks" / "cure.yaml").unlink()
    await daemon.start()
    exporter.gauges[SICK] = 1.0
    (before,) = await daemon.until(daemon.open_incidents)
    await daemon.until(lambda: slack.roots("ops"))
    for _ in range(3):
        await daemon.kill()
        await daemon.start()
        (after,) = await daemon.until(daemon.open_incidents)
        assert (after["id"], after["opened_s"]) == (before["id"], before["opened_s"])
    exporter.gauges[SICK] = 0.0
    await daemon.until(lambda: not daemon.open_incidents())
    assert await daemon.stop() == 0
    (root,) = slack.roots("ops")
    assert root.edits > 0
    incidents = {e.id for e in await daemon.events() if isinstance(e, Incident)}
    assert incidents == {before["id"]}
    told = [m.text for m in slack.thread(root.ts)]
    assert len(told) == len(set(told)), "the story repeats itself"


async def test_in_the_middle_of_an_action_that_can_be_probed(
    daemon: Daemon, exporter: Exporter, slack: LoopbackSlack
) -> None:
    await daemon.start()
    exporter.gauges[SICK] = 1.0
    await daemon.until(lambda: acts(daemon))
    await daemon.kill()
    # The action went on without us, and did its work.
    await daemon.until(lambda: (daemon.folder / "cured").exists())
    exporter.gauges[SICK] = 0.0
    await daemon.start()
    (run,) = await daemon.until(lambda: _closed(daemon))
    assert run["outcome"] == "healed"
    assert len(acts(daemon)) == 1, "the action ran twice"
    await daemon.until(lambda: not daemon.open_incidents())
    assert await daemon.stop() == 0
    assert len(slack.roots("ops")) == 1


async def test_in_the_middle_of_an_action_that_nobody_can_probe(
    daemon: Daemon, exporter: Exporter, slack: LoopbackSlack
) -> None:
    (daemon.folder / "playbooks" / "cure.yaml").write_text(PLAYBOOK.replace("PROBE", ""))
    await daemon.start()
    exporter.gauges[SICK] = 1.0
    await daemon.until(lambda: acts(daemon))
    await daemon.kill()
    await daemon.start()
    (run,) = await daemon.until(lambda: _closed(daemon))
    assert run["outcome"] == "failed"
    assert any("person" in moment["text"] for moment in run["moments"])
    # It is still sick, and the gate is asked every few seconds: it must not try again.
    asked = len(daemon.listing("decisions"))
    await asyncio.sleep(7)
    assert len(acts(daemon)) == 1, "the action ran twice"
    assert asked == 1
    assert len(slack.roots("ops")) == 1


async def test_a_stop_in_the_middle_of_an_action_lets_it_finish(
    daemon: Daemon, exporter: Exporter
) -> None:
    await daemon.start()
    exporter.gauges[SICK] = 1.0
    await daemon.until(lambda: acts(daemon))
    assert await daemon.stop() == 0
    assert (daemon.folder / "cured").exists(), "the step was cut"
    exporter.gauges[SICK] = 0.0
    await daemon.start()
    (run,) = await daemon.until(lambda: _closed(daemon))
    assert run["outcome"] == "healed"
    assert len(acts(daemon)) == 1
    assert len({e.id for e in await daemon.events() if isinstance(e, Run)}) == 1


def _closed(daemon: Daemon) -> list[dict[str, object]]:
    return [run for run in daemon.listing("runs") if run.get("state") == "closed"]
