"""One template: its words, with any value as ``<*>`` where it varies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final

from aiopsd.logs.tokens import UNITS, Kind, is_setting
from aiopsd.logs.words import mask_named, masks_named, readable

ANY: Final = "<*>"
WILD: Final = "*"  # a value, in a form
MIN_LITERAL: Final = 2  # words of a form that takes lines by its values alone
_ENDS: Final = frozenset(".!?")


class Template:
    """``words`` joined are its text. ``keys`` lead here, from ``keyed`` lines. ``form`` is bare
    words with values wild. ``fixed``: names with a digit, by their masks; empty if it varied."""

    __slots__ = ("fixed", "form", "id", "is_open", "keyed", "keys", "named", "seen_s",
                 "words")  # fmt: skip

    def __init__(self, number: int, words: list[str], seen_s: float) -> None:
        self.id, self.words, self.seen_s = number, words, seen_s
        self.keys: list[int] = []
        self.keyed = 0
        self.fixed: dict[str, str] = {}
        self.named: set[str] = set()
        self.form: list[str] = []
        self.is_open = False

    def text(self) -> str:
        return readable(self.words, self.fixed)

    def saw(self, names: Iterable[str]) -> bool:
        """Names with a digit, as they were in a line; True while one of them never varied."""
        fixed, is_fixed = self.fixed, False
        for name in names:
            mask = mask_named(name)
            if mask not in self.named:  # a part of a value
                continue
            if fixed.setdefault(mask, name) != name:
                fixed[mask] = ""
            is_fixed = is_fixed or bool(fixed[mask])
        return is_fixed

    def absorb(self, gone: Template) -> None:
        """What led to that one leads here."""
        for mask, name in gone.fixed.items():
            if self.fixed.setdefault(mask, name) != name:
                self.fixed[mask] = ""
        self.keys += gone.keys

    def merge(self, words: list[str]) -> bool:
        """Makes it fit these words as well; True if it changed."""
        before, self.words = self.words, merged(self.words, words)
        return self.words != before

    def reform(self) -> bool:
        """True when its form changed."""
        bare = [word.lstrip() for word in self.words]
        self.named = masks_named(self.words)
        form = form_of(bare)
        changed = form != self.form
        self.form, wild = form, form.count(WILD)
        literal = sum(word[:1].isalpha() for word in form)
        self.is_open = 0 < wild <= 2 * literal and literal >= MIN_LITERAL
        return changed

    def fits(self, form: Sequence[str]) -> bool:
        """Its values take what stands there in a form of the same length."""
        return self.is_open and all(
            mine == other or (mine == WILD and other[-1:].isalnum())
            for mine, other in zip(self.form, form, strict=True)
        )


def form_of(words: Iterable[str]) -> list[str]:
    """A run of values counts as one."""
    form: list[str] = []
    for word in words:
        if "<" not in word or len(word) < 3:
            form.append(word)
        elif form[-1:] != [WILD]:
            form.append(WILD)
    return form


def merged(known: list[str], words: list[str]) -> list[str]:
    """A template for both: what differs is any value."""
    left, right = [w.lstrip() for w in known], [w.lstrip() for w in words]
    if left == right:
        return known
    if len(known) == len(words):
        return [
            token if a == b else token[: len(token) - len(a)] + _either(a, b)
            for token, a, b in zip(known, left, right, strict=True)
        ]
    out: list[str] = []
    for step, i, j, k, _ in SequenceMatcher(None, left, right, False).get_opcodes():
        if step == "equal":
            out += known[i:j]
        elif not out or ANY not in out[-1]:
            token = known[i] if j > i else words[k]
            out.append(token[: len(token) - len(token.lstrip())] + ANY)
    return out


def _either(one: str, other: str) -> str:
    """A value; what ends a sentence stays."""
    return ANY + one[-1] if one[-1:] == other[-1:] and one[-1:] in _ENDS else ANY


def shown(words: list[str], kinds: Sequence[Kind]) -> list[str]:
    """All but sure values are shown as such from the start; units as they are."""
    if Kind.SOFT not in kinds:
        return words
    found = []
    for place, (token, kind) in enumerate(zip(words, kinds, strict=True)):
        bare = token.lstrip()
        is_unit = bare in UNITS and place > 0 and kinds[place - 1] == Kind.VALUE
        soft = kind == Kind.SOFT and not is_unit and not is_setting(words, place)
        found.append(token[: len(token) - len(bare)] + ANY if soft else token)
    return found
