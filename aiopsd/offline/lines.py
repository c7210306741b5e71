"""Lines of a file or pipe, plain, gzipped or xz, in batches; none of them endless."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from aiopsd.errors import Refused

MAX_LINE_BYTES: Final = 65_536  # what is beyond is not read: a file without line ends may be a disk
MAX_BATCH_BYTES: Final = 8_000_000
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"


def batches(name: str, lines: int) -> Iterator[list[bytes]]:
    """Of a file, or ``-`` for standard input, at most so many lines at once, without their ends. A
    longer line is cut, and counts once. What is compressed tells by its first bytes. Raises
    Refused: at once when nothing can be read, later when it is damaged."""
    said = "standard input" if name == "-" else name
    if name == "-" and sys.stdin is None:  # who started us closed it
        raise Refused("standard input is closed")
    with _told(said):
        raw = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - at the end
        file = _plain(io.BufferedReader(raw, 1 << 20))  # type: ignore[arg-type] # raw, too
    return _batches(file, said, lines)


@contextmanager
def _told(said: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"{said} is damaged: {error}") from None
    except OSError as error:
        raise Refused(f"cannot read {said}: {error.strerror}") from None


def _plain(file: io.BufferedReader) -> IO[bytes]:
    begins = file.peek(len(_XZ))
    if begins.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value] # of bytes
    return lzma.LZMAFile(file) if begins.startswith(_XZ) else file


def _batches(file: IO[bytes], said: str, lines: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    while True:
        with _told(said):
            line = file.readline(MAX_LINE_BYTES)
            if line and not line.endswith(b"\n"):
                _skip(file)
        if line:
            batch.append(line.rstrip(b"\r\n"))
            size += len(line)
        if batch and (not line or len(batch) == lines or size > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        if not line:
            file.close()
            return


def _skip(file: IO[bytes]) -> None:
    while rest := file.readline(MAX_LINE_BYTES):
        if rest.endswith(b"\n"):
            return
