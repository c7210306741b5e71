"""What is muted reaches nobody and is acted on by nothing; when that ends, both happen."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

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


def _held(daemon: Daemon, code: str) -> list[dict]:
    return [d for d in daemon.listing("decisions") if d["reason"]["code"] == code]
