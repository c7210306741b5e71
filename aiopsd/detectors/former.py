"""What was known a while ago, for when it turns out that what came since was trouble.

Trouble is seen after it began: a flood of errors takes half a minute to be one, a rule with
``for: 1m`` a minute. What was learned until then is taken back from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

import numpy as np

from aiopsd.model import Indexes

LATELY_SECS: Final = 120.0  # longer than most trouble takes to be seen


class Learned(Protocol):
    """Numbers of each series, as ``Rows`` or a detector keeps them."""

    def forget(self, series: Indexes) -> object: ...

    def save(self) -> bytes: ...

    def load(self, saved: bytes) -> None: ...


class Saving(Protocol):
    def save(self) -> bytes: ...


T = TypeVar("T", bound=Learned)
Saved = tuple[bytes, bytes, float]


class Former(Generic[T]):
    """Two copies; ``older`` is from ``LATELY_SECS`` to twice as long ago, and empty at first."""

    def __init__(self, new: Callable[[], T]) -> None:
        self._new = new
        self.older, self._newer = new(), new()
        self._copied_s = -np.inf

    def keep(self, now_s: float, learned: Saving) -> None:
        """Asked at each tick, before it is learned; copies when it is time to."""
        if 0 <= now_s - self._copied_s < LATELY_SECS:
            return
        self.older, self._newer, self._copied_s = self._newer, self._new(), now_s
        self._newer.load(learned.save())

    def forget(self, series: Indexes) -> None:
        for one in (self.older, self._newer):
            one.forget(series)

    def save(self) -> Saved:
        return self.older.save(), self._newer.save(), self._copied_s

    def load(self, older: bytes, newer: bytes, copied_s: float) -> None:
        """Raises ValueError on garbage."""
        self.older.load(older)
        self._newer.load(newer)
        self._copied_s = copied_s
