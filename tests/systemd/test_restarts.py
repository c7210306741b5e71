"""What a real systemd writes when units are stopped and started, and what is a change of it."""

from __future__ import annotations

import signal

import pytest

from aiopsd.model import Change
from aiopsd.sources.journal_export import ExportReader
from aiopsd.sources.journal_lines import FIELDS, read
from aiopsd.sources.journal_restarts import Restarts
from tests.systemd.manager import Manager, poll

pytestmark = pytest.mark.systemd

UNIT = """[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/true
Restart=on-failure
RestartSec=100ms
"""
UNWILLING = """[Service]
ExecStart=/bin/sh -c 'trap "exit 143" TERM; echo ready; while :; do sleep 0.1; done'
"""


def changes(manager: Manager, unit: str) -> list[Change]:
    said = manager.run("journalctl", "--no-pager", "--output=export", f"--unit={unit}").stdout
    entries = [read(one, {}) for one in ExportReader(FIELDS).feed(said.encode())]
    events = [one.event for one in entries if one is not None and one.event is not None]
    return Restarts("journal").changes(events)


def told(manager: Manager, unit: str, wanted: list[str]) -> list[str]:
    """The states, once as many have come; the journal is written a moment later."""
    poll(lambda: len(changes(manager, unit)) >= len(wanted), 10.0)
    return [one.labels["state"] for one in changes(manager, unit)]


def test_people_are_told_from_crashes(systemd_manager: Manager) -> None:
    manager, unit = systemd_manager, "told-shop.service"
    manager.add_unit(unit, UNIT)
    manager.systemctl("start", unit)
    before = manager.show(unit, "MainPID")
    manager.kill(unit, signal.SIGKILL)  # it crashes, and comes back by itself
    assert poll(lambda: manager.show(unit, "MainPID") not in ("0", before), 20.0)
    manager.wait(unit, "ActiveState", "active")
    manager.systemctl("restart", unit)
    manager.systemctl("reload", unit)
    manager.systemctl("stop", unit)
    wanted = ["stopped", "restarted", "reloaded", "stopped"]
    assert told(manager, unit, wanted) == wanted
    assert {one.service for one in changes(manager, unit)} == {"told-shop"}


def test_who_ends_badly_when_asked_to_was_asked_to(systemd_manager: Manager) -> None:
    manager, unit = systemd_manager, "told-java.service"
    manager.add_unit(unit, UNWILLING)
    manager.systemctl("start", unit)
    assert poll(lambda: "ready" in manager.journal(unit), 20.0)
    manager.systemctl("restart", unit)
    manager.systemctl("stop", unit)
    assert "status=143" in manager.journal(unit)
    wanted = ["stopped", "restarted", "stopped"]
    assert told(manager, unit, wanted) == wanted


def test_what_ends_by_itself_is_no_change(systemd_manager: Manager) -> None:
    manager, unit = systemd_manager, "told-once.service"
    manager.add_unit(unit, "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    for _ in range(2):
        manager.systemctl("start", unit)
    assert poll(lambda: manager.journal(unit).count("Finished") == 2, 10.0)
    assert changes(manager, unit) == []
