"""What one push request of Loki's API says, JSON or protobuf, as lines with their labels.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs and the message
``PushRequest`` of loki/pkg/push/push.proto. A stream whose labels nobody can read is left out and
named; the others are taken, as Loki does it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from aiopsd.model import Labels, LogLine
from aiopsd.sources.protobuf import BYTES, Field, Malformed, fields, inner, signed, varint

MOST_LINES: Final = 500_000  # of a request; each costs some hundred bytes, however short it is
MOST_LABELS: Final = 128  # of a stream, of a line's metadata; Loki takes 15 and 128
MOST_PAIRS: Final = 4_000_000  # of a request's lines together: with metadata each has its own
MAX_LINE_BYTES: Final = 64 * 1024
_LINE_BYTES: Final = 200  # of a line besides its text
_LABEL_BYTES: Final = 32  # of its stream's, in a dictionary of the line's own
_METADATA_BYTES: Final = 150  # of one, besides its value: two texts of its own
_NS: Final = 10**9
_PAIR: Final = re.compile(
    r'\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"(?P<value>(?:[^"\\]|\\.)*+)"\s*(?:,|$)', re.DOTALL
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))")
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass
class Pushed:
    """Lines in the order of the request; ``labels`` of one stream are one object."""

    lines: list[LogLine] = field(default_factory=list)
    size_bytes: int = 0  # that the lines take, about
    cut: int = 0  # lines of which only the beginning is here
    bad: int = 0  # streams that were left out
    complaint: str = ""  # about the first of them
    _entries: int = 0  # streams and lines, the empty ones too
    _pairs: int = 0

    def enter(self) -> None:
        """One stream or line more."""
        self._entries += 1
        if self._entries > MOST_LINES:
            raise Malformed(f"more than {MOST_LINES:,} lines and streams")

    def with_metadata(self, metadata: Labels, labels: Labels) -> Labels:
        """Labels of a line; those of its stream win over structured metadata."""
        if not metadata:
            return labels
        if len(metadata) > MOST_LABELS:
            raise Malformed(f"structured metadata of more than {MOST_LABELS} names")
        self._pairs += len(metadata) + len(labels)
        if self._pairs > MOST_PAIRS:
            raise Malformed(f"more than {MOST_PAIRS:,} labels and metadata of lines")
        self.size_bytes += _LABEL_BYTES * len(labels) + _METADATA_BYTES * len(metadata)
        self.size_bytes += sum(map(len, metadata.values()))
        return {**metadata, **labels}

    def takes(self, labels: Labels) -> bool:
        """Whether a stream may have so many; complained of where not."""
        if len(labels) <= MOST_LABELS:
            return True
        self.complain(f"a stream of {len(labels):,} labels; at most {MOST_LABELS} are taken")
        return False

    def add(self, time_ns: int, labels: Labels, text: str) -> None:
        if len(text) > MAX_LINE_BYTES:
            text, self.cut = text[:MAX_LINE_BYTES], self.cut + 1
        if text.strip():
            self.lines.append(LogLine(time_ns, labels, text))
            self.size_bytes += _LINE_BYTES + len(text)

    def complain(self, why: str) -> None:
        self.bad += 1
        self.complaint = self.complaint or why


# --- JSON ---------------------------------------------------------------------------------


class _Entry(msgspec.Struct, array_like=True, gc=False):
    stamp: str
    text: str
    metadata: Labels = {}


class _Stream(msgspec.Struct, gc=False):
    stream: Labels = {}
    values: list[_Entry] = []


class _Request(msgspec.Struct, gc=False):
    streams: list[_Stream]


def read_json(body: bytes) -> Pushed:
    """Raises Malformed."""
    found = Pushed()
    for stream in _decoded(body).streams:
        found.enter()
        for entry in stream.values if found.takes(stream.stream) else ():
            found.enter()
            if not (entry.stamp.isdecimal() and len(entry.stamp) <= 19):
                raise Malformed(f"a stamp that is no nanoseconds: {entry.stamp[:40]!r}")
            labels = found.with_metadata(entry.metadata, stream.stream)
            found.add(int(entry.stamp), labels, entry.text)
    return found


def _decoded(body: bytes) -> _Request:
    try:
        return msgspec.json.decode(body, type=_Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:  # half a character must not cost a client its whole batch, which it would drop
        lenient = _whole(json.loads(body.decode(errors="replace")))
        return msgspec.convert(lenient, _Request)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None


def _whole(said: Any) -> Any:
    """Without halves of surrogate pairs, which no text can hold."""
    if isinstance(said, str):
        return said.encode(errors="replace").decode()
    if isinstance(said, list):
        return [_whole(one) for one in said]
    if isinstance(said, dict):
        return {_whole(name): _whole(one) for name, one in said.items()}
    return said


# --- protobuf -----------------------------------------------------------------------------


def read_protobuf(body: bytes) -> Pushed:
    """Raises Malformed."""
    found = Pushed()
    for one in fields(body, 0, len(body)):
        if one.number == 1:
            found.enter()
            inner(body, one)
            _stream(body, one, found)
    return found


def _stream(data: bytes, stream: Field, found: Pushed) -> None:
    labels: Labels | None = {}
    entries = []
    for one in fields(data, stream.start, stream.end):
        if one.number == 1:
            text = inner(data, one).decode(errors="replace")
            labels = parse_labels(text)
            if labels is None:
                found.complain(f"not the labels of a stream: {text[:80]!r}")
        elif one.number == 2:
            found.enter()
            inner(data, one)
            entries.append(one)
    if labels is not None and found.takes(labels):
        for entry in entries:
            _entry(data, entry, labels, found)


def _entry(data: bytes, entry: Field, labels: Labels, found: Pushed) -> None:
    time_ns, text, metadata = 0, b"", {}
    at, end = entry.start, entry.end
    while at < end:
        tag, size = data[at], data[at + 1] if at + 1 < end else 0
        if tag not in (0x0A, 0x12) or size > 127:  # a long field, or another one: the slow way
            tag, at, size = _field(data, at, end)
        else:
            at += 2
        if at + size > end:
            raise Malformed(f"byte {at}: a field that is longer than what holds it")
        if tag == 0x0A:
            time_ns = _time_ns(data, at, at + size)
        elif tag == 0x12:
            text = data[at : at + size]
        elif tag == 0x1A:
            name, value = _pair(data, at, at + size)
            metadata[name] = value
        at += size
    found.add(time_ns, found.with_metadata(metadata, labels), text.decode(errors="replace"))


def _field(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag, start and size of the field here; a tag of 0 for what nobody asks about."""
    one = next(fields(data, at, end))
    tag = one.number << 3 | one.kind
    return (tag if tag in (0x0A, 0x12, 0x1A) else 0), one.start, one.end - one.start


