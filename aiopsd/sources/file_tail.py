"""One growing file, whatever it is called now: its lines from an offset on."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import msgspec
from msgspec.structs import replace

from aiopsd.line_events import begins
from aiopsd.patterns import Pattern
from aiopsd.sources.kept_hash import kept_hash

HEAD_BYTES = 256  # at the beginning, and before the offset: by these a file is known again
ALIKE_BYTES = 16  # with less in common two files are not taken for copies
MAX_LINE_BYTES = 64 * 1024
CHUNK_BYTES = 4 * MAX_LINE_BYTES
TELLING_BYTES = 40  # of a line that is not done yet, to say whether it begins an event
STILL_SECS = 1.0
FLUSH_SECS = 5.0
LINGER_SECS = 30.0  # a program may write on for a while to a log that was rotated away


class Place(msgspec.Struct, frozen=True):
    """Where reading a file stands; inode and fingerprints tell whether it is still that file."""

    path: str
    inode: int
    offset: int  # bytes; where the first event that was not handed on begins
    head_bytes: int
    head: str  # fingerprint of that many first bytes
    skipping: bool = False  # the offset is inside a line, whose rest is unwanted
    history: int = 0  # bytes that were there before the first start
    edge_bytes: int = 0
    edge: str = ""  # fingerprint of that many bytes before the offset
    told_s: float = 0.0  # what stands before the offset was written before this

    def fits(self, file: io.FileIO, key: bytes) -> bool:
        """It is this file."""
        return os.fstat(file.fileno()).st_ino == self.inode and self.copied(file, key)

    def copied(self, file: io.FileIO, key: bytes) -> bool:
        """It begins with all that was read of this file."""
        head = os.pread(file.fileno(), self.head_bytes, 0)
        edge = os.pread(file.fileno(), self.edge_bytes, self.offset - self.edge_bytes)
        same = not self.head_bytes or kept_hash(key, head) == self.head
        return same and (not self.edge_bytes or kept_hash(key, edge) == self.edge)

    def by_inode(self) -> Place:
        """The same, where the fingerprints are of another key."""
        return replace(self, head_bytes=0, edge_bytes=0)


@dataclass(frozen=True, slots=True)
class Piece:
    """What one look at a file gave: events, written between the two times."""

    events: tuple[str, ...] = ()
    since_s: float = 0.0
    until_s: float = 0.0
    history: bool = False
    more: bool = False  # there is more to read at once
    held: bool = False  # an event that may go on is here
    cut: int = 0  # lines of which only the beginning is here
    restarted: bool = False  # the file was emptied: reading began anew


class Tail:
    """Holds the file open, so that what is renamed or deleted can still be read to its end.

    ``since_s``: what is there to be read was written after this; 0 where nobody knows. ``key``: of
    the fingerprints.
    """

    def __init__(
        self,
        path: str,
        file: io.FileIO,
        since_s: float,
        begins_with: Pattern | None = None,
        key: bytes = b"",
    ) -> None:
        self.path = path  # as it was first known: renaming a file does not rename its lines
        self.moved_s: float | None = None  # since when no path that we follow leads here
        self.rotated = False  # it has another name now, or none
        self._begins_with, self._key = begins_with, key
        self._file = file
        self._inode = self._stat().st_ino
        self._offset = 0
        self._history = 0
        self._skipping = False
        self._head = self._bytes(HEAD_BYTES, 0)
        self._edge = b""
        self._seen = (0, 0)  # size and time of change
        self._grown_s = 0.0
        self._told_s = since_s
        self._waiting = False  # for more to be written, or for nothing to come
        self._open = False  # the last event may go on

    def resume(self, place: Place) -> Self:
        self.path, self._told_s = place.path, place.told_s
        self._offset, self._skipping, self._history = place.offset, place.skipping, place.history
        self._head = self._head[: place.head_bytes]
        self._edge = self._bytes(place.edge_bytes, place.offset - place.edge_bytes)
        return self

    def skip_what_is_there(self) -> None:
        self._go_to(self._stat().st_size)
        self._skipping = self._offset > 0 and self._edge[-1:] != b"\n"

    def learn_what_is_there(self) -> None:
        self._history = self._stat().st_size

    def place(self) -> Place:
        return Place(
            self.path, self._inode, self._offset,
            len(self._head), kept_hash(self._key, self._head),
            self._skipping, self._history if self._history > self._offset else 0,
            len(self._edge), kept_hash(self._key, self._edge), self._told_s,
        )  # fmt: skip

    def close(self) -> None:
        self._file.close()

    @property
    def written_ns(self) -> int:
        return self._stat().st_mtime_ns

    @property
    def replaced(self) -> bool:
        """Emptied and perhaps written anew; a file that begins with all that was read is the
        same."""
        if self._stat().st_size < self._offset or self._bytes(len(self._head), 0) != self._head:
            return True
        return self._bytes(len(self._edge), self._offset - len(self._edge)) != self._edge

    def resembles(self, file: io.FileIO) -> bool:
        """The other one begins alike, as far as it is there: a copy of this, or becoming one."""
        head = os.pread(file.fileno(), len(self._head), 0)
        return len(head) >= ALIKE_BYTES and self._head.startswith(head)

    def due(self, now_s: float) -> bool:
        """Something may have to be read."""
        stat = self._stat()
        due = self._changed(stat) or stat.st_size > self._offset
        self._told_s = self._told_s if due else now_s
        return due

    def read(self, now_s: float) -> Piece:
        """The next whole events, up to CHUNK_BYTES of them.

        The last one is waited for until the file does not grow for a moment, a last line without
        its newline for FLUSH_SECS.
        """
        stat = self._stat()
        changed = self._changed(stat)
        restarted = changed and self.replaced
        if restarted:
            self._history, self._skipping = 0, False
            self._go_to(self._first_byte())
        if changed:
            self._seen, self._grown_s = (stat.st_size, stat.st_mtime_ns), now_s
            if len(self._head) < HEAD_BYTES or restarted:
                self._head = self._bytes(HEAD_BYTES, 0)
        ripe = now_s - self._grown_s >= FLUSH_SECS
        quiet = not changed and (self._open or ripe)
        if stat.st_size <= self._offset or (self._waiting and not changed and not quiet):
            self._told_s = now_s if stat.st_size <= self._offset else self._told_s
            return Piece(restarted=restarted)
        history, began = self._offset < self._history, self._offset
        still = self.rotated or not changed or now_s - stat.st_mtime >= STILL_SECS
        events, cut = self._events(self._bytes(CHUNK_BYTES, began), still, ripe)
        since_s, until_s = self._period((self._offset - began) / (stat.st_size - began), now_s)
        return Piece(events, since_s, until_s, history, not self._waiting,
                     self._open, cut, restarted)  # fmt: skip

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

    def _first_byte(self) -> int:
        """Who does not append leaves a hole where the file was emptied under it."""
        with suppress(OSError):
            return os.lseek(self._file.fileno(), 0, os.SEEK_DATA)
        return 0

    def _go_to(self, offset: int) -> None:
        if offset != self._offset:
            edge = min(HEAD_BYTES, offset)
            self._offset, self._edge = offset, self._bytes(edge, offset - edge)

    def _period(self, share: float, now_s: float) -> tuple[float, float]:
        """When this share of what there is to read was written, if it was written evenly."""
        written_s = self._seen[1] / 1e9
        if not self._told_s <= written_s <= now_s:  # by another clock than ours
            written_s = now_s
        since_s = self._told_s or written_s
        until_s = since_s + (written_s - since_s) * share
        if share:
            self._told_s = until_s
        return since_s, until_s

    def _events(self, data: bytes, still: bool, ripe: bool) -> tuple[tuple[str, ...], int]:
        """Whole events of what was read at the offset, which moves behind them; how many lines
        were cut. Blank lines say nothing and are left out."""
        at_end = self._offset + len(data) >= self._seen[0]
        lines, rest, over = self._split(data, ripe and at_end)
        texts = [_text(line) for line in lines]
        first = begins([*texts, _text(rest)] if rest else texts, self._begins_with)
        starts = [at for at in range(len(texts)) if first[at]]
        over |= (at_end and still) or (len(rest) >= TELLING_BYTES and first[-1])
        held = len(texts) - starts[-1] if starts and not over else 0
        if held == len(texts) and not at_end:  # nothing would move
            held = 0
        kept = len(texts) - held
        self._waiting, self._open = at_end, held > 0
        unread = sum(len(line) + 1 for line in lines[kept:]) + len(rest)
        self._go_to(self._offset + len(data) - unread)
        ends = [*starts[1:], kept] if not held else starts[1:]
        events = (
            "\n".join(filter(str.strip, texts[a:b])) for a, b in zip(starts, ends, strict=False)
        )
        return tuple(filter(None, events)), sum(len(one) > MAX_LINE_BYTES for one in lines[:kept])

    def _split(self, data: bytes, ripe: bool) -> tuple[list[bytes], bytes, bool]:
        """Whole lines, the beginning of one that is to be read again, and whether the last one
        stands for itself: it is cut, or nobody has gone on with it."""
        *lines, rest = data.split(b"\n")
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        if self._skipping:  # all of it is the rest of that line
            return [], b"", False
        if len(rest) > MAX_LINE_BYTES:
            self._skipping = True
            return [*lines, rest], b"", True
        if ripe and rest:
            return [*lines, rest], b"", True
        return lines, rest, False


def _text(line: bytes) -> str:
    return line.lstrip(b"\0")[:MAX_LINE_BYTES].decode(errors="replace").rstrip("\r")
