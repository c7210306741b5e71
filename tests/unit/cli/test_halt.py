"""The kill switch from the command line: it works on what is broken, and never lies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiopsd.cli import main
from aiopsd.remediation.halt import VOLATILE, HaltFile

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.skipif(VOLATILE.exists(), reason=f"this machine is halted by {VOLATILE}")


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "aiopsd.yaml").write_text("sources: {}\n")
    return str(tmp_path / "aiopsd.yaml")


def reason(folder: Path, target: str = "service/a") -> str:
    return HaltFile(folder / "state").reason(target)


def test_round_trip(config: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["halt", "-c", config, "--reason", "black friday"]) == 0
    assert (
        f"halted everything: no step starts from now on; `aiopsd resume` lifts it ({tmp_path}"
        in (capsys.readouterr().out)
    )
    assert reason(tmp_path).endswith(": black friday")
    assert main(["resume", "-c", config]) == 0
    assert capsys.readouterr().out == "resumed everything\n"
    assert reason(tmp_path) == ""
    assert main(["resume", "-c", config]) == 0
    assert capsys.readouterr().out == "everything was not halted\n"


def test_one_target(config: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["halt", "-c", config, "--target", "service/a"]) == 0
    assert reason(tmp_path)
    assert reason(tmp_path, "service/b") == ""
    assert main(["resume", "-c", config, "--target", "service/a"]) == 0
    assert reason(tmp_path) == ""


def test_what_is_still_halted_is_said(config: str, tmp_path: Path, capsys: Capture) -> None:
    """One target cannot be lifted out of a halt of everything."""
    assert main(["halt", "-c", config, "--reason", "audit"]) == 0
    assert main(["halt", "-c", config, "--target", "service/a"]) == 0
    capsys.readouterr()
    assert main(["resume", "-c", config, "--target", "service/a"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "service/a is still halted by" in told.err
    assert ": audit (see " in told.err


def test_a_touched_file_is_lifted_too(config: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "HALT").touch()
    assert reason(tmp_path)
    assert main(["resume", "-c", config]) == 0
    assert reason(tmp_path) == ""


@pytest.mark.parametrize("command", ["halt", "resume"])
def test_a_configuration_that_is_not_there_halts_nothing(
    command: str, tmp_path: Path, capsys: Capture
) -> None:
    """It once wrote HALT beside the file that did not exist, and said that all was halted."""
    assert main([command, "-c", str(tmp_path / "etc" / "aiopsd.yml")]) == os.EX_CONFIG
    told = capsys.readouterr()
    assert told.out == ""
    assert "no configuration at" in told.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "broken",
    [
        "state: elsewhere\nsources: [",
        "a: b: c\nstate:   'elsewhere'   # here\n",
        "state: elsewhere",
    ],
)
def test_a_broken_configuration_halts_the_right_folder(
    broken: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "aiopsd.yaml").write_text(broken)
    assert main(["halt", "-c", str(tmp_path / "aiopsd.yaml")]) == 0
    assert HaltFile(tmp_path / "elsewhere").reason("service/a")


def test_a_state_that_cannot_be_written_is_not_halted(
    config: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    assert main(["halt", "-c", config]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "NOT halted: cannot write" in told.err
    assert "kill -USR1 the daemon" in told.err
    assert main(["resume", "-c", config]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a user without a name")
def test_a_user_without_a_name(config: str, tmp_path: Path) -> None:
    """As in a container with an arbitrary uid."""
    nobody = 54321
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and "pytest" in str(path):
            path.chmod(0o777)
    code = (  # what is imported first need not be readable to that user
        "import os, sys, aiopsd.config, aiopsd.cli.halt, aiopsd.remediation.halt\n"
        f"os.setuid({nobody})\n"
        "sys.exit(aiopsd.cli.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "halt", "-c", config],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert reason(tmp_path) == f"halted by user {nobody}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_halts_the_daemons_user_can_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 1234, 1234)
    HaltFile(state).halt("service/a", by="root", reason="", now_s=1.0)
    found = (state / "HALT").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 1234, 0o600)
