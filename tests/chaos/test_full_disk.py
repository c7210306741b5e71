"""A full disk: the daemon ends with a clear word, does what it can remember only, comes back."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from aiopsd.model import Incident, Run
from aiopsd.remediation.halt import HaltFile
from tests.e2e import ledger
from tests.e2e.asking import newest
from tests.e2e.conftest import ACT
from tests.e2e.daemon import PATIENCE_SECS, Daemon
from tests.loopback.exporter import Exporter

pytestmark = pytest.mark.small_disk
SICK, SLOW = 'sick{service="api"}', 'slow{service="db"}'
SLOW_RULE = """
pack: slow
rules:
  - {id: slow, select: slow, by: [service], every: 1s, severity: high, kind: latency,
     detector: {type: threshold, above: 0.5}}
"""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of sixteen megabytes; what fills it is the file that is yielded."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)], check=True)
    try:
        yield folder / "filler"
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def end_of(daemon: Daemon) -> int:
    assert daemon.process is not None
    code = await asyncio.wait_for(daemon.process.wait(), PATIENCE_SECS)
    daemon.process = None
    return code


def check_last_words(daemon: Daemon) -> None:
    last = daemon.log().splitlines()[-1]
    assert "journal.db cannot be kept: database or disk is full" in last
    assert "Traceback" not in daemon.log()


async def test_nothing_is_done_that_cannot_be_journalled(
    daemon: Daemon, exporter: Exporter
) -> None:
    (daemon.folder / "rules" / "slow.yaml").write_text(SLOW_RULE)
    with small_disk(daemon.folder / "state") as filler:
        await daemon.start()
        exporter.gauges[SLOW] = 1.0
        (before,) = await daemon.until(daemon.open_incidents)
        fill(filler)
        exporter.gauges[SICK] = 1.0
        assert await end_of(daemon) == 1
        check_last_words(daemon)
        HaltFile(filler.parent).halt("*", by="me", reason="", now_s=0.0)
        assert HaltFile(filler.parent).reason("api"), "the kill switch needs space"
        HaltFile(filler.parent).resume("*")
        assert not (daemon.folder / "acts").exists(), "it acted without a journal"

        await daemon_refuses_to_start(daemon)

        filler.unlink()
        await daemon.start()
        await daemon.until(lambda: (daemon.folder / "cured").exists())
        assert before["id"] in {i["id"] for i in daemon.open_incidents()}
        exporter.gauges[SICK] = exporter.gauges[SLOW] = 0.0
        await daemon.until(lambda: not daemon.open_incidents())
        assert await daemon.stop() == 0
        incidents, runs = await newest(daemon, Incident), await newest(daemon, Run)
    assert len(incidents) == 2
    assert [run.outcome for run in runs] == ["healed"]


async def test_full_in_the_middle_of_an_action(daemon: Daemon, exporter: Exporter) -> None:
    """It was begun and is journalled so; afterwards the world is asked, and nothing repeated."""
    act = ACT.replace("sleep 2", "cat /dev/zero >state/filler 2>/dev/null; sleep 2")
    (daemon.folder / "act").write_text(act)
    with small_disk(daemon.folder / "state") as filler:
        await daemon.start()
        exporter.gauges[SICK] = 1.0
        assert await end_of(daemon) == 1
        check_last_words(daemon)
        await daemon.until(lambda: (daemon.folder / "cured").exists())
        exporter.gauges[SICK] = 0.0
        filler.unlink()
        await daemon.start()
        (run,) = await daemon.until(
            lambda: [r for r in daemon.listing("runs") if r.get("state") == "closed"]
        )
        assert run["outcome"] == "healed"
        assert len((daemon.folder / "acts").read_text().splitlines()) == 1
        await daemon.until(lambda: not daemon.open_incidents())
        assert await daemon.stop() == 0


async def daemon_refuses_to_start(daemon: Daemon) -> None:
    """While the disk is full it may come up, but not go on, and never without a word."""
    said = len(daemon.log())
    with suppress(AssertionError):  # it ends before it answers
        await daemon.start(ready=False)
    assert await end_of(daemon) == 1
    assert "disk is full" in daemon.log()[said:]


async def test_what_cannot_be_kept_is_not_answered_204(daemon: Daemon) -> None:
    """Its client keeps it, and sends it again; what was answered before counts."""
    daemon.module = "tests.e2e.ledger"
    daemon.write("sources: {pushed: {type: loki_push}}\nwatch_all: off\n")
    with small_disk(daemon.folder / "state") as filler:
        await daemon.start(ready=False)
        assert await push(daemon, 0) == 204
        fill(filler)
        answers = [await push(daemon, 1) for _ in range(3)]
        assert 204 not in answers
        assert await end_of(daemon) == 1
        check_last_words(daemon)
        filler.unlink()
        await daemon.start(ready=False)
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECS
        while await push(daemon, 1) != 204:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.1)
        assert await daemon.stop() == 0
        told, _ = ledger.durable(daemon.folder / "state")
    assert (told.missing(2), told.doubled, told.entered) == ([], 0, 2)


async def push(daemon: Daemon, number: int) -> int:
    """What is answered; 0 where nobody answers."""
    url = f"http://127.0.0.1:{daemon.port}/loki/api/v1/push"
    entry = [str(10**18 + number), f"INFO paid id={number}"]
    body = {"streams": [{"stream": {"app": "a"}, "values": [entry]}]}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.post(url, json=body) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0
