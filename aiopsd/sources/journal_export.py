"""The Journal Export Format, read piece by piece as it comes, whatever is in it.

Source: https://systemd.io/JOURNAL_EXPORT_FORMATS/ . Pure. A field is a line ``NAME=value``, or,
where the value is no plain text, a line ``NAME``, its length in 64 bits and its bytes. An empty
line ends an entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

MAX_FIELD_BYTES: Final = 64 * 1024  # of a value; what is longer is cut
MOST_BYTES: Final = 2**30  # that journald takes for one: 768 MiB
_NAME_BYTES: Final = 256

Entry = dict[str, bytes]


class ExportReader:
    """``feed`` answers with the entries that are complete by now, and raises ValueError on what is
    no journal. Only ``wanted`` fields are kept, of those that come more than once the first."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self.cut = 0  # values of which only the beginning was kept
        self._wanted = {name.encode(): name for name in wanted}
        self._data = bytearray()
        self._entry: Entry = {}
        self._name = b""  # of the binary field that is being read
        self._value = bytearray()
        self._size = 0  # bytes of its value
        self._left = 0  # bytes that are still to come of it, and of its newline
        self._long = False  # inside a line that is longer than any value is kept

    def feed(self, data: bytes) -> Iterator[Entry]:
        """Must be read to its end before the next one."""
        self._data += data
        while not self._left or self._binary():
            end = self._data.find(b"\n")
            if end < 0:
                self._shorten()
                return
            line = bytes(self._data[:end])
            if line and b"=" not in line and not self._long:
                if len(self._data) < end + 9:
                    return
                self._begin(line, int.from_bytes(self._data[end + 1 : end + 9], "little"))
                del self._data[: end + 9]
                continue
            del self._data[: end + 1]
            if not line and not self._long:
                if self._entry:
                    yield self._entry
                self._entry = {}
            elif not self._long:
                name, _, value = line.partition(b"=")
                self._keep(name, value)
            self._long = False

    def _begin(self, name: bytes, size: int) -> None:
        if size >= MOST_BYTES:
            raise ValueError(f"a field of {size:,} bytes: this is no journal")
        self._name, self._size, self._left = name, size, size + 1

    def _binary(self) -> bool:
        """Takes what is there of it; False where more must come."""
        taken = min(self._left, len(self._data))
        self._value += self._data[: min(taken, MAX_FIELD_BYTES + 1 - len(self._value))]
        del self._data[:taken]
        self._left -= taken
        if self._left:
            return False
        self._keep(self._name, bytes(self._value[: self._size]))
        self._value.clear()
        return True

    def _shorten(self) -> None:
        """A line of text that grows and grows: its beginning is kept, the rest is dropped."""
        if self._long:
            self._data.clear()
        elif len(self._data) > MAX_FIELD_BYTES + _NAME_BYTES:
            name, _, value = bytes(self._data).partition(b"=")
            self._keep(name, value)
            self._data.clear()
            self._long = True

    def _keep(self, name: bytes, value: bytes) -> None:
        known = self._wanted.get(name)
        if known is not None and known not in self._entry:
            self.cut += len(value) > MAX_FIELD_BYTES
            self._entry[known] = value[:MAX_FIELD_BYTES]
