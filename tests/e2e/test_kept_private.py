"""What the daemon keeps is for nobody else to read, whatever the umask."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiopsd.cli import main
from tests.e2e.daemon import Daemon


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)  # as most people have it
    yield
    os.umask(before)


def modes(state: Path) -> dict[str, int]:
    return {
        str(path.relative_to(state.parent)): stat.S_IMODE(path.stat().st_mode)
        for path in (state, *state.rglob("*"))
    }


def private(state: Path) -> bool:
    found = modes(state)
    assert {"state/journal.db", "state/journal.db-wal", "state/lock"} <= found.keys()
    return not any(mode & 0o077 for mode in found.values())


async def test_what_is_made_is_the_owners_alone(daemon: Daemon) -> None:
    state = daemon.folder / "state"
    await daemon.start()
    assert main(["halt", "-c", str(daemon.folder / "aiopsd.yaml"), "--reason", "x"]) == 0
    assert private(state), modes(state)
    await daemon.kill()
    for path in (state, *state.rglob("*")):  # as an earlier version made them
        path.chmod(0o755 if path.is_dir() else 0o644)
    (state / "backups").mkdir()
    (state / "backups" / "journal.db").touch()
    (state / "elsewhere").symlink_to(daemon.folder / "aiopsd.yaml")
    before = (daemon.folder / "aiopsd.yaml").stat().st_mode
    await daemon.start()
    (state / "elsewhere").unlink()
    assert private(state), modes(state)
    assert (daemon.folder / "aiopsd.yaml").stat().st_mode == before


async def test_a_folder_that_is_not_ours_alone_keeps_its_mode(daemon: Daemon) -> None:
    config = daemon.folder / "aiopsd.yaml"
    config.write_text("state: .\n" + config.read_text())
    daemon.folder.chmod(0o755)
    (daemon.folder / "journal.db").touch()
    await daemon.start()
    found = modes(daemon.folder)
    name = daemon.folder.name
    assert (found[name], found[f"{name}/aiopsd.yaml"]) == (0o755, 0o644)
    assert (found[f"{name}/journal.db"], found[f"{name}/lock"]) == (0o600, 0o600)
