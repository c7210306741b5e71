"""Units that people stop and start are changes; what crashes, or ends by itself, is none."""

from __future__ import annotations

from aiopsd.model import Change
from aiopsd.sources.journal_lines import read
from aiopsd.sources.journal_restarts import (
    COMING_BACK,
    FAILED,
    MOST_A_MINUTE,
    RELOADED,
    STARTED,
    STOPPED,
    STOPPING,
    Restarts,
    UnitEvent,
    event_of,
)


def said(time_s: float, what: str, unit: str = "shop.service") -> UnitEvent:
    return UnitEvent(time_s, unit, unit.removesuffix(".service"), "web1", what)


def told(*events: tuple[float, str]) -> list[tuple[float, str, str]]:
    changes = Restarts("journal").changes([said(*event) for event in events])
    return [(change.time_s, change.kind, change.labels["state"]) for change in changes]


def test_a_restart_is_one_change_since_it_was_stopped() -> None:
    """As systemd 252 writes `systemctl restart`."""
    changes = Restarts("journal").changes(
        [said(100.0, STOPPING), said(101.0, STOPPED), said(102.0, STARTED)]
    )
    assert [change.labels["state"] for change in changes] == ["stopped", "restarted"]
    assert changes[1] == Change(
        id="journal:web1/shop.service/101",
        kind="restart",
        time_s=101.0,
        service="shop",
        source="journal",
        labels={"unit": "shop.service", "host": "web1", "state": "restarted"},
    )
    assert changes[0].id == changes[1].id


def test_a_crash_and_the_restart_after_it_are_no_change() -> None:
    """As it writes `Restart=on-failure`: the unit is "Stopped" as well."""
    assert told((1.0, FAILED), (1.1, COMING_BACK), (1.2, STOPPED), (1.3, STARTED)) == []
    assert told((1.0, FAILED), (9.0, STARTED)) == []


def test_who_ends_badly_when_asked_to_was_asked_to() -> None:
    assert told((1.0, STOPPING), (1.5, FAILED), (2.0, STOPPED), (3.0, STARTED)) == [
        (2.0, "restart", "stopped"),
        (2.0, "restart", "restarted"),
    ]


def test_after_a_crash_things_are_as_before() -> None:
    crash = [(1.0, FAILED), (1.1, COMING_BACK), (1.2, STOPPED), (1.3, STARTED)]
    assert told(*crash, (50.0, STOPPING), (51.0, STOPPED)) == [(51.0, "restart", "stopped")]


def test_boots_timers_and_first_starts_are_no_change() -> None:
    assert told((1.0, STARTED), (61.0, STARTED)) == []


def test_a_start_long_after_the_stop_is_a_change_of_its_own() -> None:
    assert told((1.0, STOPPED), (3600.0, STARTED), (3700.0, RELOADED)) == [
        (1.0, "restart", "stopped"),
        (3600.0, "restart", "started"),
        (3700.0, "config", "reloaded"),
    ]


def test_a_host_that_goes_down_does_not_tell_of_each_unit() -> None:
    restarts = Restarts("journal")
    changes = restarts.changes([said(n / 10, STOPPED, f"u{n}.service") for n in range(100)])
    assert (len(changes), restarts.left_out) == (MOST_A_MINUTE, 100 - MOST_A_MINUTE)
    back = restarts.changes([said(80 + n / 10, STARTED, f"u{n}.service") for n in range(100)])
    assert {change.id for change in back} == {change.id for change in changes}


def test_units_come_and_go_and_are_not_all_remembered() -> None:
    restarts = Restarts("journal")
    restarts.changes([said(n * 60.0, STARTED, f"run-{n}.service") for n in range(5000)])
    assert len(restarts._units) <= 2000


ENTRY = {"_PID": "1", "UNIT": "shop@1.service", "MESSAGE_ID": STOPPED, "_HOSTNAME": "web1"}


def test_only_systemd_itself_is_believed() -> None:
    assert event_of(ENTRY, "shop", 10**9) == UnitEvent(
        1.0, "shop@1.service", "shop", "web1", STOPPED
    )
    for wrong in ({"_PID": "77"}, {"UNIT": "dev-sda.device"}, {"MESSAGE_ID": ""},
                  {"JOB_RESULT": "failed"}):  # fmt: skip
        assert event_of(ENTRY | wrong, "shop", 10**9) is None


def test_an_entry_of_the_journal_carries_it() -> None:
    entry = {name: value.encode() for name, value in ENTRY.items()}
    entry |= {"__CURSOR": b"s=0", "__REALTIME_TIMESTAMP": b"1000000", "MESSAGE": b"Stopped Shop."}
    line = read(entry, {})
    assert line is not None
    assert line.event == UnitEvent(1.0, "shop@1.service", "shop", "web1", STOPPED)
