"""What was handed on by sources that cannot be asked again, kept until a checkpoint has it.

A kept reading is what detection learned from: lines and labels as they may be stored. It lies in
the journal from before its sender has an answer; after a crash it is learned from again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import Final

import cramjam
import msgspec

from aiopsd.contracts import Store
from aiopsd.model import Item, Kept, Labels, LogBatch, LogLine, Position

MOST_BYTES: Final = 64 * 2**20  # packed; some two million lines
EARLY_BYTES: Final = MOST_BYTES // 2  # then a checkpoint need not be due
_LEVEL: Final = 1  # of zstd: a seventh of the lines' own size, in 0.2 µs a line
_DIGEST: Final = 16
_MOST_NS: Final = 2**63 - 1

_Columns = tuple[float, bool, list[Labels], list[int], list[int], list[str]]
"""time_s, history, streams, and of each line: its stream, time_ns and text"""

_decoder = msgspec.msgpack.Decoder(tuple[Position, list[_Columns]])


def packed(items: Sequence[Item], news: Position) -> bytes:
    """Raises TypeError on anything but log batches."""
    columns = []
    for item in items:
        if not isinstance(item, LogBatch):
            raise TypeError(f"only lines can be kept, not {type(item).__name__}")
        columns.append(_columns(item))
    body = bytes(cramjam.zstd.compress(msgspec.msgpack.encode((news, columns)), level=_LEVEL))
    return _digest(body) + body


def unpacked(kept: bytes, now_s: float) -> tuple[list[LogBatch], Position]:
    """None of it is of later than now: the clock may have gone back since. Raises ValueError where
    it is not as it was packed."""
    digest, body = kept[:_DIGEST], kept[_DIGEST:]
    if digest != _digest(body):
        raise ValueError("it is damaged")
    try:
        news, columns = _decoder.decode(bytes(cramjam.zstd.decompress(body)))
    except (cramjam.DecompressionError, msgspec.MsgspecError) as error:
        raise ValueError(f"it is of another form: {error}") from None
    return [_batch(one, now_s) for one in columns], news


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST).digest()


def _columns(batch: LogBatch) -> _Columns:
    streams = {id(line.labels): line.labels for line in batch.lines}
    numbers = {stream: number for number, stream in enumerate(streams)}
    which = [numbers[id(line.labels)] for line in batch.lines]
    times = [line.time_ns for line in batch.lines]
    if max(times, default=0) > _MOST_NS:
        times = [min(time_ns, _MOST_NS) for time_ns in times]
    texts = [line.text for line in batch.lines]
    return batch.time_s, batch.history, list(streams.values()), which, times, texts


def _batch(columns: _Columns, now_s: float) -> LogBatch:
    time_s, history, streams, which, times, texts = columns
    lines = (
        LogLine(time_ns, streams[number], text)
        for number, time_ns, text in zip(which, times, texts, strict=True)
    )
    return LogBatch(min(time_s, now_s), tuple(lines), history)


class Keeping:
    """How much of it there is. Its numbers grow, over all lives."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sizes: deque[tuple[int, int]] = deque()  # number, bytes
        self.bytes = 0

    @property
    def full(self) -> bool:
        return self.bytes >= MOST_BYTES

    @property
    def much(self) -> bool:
        return self.bytes >= EARLY_BYTES

    def add(self, kept: Kept) -> None:
        self._sizes.append((kept.number, len(kept.body)))
        self.bytes += len(kept.body)

    async def since(self, number: int) -> AsyncIterator[Kept]:
        """What no checkpoint has: all after this number, in order."""
        while page := await self._store.kept(after=number):
            for kept in page:
                self.add(kept)
                yield kept
                number = kept.number

    async def drop(self, upto: int) -> None:
        """A checkpoint has what was kept up to this number."""
        if self._sizes and self._sizes[0][0] <= upto:
            await self._store.drop_kept(upto)
        while self._sizes and self._sizes[0][0] <= upto:
            self.bytes -= self._sizes.popleft()[1]
