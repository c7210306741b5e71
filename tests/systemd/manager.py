"""A real system manager for tests, and the few things that a test asks of it."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

START_SECS = 60.0
STOP_SECS = 30.0
SCRIPT = Path(__file__).with_name("manager.sh")


@dataclass(frozen=True)
class Manager:
    """A running systemd with its own /etc, /run, /var/lib, bus, polkit and journal."""

    pid: int  # as seen from here; 1 on the inside

    @property
    def root(self) -> Path:
        """Its file system, for reading and writing from here."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def bus_address(self) -> str:
        """For a D-Bus client on the outside; root there as here."""
        return f"unix:path={self.root}/run/dbus/system_bus_socket"

    def add_unit(self, name: str, text: str, **drop_ins: str) -> None:
        """Write unit `name` and, for each keyword, a drop-in of that name; then daemon-reload."""
        units = self.root / "etc/systemd/system"
        (units / name).write_text(text)
        for drop_in, settings in drop_ins.items():
            folder = units / f"{name}.d"
            folder.mkdir(exist_ok=True)
            (folder / f"{drop_in}.conf").write_text(settings)
        self.systemctl("daemon-reload")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the inside, as root."""
        inside = ["nsenter", "--all", f"--target={self.pid}", "--", *command]
        return subprocess.run(inside, capture_output=True, text=True, timeout=120)

    def systemctl(self, *arguments: str) -> str:
        done = self.run("systemctl", "--no-pager", *arguments)
        if done.returncode != 0:
            said = self.journal()[-4000:]
            raise AssertionError(f"systemctl {' '.join(arguments)}: {done.stderr}{said}")
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """One property of a unit, as `ActiveState`, `Result` or `MainPID` (a pid of the inside)."""
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def wait(self, unit: str, name: str, value: str, limit_secs: float = 60.0) -> None:
        """Wait until a property has a value; a miss fails the test and shows the journal."""
        if not poll(lambda: self.show(unit, name) == value, limit_secs):
            raise AssertionError(
                f"{unit}: {name} is {self.show(unit, name)}, not {value}, "
                f"after {limit_secs:g} s\n{self.journal()[-4000:]}"
            )

    def kill(self, unit: str, number: signal.Signals) -> None:
        """Send a signal to the main process of a unit."""
        self.systemctl("kill", "--kill-whom=main", f"--signal={number.name}", unit)

    def journal(self, unit: str = "*", since: float = 0.0) -> str:
        """What was logged since a moment (epoch seconds), by a unit and about it."""
        chosen = [f"--unit={unit}", f"--since=@{since:f}", "--output=short-precise"]
        return self.run("journalctl", "--no-pager", *chosen).stdout


def poll(condition: Callable[[], bool], limit_secs: float) -> bool:
    """Wait for a condition; false if it has not come true within the limit."""
    deadline = time.monotonic() + limit_secs
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def running_manager(log: Path) -> Iterator[Manager]:
    """Start a manager; what it says before it has a journal goes to `log`. Nothing stays behind."""
    with log.open("wb") as output:
        outer = subprocess.Popen([SCRIPT], stdout=output, stderr=subprocess.STDOUT)
    try:
        manager = _started(outer, log)
        yield manager
        manager.run("systemctl", "exit")  # ends units in order, and clears what they left in /tmp
        outer.wait(STOP_SECS)
    finally:
        outer.kill()  # and with it, by the kernel, everything in its namespace
        outer.wait()
        _remove_cgroups(outer.pid)


def _started(outer: subprocess.Popen[bytes], log: Path) -> Manager:
    found: list[Manager] = []

    def up() -> bool:
        if outer.poll() is not None:
            return True
        if pid := _manager_pid(outer.pid):
            manager = Manager(pid)
            if manager.run("systemctl", "is-system-running").stdout.strip() == "running":
                found.append(manager)
        return bool(found)

    if not poll(up, START_SECS) or not found:
        raise AssertionError(f"no manager: {log.read_text()}")
    return found[0]


def _manager_pid(outer: int) -> int | None:
    """The child that has become systemd; before that, it is still the script."""
    for pid in Path(f"/proc/{outer}/task/{outer}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return int(pid)
    return None


def _remove_cgroups(outer: int) -> None:
    for root in Path("/sys/fs/cgroup").glob(f"**/aiopsd-test-{outer}"):
        for folder in sorted(root.glob("**/"), reverse=True):
            poll(partial(_is_empty, folder), STOP_SECS)  # the kernel takes a moment to bury them
            folder.rmdir()


def _is_empty(cgroup: Path) -> bool:
    return not (cgroup / "cgroup.procs").read_text()
