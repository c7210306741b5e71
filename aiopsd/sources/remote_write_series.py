"""What both versions of the protocol have in common: a TimeSeries, and its one sample at the end.

Nearly every series in a request has one sample after its labels, so that the sample's bytes can be
found from the end, many series at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiopsd.sources.native_histogram import Histogram, read_histogram
from aiopsd.sources.protobuf import Field, Malformed, double, fields, inner, number, signed

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Times = NDArray[np.int64]

SAMPLES: Final = 2  # the field in both versions
FULL, EMPTY = 18, 9  # bytes of a sample field with a value, and of one whose value is 0
MOST: Final = 1_000_000  # messages of a request, far more than one of 64 MiB needs; see ``rest``
_MOST_BYTES: Final = 2**21  # of one of them
_TIME: Final = 6  # bytes of a time in milliseconds, from 1971 to 2109


class One(NamedTuple):
    """All that one TimeSeries message says."""

    key: bytes
    samples: tuple[tuple[int, float], ...] = ()  # (time in ms, value)
    histograms: tuple[Histogram, ...] = ()
    exemplars: int = 0


def ending(data: Bytes, starts: Places, ends: Places) -> Places:
    """Where the sample begins that ends each message, if that is what the bytes mean; else its end.

    FULL is ``12 10 09 <8 bytes> 10 <time>``, EMPTY ``12 07 10 <time>``: zeros are not sent.
    """
    size = ends - starts
    time_at = np.maximum(ends - _TIME, 0)
    more = data[time_at[:, None] + np.arange(_TIME)] >= 128
    timed = more[:, :-1].all(axis=1) & ~more[:, -1] & (data[time_at - 1] == 0x10)
    full, empty = np.maximum(ends - FULL, 0), np.maximum(ends - EMPTY, 0)
    is_full = timed & (size >= FULL) & (data[full] == 0x12) & (data[full + 1] == 0x10)
    is_full &= data[full + 2] == 0x09
    is_empty = timed & (size >= EMPTY) & (data[empty] == 0x12) & (data[empty + 1] == 0x07)
    return np.where(is_full, full, np.where(is_empty, empty, ends))


def endings(data: Bytes, begins: Places, ends: Places) -> tuple[Times, NDArray[np.float64]]:
    """Times and values of the samples in ``begins:ends`` that ``ending`` found."""
    times = np.zeros(len(ends), np.int64)
    for place in range(_TIME):
        times |= (data[np.maximum(ends - _TIME + place, 0)] & 127).astype(np.int64) << 7 * place
    at = np.maximum(ends - 15, 0)[:, None] + np.arange(8)
    values = data[at].view(np.float64)[:, 0]
    return times, np.where(ends - begins == FULL, values, 0.0)


def sample(data: bytes, field: Field) -> tuple[int, float]:
    """(time in ms, value) of a message ``Sample``."""
    inner(data, field)
    time_ms, value = 0, 0.0
    for one in fields(data, field.start, field.end):
        if one.number == 1:
            value = double(data, one)
        elif one.number == 2:
            time_ms = signed(number(one))
    return time_ms, value


def histogram(data: bytes, field: Field) -> Histogram:
    inner(data, field)
    return read_histogram(data, field.start, field.end)


def messages(data: bytes, tag: int, at: int = 0) -> tuple[list[int], list[int], int]:
    """Starts and ends of the messages of one field, for as long as they follow one another; and
    the place after them. Raises Malformed where one is longer than what there is."""
    starts: list[int] = []
    ends: list[int] = []
    size = len(data)
    add_start, add_end = starts.append, ends.append
    try:
        while at < size and data[at] == tag:
            length, at = data[at + 1], at + 2
            if length > 127:
                high, at = data[at], at + 1
                if high > 127:
                    high, at = (high & 127) | data[at] << 7, at + 1
                    if high > 0x3FFF:
                        raise Malformed(f"byte {at}: a message of more than 2 MB")
                length = (length & 127) | high << 7
            add_start(at)
            at += length
            add_end(at)
            if len(ends) > MOST:
                raise Malformed(f"more than {MOST:,} messages")
    except IndexError:
        raise Malformed("it ends within a message") from None
    if at > size:
        raise Malformed(f"byte {starts[-1]}: a message that is longer than what there is")
    return starts, ends, at


def rest(data: bytes, at: int) -> Iterator[Field]:
    """The fields of the request from here on. Raises Malformed where there are too many, or too
    large ones: two bytes can be a field, and each costs some hundred bytes of memory."""
    for count, field in enumerate(fields(data, at, len(data))):
        if count >= MOST:
            raise Malformed(f"more than {MOST:,} messages")
        if field.end - field.start > _MOST_BYTES:
            raise Malformed(f"byte {field.start}: a message of more than 2 MB")
        yield field
