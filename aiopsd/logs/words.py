"""Words of a message to typed masks: ``10.0.0.7:80`` is ``<ip>``, ``node-17`` is ``<id>``.

One combined pattern looks at each word that was never seen, digits aside; what several words mean
together (sizes, dates, lists) is found in the masked line, behind a test for a mark it must have.
Every pattern is linear: each alternative begins at an edge and no two of its parts can trade.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

MAX_TEXT, MAX_WORDS, MAX_WORD, MAX_KEPT = 2048, 160, 200, 30_000
BLOB: Final = "<blob>"
_PUNCTUATION: Final = ".,:;!?()[]{}\"'"

_MASK: Final = re.compile(
    r"""
 (?P<known><\w+:[0-9a-f]{10}>)
|(?P<http>\bHTTP/\d(?:\.\d)?\b)
|(?P<url>\b[a-z][a-z0-9+.-]{1,9}://[^\s"'<>\])},]+)
|(?P<uuid>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)
|(?P<mac>\b(?:[0-9a-fA-F]{2}[:-]){5,}[0-9a-fA-F]{2}\b)
|(?P<mail>(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5})
|(?P<time>\b\d{4}[-/.]\d\d?[-/.]\d\d?(?:[T_-]\d\d[:.]\d\d[:.]\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?
   (?![\w.])|\b\d{1,2}:\d\d(?::\d\d(?:[.,:]\d+)?)?\b)
|(?P<ip>(?<![\w.])/?\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?(?![\w.])
   |(?<![\w:])/?(?:[0-9a-fA-F]{0,4}:){4,7}[0-9a-fA-F]{1,5}(?![\w:]))
|(?P<host>(?<![\w.-])(?=[\d.-]*[a-z])[a-z\d-]+(?:\.[a-z\d-]+)+:\d{2,5}\b
   |(?<![\w.-])[A-Za-z][\w$-]*(?:\.[\w$-]+){2,}:\d+\b)
|(?P<path>(?<![\w<>.*)])(?:\.{0,2}|~|[A-Za-z]:)(?:[/\\]+[\w.$@%+~{}:*-]+){2,}[/\\]*(?<!:)
   (?:\?[^\s"'<>]*)?|(?<![\w<>.*)/])[\w.-]+/[\w.$@%+~:-]+/[\w./$@%+~:-]+(?<!:))
|(?P<name>(?<![\w.$-])(?=(?:\d{0,2}[A-Za-z_]){4})[A-Za-z_]+\d{1,2}[A-Za-z_]+(?![\w$-])
   |(?<![\w.$-])[A-Z]\d(?![\w.$-])|(?<![\w-])[A-Z][A-Z_]+-\d-[A-Z][A-Z_]+(?![\w-]))
|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}\b)
|(?P<num>(?<![A-Za-z_\d.])[-+]?\d+(?:\.\d+)*(?:%|[KMGT]?i?B|[mun]?s|sec)?(?![A-Za-z_\d]))
|(?P<n>(?<![\w.$-])[A-Za-z]{2,}\d{1,3}(?![\w.$-]))
|(?P<id>(?<![A-Za-z_\d])(?![A-Z]{2,}\d(?!\w))[A-Za-z_$-]*\d[\w$-]*)
""",
    re.VERBOSE,
)
_EDGE: Final = r"""[^\s,;:="'`()\[\]{}|<>#&]*"""
_CHUNK: Final = re.compile(rf"{_EDGE}<\w+>(?:{_EDGE}<\w+>)*{_EDGE}")
_KEEP: Final = re.compile(r"(?:[A-Za-z]{2,}[.-]+)?<\w+>[.!?*]*$|[A-Za-z]{2,}<n>$")
_NEIGHBOURS: Final = re.compile(r"(?:[A-Za-z]+<n>|<\w+>)(?:[.:]<\w+>)+")
_DOTS: Final = re.compile(r"(\.{4,})")
_NUMBERED: Final = re.compile(
    r"[A-Za-z]+<n>|(?<![\w.$-])[A-Za-z_]+(?:00?[A-Za-z_]+|0|-0-[A-Z_]+)(?![\w$-])"
)
_NAMED: Final = re.compile(r"(?<![\w.$-])[A-Za-z_]+(?:\d{1,2}[A-Za-z_]+|\d|-\d-[A-Z_]+)(?![\w$-])")
_FOLD: Final = str.maketrans("123456789", "0" * 9)
VALUE: Final = re.compile(r"<[\w*]+>")

_TOGETHER: Final = [
    (mark, re.compile(pattern), to)
    for mark, pattern, to in (
        (" bytes (", r"<num> bytes \(<num> ?[KMGT]?i?B\)", "<size>"),
        ("<<num>", r"<<num> sec\b", "<size>"),
        ("<time>",
         r"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
         r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +<num>(?:,? <num>)? <time>"
         r"(?: [A-Z]{3,4})?(?: <num>)?", "<time>"),
        ("<time>", r"<time>,? <time>", "<time>"),
        ("n", r"(?<=[=:])( ?)(?:null|None)\b", r"\1<bool>"),
        ("rue", r"(?<![\w.-])[tT]rue(?![\w.-])", "<bool>"),
        ("alse", r"(?<![\w.-])[fF]alse(?![\w.-])", "<bool>"),
        ("<http>", r"(<(?:path|url)>) <http>", r"\1"),
        (">,<", r"(<(ip|host|path|uuid|hex)>)(?:,\1)+", r"\1"),
        ('="', r'="[^"<]*(?:<\w+>[^"<]*)*"', '="<str>"'),
        ('"<', r'(?<=[^\n] )"<\w+>(?=[^"]* )[^"]*"', '"<str>"'),
        (":<num>",
         r"\b(to|from|at|via|by|with|proxy|host|server|peer|client|address|upstream|backend)"
         r"([ =:]{1,2})[A-Za-z][A-Za-z_-]*(?:<n>)?:<num>(?![\w.:])", r"\1\2<host>"),
        ("<", r"<\w+>(?:[ ,]+<\w+>){7,}", "<list>"),
        ("<n>", r"\b([A-Za-z]+<n>)(?:[ ,]+\1){2,}", "<list>"),
    )
]  # fmt: skip


class Words:
    """Remembers the mask of each word, digits aside; of words, as they may be secrets, hashes."""

    def __init__(self) -> None:
        self._masks: dict[int, str] = {}  # nothing for a word that is its own mask

    def mask(self, text: str) -> str:
        """The line with every value that one word shows; at most 160 words of it."""
        masks, text = self._masks, text[:MAX_TEXT]
        words = text.translate(_FOLD).split(" ")[:MAX_WORDS]
        masked = list(map(masks.get, map(hash, words)))
        for place, word in enumerate(words):
            mask = masked[place]
            if mask is None:
                mask = mask_word(word)
                if len(masks) > MAX_KEPT:
                    masks.clear()
                masks[hash(word)] = mask if mask != word else ""
                masked[place] = mask
            elif not mask:
                masked[place] = word
        return " ".join(masked)  # type: ignore[arg-type] # none is missing now


def mask_word(word: str) -> str:
    if word.strip(_PUNCTUATION).isalpha():
        return word
    if len(word) > MAX_WORD:
        return BLOB
    if "...." in word and word.strip("."):
        parts = _DOTS.split(word)
        return "".join(part if part[:1] == "." else mask_word(part) for part in parts)
    masked = _MASK.sub(_typed, word)
    if "<" not in masked or masked is word:
        return masked
    masked = _CHUNK.sub(_whole, masked)
    return _NEIGHBOURS.sub("<id>", masked) if ">:" in masked or ">." in masked else masked


def together(masked: str) -> str:
    """What several words mean: ``12 bytes (3 KB)`` is one size, a date and a clock one time."""
    for mark, pattern, to in _TOGETHER:
        if mark in masked:
            masked = pattern.sub(to, masked)
    return masked


def named(text: str) -> list[str]:
    """Words with one digit among letters: more often part of a name (``ssh2``, ``eth0``, ``log4j``)
    than a number. Their masks differ by letters only; whether the digit varies must be seen."""
    return _NAMED.findall(text)


def mask_named(word: str) -> str:
    """As it stands in a masked line."""
    letters = word.rstrip("0123456789")
    if letters != word and len(letters) > 1 and letters.isalpha():
        return f"{letters}<n>"
    return word.translate(_FOLD)


def masks_named(words: Iterable[str]) -> set[str]:
    """Those that stand in a template."""
    return {
        mask for word in words if "<n>" in word or "0" in word for mask in _NUMBERED.findall(word)
    }


def readable(words: Iterable[str], fixed: Mapping[str, str]) -> str:
    """``fixed``: masks of names whose digit never varied."""

    def told(found: re.Match[str]) -> str:
        return fixed.get(found[0]) or "<id>"

    return "".join(
        _NUMBERED.sub(told, word) if "<n>" in word or "0" in word else word for word in words
    )


def _typed(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind == "name":
        return found[0]
    if kind == "known":  # a pseudonym
        return found[0].partition(":")[0] + ">"
    return found[0].rstrip("0123456789") + "<n>" if kind == "n" else f"<{kind}>"


def _whole(found: re.Match[str]) -> str:
    """A word that holds a value is one."""
    chunk = found[0]
    if _KEEP.match(chunk):
        return chunk
    if chunk.count("<") == 1 and chunk.startswith("<"):
        return f"<{chunk[1 : chunk.index('>')]}>"
    return "<id>"
