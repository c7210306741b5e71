"""remote_write 2.0: ``io.prometheus.write.v2.Request``, labels as numbers into a table of texts.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ . The numbers hold for one
request only; here each text has a number of its own for good, and a series is known by those.
"""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.contracts import Series
from aiopsd.model import Labels
from aiopsd.sources.protobuf import BYTES, Malformed, fields, numbers
from aiopsd.sources.remote_write_intake import TYPES, BadSeries, Intake, Written, checked
from aiopsd.sources.remote_write_series import (
    SAMPLES,
    Bytes,
    One,
    Places,
    ending,
    endings,
    histogram,
    messages,
    rest,
    sample,
)

_SYMBOLS, _SERIES = 4, 5
_REFS, _HISTOGRAMS, _EXEMPLARS = 1, 3, 4
_PADDING: Final = bytes(32)
MAX_TEXTS = 1_000_000  # of all requests; below 2^24, see ``Intake``
MAX_TEXT_BYTES = 128 * 2**20
Numbers = NDArray[np.int32]


class Texts:
    """Every text once, by a number that stays."""

    def __init__(self) -> None:
        self._number: dict[bytes, int] = {}
        self._texts: list[bytes] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        return len(self._texts) > MAX_TEXTS or self._bytes > MAX_TEXT_BYTES

    def numbers(self, texts: list[bytes]) -> Numbers:
        known = self._number
        found = [known.setdefault(text, len(known)) for text in texts]
        new = list(islice(reversed(known), len(known) - len(self._texts)))
        self._texts += reversed(new)
        self._bytes += sum(map(len, new))
        return np.array(found, np.int32)

    def text(self, number: int) -> str:
        return self._texts[number].decode()


class Version2:
    """Reads requests; remembers the texts and series of all of them."""

    def __init__(self, table: Series) -> None:
        self._table = table
        self._begin()

    def _begin(self) -> None:
        self._texts, self._intake = Texts(), Intake(self._table)

    def read(self, body: bytes) -> Written:
        """Raises Malformed; then nothing of the request was taken."""
        if self._texts.full:
            self._begin()
        return self._intake.take(_Scan(body, self._texts))


