"""The kill switch is a file; whatever it says, its presence halts."""

from pathlib import Path

import pytest

from aiopsd.remediation.halt import HaltFile


@pytest.fixture
def halts(tmp_path: Path) -> HaltFile:
    return HaltFile(tmp_path, volatile=tmp_path / "run" / "HALT")


def test_nothing_is_halted_at_first(halts: HaltFile) -> None:
    assert halts.reason("service/a") == ""
    assert halts.halts() == []
    assert halts.resume("*") is False


def test_halting_everything_and_resuming(halts: HaltFile) -> None:
    halts.halt("*", by="mara", reason="black friday", now_s=1.0)
    assert halts.reason("service/a") == "halted by mara: black friday"
    assert HaltFile(halts.path.parent).reason("service/a")  # another process sees it
    assert halts.resume("*") is True
    assert halts.reason("service/a") == ""


def test_one_target_does_not_halt_another(halts: HaltFile) -> None:
    halts.halt("service/a", by="mara", reason="", now_s=1.0)
    halts.halt("service/b", by="jon", reason="", now_s=2.0)
    assert halts.reason("service/a") == "halted by mara"
    assert halts.reason("service/c") == ""
    assert halts.resume("service/a") is True
    assert halts.reason("service/a") == ""
    assert halts.reason("service/b") == "halted by jon"


@pytest.mark.parametrize("content", [b"", b"stop it, now!", b"\xff\xfe", b"[]", b'{"a": 1}'])
def test_a_touched_or_garbled_file_halts_everything(halts: HaltFile, content: bytes) -> None:
    halts.path.write_bytes(content)
    assert halts.reason("service/a").startswith("halted by the HALT file")
    halts.path.unlink()
    assert halts.reason("service/a") == ""


def test_the_volatile_file_is_honoured(halts: HaltFile, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "HALT").touch()
    assert halts.reason("service/a")


def test_an_unreadable_file_halts(tmp_path: Path) -> None:
    (tmp_path / "HALT").mkdir()  # not a file: reading it fails
    assert HaltFile(tmp_path).reason("service/a")
