"""What is muted reaches nobody and is acted on by nothing; when that ends, both happen."""

from __future__ import annotations

import asyncio
import getpass
import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiopsd.cli import main
from tests.e2e.daemon import Daemon
from tests.loopback.exporter import Exporter
from tests.loopback.slack import LoopbackSlack

SICK = 'sick{service="api"}'
WINDOW = """
maintenance:
  - {{name: backup, match: [service=api], owner: ana, reason: nightly, at: "{at}", lasts: 2h}}
"""


async def test_under_maintenance_nobody_is_told_and_nothing_acts_until_it_is_over(
    daemon: Daemon, exporter: Exporter, slack: LoopbackSlack
) -> None:
    at = datetime.now(UTC) - timedelta(minutes=10)
    config = daemon.folder / "aiopsd.yaml"
    without = config.read_text()
    config.write_text(without + WINDOW.format(at=f"{at:%H:%M}"))
    await daemon.start()
    exporter.gauges[SICK] = 1.0
    (held,) = await daemon.until(lambda: _held(daemon, "maintenance"))
    assert held["reason"]["text"].startswith("maintenance backup (ana) until ")
    (incident,) = daemon.open_incidents()
    assert incident["muted"]["text"] == held["reason"]["text"]
    (silence,) = daemon.listing("silences")
    assert (silence["window"], silence["kind"]) == ("backup", "maintenance")
    assert slack.roots("ops") == []
    assert not (daemon.folder / "acts").exists()

    config.write_text(without)
    daemon.signal(signal.SIGHUP)
    await daemon.until(lambda: slack.roots("ops"))
    await daemon.until(lambda: (daemon.folder / "acts").exists())
    exporter.gauges[SICK] = 0.0
    await daemon.until(lambda: not daemon.open_incidents())
    story = [m["what"] for m in daemon.listing("incidents")[0]["moments"]]
    assert story.index("muted") < story.index("unmuted")


async def test_a_silence_from_the_command_line_and_its_end(
    daemon: Daemon, exporter: Exporter, slack: LoopbackSlack, capsys: pytest.CaptureFixture[str]
) -> None:
    async def silence(*words: str) -> tuple[int, str]:
        config = str(daemon.folder / "aiopsd.yaml")
        code = await asyncio.to_thread(main, ["silence", *words, "-c", config])
        out, err = capsys.readouterr()
        return code, out + err

    add = ("add", "service=api", "--for", "1h", "--reason", "new disks")
    code, said = await silence(*add)
    assert code == 1
    assert "is `aiopsd run` up?" in said
    await daemon.start()
    code, said = await silence(*add, "--json")
    assert code == 0, said
    made = json.loads(said)
    assert made["owner"] == getpass.getuser()
    exporter.gauges[SICK] = 1.0
    (held,) = await daemon.until(lambda: _held(daemon, "silenced"))
    assert held["reason"]["text"].startswith(f"silenced by {getpass.getuser()} until ")
    (incident,) = daemon.open_incidents()
    code, said = await silence("list")
    lines = said.splitlines()
    assert lines[0].startswith(f"{made['id']}  silence  until ")
    assert lines[-1] == f"    mutes {incident['id']} (1 of 1 anomalies): {incident['title']}"
    assert slack.roots("ops") == []
    assert not (daemon.folder / "acts").exists()

    assert (await silence("end", made["id"]))[0] == 0
    await daemon.until(lambda: slack.roots("ops"))
    await daemon.until(lambda: (daemon.folder / "acts").exists())
    for words, wrong in (
        (("end", made["id"]), "is over since"),
        (("add", "service=~.*", "--for", "1h", "--reason", "x"), "fits everything"),
        (("add", "service=api", "--for", "31d", "--reason", "x"), "30 days"),
    ):
        code, said = await silence(*words)
        assert code == 1
        assert wrong in said
    assert (daemon.folder / "state" / "control.sock").stat().st_mode & 0o777 == 0o600
    assert await daemon.stop() == 0
    assert not (daemon.folder / "state" / "control.sock").exists()


async def test_a_storm_is_one_message_and_nothing_acts(
    daemon: Daemon, exporter: Exporter, slack: LoopbackSlack
) -> None:
    config = daemon.folder / "aiopsd.yaml"
    config.write_text(config.read_text().replace("mode: auto", "mode: auto, storm_incidents: 3"))
    exporter.gauges = {f'sick{{service="svc-{n}"}}': 1.0 for n in range(8)}
    await daemon.start()
    await daemon.until(lambda: len(daemon.open_incidents()) == 9)
    await daemon.until(lambda: _held(daemon, "storm"))
    muted = [i["muted"]["code"] for i in daemon.open_incidents() if "muted" in i]
    assert muted == ["storm"] * 8
    await daemon.until(lambda: slack.roots("ops"))
    (root,) = slack.roots("ops")
    assert "8 unrelated incidents at once" in root.text
    assert not (daemon.folder / "acts").exists()


def _held(daemon: Daemon, code: str) -> list[dict[str, Any]]:
    return [d for d in daemon.listing("decisions") if d["reason"]["code"] == code]
