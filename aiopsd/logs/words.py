"""Words of a message to typed masks: ``10.0.0.7:80`` is ``<ip>``, ``node-17`` is ``<id>``.

One combined pattern looks at each word that was never seen, digits aside; what several words mean
together (sizes, dates, lists) is found in the masked line, behind a test for a mark it must have.
Every pattern is linear: each alternative begins at an edge and no two of its parts can trade.
"""

from __future__ import annotations

import re
from typing import Final

MAX_TEXT, MAX_WORDS, MAX_WORD, MAX_KEPT = 2048, 160, 200, 50_000
BLOB: Final = "<blob>"

_MASK: Final = re.compile(
    r"""
 (?P<http>\bHTTP/\d(?:\.\d)?\b)
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
|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}\b)
|(?P<num>(?<![A-Za-z_\d.])[-+]?\d+(?:\.\d+)*(?:%|[KMGT]?i?B|[mun]?s|sec)?(?![A-Za-z_\d]))
|(?P<n>(?<![\w.$-])[A-Za-z]{2,}\d{1,3}(?![\w.$-]))
|(?P<id>(?<![A-Za-z_\d])(?![A-Z]{2,}\d(?!\w))[A-Za-z_$-]*\d[\w$-]*)
""",
    re.VERBOSE,
)
_EDGE: Final = r"""[^\s,;:="'()\[\]{}|<>#&]*"""
_CHUNK: Final = re.compile(rf"{_EDGE}<\w+>(?:{_EDGE}<\w+>)*{_EDGE}")
_KEEP: Final = re.compile(r"(?:[A-Za-z]{2,}[.-]+)?<\w+>[.!?*]*$|[A-Za-z]{2,}<n>$")
_NEIGHBOURS: Final = re.compile(r"<\w+>(?:[.:]<\w+>)+")
_DOTS: Final = re.compile(r"(\.{4,})")
_NUMBERED: Final = re.compile(r"[A-Za-z]+<n>")
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
        ("<", r"<\w+>(?:[ ,]+<\w+>){7,}", "<list>"),
        ("<n>", r"\b([A-Za-z]+<n>)(?:[ ,]+\1){2,}", "<list>"),
    )
]  # fmt: skip


class Words:
    """Remembers the mask of each word, digits aside."""

    def __init__(self) -> None:
        self._masks: dict[str, str] = {}

    def mask(self, text: str) -> str:
        """The line with every value that one word shows; at most 160 words of it."""
        masks, masked, text = self._masks, [], text[:MAX_TEXT]
        folded = text.translate(_FOLD).split(" ")[:MAX_WORDS]
        for key in folded:
            mask = masks.get(key)
            if mask is None:
                mask = mask_word(key)
                if len(key) < 40:
                    if len(masks) > MAX_KEPT:
                        masks.clear()
                    masks[key] = mask
            masked.append(mask)
        return " ".join(masked)


def mask_word(word: str) -> str:
    if len(word) > MAX_WORD:
        return BLOB
    if "...." in word and word.strip("."):
        parts = _DOTS.split(word)
        return "".join(part if part[:1] == "." else mask_word(part) for part in parts)
    masked = _MASK.sub(_typed, word)
    if "<" not in masked or masked is word:
        return masked
    return _NEIGHBOURS.sub("<id>", _CHUNK.sub(_whole, masked))


def together(masked: str) -> str:
    """What several words mean: ``12 bytes (3 KB)`` is one size, a date and a clock one time."""
    for mark, pattern, to in _TOGETHER:
        if mark in masked:
            masked = pattern.sub(to, masked)
    return masked


def readable(text: str) -> str:
    """``<n>`` marks a name with a number behind, so that ``eth1`` and ``eth2`` stay near."""
    return _NUMBERED.sub("<id>", text)


def _typed(found: re.Match[str]) -> str:
    kind = found.lastgroup
    return found[0].rstrip("0123456789") + "<n>" if kind == "n" else f"<{kind}>"


def _whole(found: re.Match[str]) -> str:
    """A word that holds a value is one."""
    chunk = found[0]
    if _KEEP.match(chunk):
        return chunk
    if chunk.count("<") == 1 and chunk.startswith("<"):
        return f"<{chunk[1 : chunk.index('>')]}>"
    return "<id>"
