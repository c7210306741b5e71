"""Who has how much of a bounded room, and how much more each may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

SHARE: Final = 9  # times what is free, less than which each may have
Owner: TypeAlias = tuple[str, str]
"""A source, and the rule that it has asked for; either may be empty."""


class Shares:
    """``limit`` is what one alone may have; there is room for some more. Who has much must leave
    a part of that much free, so that nobody keeps out the next one."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.refused = 0
        self._refused_of: Counter[Owner] = Counter()
        self.begin([], [])

    def begin(self, owners: Sequence[Owner], sizes: list[int]) -> None:
        self._number = {owner: number for number, owner in enumerate(owners)}
        self._sizes, self._taken = sizes, sum(sizes)

    @property
    def owners(self) -> list[Owner]:
        """By number."""
        return list(self._number)

    def number(self, owner: Owner) -> int:
        number = self._number.setdefault(owner, len(self._sizes))
        if number == len(self._sizes):
            self._sizes.append(0)
        return number

    def take(self, number: int) -> bool:
        """One more for this owner, if it may have it."""
        free = self.limit + self.limit // SHARE - self._taken
        if free < 1 or self._sizes[number] >= SHARE * free:
            return False
        self._sizes[number] += 1
        self._taken += 1
        return True

    def room(self, number: int) -> int:
        """How often ``take`` would say yes now."""
        free = max(self.limit + self.limit // SHARE - self._taken, 0)
        return max(min(free, -((self._sizes[number] - SHARE * free) // (SHARE + 1))), 0)

    def leave(self, counts: Sequence[int]) -> None:
        """So many of each owner are gone."""
        self._sizes = [had - gone for had, gone in zip(self._sizes, counts, strict=True)]
        self._taken -= sum(counts)

    def refuse(self, owner: Owner, many: int) -> None:
        self.refused += many
        self._refused_of[owner] += many

    def counts(self) -> dict[Owner, int]:
        return {owner: self._sizes[number] for owner, number in self._number.items()}

    def crowd(self) -> str:
        """Who has most, and who was refused most."""
        words = [f"{many} of {_named(*one)}" for one, many in Counter(self.counts()).most_common(1)]
        refused = self._refused_of.most_common(1)
        words += [f"refused most: {many} of {_named(*one)}" for one, many in refused]
        return ", ".join(words)


def _named(source: str, rule: str) -> str:
    """Such as ``source=fleet``, or ``rule=errors`` for what transforms make."""
    return " ".join(f"{k}={v}" for k, v in (("source", source), ("rule", rule)) if v) or "nobody"