class _Scan:
    def __init__(self, body: bytes, texts: Texts) -> None:
        self._body, self._texts = body, texts
        self.types: dict[str, str] = {}
        self.metadata = 0  # it comes with each series here, again and again: not worth a count
        symbols = self._cut(body)
        self._numbers = texts.numbers(symbols)
        data = np.frombuffer(body + _PADDING, np.uint8)
        starts, ends = np.array(self._starts, np.int64), np.array(self._ends, np.int64)
        begins, after, refs = self._layout(data, starts, ends)
        self.times_ms, self.values = endings(data, begins, after)
        self.keys = self._keys(refs, begins)

    def _cut(self, body: bytes) -> list[bytes]:
        starts, ends, at = messages(body, _SYMBOLS << 3 | BYTES)
        symbols = [body[start:end] for start, end in zip(starts, ends, strict=True)]
        self._starts, self._ends, at = messages(body, _SERIES << 3 | BYTES, at)
        for field in rest(body, at):
            if field.number in (_SYMBOLS, _SERIES) and field.kind != BYTES:
                raise Malformed(f"field {field.number} should have a length")
            if field.number == _SYMBOLS:
                symbols.append(body[field.start : field.end])
            elif field.number == _SERIES:
                self._starts.append(field.start)
                self._ends.append(field.end)
        return symbols

    def _layout(self, data: Bytes, starts: Places, ends: Places) -> tuple[Places, Places, Places]:
        """Where the sample of each series begins and ends and its references begin, if it is
        as nearly all are: ``0a <length> references, sample``, perhaps metadata, perhaps the time
        when it began to count."""
        length = data[starts + 1].astype(np.int64)
        high = data[starts + 2].astype(np.int64)
        long = length >= 128
        length = np.where(long, (length & 127) | high << 7, length)
        refs = starts + 2 + long
        begins = refs + length
        plain = (ends - starts >= 4) & (data[starts] == 0x0A) & ~(long & (high >= 128))
        plain &= (length > 0) & (begins < ends)
        begins = np.where(plain, begins, ends)
        after = np.minimum(begins + 2 + data[begins + 1], ends)
        plain &= ending(data, begins, after) == begins
        rest = data[after + 1].astype(np.int64)
        described = (data[after] == 0x2A) & (rest < 128) & (after + 2 + rest <= ends)
        tail = np.where(described, after + 2 + rest, after)
        plain &= (data[begins - 1] < 128) & ((tail == ends) | _is_time(data, tail, ends))
        self.plain = plain
        self._kinds = np.where(plain & described & (data[after + 2] == 0x08), data[after + 3], 0)
        return begins, after, refs

    def _keys(self, refs: Places, begins: Places) -> list[bytes]:
        """The numbers of the texts that plain series refer to, as bytes; of others, nothing."""
        at = np.flatnonzero(self.plain)
        keys = [b""] * len(self.plain)
        if not len(at):
            return keys
        places = list(zip(refs[at].tolist(), begins[at].tolist(), strict=True))
        packed = b"".join([self._body[start:end] for start, end in places])
        found, ends = _unpacked(np.frombuffer(packed, np.uint8))
        raw = self._known(found).tobytes()
        sizes = np.cumsum([end - start for start, end in places])
        cuts = [0, *(4 * np.searchsorted(ends, sizes, side="right")).tolist()]
        for place, (start, end) in zip(at.tolist(), pairwise(cuts), strict=True):
            keys[place] = raw[start:end]
        return keys

    def _known(self, references: NDArray[np.int64]) -> Numbers:
        most = int(references.max(initial=0))
        if most >= len(self._numbers) and len(references):
            raise Malformed(f"text {most} of {len(self._numbers)} is asked for")
        return self._numbers[references]

    def describe(self, at: int, labels: Labels) -> None:
        kind = int(self._kinds[at])
        if 0 < kind < len(TYPES):
            self.types[labels.get("__name__", "")] = TYPES[kind]

    def one(self, at: int) -> One:
        body = self._body
        refs: list[int] = []
        samples, histograms, exemplars = [], [], 0
        for field in fields(body, self._starts[at], self._ends[at]):
            if field.number == _REFS:
                refs += numbers(body, field)
            elif field.number == SAMPLES:
                samples.append(sample(body, field))
            elif field.number == _HISTOGRAMS:
                histograms.append(histogram(body, field))
            exemplars += field.number == _EXEMPLARS
        if max(refs, default=0) >= 2**32:
            raise Malformed("a reference of more than 32 bits")
        key = self._known(np.array(refs, np.int64)).tobytes()
        return One(key, tuple(samples), tuple(histograms), exemplars)

    def labels(self, key: bytes) -> Labels:
        at = np.frombuffer(key, np.int32).tolist()
        if len(at) % 2:
            raise BadSeries("a label without a value")
        try:
            words = [self._texts.text(number) for number in at]
        except UnicodeDecodeError:
            raise BadSeries("a label that is not UTF-8 text") from None
        return checked(list(zip(words[::2], words[1::2], strict=True)))


def _is_time(data: Bytes, starts: Places, ends: Places) -> NDArray[np.bool_]:
    """Whether ``created_timestamp`` is all that is left: ``30 <6 bytes>``."""
    at = np.minimum(starts, len(data) - 7)
    more = data[at[:, None] + np.arange(1, 7)] >= 128
    timed = more[:, :-1].all(axis=1) & ~more[:, -1]
    found: NDArray[np.bool_] = timed & (data[at] == 0x30) & (ends - starts == 7)
    return found


def _unpacked(packed: Bytes) -> tuple[NDArray[np.int64], Places]:
    """The numbers packed one after the other, and the place after each."""
    ends = np.flatnonzero(packed < 128)
    starts = np.concatenate(([0], ends[:-1] + 1))
    sizes = ends - starts + 1
    longest = int(sizes.max())
    if longest > 5:
        raise Malformed("a reference of more than 32 bits")
    found = (packed[starts] & 127).astype(np.int64)
    for place in range(1, longest):
        at = np.flatnonzero(sizes > place)
        found[at] |= (packed[starts[at] + place] & 127).astype(np.int64) << 7 * place
    return found, ends + 1
