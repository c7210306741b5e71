"""``aiopsd`` that keeps a ledger: which lines its state was made of, and how often each.

The ledger stands in the checkpoint, beside all that was learned and the position of every source:
what it says of a line holds for detectors, templates and counts alike. Run as a program it is the
daemon, with nothing else changed; imported, it reads the ledger of one.

A line says its number, ``id=17``; its twin, which differs in nothing but labels, is 18.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from aiopsd import app
from aiopsd.__main__ import main
from aiopsd.model import Item, LogBatch, LogLine, Position
from aiopsd.pipeline.detection import Detection, Findings
from aiopsd.stores import pieces

PART = "ledger"


@dataclass
class Ledger:
    """``seen[n]`` is 1 when line n was there; ``doubled`` counts each time it was there again."""

    seen: bytearray = field(default_factory=bytearray)
    doubled: int = 0
    entered: int = 0

    def enter(self, line: LogLine) -> None:
        number = int(line.text.rpartition("id=")[2]) + int(line.labels.get("twin", "0"))
        if number >= len(self.seen):
            self.seen += bytes(max(number + 1 - len(self.seen), 2**16))
        self.doubled += self.seen[number]
        self.seen[number] = 1
        self.entered += 1

    def missing(self, count: int) -> list[int]:
        """Which of the first ``count`` numbers were never there."""
        seen = np.frombuffer(bytes(self.seen[:count]).ljust(count, b"\0"), np.uint8)
        return np.flatnonzero(seen == 0).tolist()

    def save(self) -> bytes:
        bits = np.packbits(np.frombuffer(self.seen, np.uint8)).tobytes()
        return msgspec.msgpack.encode((bits, self.doubled, self.entered))

    @classmethod
    def load(cls, saved: bytes) -> Self:
        bits, doubled, entered = msgspec.msgpack.decode(saved, type=tuple[bytes, int, int])
        seen = np.unpackbits(np.frombuffer(bits, np.uint8))
        return cls(bytearray(seen.tobytes()), doubled, entered)


class Keeping(Detection):
    def __init__(self, *parts: Any, **named: Any) -> None:
        super().__init__(*parts, **named)
        self.ledger = Ledger()

    def observe(
        self, source: str, items: Sequence[Item], position: Position, news: Position | None = None
    ) -> Findings:
        for item in items:
            if isinstance(item, LogBatch):
                for line in item.lines:
                    self.ledger.enter(line)
        return super().observe(source, items, position, news)

    def save(self) -> dict[str, bytes]:
        return super().save() | {PART: self.ledger.save()}

    def load(self, parts: Mapping[str, bytes]) -> None:
        super().load(parts)
        self.ledger = Ledger.load(parts[PART])


def durable(state: Path) -> tuple[Ledger, Mapping[str, Position]]:
    """What the last checkpoint holds: the ledger, and where each source stands."""
    uri = f"file:{state / 'journal.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as db:
        db.isolation_level = None
        db.execute("begin")  # one moment for all its pieces
        parts = pieces.whole(db)
    if not parts:
        return Ledger(), {}
    positions = msgspec.json.decode(parts["positions"], type=dict[str, Position])
    return Ledger.load(parts[PART]), positions


if __name__ == "__main__":
    app.Detection = Keeping  # type: ignore[misc]
    sys.exit(main())
