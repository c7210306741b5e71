"""What a masked line can be found by, from sure to bold. All are hashes: no line is compared.

They are saved, so they must be the same in every process: words become numbers by a digest, and a
tuple of numbers hashes alike everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from aiopsd.logs.tokens import UNITS, VARYING, Kind, is_telling
from aiopsd.logs.words import VALUE

MAX_OPEN: Final = 48
_OPEN: Final = VARYING | {Kind.PLAIN}
# How many different words at one place, all else equal, make it a variable. A state is part of
# what happened: it takes as many as a telling word.
PLAIN_WORDS, NAMES, SLOTS, STATES = 4, 3, 2, 12
_EACH: Final = {Kind.NAME: NAMES, Kind.SLOT: SLOTS, Kind.STATE: STATES}
TELLING_TIMES: Final = 3
FIRST_PLAIN: Final = 3  # words that must stay for the first one to vary
GROUP_PLAIN: Final = 2  # that must stay for several names to vary at once
MAX_SEVERAL: Final = 3  # words of one value
SEVERAL_PLAIN: Final = 3  # words that must stay beside it
WORD_PLAIN, COLON_PLAIN = 2, 3  # words that the key by words asks for

_PAIR: Final = re.compile(
    r"""= ?(?:\w*\{[^{}]*\}|\[[^\]]{0,500}+\]|"[^"]*"|[^\s,;=(){}\[\]]*?)"""
    r"""(?=[,;)}\]]|\s|$)"""
)


class Open(NamedTuple):
    """The line with one word open; ``needed`` different words there make the place vary."""

    key: int
    word: int
    needed: int


class Keys(NamedTuple):
    exact: int
    bolder: list[int]
    opened: list[Open]
    kinds: list[Kind]
    has_value: bool
    form: list[str]  # its words, values wild


@lru_cache(20_000)
def _number(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(errors="replace"), digest_size=7).digest(), "big")


def _hash(words: Iterable[str]) -> int:
    return hash(tuple(map(_number, words)))


_ANY, _GROUP, _TEXTS = _number("*"), _number("names "), _number("texts ")


def keys(line: Sequence[str], masked: str, found: list[Kind]) -> Keys:
    """Of a line's words, without blanks, and their kinds."""
    plain = found.count(Kind.PLAIN) + sum(
        kind == Kind.SOFT and token in UNITS for token, kind in zip(line, found, strict=True)
    )
    key: list[str] = []
    left: list[Kind] = []
    for token, kind in zip(line, found, strict=True):  # a run of values counts as one
        wild = kind == Kind.VALUE or (kind == Kind.SOFT and plain > 0)
        if wild and key and key[-1] == "*":
            continue
        key.append("*" if wild else token)
        left.append(kind)
    bolder = [*_by_words(masked, plain), *_by_pairs(masked)]
    has_value = "*" in key and plain > 0
    return Keys(_hash(key), bolder, _opened(key, left, plain), found, has_value, key)


def _by_words(masked: str, plain: int) -> list[int]:
    """A word between blanks that holds a value is wild as a whole."""
    words: list[str] = []
    for place, word in enumerate(masked.split()):
        wild = (
            "<" in word
            and VALUE.search(word)
            and "=" not in word
            and (place or word[0] == "<" or ":<" in word)
            and (plain > COLON_PLAIN or ":" not in word[:-1])
        )
        if not wild:
            words.append(word)
        elif words[-1:] != ["*"]:
            words.append("*")
    if "*" in words and sum(word[0].isalpha() for word in words) >= WORD_PLAIN:
        return [_hash(("word ", *words))]
    return []


def _by_pairs(masked: str) -> list[int]:
    """All that follows `=` is wild."""
    if "=" not in masked:
        return []
    paired = VALUE.sub("*", _PAIR.sub("=*", masked))
    return [_hash((paired,))] if len(paired) > paired.count("=*") * 2 + 4 else []


def _opened(key: Sequence[str], kinds_left: Sequence[Kind], plain: int) -> list[Open]:
    opened: list[Open] = []
    numbers = [_number(word) for word in key]
    for place, kind in enumerate(kinds_left):
        if kind not in _OPEN or len(opened) >= MAX_OPEN:
            continue
        stays = plain - (kind == Kind.PLAIN)
        if stays < (FIRST_PLAIN if not place and kind == Kind.PLAIN else 1):
            continue
        needed = _needed(key[place], kind)
        begin, end = place, place + 1
        if numbers[begin - 1 : begin] == [_ANY]:
            begin -= 1
        if numbers[end : end + 1] == [_ANY]:
            end += 1
        opened.append(Open(hash((*numbers[:begin], _ANY, *numbers[end:])), numbers[place], needed))
    opened += _several(key, numbers, kinds_left, plain)
    opened += _together(numbers, kinds_left, plain)
    if '"' in key:
        opened += _texts(key, numbers)
    return opened


def _several(
    key: Sequence[str], numbers: list[int], kinds_left: Sequence[Kind], plain: int
) -> Iterator[Open]:
    """Two or three words may stand where one does, `my job`: they vote for the same place."""
    if plain < SEVERAL_PLAIN:
        return
    may = [kind in _OPEN and not is_telling(word)
           for word, kind in zip(key, kinds_left, strict=True)]  # fmt: skip
    for begin in range(min(len(key), MAX_OPEN)):
        for end in range(begin + 2, min(begin + MAX_SEVERAL, len(key)) + 1):
            if not (may[begin] and may[end - 1]):
                break
            if plain - kinds_left[begin:end].count(Kind.PLAIN) >= SEVERAL_PLAIN:
                opened = hash((*numbers[:begin], _ANY, *numbers[end:]))
                yield Open(opened, hash(tuple(numbers[begin:end])), PLAIN_WORDS)


def _texts(key: Sequence[str], numbers: list[int]) -> list[Open]:
    """Quoted texts open, but for those that begin with what tells events apart, as `GET`."""
    out: list[int] = []
    at = texts = 0
    while at < len(key):
        if key[at] == '"' and '"' in key[at + 1 :]:
            end = key.index('"', at + 1)
            if end > at + 1 and not is_telling(key[at + 1]):
                out += (numbers[at], _ANY, numbers[at])
                texts += 1
                at = end + 1
                continue
            out += numbers[at : end + 1]
            at = end + 1
            continue
        out.append(numbers[at])
        at += 1
    plain = sum(word[:1].isalpha() for word in key)
    if not texts or out == numbers or plain < GROUP_PLAIN:
        return []
    return [Open(hash((_TEXTS, *out)), hash(tuple(numbers)), NAMES)]


def _together(numbers: list[int], kinds_left: Sequence[Kind], plain: int) -> list[Open]:
    """All that looks like names open at once: it takes as many as two of them by themselves."""
    several = [_EACH[kind] for kind in kinds_left if kind in VARYING]
    if len(several) < 2 or plain < GROUP_PLAIN:
        return []
    key = [_GROUP]
    for number, kind in zip(numbers, kinds_left, strict=True):
        one = _ANY if kind in VARYING else number
        if one != _ANY or key[-1] != _ANY:
            key.append(one)
    return [Open(hash(tuple(key)), hash(tuple(numbers)), sum(sorted(several)[-2:]))]


def _needed(word: str, kind: Kind) -> int:
    if kind in (Kind.NAME, Kind.STATE):
        return _EACH[kind]
    needed = SLOTS if kind == Kind.SLOT else PLAIN_WORDS
    return needed * TELLING_TIMES if is_telling(word) else needed
