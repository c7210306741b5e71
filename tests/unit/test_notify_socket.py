"""sd_notify(3), held to a real datagram socket."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiopsd import notify_socket
from aiopsd.errors import ConfigError

SAY: list[tuple[Callable[[], bool], bytes]] = [
    (notify_socket.ready, b"READY=1"),
    (notify_socket.watchdog, b"WATCHDOG=1"),
    (notify_socket.stopping, b"STOPPING=1"),
    (lambda: notify_socket.status("3 incidents open"), b"STATUS=3 incidents open"),
]


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The manager's end; $NOTIFY_SOCKET names it as systemd does, `@` standing for the NUL."""
    abstract = request.param == "abstract"
    name = f"@aiopsd-{secrets.token_hex(8)}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1) if abstract else name)
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield receiver


@pytest.mark.parametrize(("say", "datagram"), SAY, ids=[word.decode() for _, word in SAY])
def test_each_state_is_one_datagram(
    manager: socket.socket, say: Callable[[], bool], datagram: bytes
) -> None:
    assert say()
    assert manager.recv(4096) == datagram


def test_reloading_carries_the_moment_it_began(manager: socket.socket) -> None:
    before_usec = time.monotonic_ns() // 1000
    assert notify_socket.reloading()
    flag, moment = manager.recv(4096).decode().split("\n")
    assert flag == "RELOADING=1"
    name, usec = moment.split("=")
    assert name == "MONOTONIC_USEC"
    assert before_usec <= int(usec) <= time.monotonic_ns() // 1000


def test_status_cannot_smuggle_in_another_state(manager: socket.socket) -> None:
    assert notify_socket.status("unit x said:\nREADY=1\r\n")
    assert manager.recv(4096) == b"STATUS=unit x said: READY=1"


def test_without_a_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify_socket.ready()


def test_a_socket_that_is_gone_is_logged_and_not_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify_socket.ready()
    assert f"socket={tmp_path / 'gone'}" in caplog.text


def test_a_manager_that_does_not_read_holds_us_up_for_a_moment_only(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notify_socket, "SEND_TIMEOUT_SECS", 0.05)
    taken = sum(
        notify_socket.watchdog() for _ in range(10_000) if "notify failed" not in caplog.text
    )
    assert 0 < taken < 10_000  # the kernel's queue is a few datagrams (net.unix.max_dgram_qlen)
    assert "timed out" in caplog.text


def test_an_address_of_another_kind_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "vsock:2:1234")
    with pytest.raises(ConfigError, match="NOTIFY_SOCKET=vsock:2:1234"):
        notify_socket.ready()


def test_watchdog_interval_is_half_of_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert notify_socket.watchdog_interval_secs() == 15.0
    monkeypatch.delenv("WATCHDOG_PID")
    assert notify_socket.watchdog_interval_secs() == 15.0


def test_a_parents_watchdog_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    assert notify_socket.watchdog_interval_secs() is None


def test_no_watchdog_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert notify_socket.watchdog_interval_secs() is None


@pytest.mark.parametrize("usec", ["0", "-5", "30s", "", "٣"])
def test_a_malformed_watchdog_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, usec: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    with pytest.raises(ConfigError, match="WATCHDOG_USEC="):
        notify_socket.watchdog_interval_secs()
