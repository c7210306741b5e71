"""What a command writes: whole or not at all, and never over what it reads."""

import gzip
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from aiopsd.cli import main
from aiopsd.cli.table_file import opened, same
from aiopsd.errors import Refused

AIOPSD = [sys.executable, "-m", "aiopsd"]
LINES = b"".join(b"worker %d is done\n" % n for n in range(50))
HEAD = b"line_no,cluster_id,template\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "in.log"
    path.write_bytes(LINES)
    return path


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what is read is not written --------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    ["logs mine - -o {0}", "logs score - -o {0}", "detect - -o {0}",
     "logs mine /dev/stdin -o {0}", "logs mine - -o {1}", "logs mine - -o {2}",
     "logs mine {1} -o {2}"],
)  # fmt: skip
def test_by_another_name_or_as_standard_input(log: Path, tmp_path: Path, words: str) -> None:
    hard, soft = tmp_path / "hard", tmp_path / "soft"
    hard.hardlink_to(log)
    soft.symlink_to(log)
    argv = [*AIOPSD, *words.format(log, hard, soft).split()]
    with log.open("rb") as file:
        done = subprocess.run(argv, stdin=file, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is read: another name must be written" in done.stderr
    assert log.read_bytes() == LINES


@pytest.mark.parametrize("output", [["-o", "-"], ["-o", "/dev/stdout"], []])
def test_as_standard_output(log: Path, output: list[str]) -> None:
    with log.open("ab") as file:
        done = subprocess.run(
            [*AIOPSD, "logs", "mine", str(log), *output], stdout=file, stderr=subprocess.PIPE
        )
    assert done.returncode == 2
    assert log.read_bytes() == LINES


def test_what_keeps_nothing_may_be_both() -> None:
    assert not same("/dev/null", "/dev/null")
    done = subprocess.run([*AIOPSD, "logs", "mine", "/dev/null", "-o", "/dev/null"])
    assert done.returncode == 0


# --- whole or not at all ----------------------------------------------------------------


def test_what_was_there_stays_when_the_work_fails(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "out.csv"
    out.write_text("yesterday\n")
    plain = tmp_path / "plain.log"
    plain.write_text("hello world\n" * 20)
    bad = tmp_path / "bad.gz"
    bad.write_bytes(b"\x1f\x8b\x08nothing")
    for words in (
        ["logs", "score", str(plain), "--by", "session"],
        ["logs", "score", str(log), "--learn", str(tmp_path / "none")],
        ["logs", "mine", str(tmp_path / "none")],
        ["logs", "mine", str(bad)],
        ["detect", str(plain)],
    ):
        assert main([*words, "-o", str(out)]) == 1
        assert out.read_text() == "yesterday\n"
        assert left(folder) == ["out.csv"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_there_stays_when_it_is_told_to_end(
    tmp_path: Path, number: int, code: int
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "out.csv").write_text("yesterday\n")
    one = subprocess.Popen(
        [*AIOPSD, "logs", "mine", "-", "-o", str(folder / "out.csv")], stdin=subprocess.PIPE
    )
    assert one.stdin
    one.stdin.write(LINES)
    one.stdin.flush()
    deadline = time.monotonic() + 30
    while len(left(folder)) < 2:  # it has begun to write
        assert time.monotonic() < deadline
        time.sleep(0.02)
    one.send_signal(number)
    assert one.wait(60) == code
    one.stdin.close()
    assert left(folder) == ["out.csv"]
    assert (folder / "out.csv").read_text() == "yesterday\n"


def test_mode_and_links_stay(log: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("yesterday\n")
    real.chmod(0o640)
    link.symlink_to(real)
    assert main(["logs", "mine", str(log), "-o", str(link)]) == 0
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert real.read_bytes().startswith(HEAD)
    before = os.umask(0o027)
    try:
        assert main(["logs", "mine", str(log), "-o", str(tmp_path / "new.csv")]) == 0
    finally:
        os.umask(before)
    assert (tmp_path / "new.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.touch()
    os.chown(out, 1234, 1234)
    assert main(["logs", "mine", str(log), "-o", str(out)]) == 0
    assert (out.stat().st_uid, out.stat().st_gid) == (1234, 1234)


def test_a_folder_that_takes_no_new_file_and_a_file_that_may_be_written() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.csv")
        out.write_text("yesterday\n" * 100)
        out.chmod(0o666)
        Path(folder).chmod(0o555)
        before = os.geteuid()
        os.seteuid(before or 65534)  # since root may write anywhere
        try:
            with opened(str(out)) as file:
                assert file
                file.write("today\n")
            with pytest.raises(ZeroDivisionError), opened(str(out)):
                print(1 // 0)
        finally:
            os.seteuid(before)
        assert out.read_text() == "today\n"
        Path(folder).chmod(0o755)


def test_what_is_read_only_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.csv"
    out.write_text("yesterday\n")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for everybody but root
    with pytest.raises(Refused, match=r"cannot write .*: Permission denied"), opened(str(out)):
        pass
    assert out.read_text() == "yesterday\n"


# --- what is no regular file ------------------------------------------------------------


def test_a_pipe_with_a_name_is_written_as_it_is(log: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    assert main(["logs", "mine", str(log), "-o", str(pipe)]) == 0
    reader.join(30)
    assert found[0].startswith(HEAD)
    assert left(tmp_path) == ["in.log", "pipe"]


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_goes_on_after_what_others_wrote(
    log: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("before\n")
    with out.open("ab") as file:
        subprocess.run([*AIOPSD, "logs", "mine", str(log), "-o", name], stdout=file, check=True)
    assert out.read_bytes().startswith(b"before\n" + HEAD)


def test_another_descriptor_goes_on_as_well(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with out.open("wb", buffering=0) as file:
        file.write(b"before\n")
        subprocess.run(
            [*AIOPSD, "logs", "mine", str(log), "-o", f"/dev/fd/{file.fileno()}"],
            pass_fds=[file.fileno()], check=True,
        )  # fmt: skip
    assert out.read_bytes().startswith(b"before\n" + HEAD)


def test_a_closed_standard_output_is_said(log: Path) -> None:
    words = f"exec >&-; {sys.executable} -m aiopsd logs mine {log} -o -"
    done = subprocess.run(["/bin/sh", "-c", words], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "standard output is closed" in done.stderr


def on_a_terminal(*words: str) -> bytes:
    """What a terminal is told."""
    here, there = os.openpty()
    one = subprocess.Popen([*AIOPSD, *words], stdout=there, stderr=subprocess.DEVNULL)
    os.close(there)
    told = b""
    while True:
        try:
            part = os.read(here, 65536)
        except OSError:  # nobody holds the other end any more
            break
        if not part:
            break
        told += part
    os.close(here)
    assert one.wait(60) == 0
    return told.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_lines_do_not_steer_a_terminal_and_programs_get_what_there_is(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "in.log"
    path.write_bytes(b"title \x1b]0;pwn\x07 set\n+ one more\n")
    assert b"\\x07 set\n" in (told := on_a_terminal("logs", "mine", str(path), "-o", name))
    assert b"\x07" not in told
    raw = subprocess.run(
        [*AIOPSD, "logs", "mine", str(path), "-o", name], capture_output=True, check=True
    ).stdout
    assert b"\x07 set\n" in raw
    assert b",+ one more\n" in raw  # data: no cell is changed


def test_what_is_packed_is_whole(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv.gz"
    assert main(["logs", "mine", str(log), "-o", str(out)]) == 0
    assert gzip.decompress(out.read_bytes()).startswith(HEAD)
    assert left(tmp_path) == ["in.log", "out.csv.gz"]
