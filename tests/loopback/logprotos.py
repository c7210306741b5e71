"""Writes Loki's ``PushRequest`` field by field, as Promtail, Alloy and Vector would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .prompb import inner, varint, whole

Entry = tuple[int, str | bytes] | tuple[int, str | bytes, Mapping[str, str]]
"""(nanoseconds, line), and structured metadata."""
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def push_request(streams: Iterable[tuple[str, Sequence[Entry]]]) -> bytes:
    """Streams are the text of their labels, such as ``{app="a"}``, and entries."""
    return b"".join(
        inner(1, inner(1, labels.encode()) + b"".join(inner(2, entry(*one)) for one in entries))
        for labels, entries in streams
    )


def entry(time_ns: int, text: str | bytes, metadata: Mapping[str, str] | None = None) -> bytes:
    secs, nanos = divmod(time_ns, 10**9)
    line = text if isinstance(text, bytes) else text.encode()
    pairs = [inner(1, n.encode()) + inner(2, v.encode()) for n, v in (metadata or {}).items()]
    return (
        inner(1, signed(1, secs) + whole(2, nanos))
        + inner(2, line)
        + b"".join(inner(3, pair) for pair in pairs)
    )


def signed(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value) if value else b""
