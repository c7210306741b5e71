"""The unit as it ships, started in a test manager with the interpreter that runs the tests."""

import sys
from pathlib import Path

from tests.systemd.manager import Manager

REPOSITORY = Path(__file__).parents[2]
SHIPPED = REPOSITORY / "systemd"

# The project may be checked out, and its Python installed, where the unit sees nothing (/root,
# /home, /tmp): those folders, and only those, are shown to it, read-only.
SEEN = f"""
[Unit]
StartLimitIntervalSec=0
[Service]
ProtectHome=tmpfs
BindReadOnlyPaths={sys.base_prefix} {sys.prefix} {REPOSITORY}
"""


def install(manager: Manager, name: str, settings: str, *examples: str) -> None:
    """The shipped unit as `name`, with shipped drop-ins, and `[Service]` settings on top."""
    drop_ins = {
        example: (SHIPPED / "aiopsd.service.d" / f"{example}.conf.example").read_text()
        for example in examples
    }
    manager.add_unit(
        name,
        (SHIPPED / "aiopsd.service").read_text(),
        **drop_ins,
        **{"98-seen": SEEN, "99-test": f"[Service]\n{settings}\n"},
    )


def run_caged(manager: Manager, program: str, *examples: str) -> str:
    """What a Python program prints inside the unit's sandbox, as the unit's user."""
    (manager.root / "etc/aiopsd").mkdir(exist_ok=True)
    (manager.root / "etc/aiopsd/program.py").write_text(program)
    once = "Type=oneshot\nWatchdogSec=0\nRestart=no\nStandardOutput=truncate:/run/caged"
    start = f"ExecStart=\nExecStart={sys.executable} /etc/aiopsd/program.py"
    install(manager, "aiopsd-caged.service", f"{once}\n{start}", *examples)
    manager.systemctl("start", "aiopsd-caged.service")
    return (manager.root / "run/caged").read_text()
