"""Standard output as it may be: the programs are real, and so is what they write to."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aiopsd.cli import main, replay

AIOPSD = [sys.executable, "-m", "aiopsd"]
MANY = "sources:\n" + "".join(f"  n{n}: {{type: nö{n}}}\n" for n in range(3000))


def ran(folder: Path, argv: list[str], **how: Any) -> "subprocess.CompletedProcess[bytes]":
    buffered = {"PYTHONUNBUFFERED": ""}  # as it is for people; argparse tells of nothing at once
    env: Mapping[str, str] = os.environ | buffered | how.pop("env", {})
    how.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([*AIOPSD, *argv], cwd=folder, env=env, timeout=120, **how)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "aiopsd.yaml").write_text(MANY)
    return tmp_path


@pytest.mark.parametrize("argv", [["check"], ["--help"], ["check", "--help"], ["--version"]])
def test_a_reader_that_has_gone(folder: Path, argv: list[str]) -> None:
    """Both where much is printed at once, and where all of it waits for the last flush."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = ran(folder, argv, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("argv", [["check"], ["--help"]])
def test_a_full_disk(folder: Path, argv: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = ran(folder, argv, stdout=full)
    assert (done.returncode, done.stderr) == (1, b"cannot write: No space left on device\n")


def test_no_standard_output_at_all(folder: Path) -> None:
    shell = ["sh", "-c", '"$@" >&- 2>&-', "sh", *AIOPSD, "check"]
    assert subprocess.run(shell, cwd=folder, timeout=120).returncode == 1


def test_an_encoding_without_the_letters(folder: Path) -> None:
    ascii_ = {"PYTHONIOENCODING": "ascii"}
    done = ran(folder, ["check"], stdout=subprocess.PIPE, env=ascii_)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"unknown type 'n\\u00f60'" in done.stdout
    done = ran(folder, ["check", "--json"], stdout=subprocess.PIPE, env=ascii_)
    assert "'nö0'" in json.loads(done.stdout.splitlines()[0])["text"]


def test_letters_of_two_parts(tmp_path: Path) -> None:
    """As JSON has them."""
    (tmp_path / "aiopsd.yaml").write_text("sources: {a: {type: '😀'}}\n")
    done = ran(tmp_path, ["check"], stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"})
    assert b"\\ud83d\\ude00" in done.stdout


def test_how_a_stream_was_is_how_it_is_afterwards() -> None:
    before = sys.__stdout__.errors if sys.__stdout__ else ""
    main([])
    assert sys.__stdout__ is None or sys.__stdout__.errors == before


def test_a_long_replay_gives_signs_of_life_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = replay._progress()
    told("errors", 0.1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(replay, "EVERY_SECS", 0.0)
    told("errors", 0.4)
    assert capsys.readouterr().err == "errors 40%\n"
