"""Lines of a file, whatever it is packed with, and as far as it can be read."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from aiopsd.errors import Refused
from aiopsd.offline.lines import Lines

TEXT = b"".join(b"line %d of %d\n" % (n, n * 7919) for n in range(5000))
PACKERS = [gzip.compress, lzma.compress, bz2.compress]


def read(path: Path) -> tuple[list[bytes], str]:
    lines = Lines(str(path))
    return [line for batch in lines.batches(100) for line in batch], lines.damage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in"


@pytest.mark.parametrize("pack", PACKERS)
def test_packed_and_cut_short(path: Path, pack: Callable[[bytes], bytes]) -> None:
    path.write_bytes(pack(TEXT))
    assert read(path) == (TEXT.splitlines(), "")
    text = TEXT * 40  # of several blocks, since half of one cannot be unpacked
    packed = pack(text)
    path.write_bytes(packed[: len(packed) * 3 // 4])
    lines, damage = read(path)
    assert 1000 < len(lines) < 200_000
    assert text.startswith(b"\n".join(lines))
    assert damage.startswith(f"{path} is damaged: what was read is its first ")
    assert "Compressed file ended before the end-of-stream marker was reached" in damage


def test_a_wrong_check_sum_and_what_stands_behind_the_end(path: Path) -> None:
    packed = gzip.compress(TEXT)
    path.write_bytes(packed[:-8] + bytes(8))
    assert read(path)[0] == TEXT.splitlines()
    assert "CRC check failed" in read(path)[1]
    path.write_bytes(packed + b"garbage")
    assert read(path)[0] == TEXT.splitlines()
    assert f"its first {len(TEXT):,} bytes" in read(path)[1]


def test_what_cannot_be_read_at_all_is_refused(path: Path) -> None:
    path.write_bytes(gzip.compress(TEXT)[:12])
    with pytest.raises(Refused, match="is damaged"):
        read(path)


@pytest.mark.parametrize(
    ("begins", "tool"),
    [
        (b"\x28\xb5\x2f\xfd\x04", "zstdcat"), (b"\x04\x22\x4d\x18d@", "lz4cat"),
        (b"PK\x03\x04\x14", "unzip -p"), (b"7z\xbc\xaf\x27\x1c", "7z e -so"),
        (b"\x1f\x9d\x90", "zcat"), (b"LPKSHHRH", "journalctl --file"),
        (b"app.log" + bytes(250) + b"ustar  \0", "tar xOf"),
    ],
)  # fmt: skip
def test_what_we_do_not_unpack_is_named_with_who_does(path: Path, begins: bytes, tool: str) -> None:
    path.write_bytes(begins + bytes(100))
    with pytest.raises(Refused, match="which is not read here") as refused:
        read(path)
    assert f"`{tool} {path} | aiopsd ... -`" in str(refused.value)


def test_a_tar_that_is_packed(path: Path) -> None:
    path.write_bytes(gzip.compress(b"app.log" + bytes(250) + b"ustar  \0"))
    with pytest.raises(Refused, match="is packed with tar"):
        read(path)


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_other_encodings_by_their_mark(
    path: Path, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    text = "".join(f"größe {n} 漢字 😀\r\n" for n in range(3000))
    mark = "" if encoding == "utf-16" else "\ufeff"
    path.write_bytes(pack((mark + text).encode(encoding)))
    assert read(path) == ([line.encode() for line in text.splitlines()], "")
    path.write_bytes(pack((mark + text).encode(encoding)[:-1]))  # half a character at the end
    assert read(path)[0][:-1] == [line.encode() for line in text.splitlines()][:-1]


def test_bytes_that_only_begin_like_a_mark(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00bad\n" + b"x" * 5000 + b"\nmore\n")
    assert read(path)[0] == [b"\xff\xfe\x00bad", b"x" * 5000, b"more"]
    path.write_bytes(b"\xff\xfe")
    assert read(path)[0] == []
