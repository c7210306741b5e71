"""The systemd executor against a real manager: the job's result and what became of the unit."""

import asyncio

import pytest
from systemd.manager import Manager

from aiopsd.contracts import Action
from aiopsd.errors import Refused, Unreachable
from aiopsd.executors.systemd import SystemdExecutor

pytestmark = pytest.mark.systemd

SLEEPER = "[Service]\nExecStart=/bin/sleep infinity\n"


def action(verb: str, unit: str, **inputs: float) -> Action:
    return Action(f"systemd.{verb}", {"unit": unit, **inputs}, timeout_secs=30, key="r/s/1")


@pytest.fixture
def executor(systemd_manager: Manager) -> SystemdExecutor:
    return SystemdExecutor(systemd_manager.bus_address)


async def test_a_restart_gives_a_new_invocation(
    systemd_manager: Manager, executor: SystemdExecutor
) -> None:
    systemd_manager.add_unit("exec-restart.service", SLEEPER)
    systemd_manager.systemctl("start", "exec-restart.service")
    one = action("restart", "exec-restart.service")
    before = await executor.before(one)
    assert before["ActiveState"] == "active"
    assert await executor.probe(one, before) is False
    result = await executor.apply(one)
    assert result["job"] == "done"
    assert result["InvocationID"] != before["InvocationID"]
    assert await executor.probe(one, before) is True
    with pytest.raises(Refused, match="no inverse"):
        await executor.undo(one, before)


async def test_stop_and_its_undo(systemd_manager: Manager, executor: SystemdExecutor) -> None:
    systemd_manager.add_unit("exec-stop.service", SLEEPER)
    systemd_manager.systemctl("start", "exec-stop.service")
    one = action("stop", "exec-stop.service")
    before = await executor.before(one)
    assert (await executor.apply(one))["ActiveState"] == "inactive"
    assert await executor.probe(one, before) is True
    assert (await executor.undo(one, before))["ActiveState"] == "active"


async def test_undo_of_a_start_that_changed_nothing_changes_nothing(
    systemd_manager: Manager, executor: SystemdExecutor
) -> None:
    systemd_manager.add_unit("exec-running.service", SLEEPER)
    systemd_manager.systemctl("start", "exec-running.service")
    one = action("start", "exec-running.service")
    before = await executor.before(one)
    await executor.apply(one)
    assert "unchanged" in await executor.undo(one, before)
    assert (await executor.before(one))["ActiveState"] == "active"


async def test_a_unit_that_is_not_there(
    systemd_manager: Manager, executor: SystemdExecutor
) -> None:
    for work in (executor.before, executor.apply, executor.plan):
        with pytest.raises(Refused, match=r"NoSuchUnit|not known"):
            await work(action("restart", "no-such-thing.service"))


async def test_a_job_that_is_done_is_not_yet_a_unit_that_works(
    systemd_manager: Manager, executor: SystemdExecutor
) -> None:
    """Type=simple reports its job done before the program has failed."""
    systemd_manager.add_unit("exec-dies.service", "[Service]\nExecStart=/bin/sh -c 'exit 3'\n")
    with pytest.raises(Refused, match=r"exec-dies.service is failed"):
        await executor.apply(action("restart", "exec-dies.service", wait_active=5))


async def test_a_unit_that_takes_too_long_is_not_active(
    systemd_manager: Manager, executor: SystemdExecutor
) -> None:
    slow = "[Service]\nType=notify\nTimeoutStartSec=60\nExecStart=/bin/sleep infinity\n"
    systemd_manager.add_unit("exec-slow.service", slow)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await executor.apply(action("start", "exec-slow.service"))
    one = action("start", "exec-slow.service")
    assert await executor.probe(one, {"InvocationID": ""}) is None  # still activating: unknown
    systemd_manager.systemctl("stop", "exec-slow.service")


async def test_without_a_bus_it_is_unreachable() -> None:
    gone = SystemdExecutor("unix:path=/nonexistent/bus")
    with pytest.raises(Unreachable, match="the system bus"):
        await gone.apply(action("restart", "x.service"))


@pytest.mark.parametrize("unit", ["nginx", "../../etc.service", "a b.service", "x.service;rm", ""])
async def test_what_is_no_unit_name_is_refused(unit: str) -> None:
    one = SystemdExecutor("unix:path=/nonexistent/bus")
    with pytest.raises(Refused, match="full name"):
        await one.apply(action("restart", unit))
    assert one.lint("restart", {"unit": unit})
