"""Masked lines to templates, online, in bounded memory.

A new masked line meets what is known through hashed keys, from sure to bold. An id is never renamed
or used again; when two templates turn out to be one, the younger becomes an alias of the older.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from sys import intern
from typing import Final

from aiopsd.logs.index import Index, Vote
from aiopsd.logs.keys import Keys, keys
from aiopsd.logs.template import ANY, Template, shown
from aiopsd.logs.tokens import Kinds, tokens
from aiopsd.logs.words import together
from aiopsd.rows import pack, unpack

MAX_STEPS: Final = 4  # a template that grew more general may meet another one
OTHER: Final = -1  # of lines that find the table full


class Templates:
    """At most ``limit``; the one unseen for longest goes when it was not seen for ``keep_secs``,
    otherwise what is new is ``OTHER``."""

    def __init__(self, limit: int, keep_secs: float = 0.0) -> None:
        self.limit, self.keep_secs = limit, keep_secs
        self._begin()

    def _begin(self) -> None:
        self._known: OrderedDict[int, Template] = OrderedDict()  # least lately seen first
        self._alias: dict[int, int] = {}
        self._joined: dict[int, list[int]] = {}  # the other way round
        self._next = 0
        self._index, self._kinds = Index(), Kinds()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, number: int) -> bool:
        return number in self._known

    @property
    def joins(self) -> dict[int, int]:
        """Younger id -> the older one that it turned out to be."""
        return self._alias

    def canon(self, number: int) -> int:
        return self._alias.get(number, number)

    def text(self, number: int) -> str:
        """Readable, with typed values: ``Received block <id> of size <num> from <ip>``."""
        one = self._known.get(self.canon(number))
        return one.text() if one else ""

    def saw(self, number: int, names: Iterable[str]) -> bool:
        """Names with a digit, as they were in a line; True while one of them never varied."""
        one = self._known.get(self.canon(number))
        return one is not None and one.saw(names)

    def touch(self, numbers: Iterable[int], time_s: float) -> None:
        """Seen again."""
        for number in numbers:
            one = self._known.get(number)
            if one is not None:
                one.seen_s = time_s
                self._known.move_to_end(number)

    def rewind(self, now_s: float) -> None:
        for one in self._known.values():
            one.seen_s = min(one.seen_s, now_s)

    def place(self, masked: str, time_s: float) -> int:
        """The template of a masked line, learned if new."""
        masked = together(masked)
        words = tokens(masked)
        found = self._keyed(words, masked)
        number = self._find(found)
        words = shown(words, found.kinds)
        if number is None:
            if not self._has_room(time_s):
                return OTHER
            number, self._next = self._next, self._next + 1
            self._known[number] = Template(number, list(map(intern, words)), time_s)
            self._add(number, found)
            return number
        changed = self._merge(number, words)
        self._add(number, found)
        return self._settle(number) if changed else number

    def _keyed(self, words: Sequence[str], masked: str) -> Keys:
        return keys([word.lstrip() for word in words], masked, self._kinds.of(words))

    def _add(self, number: int, found: Keys) -> None:
        one = self._known[number]
        if one.reform():
            self._index.add_form(one)
        self._index.add(one, found)

    def _settle(self, number: int) -> int:
        """Its words grew more general: is it another one's by now, or others its?"""
        for _ in range(MAX_STEPS):
            words = self._known[number].words
            found = self._keyed(words, "".join(words))._replace(bolder=[])
            other = self._find(found, but=number)
            number = self.canon(number)
            self._add(number, found)
            if other is None:
                break
            number = self._join((number, other))
        mine = self._known[number]
        alike = {self.canon(other) for other in self._index.alike(mine.form)} - {number}
        forms = [self._known[other] for other in alike if other in self._known]
        return self._join([number, *(one.id for one in forms if _takes(mine, one.form))])

    def _find(self, found: Keys, but: int = OTHER) -> int | None:
        """With the same key; with a bolder one; with all but one word the same, when that place
        is known to vary: a value was seen there, or enough different words were."""
        known, index = self._index.keys, self._index
        for key in (found.exact, *found.bolder, *(one.key for one in found.opened)):
            number = self.canon(known.get(key, but))
            if number != but and number in self._known:
                return number
        for key, word, needed in found.opened:
            votes = self._votes(key, but)
            if votes and len({word, *(voted for voted, _ in votes)}) >= needed:
                return self._decide(key, votes)
        if found.has_value and (votes := self._votes(found.exact, but)):
            return self._decide(found.exact, votes)
        for other in index.alike(found.form):
            one = self._known.get(self.canon(other))
            if one is not None and one.id != but and _takes(one, found.form):
                return one.id
        return None

    def _votes(self, key: int, but: int) -> list[Vote]:
        votes = self._index.votes.get(key, ())
        return [vote for vote in votes if (at := self.canon(vote[1])) != but and at in self._known]

    def _decide(self, key: int, votes: Iterable[Vote]) -> int:
        number = self._join(number for _, number in votes)
        self._index.decide(key, self._known[number])
        return number

    def _join(self, numbers: Iterable[int]) -> int:
        """The oldest keeps its id, the others become its aliases."""
        oldest, *younger = sorted({self.canon(number) for number in numbers})
        for number in younger:
            gone = self._known.pop(number)
            self._merge(oldest, gone.words)
            self._known[oldest].absorb(gone)
            moved = [*self._joined.pop(number, []), number]  # flat: one look-up always does
            self._alias.update(dict.fromkeys(moved, oldest))
            self._joined.setdefault(oldest, []).extend(moved)
        return oldest

    def _merge(self, number: int, words: list[str]) -> bool:
        one = self._known[number]
        before = one.words
        changed = one.merge(words)
        for line in (before, words) if changed else (words,):
            if len(line) == len(one.words):
                self._kinds.learn(line, [n for n, w in enumerate(one.words) if ANY in w])
        return changed

    def _has_room(self, time_s: float) -> bool:
        if len(self._known) < self.limit:
            return True
        number, oldest = next(iter(self._known.items()))
        if time_s - oldest.seen_s < self.keep_secs:
            return False
        del self._known[number]
        aliases = self._joined.pop(number, [])
        for alias in aliases:
            del self._alias[alias]
        self._index.forget(oldest.keys, {number, *aliases})
        return True

    def save(self) -> bytes:
        known = [
            (one.id, one.words, one.seen_s, one.fixed, one.keys, one.keyed)
            for one in self._known.values()
        ]
        index, kinds = self._index, self._kinds
        learned = (index.keys, index.votes, sorted(kinds.values), sorted(kinds.places))
        return pack("templates", 2, self._next, self._alias, known, *learned)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state."""
        shape = tuple[
            int, dict[int, int], list[tuple[int, list[str], float, dict[str, str], list[int], int]],
            dict[int, int], dict[int, tuple[Vote, ...]], set[str], set[tuple[str, str]],
        ]  # fmt: skip
        following, alias, known, by_key, votes, values, places = unpack(
            "templates", 2, saved, shape
        )
        self._begin()
        self._next, self._alias = following, alias
        for younger, older in alias.items():
            self._joined.setdefault(older, []).append(younger)
        for number, words, seen_s, fixed, its_keys, keyed in known:
            one = self._known[number] = Template(number, words, seen_s)
            one.fixed, one.keys, one.keyed = fixed, its_keys, keyed
        for number in sorted(self._known):
            self._known[number].reform()
            self._index.add_form(self._known[number])
        self._index.keys, self._index.votes = by_key, votes
        self._kinds.values, self._kinds.places = values, places


def _takes(one: Template, form: Sequence[str]) -> bool:
    return len(one.form) == len(form) and one.fits(form)
