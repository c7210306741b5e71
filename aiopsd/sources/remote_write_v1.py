"""remote_write 1.0: ``prometheus.WriteRequest``, every label of every series spelled out.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ , messages as in prompb/.
A series is known by the bytes of its labels as they stand in the request.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.contracts import Series
from aiopsd.model import Labels
from aiopsd.sources.protobuf import BYTES, Field, Malformed, fields, inner, number, text
from aiopsd.sources.remote_write_intake import (
    TYPES,
    BadSeries,
    Intake,
    NotLabels,
    Written,
    checked,
)
from aiopsd.sources.remote_write_series import (
    SAMPLES,
    One,
    ending,
    endings,
    histogram,
    messages,
    rest,
    sample,
)

_SERIES, _METADATA = 1, 3
_LABELS, _EXEMPLARS, _HISTOGRAMS = 1, 3, 4
_PADDING: Final = bytes(32)  # so that looking back or ahead stays inside the array


class Version1:
    """Reads requests; remembers the series of all of them."""

    def __init__(self, table: Series) -> None:
        self._intake = Intake(table)

    def read(self, body: bytes) -> Written:
        """Raises Malformed; then nothing of the request was taken."""
        return self._intake.take(_Scan(body))


class _Scan:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self.metadata = 0
        self.types: dict[str, str] = {}
        self._starts, self._ends = self._cut(body)
        data = np.frombuffer(body + _PADDING, np.uint8)
        starts, ends = np.array(self._starts, np.int64), np.array(self._ends, np.int64)
        begins = ending(data, starts, ends)
        self.plain = begins < ends
        self.times_ms, self.values = endings(data, begins, ends)
        places = zip(self._starts, begins.tolist(), strict=True)
        self.keys = [body[start:begin] for start, begin in places]

    def _cut(self, body: bytes) -> tuple[list[int], list[int]]:
        starts, ends, at = messages(body, _SERIES << 3 | BYTES)
        for field in rest(body, at):
            if field.number == _METADATA:
                self._describe(field)
            elif field.number == _SERIES:
                if field.kind != BYTES:
                    raise Malformed("a series that is no message")
                starts.append(field.start)
                ends.append(field.end)
        return starts, ends

    def _describe(self, metadata: Field) -> None:
        """``MetricMetadata``: type = 1, metric_family_name = 2."""
        self.metadata += 1
        inner(self._body, metadata)
        kind, name = 0, ""
        for field in fields(self._body, metadata.start, metadata.end):
            if field.number == 1:
                kind = number(field)
            elif field.number == 2:
                name = text(self._body, field)
        if 0 < kind < len(TYPES) and name:
            self.types[name] = TYPES[kind]

    def describe(self, at: int, labels: Labels) -> None:
        """Series and types come apart in 1.0."""

    def one(self, at: int) -> One:
        body, start, end = self._body, self._starts[at], self._ends[at]
        labels, samples, histograms, exemplars = [], [], [], 0
        for field in fields(body, start, end):
            if field.number == _LABELS:
                labels.append((start, field.end))
            elif field.number == SAMPLES:
                samples.append(sample(body, field))
            elif field.number == _HISTOGRAMS:
                histograms.append(histogram(body, field))
            exemplars += field.number == _EXEMPLARS
            start = field.end
        key = b"".join(body[start:end] for start, end in labels)
        return One(key, tuple(samples), tuple(histograms), exemplars)

    def labels(self, key: bytes) -> Labels:
        return checked(_short(key) or _pairs(key))


def _short(key: bytes) -> list[tuple[str, str]] | None:
    """Labels as nearly all are, ``0a <length> 0a <length> name 12 <length> value``, all shorter
    than 128 bytes; None for others."""
    pairs, at, end = [], 0, len(key)
    try:
        while at < end:
            value_at = at + 4 + key[at + 3]
            after = value_at + 2 + key[value_at + 1]
            known = key[at] == 0x0A and key[at + 2] == 0x0A and key[value_at] == 0x12
            if not known or key[at + 1] > 127 or after != at + 2 + key[at + 1]:
                return None
            pairs.append((key[at + 4 : value_at].decode(), key[value_at + 2 : after].decode()))
            at = after
    except (IndexError, UnicodeDecodeError):
        return None
    return pairs if at == end else None


def _pairs(key: bytes) -> list[tuple[str, str]]:
    try:
        labels = list(fields(key, 0, len(key)))
    except Malformed:
        raise NotLabels(f"{len(key)} bytes") from None
    if any(field.number != _LABELS for field in labels):
        raise NotLabels(f"{len(key)} bytes")
    try:
        return [_label(key, field) for field in labels]
    except Malformed as error:
        raise BadSeries(f"a label that cannot be read: {error}") from None


def _label(data: bytes, label: Field) -> tuple[str, str]:
    inner(data, label)
    name = value = ""
    for field in fields(data, label.start, label.end):
        if field.number == 1:
            name = text(data, field)
        elif field.number == 2:
            value = text(data, field)
    return name, value
