"""From raw bytes to index: what a source calls its series, remembered byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, repeat
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiopsd.model import MOST_LABEL_BYTES, Indexes

UNKNOWN, REFUSED = -1, -2  # what stands for the index of a series that has none
Codes: TypeAlias = NDArray[np.int64]
"""Indexes that can be kept: each knows whether it still means the same series."""


class Coded(Protocol):
    """The series table, as far as keys need it."""

    @property
    def limit(self) -> int: ...

    def codes(self, indexes: Sequence[int] | Indexes) -> Codes: ...

    def held(self, codes: Codes, rule: str, source: str) -> Indexes: ...

    def lives(self, codes: Codes) -> NDArray[np.bool_]: ...


class Keys:
    """What one source calls its series, byte for byte: known ones cost no work on labels.

    ``find`` first; intern the decoded labels of what is UNKNOWN, and ``learn`` them. Remembers
    about as many keys as there are series, and forgets the dead.
    """

    def __init__(self, table: Coded, rule: str = "", source: str = "") -> None:
        self._table = table
        self._owner = rule, source
        self._codes: dict[bytes, int] = {}
        self._most = 1000

    def __len__(self) -> int:
        return len(self._codes)

    def find(self, raw: Sequence[bytes]) -> Indexes:
        """``[n]``: the index of each, UNKNOWN (-1) or REFUSED (-2, counted: no use to ask)."""
        codes = np.fromiter(map(self._codes.get, raw, repeat(-1)), np.int64, len(raw))
        return self._table.held(codes, *self._owner)

    def learn(self, raw: Sequence[bytes], indexes: Sequence[int] | Indexes) -> None:
        """``indexes`` as ``intern`` gave them just now; -1 is remembered as a refusal. What is
        far too long to be a name is not remembered."""
        learned = zip(raw, self._table.codes(indexes).tolist(), strict=True)
        self._codes.update(pair for pair in learned if len(pair[0]) <= MOST_LABEL_BYTES)
        if len(self._codes) > self._most:
            self._forget()

    def _forget(self) -> None:
        """The dead, and what was refused where there is much of it."""
        codes = np.fromiter(self._codes.values(), np.int64, len(self._codes))
        kept, most = self._table.lives(codes), 2 * self._table.limit
        room = max(most - int(kept.sum()), 0)
        kept[np.flatnonzero(codes == REFUSED)[:room]] = True
        self._codes = dict(compress(self._codes.items(), kept.tolist()))
        if len(self._codes) > most:  # too many names for the same series
            self._codes = {}
        self._most = len(self._codes) * 3 // 2 + 1000
