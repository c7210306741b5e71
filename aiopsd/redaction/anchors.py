"""Where a secret could begin: one look at many lines together, so that clean ones cost little.

Every detector names *anchors*: short texts of which one stands in whatever it looks for, in small
letters and with 0 for any digit (``akia``, ``000-00-0000``). Most are found by four characters of
them, all at once; what is mostly digits, by a search of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

_FOLD: Final = bytes(range(256)).lower().translate(bytes.maketrans(b"123456789", b"000000000"))
_WORDS: Final = re.sub(rb"[A-Za-z0-9+_/-]", b"x", bytes(range(256)))
FEW: Final = 100  # characters: to set numpy to work takes longer
_BITS: Final = 20  # of a hash: few words share one by chance, and the tables stay in the cache
_NEXT: Final = "abcdefghijklmnopqrstuvwxyz0_-.:%$?+!~*"
CROWDED: Final = -1
"""The owner that says: of this line no more was looked at."""
_RARE: Final = {c: i for i, c in enumerate(" 0etaoinsrhldcumfpgwybvkxjqz")}
"""How unusual letters are in English; signs are in between."""


Codes: TypeAlias = NDArray[np.uint32]
Confirm = Callable[[bytes, int], object]
"""Whether it may well be one, by the line and the place."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """``confirm`` looks at the bytes of the line itself, not folded, with ``?`` for what is not
    ASCII. ``in_words``: the text is of ``x`` alone, for a run of letters, digits, ``+/_-``."""

    text: str
    confirm: Confirm | None = None
    in_words: bool = False


def flat(text: str) -> bytes:
    """One byte a character, so that places in it are places in the text."""
    return text.encode("ascii", "replace")


def folded(line: bytes) -> bytes:
    return line.translate(_FOLD)


class Anchors:
    """``owner``: a number of the caller's for each anchor."""

    def __init__(self, anchors: Iterable[tuple[Anchor, int]]) -> None:
        self._grams: dict[bytes, list[tuple[bytes, int, Anchor, int]]] = {}
        self._searched: dict[tuple[bytes, bool], dict[Confirm | None, list[int]]] = {}
        # by the hash of four characters: whether an anchor has them at all, has them and is no
        # number, and of numbers whether the next four are right as well
        self._any, self._plain, self._pair = np.zeros((3, 1 << _BITS), np.bool_)
        for anchor, owner in anchors:
            self._add(anchor.text, anchor, owner)

    def _add(self, text: str, anchor: Anchor, owner: int) -> None:
        whole = text.encode()
        is_number = not set(text) - set("0 .-a")
        place = _signed(text) if is_number else _rarest(text)
        if anchor.in_words or len(text) < 3 or place < 0:
            owners = self._searched.setdefault((whole, anchor.in_words), {})
            owners.setdefault(anchor.confirm, []).append(owner)
        elif len(text) == 3:
            for end in _NEXT:
                self._add(text + end, anchor, owner)
        else:
            four, following = whole[place : place + 4], whole[place + 4 : place + 8]
            self._grams.setdefault(four, []).append((whole, place, anchor, owner))
            first, second = _hashed(np.frombuffer(four + following.ljust(4), "<u4"))
            self._any[first] = True
            self._plain[first] |= not is_number
            self._pair[_paired(first, second)] |= is_number

    def found(self, texts: Sequence[str], most: int | None = None) -> Iterator[tuple[int, int]]:
        """(place, owner) of the anchors in the texts, put together as lines; in no order, and of
        one that repeats itself without a gap not every place. ``most``: places that are looked at
        in each text; where there are more, the next one is CROWDED's."""
        line = flat("\n".join(texts))
        small = folded(line)
        places = self._few(small) if len(small) < FEW else self._places(small)
        places, crowded = _thinned(texts, places, most)
        yield from ((place, CROWDED) for place in crowded)
        yield from self._exact(line, small, places)
        words = small.translate(_WORDS)
        for (text, in_words), confirmed in self._searched.items():
            look = words if in_words else small
            place = look.find(text)
            if place < 0:
                continue
            places, crowded = _thinned(texts, _every(look, text, place), most)
            yield from ((place, CROWDED) for place in crowded)
            for confirm, owners in confirmed.items():
                for place in places:
                    if confirm is None or confirm(line, place):
                        yield from ((place, owner) for owner in owners)

    def _few(self, small: bytes) -> list[int]:
        """Where four characters are known."""
        return [i for i in range(len(small) - 3) if small[i : i + 4] in self._grams]

    def _places(self, small: bytes) -> list[int]:
        """The same, all at once; of numbers, where the next four are as well."""
        codes = _hashed(np.ndarray((len(small) - 3,), "<u4", small, 0, (1,)))
        places = np.flatnonzero(self._any[codes])
        if not len(places):
            return []
        first, second = codes[places], codes[np.minimum(places + 4, len(codes) - 1)]
        found: list[int] = places[self._plain[first] | self._pair[_paired(first, second)]].tolist()
        return found

    def _exact(self, line: bytes, small: bytes, places: list[int]) -> Iterator[tuple[int, int]]:
        for place in places:
            for text, inside, anchor, owner in self._grams.get(small[place : place + 4], ()):
                begin = place - inside
                if begin < 0 or not small.startswith(text, begin):
                    continue
                if anchor.confirm is None or anchor.confirm(line, begin):
                    yield begin, owner


def _every(look: bytes, text: bytes, place: int) -> list[int]:
    places = []
    while place >= 0:
        places.append(place)
        place = look.find(text, place + len(text))
    return places


def _thinned(
    texts: Sequence[str], places: list[int], most: int | None
) -> tuple[list[int], list[int]]:
    """The first of each text; and where the next one is, of those with more."""
    if most is None or len(places) <= most or max(map(len, texts)) <= most:
        return places, []
    at = np.asarray(places)
    text = np.searchsorted(np.cumsum([len(one) + 1 for one in texts]), at, "right")
    rank = np.arange(len(at)) - np.searchsorted(text, text)
    return at[rank < most].tolist(), at[rank == most].tolist()


def _hashed(codes: Codes) -> Codes:
    """Knuth's multiplicative hash."""
    return (codes * np.uint32(2_654_435_761)) >> np.uint32(32 - _BITS)


def _paired(first: Codes, second: Codes) -> Codes:
    return (first * np.uint32(31) + second) & np.uint32((1 << _BITS) - 1)


def _rarest(text: str) -> int:
    """Where the four characters begin that are the least usual of it."""
    return max(
        range(max(1, len(text) - 3)), key=lambda i: sum(_RARE.get(c, 14) for c in text[i : i + 4])
    )


def _signed(number: str) -> int:
    """Where two times four characters begin that are not digits alone; -1: nowhere."""
    for i in range(len(number) - 7):
        if number[i : i + 4].strip("0") and number[i + 4 : i + 8].strip("0"):
            return i
    return -1
