"""The house around a notifier: its context, and a journal that survives the notifier."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from aiopsd.contracts import NotifierContext
from aiopsd.model import Delivery


class KilledError(BaseException):
    """The process ends here: nothing after this happens."""


@dataclass
class House:
    """``context()`` is what a fresh process gets: all that the journal holds, and nothing else."""

    base: Path
    page_url: str = ""
    clock: Callable[[], float] = time.time
    journal: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    killed_before: Callable[[Delivery], bool] = lambda _: False

    def context(self, name: str = "ops") -> NotifierContext:
        return NotifierContext(
            name=name,
            clock=self.clock,
            count=self._count,
            delivered={key: _decode(kept) for key, kept in self.journal.items()},
            record=self._record,
            base=self.base,
            page_url=self.page_url,
        )

    def delivery(self, thing: str, name: str = "ops") -> Delivery:
        return _decode(self.journal[f"{name}/{thing}"])

    async def _record(self, delivery: Delivery) -> None:
        if self.killed_before(delivery):
            raise KilledError
        self.journal[delivery.id] = msgspec.json.encode(delivery)

    def _count(self, what: str, amount: float) -> None:
        self.counts[what] += round(amount)


_decode = msgspec.json.Decoder(Delivery).decode
