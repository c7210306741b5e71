"""The real daemon under the real unit: ready, hung, killed, reloaded, stopped, misconfigured."""

import signal
import socket
import sys
import time
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
    since: float

    def configure(self, text: str | None = None, port: int | None = None) -> None:
        minimal = "state: /var/lib/aiopsd\nsources: {}\n"
        web = f"web: {{listen: '127.0.0.1:{port or self.port}'}}\n"
        (self.manager.root / "etc/aiopsd/aiopsd.yaml").write_text(text or minimal + web)

    def install(self, *settings: str) -> None:
        command = f"{sys.executable} -m aiopsd run -c /etc/aiopsd/aiopsd.yaml"
        install(self.manager, NAME, "\n".join(["ExecStart=", f"ExecStart={command}", *settings]))

    def get(self, path: str, port: int | None = None) -> str:
        url = f"http://127.0.0.1:{port or self.port}{path}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())

    def listens(self, port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def show(self, name: str) -> str:
        return self.manager.show(NAME, name)

    def journal(self) -> str:
        return self.manager.journal(NAME, self.since)

    def wait(self, name: str, value: str) -> None:
        self.manager.wait(NAME, name, value)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def service(systemd_manager: Manager) -> Iterator[Service]:
    for folder in ("rules", "playbooks"):
        (systemd_manager.root / "etc/aiopsd" / folder).mkdir(parents=True, exist_ok=True)
    service = Service(systemd_manager, free_port(), time.time())
    service.configure()
    service.install()
    systemd_manager.systemctl("enable", NAME)  # and so systemd remembers how it ended
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
    journal = service.journal()
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


def test_reload_takes_over_the_new_configuration(service: Service) -> None:
    service.manager.systemctl("start", NAME)
    pid, other = service.show("MainPID"), free_port()
    service.configure(port=other)
    service.manager.systemctl("reload", NAME)
    assert poll(lambda: service.listens(other), 60)
    assert service.get("/healthz", other) == "ok\n"
    service.wait("ActiveState", "active")
    assert service.show("MainPID") == pid


def test_reload_refuses_a_wrong_configuration_and_goes_on(service: Service) -> None:
    service.manager.systemctl("start", NAME)
    pid = service.show("MainPID")
    service.configure("state: /var/lib/aiopsd\nsourcs: {}\n")
    service.manager.systemctl("reload", NAME)
    assert poll(lambda: "aiopsd.yaml:2:" in service.journal(), 60)
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
    assert "aiopsd.yaml:2:" in service.journal()
