"""What is in a file, whatever it is packed with: its first bytes tell.

What is damaged is read up to there."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import shlex
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from aiopsd.errors import Refused

_TAR_AT: Final = 257  # its mark stands behind the name of the first file
_OPEN: Final[dict[bytes, Callable[[Any], Any]]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}
_OTHERS: Final = {
    b"\x28\xb5\x2f\xfd": ("zstd", "zstdcat"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4cat"),
    b"PK\x03\x04": ("zip", "unzip -p"),
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z e -so"),
    b"Rar!\x1a\x07": ("rar", "unrar p -inul"),
    b"\x1f\x9d": ("compress", "zcat"),
    b"LZIP\x01": ("lzip", "lzip -dc"),
    b"\x89LZO\x00": ("lzop", "lzop -dc"),
    b"\xff\x06\x00\x00sNaPpY": ("snappy", "snzip -dc"),
    b"LPKSHHRH": ("systemd's journal", "journalctl --file"),
}
_UTF: Final = {  # the longer marks first: one of them begins like another
    codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be",
}  # fmt: skip
_LOOK_BYTES: Final = 4096
_BUFFER_BYTES: Final = 1 << 20


def raw(name: str) -> Any:
    """A file, or ``-`` for standard input; not buffered: of a pipe what is there, and not only what
    fills a buffer. Raises OSError, or Refused where standard input was closed by who started us."""
    if name != "-":
        return Path(name).open("rb", 0)
    if sys.stdin is None:
        raise Refused("standard input is closed")
    return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)


class Unpacked:
    """``file`` holds what is in it; ``damage``, once it was read to its end, says what is not."""

    def __init__(self, raw: Any, said: str, name: str) -> None:
        """Raises Refused where it is packed with what we do not read. ``name``: - is no name."""
        self._said, self._name = said, "" if name == "-" else f" {shlex.quote(name)}"
        self.file = _buffered(raw)
        self._packed: _Packed | None = None
        self.close = self.file.close  # of all
        begins = self.file.peek(_LOOK_BYTES)
        for mark, (what, tool) in _OTHERS.items():
            if begins.startswith(mark):
                self._refuse(what, tool)
        for mark, open_ in _OPEN.items():
            if begins.startswith(mark):
                self._packed = _Packed(open_(self.file))
                self.file = _buffered(self._packed)
                begins = self.file.peek(_LOOK_BYTES)
        if begins[_TAR_AT : _TAR_AT + 5] == b"ustar":
            self._refuse("tar", "tar xOf" + " -" * (not self._name))

    def _refuse(self, what: str, tool: str) -> None:
        raise Refused(
            f"{self._said} is packed with {what}, which is not read here; unpack it on the way: "
            f"`{tool}{self._name} | aiopsd ... -`"
        )

    @property
    def damage(self) -> str:
        if self._packed is None or not self._packed.damage:
            return ""
        return (f"{self._said} is damaged: what was read is its first {self._packed.size:,} bytes "
                f"of text, the rest is missing ({self._packed.damage})")  # fmt: skip

    def as_utf8(self) -> io.BufferedReader:
        """The same without a byte order mark; what begins with one of UTF-16 or UTF-32 is recoded,
        where it is text."""
        begins = self.file.peek(_LOOK_BYTES)[:_LOOK_BYTES]
        if begins.startswith(codecs.BOM_UTF8):
            self.file.read(len(codecs.BOM_UTF8))
        for mark, encoding in _UTF.items():
            if begins.startswith(mark) and _is_text(begins[len(mark) :], encoding):
                self.file.read(len(mark))
                return _buffered(_Recoded(self.file, encoding))
        return self.file


class _Packed(io.RawIOBase):
    """Ends where the damage begins. What cannot be read at all raises that."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.size = 0
        self.damage = ""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        try:
            data = b"" if self.damage else self._file.read1(len(view))
        except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
            if not self.size or getattr(error, "errno", None):  # the disk's, and not the packer's
                raise
            self.damage, data = str(error), b""
        view[: len(data)] = data
        self.size += len(data)
        return len(data)


class _Recoded(io.RawIOBase):
    def __init__(self, file: io.BufferedReader, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        more = True
        while not self._left and more:
            data = self._file.read1(_BUFFER_BYTES)
            more = bool(data)
            self._left = self._decoder.decode(data, final=not more).encode(errors="replace")
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count


def _is_text(begins: bytes, encoding: str) -> bool:
    """Other bytes may begin like a mark; but text has blanks or ends of lines, and they would
    not."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(begins)
    except UnicodeDecodeError:
        return False
    return not text or any(blank in text for blank in " \n\t")


def _buffered(raw: Any) -> io.BufferedReader:
    return io.BufferedReader(raw, _BUFFER_BYTES)
