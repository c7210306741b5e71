"""One growing file, whatever it is called now: its lines from an offset on."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import msgspec

HEAD_BYTES = 256
MAX_LINE_BYTES = 64 * 1024
CHUNK_BYTES = 4 * MAX_LINE_BYTES
FLUSH_SECS = 5.0
LINGER_SECS = 30.0  # a program may write on for a while to a log that was rotated away


class Place(msgspec.Struct, frozen=True):
    """Where reading a file stands; inode and fingerprint tell whether it is still that file."""

    path: str
    inode: int
    offset: int  # bytes; where the first line that was not handed on begins
    head_bytes: int
    head: str  # fingerprint of that many first bytes
    skipping: bool = False  # the offset is inside a line, whose rest is unwanted
    history: int = 0  # bytes that were there before the first start

    def fits(self, file: io.FileIO) -> bool:
        head = os.pread(file.fileno(), self.head_bytes, 0)
        return os.fstat(file.fileno()).st_ino == self.inode and _fingerprint(head) == self.head


@dataclass(frozen=True, slots=True)
class Piece:
    """What one look at a file gave."""

    lines: tuple[str, ...] = ()
    history: bool = False
    more: bool = False  # there is more to read at once
    cut: int = 0  # lines of which only the beginning is here
    restarted: bool = False  # the file was emptied: reading began anew


class Tail:
    """Holds the file open, so that what is renamed or deleted can still be read to its end."""

    def __init__(self, path: str, file: io.FileIO) -> None:
        self.path = path  # as it was first known: renaming a file does not rename its lines
        self.moved_s: float | None = None  # since when no path that we follow leads here
        self._file = file
        self._inode = self._stat().st_ino
        self._offset = 0
        self._history = 0
        self._skipping = False
        self._head = self._bytes(HEAD_BYTES, 0)
        self._seen = (0, 0)  # size and time of change
        self._grown_s = 0.0
        self._waiting = False  # for more to be written

    @classmethod
    def resumed(cls, place: Place, file: io.FileIO) -> Self:
        tail = cls(place.path, file)
        tail._offset, tail._skipping, tail._history = place.offset, place.skipping, place.history
        tail._head = tail._head[: place.head_bytes]
        return tail

    def skip_what_is_there(self) -> None:
        self._offset = self._stat().st_size
        self._skipping = self._offset > 0 and self._bytes(1, self._offset - 1) != b"\n"

    def learn_what_is_there(self) -> None:
        self._history = self._stat().st_size

    def place(self) -> Place:
        head = _fingerprint(self._head)
        return Place(
            self.path, self._inode, self._offset, len(self._head), head,
            self._skipping, self._history if self._history > self._offset else 0,
        )  # fmt: skip

    def close(self) -> None:
        self._file.close()

    @property
    def written_ns(self) -> int:
        return self._stat().st_mtime_ns

    def due(self) -> bool:
        """Something may have to be read."""
        stat = self._stat()
        return self._changed(stat) or stat.st_size > self._offset

    def read(self, now_s: float) -> Piece:
        """The next whole lines, up to CHUNK_BYTES of them.

        A last line without its newline is waited for, but not longer than FLUSH_SECS.
        """
        stat = self._stat()
        changed = self._changed(stat)
        restarted = changed and self._replaced(stat.st_size)
        if restarted:
            self._offset, self._history, self._skipping = 0, 0, False
        if changed:
            self._seen, self._grown_s = (stat.st_size, stat.st_mtime_ns), now_s
            if len(self._head) < HEAD_BYTES or restarted:
                self._head = self._bytes(HEAD_BYTES, 0)
        ripe = now_s - self._grown_s >= FLUSH_SECS
        if stat.st_size <= self._offset or (self._waiting and not changed and not ripe):
            return Piece(restarted=restarted)
        history = self._offset < self._history
        lines, cut = self._lines(self._bytes(CHUNK_BYTES, self._offset), ripe)
        return Piece(lines, history, not self._waiting, cut, restarted)

    def finished(self, now_s: float) -> bool:
        """Moved away, read to its end, and nobody has written to it for a while."""
        if self.moved_s is None:
            return False
        quiet_s = now_s - max(self.moved_s, self._grown_s)
        return quiet_s >= LINGER_SECS and self._stat().st_size <= self._offset

    def _stat(self) -> os.stat_result:
        return os.fstat(self._file.fileno())

    def _bytes(self, count: int, offset: int) -> bytes:
        return os.pread(self._file.fileno(), count, offset)

    def _changed(self, stat: os.stat_result) -> bool:
        return (stat.st_size, stat.st_mtime_ns) != self._seen

    def _replaced(self, size: int) -> bool:
        """Emptied and perhaps written anew; a file of the same beginning counts as the same."""
        return size < self._offset or self._bytes(len(self._head), 0) != self._head

    def _lines(self, data: bytes, ripe: bool) -> tuple[tuple[str, ...], int]:
        """Whole lines of what was read at the offset, which moves behind them; how many were cut.

        Blank lines say nothing and are left out.
        """
        *whole, rest = data.split(b"\n")
        at_end = self._offset + len(data) >= self._seen[0]
        self._offset += len(data)
        if self._skipping and whole:
            del whole[0]
            self._skipping = False
        if len(rest) > MAX_LINE_BYTES and not self._skipping:
            whole.append(rest)
            self._skipping = True
        elif ripe and at_end and not self._skipping:
            whole.append(rest)
        elif not self._skipping:
            self._offset -= len(rest)
        self._waiting = at_end
        cut = sum(len(line) > MAX_LINE_BYTES for line in whole)
        texts = (line[:MAX_LINE_BYTES].decode(errors="replace").rstrip("\r") for line in whole)
        return tuple(text for text in texts if text.strip()), cut


def _fingerprint(head: bytes) -> str:
    return blake2b(head, digest_size=8).hexdigest()
