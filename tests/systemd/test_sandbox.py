"""What the unit lets the daemon do, and what not, tried from inside."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.systemd.manager import Manager
from tests.systemd.unit import SHIPPED, run_caged

pytestmark = pytest.mark.systemd

LIBRARIES = """
import asyncio, multiprocessing, socket, sqlite3, sys
from concurrent.futures import ProcessPoolExecutor

def fit(n):
    import numpy
    return float(numpy.linalg.det(numpy.eye(n)))

async def fetch():
    import aiohttp
    from aiohttp import web
    app = web.Application()
    app.router.add_get("/", lambda request: asyncio.sleep(0, web.Response(text="over tcp")))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    url = f"http://localhost:{port}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        print(await answer.text())
    await runner.cleanup()

if __name__ == "__main__":
    print(fit(300))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        print(pool.submit(fit, 300).result())
    journal = sqlite3.connect("/var/lib/aiopsd/journal-of-this-test.db")
    print(journal.execute("PRAGMA journal_mode=wal").fetchone()[0])
    from cel_expr_python import cel
    environment = cel.NewEnv(variables={"x": cel.Type.INT})
    print(environment.compile("x * 2 > 3").eval(data={"x": 2}).value())
    asyncio.run(fetch())
"""

FORBIDDEN = """
import json, os, resource, socket, subprocess
from pathlib import Path

def refusal(act):
    try:
        act()
    except OSError as error:
        return error.strerror
    return "done"

print(json.dumps({
    "write /usr": refusal(lambda: Path("/usr/aiopsd-was-here").touch()),
    "write /etc/aiopsd": refusal(lambda: Path("/etc/aiopsd/was-here").touch()),
    "see another's process": refusal(lambda: Path("/proc/1/status").read_text()),
    "see the memory of the machine": refusal(lambda: Path("/proc/meminfo").read_text()),
    "open a raw socket": refusal(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "set priorities": refusal(lambda: os.setpriority(os.PRIO_PROCESS, 0, 5)),
    "become root": refusal(lambda: os.setuid(0)),
}))
"""

WHO = """
import os, pwd
print(pwd.getpwuid(os.getuid()).pw_name, os.getuid() == 0)
for name in sorted(os.listdir(os.environ["CREDENTIALS_DIRECTORY"])):
    print(name, open(os.path.join(os.environ["CREDENTIALS_DIRECTORY"], name)).read())
"""


def asking(method: str, unit: str) -> str:
    name = "org.freedesktop.systemd1"
    call = ["busctl", "call", name, "/org/freedesktop/systemd1", f"{name}.Manager", method, "ss"]
    return (
        "import subprocess\n"
        f"print(subprocess.run({[*call, unit, 'replace']}, capture_output=True, text=True))"
    )


def test_the_libraries_work(systemd_manager: Manager) -> None:
    printed = run_caged(systemd_manager, LIBRARIES).split("\n")
    assert printed == ["1.0", "1.0", "wal", "True", "over tcp", ""]


def test_the_machine_is_out_of_reach(systemd_manager: Manager) -> None:
    refusals: dict[str, Any] = json.loads(run_caged(systemd_manager, FORBIDDEN))
    assert refusals == {
        "write /usr": "Read-only file system",
        "write /etc/aiopsd": "Permission denied",
        "see another's process": "No such file or directory",
        "see the memory of the machine": "No such file or directory",
        "open a raw socket": "Address family not supported by protocol",
        "set priorities": "Operation not permitted",
        "become root": "Operation not permitted",
    }


def test_the_command_drop_in_opens_what_it_says(systemd_manager: Manager) -> None:
    refusals: dict[str, Any] = json.loads(run_caged(systemd_manager, FORBIDDEN, "20-command"))
    opened = {what for what, refusal in refusals.items() if refusal == "done"}
    assert opened == {"see another's process", "see the memory of the machine", "set priorities"}


def test_a_credential_reaches_the_unprivileged_daemon(systemd_manager: Manager) -> None:
    store = systemd_manager.root / "etc/credstore"
    store.mkdir(mode=0o700, exist_ok=True)
    (store / "slack-token").write_text("not-a-real-token")
    (store / "slack-token").chmod(0o600)
    assert run_caged(systemd_manager, WHO, "10-credentials").split("\n") == [
        "aiopsd False",
        "slack-token not-a-real-token",
        "",
    ]


JOURNAL = """
import subprocess
read = ["journalctl", "--no-pager", "--output=cat", "--unit=told.service", "--grep=somebody"]
print(subprocess.run(read, capture_output=True, text=True).stdout.strip())
"""


def test_the_journal_is_read_with_its_drop_in_and_only_then(systemd_manager: Manager) -> None:
    """What another unit wrote; its files are set up as systemd-tmpfiles does on a machine."""
    folder = "chgrp -R systemd-journal /run/log/journal && chmod -R g+rX /run/log/journal"
    once = "[Service]\nType=oneshot\nExecStart="
    systemd_manager.add_unit("told.service", f"{once}/bin/echo told by somebody else\n")
    systemd_manager.systemctl("start", "told.service")
    assert systemd_manager.run("sh", "-c", folder).returncode == 0
    assert run_caged(systemd_manager, JOURNAL).strip() == ""
    assert run_caged(systemd_manager, JOURNAL, "60-journal").strip() == "told by somebody else"


@pytest.fixture
def static_user(systemd_manager: Manager) -> Iterator[None]:
    made = systemd_manager.run("useradd", "--system", "--no-create-home", "aiopsd")
    assert made.returncode == 0, made.stderr
    yield
    systemd_manager.run("userdel", "aiopsd")


@pytest.mark.parametrize(
    ("method", "unit", "allowed"),
    [
        ("RestartUnit", "shop-api.service", True),
        ("StopUnit", "shop-api.service", False),  # this verb is not named for it
        ("RestartUnit", "dbus.service", False),  # this unit is not named
    ],
)
@pytest.mark.usefixtures("static_user")
def test_polkit_lets_it_act_on_named_units_only(
    systemd_manager: Manager, method: str, unit: str, allowed: bool
) -> None:
    rules = systemd_manager.root / "etc/polkit-1/rules.d/50-aiopsd.rules"
    rules.write_text((SHIPPED / "50-aiopsd.rules").read_text())
    systemd_manager.add_unit("shop-api.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    answer = run_caged(systemd_manager, asking(method, unit))
    assert ("Access denied" in answer) is not allowed, answer
    assert ("/org/freedesktop/systemd1/job/" in answer) is allowed, answer
