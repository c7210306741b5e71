"""The manager that the other tests rest on is a real one."""

from pathlib import Path

import pytest

from tests.systemd.manager import Manager

pytestmark = pytest.mark.systemd


def test_a_unit_that_exits_at_once_was_started_and_then_failed(systemd_manager: Manager) -> None:
    systemd_manager.add_unit("brief.service", "[Service]\nExecStart=/bin/false\n")
    systemd_manager.systemctl("start", "brief.service")  # Type=simple: the job is done all the same
    systemd_manager.wait("brief.service", "ActiveState", "failed")
    assert "status=1/FAILURE" in systemd_manager.journal("brief.service")


def test_what_a_unit_writes_stays_inside(systemd_manager: Manager) -> None:
    systemd_manager.add_unit(
        "writer.service",
        "[Service]\nType=oneshot\nDynamicUser=yes\nStateDirectory=aiopsd-writer\n"
        "ExecStart=/bin/sh -c 'echo here >/var/lib/aiopsd-writer/note'\n",
    )
    systemd_manager.systemctl("start", "writer.service")
    note = "var/lib/private/aiopsd-writer/note"
    assert (systemd_manager.root / note).read_text() == "here\n"
    assert not Path("/", note).exists()
