"""Lines of a file or pipe, plain or packed, in batches; none of them endless."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from aiopsd.errors import Refused
from aiopsd.offline.unpacking import Unpacked, raw

MAX_LINE_BYTES: Final = 65_536  # what is beyond is not read: a file without line ends may be a disk
MAX_BATCH_BYTES: Final = 8_000_000


class Lines:
    """Of a file, or ``-`` for standard input. Raises Refused: at once when nothing can be read."""

    def __init__(self, name: str) -> None:
        self._said = "standard input" if name == "-" else name
        with _told(self._said):
            self._unpacked = Unpacked(raw(name), self._said, name)
            self._file = self._unpacked.as_utf8()

    @property
    def damage(self) -> str:
        """What is missing at the end, as a sentence; known when all was read."""
        return self._unpacked.damage

    def batches(self, lines: int) -> Iterator[list[bytes]]:
        """At most so many lines at once, without their ends. A longer line is cut, and counts once.
        Raises Refused."""
        batch: list[bytes] = []
        size = 0
        while True:
            with _told(self._said):
                line = self._file.readline(MAX_LINE_BYTES)
                if line and not line.endswith(b"\n"):
                    _skip(self._file)
            if line:
                batch.append(line.rstrip(b"\r\n"))
                size += len(line)
            if batch and (not line or len(batch) == lines or size > MAX_BATCH_BYTES):
                yield batch
                batch, size = [], 0
            if not line:
                self._unpacked.close()
                return


@contextmanager
def _told(said: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"{said} is damaged: {error}") from None
    except OSError as error:
        raise Refused(f"cannot read {said}: {error.strerror or error}") from None


def _skip(file: IO[bytes]) -> None:
    while rest := file.readline(MAX_LINE_BYTES):
        if rest.endswith(b"\n"):
            return