def _time_ns(data: bytes, at: int, end: int) -> int:
    """google.protobuf.Timestamp; before 1970 is no time of a line."""
    secs = nanos = 0
    while at < end:
        tag, at = varint(data, at, end)
        if tag & 7:
            raise Malformed(f"byte {at}: a time is made of numbers")
        value, at = varint(data, at, end)
        if tag == 8:
            secs = signed(value)
        elif tag == 16:
            nanos = value
    return max(secs * _NS + nanos, 0) if nanos < _NS else 0


def _pair(data: bytes, at: int, end: int) -> tuple[str, str]:
    said = {1: "", 2: ""}
    for one in fields(data, at, end):
        if one.kind == BYTES:
            said[one.number] = data[one.start : one.end].decode(errors="replace")
    return said[1], said[2]


def parse_labels(text: str) -> Labels | None:
    """``{app="a", job="b"}`` with Go's escapes; None where it is something else."""
    text, labels = text.strip(), {}
    if not (text.startswith("{") and text.endswith("}")):
        return None
    inside, at = text[1:-1].strip(), 0
    while at < len(inside):
        pair = _PAIR.match(inside, at)
        if pair is None:
            return None
        labels[pair["name"]] = _ESCAPE.sub(_unescaped, pair["value"])
        at = pair.end()
    return labels


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code is None:
        return _ESCAPES.get(found[4], found[4])
    point = int(code, 16)
    return chr(point) if point < 0x110000 and not 0xD800 <= point < 0xE000 else "\ufffd"
