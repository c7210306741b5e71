"""What a source sees of the daemon, for tests: it remembers what was counted and who was gone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiopsd.contracts import Clock, Health, Query, SourceContext
from aiopsd.series import SeriesTable


@dataclass
class House:
    clock: Clock = time.time
    base: Path = Path()
    name: str = "src"
    table: SeriesTable = field(default_factory=SeriesTable)
    counts: Counter[str] = field(default_factory=Counter)
    gauges: dict[str, Callable[[], float]] = field(default_factory=dict)
    queries: Sequence[Query] = ()
    history_secs: float = 0.0
    key: bytes = b"k" * 32
    gone: list[str] = field(default_factory=list)
    """Reasons, one for each time that the other side went away."""
    away: bool = False

    def context(self) -> SourceContext:
        return SourceContext(
            name=self.name,
            table=self.table,
            clock=self.clock,
            health=Health(gone=self._gone, back=self._back),
            count=self._count,
            gauge=self.gauges.__setitem__,
            queries=self.queries,
            history_secs=self.history_secs,
            base=self.base,
            key=self.key,
        )

    def _gone(self, _part: str, reason: str) -> None:
        if not self.away:
            self.gone.append(reason)
        self.away = True

    def _back(self, _part: str) -> None:
        self.away = False

    def _count(self, what: str, amount: float) -> None:
        self.counts[what] += int(amount)
