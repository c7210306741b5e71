"""Masked lines to templates, online, in bounded memory.

A new masked line meets what is known through hashed keys, from sure to bold. An id is never renamed
or used again; when two templates turn out to be one, the younger becomes an alias of the older.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final

from aiopsd.logs.keys import Keys, Open, keys
from aiopsd.logs.tokens import UNITS, Kind, tokens
from aiopsd.logs.words import readable, together
from aiopsd.rows import pack, unpack

MAX_KEYED: Final = 64  # lines whose keys find one template; then bolder keys do
MAX_OPEN_KEYS, MAX_VOTERS = 200_000, 64
MAX_STEPS: Final = 4  # a template that grew more general may meet another one
OTHER: Final = -1  # of lines that find the table full
ANY: Final = "<*>"


class Template:
    """``words`` joined are its text. ``keys`` lead here, from ``keyed`` lines."""

    __slots__ = ("id", "keyed", "keys", "seen_s", "words")

    def __init__(self, number: int, words: list[str], seen_s: float) -> None:
        self.id, self.words, self.seen_s = number, words, seen_s
        self.keys: list[int] = []
        self.keyed = 0


class Templates:
    """At most ``limit``; the one unseen for longest goes when it was not seen for ``keep_secs``,
    otherwise what is new is ``OTHER``."""

    def __init__(self, limit: int, keep_secs: float = 0.0) -> None:
        self.limit, self.keep_secs = limit, keep_secs
        self._known: OrderedDict[int, Template] = OrderedDict()  # least lately seen first
        self._alias: dict[int, int] = {}
        self._joined: dict[int, list[int]] = {}  # the other way round
        self._next = 0
        self._keys: dict[int, int] = {}
        self._votes: dict[int, int | tuple[int, ...]] = {}  # open key -> templates; mostly one

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
        return readable("".join(one.words)) if one else ""

    def ids(self) -> list[int]:
        return sorted(self._known)

    def touch(self, numbers: Iterable[int], time_s: float) -> None:
        for number in numbers:
            one = self._known.get(number)
            if one is not None:
                one.seen_s = time_s
                self._known.move_to_end(number)

    def place(self, masked: str, time_s: float) -> int:
        """The template of a masked line, learned if new."""
        masked = together(masked)
        words = tokens(masked)
        found = keys(words, masked)
        number = self._find(found)
        shown = _shown(words, found.kinds)
        if number is None:
            if not self._has_room(time_s):
                return OTHER
            number, self._next = self._next, self._next + 1
            self._known[number] = Template(number, shown, time_s)
            self._index(number, found)
            return number
        changed = self._merge(number, shown)
        self._index(number, found)
        return self._settle(number) if changed else number

    def _settle(self, number: int) -> int:
        """Its words grew more general: is it another one's by now?"""
        for _ in range(MAX_STEPS):
            words = self._known[number].words
            found = keys(words, "".join(words))._replace(bolder=[])
            other = self._find(found)
            number = self.canon(number)
            self._index(number, found)
            if other is None or other == number:
                break
            number = self._join((number, other))
        return number

    def _find(self, found: Keys) -> int | None:
        """With the same key; with a bolder one; with all but one word the same, when that place
        is known to vary: a value was seen there, or enough different words were."""
        known = self._keys
        for key in (found.exact, *found.bolder, *(one.key for one in found.opened)):
            if key in known:
                return self.canon(known[key])
        for key, needed in found.opened:
            voters = self._votes.get(key)
            if voters is not None and (len(voters) if type(voters) is tuple else 1) + 1 >= needed:
                number = known[key] = self._join(self._votes.pop(key))
                self._known[number].keys.append(key)
                return number
        if found.has_value and found.exact in self._votes:
            return self._join(self._votes.pop(found.exact))
        return None

    def _index(self, number: int, found: Keys) -> None:
        one = self._known[number]
        if one.keyed >= MAX_KEYED:
            return
        if len(self._votes) > MAX_OPEN_KEYS:
            self._votes.clear()
        self._keys[found.exact] = number
        for key in found.bolder:
            self._keys.setdefault(key, number)
        for key, _ in found.opened:
            if key not in self._keys:
                self._vote(key, number)
        one.keys += [found.exact, *found.bolder, *(opened.key for opened in found.opened)]
        one.keyed += 1

    def _vote(self, key: int, number: int) -> None:
        voters = self._votes.get(key)
        if voters is None:
            self._votes[key] = number
        elif type(voters) is tuple:
            self._votes[key] = (*voters, number)[:MAX_VOTERS]
        else:
            self._votes[key] = (voters, number)  # type: ignore[assignment]

    def _join(self, numbers: int | tuple[int, ...]) -> int:
        """The oldest keeps its id, the others become its aliases."""
        several = numbers if isinstance(numbers, tuple) else (numbers,)
        oldest, *younger = sorted({self.canon(number) for number in several})
        for number in younger:
            gone = self._known.pop(number, None)
            if gone is not None:
                self._merge(oldest, gone.words)
            moved = [*self._joined.pop(number, []), number]  # flat: one look-up always does
            self._alias.update(dict.fromkeys(moved, oldest))
            self._joined.setdefault(oldest, []).extend(moved)
        return oldest

    def _merge(self, number: int, words: list[str]) -> bool:
        """Makes the template fit these words as well; True if it changed."""
        one = self._known.get(number)
        if one is None:
            self._known[number] = Template(number, words, 0.0)
            return False
        before = one.words
        one.words = merged(before, words)
        return one.words != before

    def _has_room(self, time_s: float) -> bool:
        if len(self._known) < self.limit:
            return True
        number, oldest = next(iter(self._known.items()))
        if time_s - oldest.seen_s < self.keep_secs:
            return False
        del self._known[number]
        for alias in self._joined.pop(number, ()):
            self._alias.pop(alias, None)
        for key in oldest.keys:
            if self._keys.get(key) == number:
                del self._keys[key]
            self._votes.pop(key, None)
        return True

    def save(self) -> bytes:
        known = [(one.id, one.words, one.seen_s) for one in self._known.values()]
        return pack("templates", 2, self._next, self._alias, known)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state."""
        shape = tuple[int, dict[int, int], list[tuple[int, list[str], float]]]
        following, alias, known = unpack("templates", 2, saved, shape)
        self.__init__(self.limit, self.keep_secs)  # type: ignore[misc]
        self._next, self._alias = following, alias
        for younger, older in alias.items():
            self._joined.setdefault(older, []).append(younger)
        for number, words, seen_s in known:
            self._known[number] = Template(number, words, seen_s)
        for number in self.ids():
            words = self._known[number].words
            self._index(number, keys(words, "".join(words)))


def merged(known: list[str], words: list[str]) -> list[str]:
    """A template for both: what differs is any value."""
    left, right = [w.lstrip() for w in known], [w.lstrip() for w in words]
    if left == right:
        return known
    if len(known) == len(words):
        return [
            token if a == b else token[: len(token) - len(a)] + ANY
            for token, a, b in zip(known, left, right, strict=True)
        ]
    out: list[str] = []
    for step, i, j, k, _ in SequenceMatcher(None, left, right, False).get_opcodes():
        if step == "equal":
            out += known[i:j]
        elif not out or not out[-1].endswith(ANY):
            token = known[i] if j > i else words[k]
            out.append(token[: len(token) - len(token.lstrip())] + ANY)
    return out


def _shown(words: list[str], kinds: Sequence[Kind]) -> list[str]:
    """All but sure values are shown as such from the start; units as they are."""
    if Kind.SOFT not in kinds:
        return words
    shown = []
    for place, (token, kind) in enumerate(zip(words, kinds, strict=True)):
        bare = token.lstrip()
        is_unit = bare in UNITS and place > 0 and kinds[place - 1] == Kind.VALUE
        soft = kind == Kind.SOFT and not is_unit
        shown.append(token[: len(token) - len(bare)] + ANY if soft else token)
    return shown


__all__ = ["OTHER", "Open", "Templates"]
