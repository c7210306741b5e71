"""Messages to templates: mask what varies by its shape, then what varies by experience.

Online and fixed-depth, after Drain (He et al., ICWS 2017): messages of as many words and the same
first word are compared; enough equal words make them one template. A template keeps the text
under which it was first seen, so that its name never changes.
"""

from __future__ import annotations

import re

import msgspec

MAX_WORDS = 60
MAX_NAME_CHARS = 200
MAX_SIBLINGS = 64  # templates that share length and first word
SIMILAR = 0.6  # share of equal words; Drain's usual 0.4 to 0.7, high since shapes are masked
OTHER = "<other>"
ANY = "<*>"

_SHAPES = (
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"),
        "<time>",
    ),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"), "<ip>"),
    (re.compile(r"\b0x[0-9a-fA-F]{1,64}\b"), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]{0,63}\d)[0-9a-f]{8,64}\b"), "<hex>"),
    (re.compile(r"[+-]?\b\d[\d_,.]{0,40}(?:e[+-]?\d{1,3})?(?=\b|[a-zµ%]{1,3}\b)"), "<num>"),
)


class Templates:
    """At most ``limit`` templates; what comes after is ``<other>``."""

    def __init__(self, limit: int = 2000) -> None:
        self.limit = limit
        self._count = 0
        # (words, first word) -> [(words with <*>, name)]
        self._tree: dict[str, list[tuple[list[str], str]]] = {}

    def __len__(self) -> int:
        return self._count

    def name(self, message: str) -> str:
        """The template of this message, learned if new."""
        words = mask(message).split()[:MAX_WORDS]
        key = f"{len(words)} {words[0] if words and '<' not in words[0] else ANY}"
        siblings = self._tree.setdefault(key, [])
        best, score = None, 0.0
        for sibling in siblings:
            found = _similarity(sibling[0], words)
            if found > score:
                best, score = sibling, found
        if best is not None and score >= SIMILAR:
            best[0][:] = [a if a == b else ANY for a, b in zip(best[0], words, strict=True)]
            return best[1]
        if self._count >= self.limit or len(siblings) >= MAX_SIBLINGS:
            return OTHER
        self._count += 1
        name = " ".join(words)[:MAX_NAME_CHARS] or "<empty>"
        siblings.append((words, name))
        return name

    def save(self) -> bytes:
        return msgspec.msgpack.encode(self._tree)

    def load(self, saved: bytes) -> None:
        """Raises ValueError (msgspec's) on what is no saved state."""
        self._tree = msgspec.msgpack.decode(saved, type=dict[str, list[tuple[list[str], str]]])
        self._count = sum(map(len, self._tree.values()))


def mask(message: str) -> str:
    """Ids, times, addresses and numbers by their shape."""
    for pattern, instead in _SHAPES:
        message = pattern.sub(instead, message)
    return message


def _similarity(template: list[str], words: list[str]) -> float:
    """Share of equal words; a word that already varied counts half."""
    if not words:
        return 1.0
    equal = sum(1.0 if a == b else 0.5 * (a == ANY) for a, b in zip(template, words, strict=True))
    return equal / len(words)
