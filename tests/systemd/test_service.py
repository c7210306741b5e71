"""The real daemon under the real unit: ready, hung, killed, reloaded, stopped, misconfigured."""

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.systemd.manager import Manager, poll
from tests.systemd.unit import install

pytestmark = pytest.mark.systemd

NAME = "aiopsd.service"


@dataclass(frozen=True)
class Service:
    """The unit, installed and configured, not yet started."""

    manager: Manager
    port: int

    def configure(self, text: str) -> None:
        (self.manager.root / "etc/aiopsd").mkdir(exist_ok=True)
        (self.manager.root / "etc/aiopsd/aiopsd.yaml").write_text(text)

    def install(self, *settings: str) -> None:
        command = f"{sys.executable} -m aiopsd run -c /etc/aiopsd/aiopsd.yaml"
        install(self.manager, NAME, "\n".join(["ExecStart=", f"ExecStart={command}", *settings]))

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    def show(self, name: str) -> str:
        return self.manager.show(NAME, name)

    def wait(self, name: str, value: str) -> None:
        self.manager.wait(NAME, name, value)


@pytest.fixture(scope="session")
def daemon() -> None:
    """Gone as soon as the daemon can start."""
    done = subprocess.run([sys.executable, "-c", "import aiopsd.app"], capture_output=True, cwd="/")
    if done.returncode:
        pytest.skip(f"THE DAEMON IS NOT TESTED: {done.stderr.decode().splitlines()[-1]}")


@pytest.fixture
def service(daemon: None, systemd_manager: Manager) -> Iterator[Service]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Service(systemd_manager, port)
    service.configure(
        f"state: /var/lib/aiopsd\nsources: {{}}\nweb: {{listen: '127.0.0.1:{port}'}}\n"
    )
    for folder in ("rules", "playbooks"):
        (systemd_manager.root / "etc/aiopsd" / folder).mkdir(exist_ok=True)
    service.install()
    yield service
    systemd_manager.systemctl("stop", NAME)
    systemd_manager.run("systemctl", "reset-failed", NAME)
    systemd_manager.run("systemctl", "clean", NAME)


def test_active_means_ready(service: Service) -> None:
    service.manager.systemctl("start", NAME)  # returns when READY=1 has come
    assert service.get("/healthz") == "ok\n"
    assert service.show("ActiveState") == "active"


def test_stops_in_order_and_in_time(service: Service) -> None:
    service.manager.systemctl("start", NAME)
    service.manager.systemctl("stop", NAME)
    assert service.show("ExecMainCode") == "1"  # CLD_EXITED: not killed, so not late
    assert service.show("ExecMainStatus") == "0"
    assert service.show("Result") == "success"


def test_a_hung_daemon_is_killed_and_started_again(service: Service) -> None:
    service.install("WatchdogSec=3")
    service.manager.systemctl("start", NAME)
    hung = service.show("MainPID")
    service.manager.kill(NAME, signal.SIGSTOP)
    service.wait("NRestarts", "1")
    service.wait("ActiveState", "active")
    assert service.show("MainPID") != hung
    assert service.get("/healthz") == "ok\n"
    journal = service.manager.journal(NAME)
    assert "Watchdog timeout" in journal
    assert "Fatal Python error: Aborted" in journal  # and below it, where every thread stood


def test_the_daemon_feeds_its_watchdog(service: Service) -> None:
    service.install("WatchdogSec=3")
    service.manager.systemctl("start", NAME)
    for _ in range(3):
        last = service.show("WatchdogTimestampMonotonic")
        assert poll(lambda last=last: service.show("WatchdogTimestampMonotonic") != last, 60)
    assert service.show("NRestarts") == "0"


def test_a_halt_by_hand_survives_the_service(service: Service) -> None:
    service.manager.systemctl("start", NAME)
    service.manager.run("touch", "/run/aiopsd/HALT")
    service.manager.systemctl("restart", NAME)
    assert service.get("/api/v1/halts") != "[]"
    service.manager.run("rm", "/run/aiopsd/HALT")
    assert service.get("/api/v1/halts") == "[]"


def test_the_kill_switch_survives_a_kill(service: Service) -> None:
    service.manager.systemctl("start", NAME)
    assert service.get("/api/v1/halts") == "[]"
    service.manager.kill(NAME, signal.SIGUSR1)
    assert poll(lambda: service.get("/api/v1/halts") != "[]", 30)
    before = service.get("/api/v1/halts")
    service.manager.kill(NAME, signal.SIGKILL)
    service.wait("NRestarts", "1")
    service.wait("ActiveState", "active")
    assert service.get("/api/v1/halts") == before


def test_reload_keeps_the_process(service: Service) -> None:
    service.manager.systemctl("start", NAME)
    pid = service.show("MainPID")
    service.manager.systemctl("reload", NAME)
    service.wait("ActiveState", "active")
    assert service.show("MainPID") == pid
    assert service.get("/healthz") == "ok\n"


def test_a_wrong_configuration_stays_down_and_says_why(service: Service) -> None:
    service.configure("state: /var/lib/aiopsd\nsourcs: {}\n")
    with pytest.raises(AssertionError):
        service.manager.systemctl("start", NAME)
    assert service.show("ActiveState") == "failed"
    assert service.show("ExecMainStatus") == "78"
    assert service.show("NRestarts") == "0"
    assert "aiopsd.yaml:2:" in service.manager.journal(NAME)
