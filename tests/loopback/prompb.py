"""Writes remote_write requests of both versions, field by field, as a sender would."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cramjam

Labels = Sequence[tuple[str, str]]
STALE = struct.unpack("<d", (0x7FF0_0000_0000_0002).to_bytes(8, "little"))[0]
VERSION1 = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
VERSION2 = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}


@dataclass
class Histogram:
    """A native histogram; spans are (offset, length)."""

    time_ms: int
    count: float
    sum: float
    schema: int = 3
    zero_count: float = 0
    zero_threshold: float = 1e-128
    positive: tuple[Sequence[tuple[int, int]], Sequence[float]] = ((), ())
    negative: tuple[Sequence[tuple[int, int]], Sequence[float]] = ((), ())
    custom: Sequence[float] = ()
    floats: bool = False


@dataclass
class Series:
    labels: Labels
    samples: Sequence[tuple[float, int]] = ()  # (value, time in ms), as in the recordings
    histograms: Sequence[Histogram] = ()
    exemplars: Sequence[tuple[Labels, float, int]] = field(default=())
    kind: int = 0  # a type of metric, in version 2
    created_ms: int = 0  # likewise


def snappy(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


# --- the wire -----------------------------------------------------------------------------


def varint(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> bytes:
    return varint(value * 2 if value >= 0 else -value * 2 - 1)


def whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value) if value else b""


def real(number: int, value: float) -> bytes:
    bits = struct.pack("<d", value)
    return varint(number << 3 | 1) + bits if value != 0 else b""


def inner(number: int, message: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(message)) + message


def packed(number: int, items: Iterable[bytes]) -> bytes:
    message = b"".join(items)
    return inner(number, message) if message else b""


# --- messages -----------------------------------------------------------------------------


def sample(value: float, time_ms: int) -> bytes:
    return real(1, value) + whole(2, time_ms)


def histogram(one: Histogram) -> bytes:
    parts = [real(2, one.count) if one.floats else whole(1, int(one.count)), real(3, one.sum)]
    parts += [varint(4 << 3) + zigzag(one.schema) if one.schema else b""]
    parts += [real(5, one.zero_threshold)]
    parts += [real(7, one.zero_count) if one.floats else whole(6, int(one.zero_count))]
    for first, (spans, counts) in ((8, one.negative), (11, one.positive)):
        for offset, length in spans:
            span = (varint(8) + zigzag(offset) if offset else b"") + whole(2, length)
            parts.append(inner(first, span))
        if one.floats:
            parts.append(packed(first + 2, (struct.pack("<d", c) for c in counts)))
        else:
            before = [0, *counts]
            deltas = [int(b - a) for a, b in zip(before, counts, strict=False)]
            parts.append(packed(first + 1, map(zigzag, deltas)))
    parts.append(whole(15, one.time_ms))
    parts.append(packed(16, (struct.pack("<d", bound) for bound in one.custom)))
    return b"".join(parts)


def version1(series: Iterable[Series], metadata: Iterable[tuple[int, str]] = ()) -> bytes:
    """A ``prometheus.WriteRequest``."""
    parts = [inner(1, _series1(one)) for one in series]
    parts += [inner(3, whole(1, kind) + inner(2, name.encode())) for kind, name in metadata]
    return b"".join(parts)


def _labels1(number: int, labels: Labels) -> list[bytes]:
    pairs = ((inner(1, n.encode()) if n else b"", inner(2, v.encode())) for n, v in labels)
    return [inner(number, name + value) for name, value in pairs]


def _series1(one: Series) -> bytes:
    parts = _labels1(1, one.labels)
    parts += [inner(2, sample(*point)) for point in one.samples]
    parts += [
        inner(3, b"".join(_labels1(1, labels)) + real(2, value) + whole(3, time_ms))
        for labels, value, time_ms in one.exemplars
    ]
    parts += [inner(4, histogram(h)) for h in one.histograms]
    return b"".join(parts)


def version2(series: Iterable[Series], first: Iterable[str] = ()) -> bytes:
    """An ``io.prometheus.write.v2.Request``; ``first``: texts that get the lowest numbers."""
    symbols = {"": 0}
    for text in first:
        symbols.setdefault(text, len(symbols))

    def refs(labels: Labels) -> bytes:
        words = [word for pair in labels for word in pair]
        return packed(1, [varint(symbols.setdefault(word, len(symbols))) for word in words])

    parts = [inner(5, _series2(one, refs(one.labels), refs)) for one in series]
    return b"".join([inner(4, text.encode()) for text in symbols] + parts)


def _series2(one: Series, labels: bytes, refs: object) -> bytes:
    assert callable(refs)
    parts = [labels]
    parts += [inner(2, sample(*point)) for point in one.samples]
    parts += [inner(3, histogram(h)) for h in one.histograms]
    parts += [
        inner(4, refs(exemplar) + real(2, value) + whole(3, time_ms))
        for exemplar, value, time_ms in one.exemplars
    ]
    parts += [inner(5, whole(1, one.kind))] if one.kind else []
    parts += [whole(6, one.created_ms)]
    return b"".join(parts)
