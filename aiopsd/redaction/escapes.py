r"""Texts as they are meant: ``\n`` and ``\u003c`` of JSON, ``%3D`` of an address, ``&#61;`` of a
page, full-width letters, signs that nobody sees, and words for a password in other scripts.

A number, or a name, ends there; as it is written, the letter behind the backslash would be part of
it, and ``\n4111111111111111`` no card.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from aiopsd.redaction.detector import Span

_SAFE: Final = r"(?:3[dDaA]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF]|2[dD])"  # = : and what names are of
_PLAIN: Final = (
    r"\\{1,4}+(?:(?P<SPACE>[nrt])|(?:u00|x)(?P<CODE>[2-7][0-9a-fA-F])(?<!5[cC])"
    r"|(?:u00|x|0)?(?:1b|1B|33)\[[\d;]{0,16}+[mK])"
    rf"|%(?:25){{0,2}}(?P<PERCENT>{_SAFE})"
    r"|&(?:\#(?P<NUMBER>\d{2,3})|\#[xX](?P<HEX>[2-7][0-9a-fA-F])|(?P<NAME>quot|apos|lt|gt|amp));"
    r"|\x1b\[[\d;]{0,16}+[mK]"
)
_WORDS: Final = (  # from their first letter that is not ASCII: what is before it may stay
    "(?<=ontrase)[ñÑ]a|(?<=[lL])ösenord|(?<=[hH]as)ło|(?<=[jJ]elsz)ó|[şŞ]ifre|(?<=[pP]arol)ă"
    "|[пП]ароль|ПАРОЛЬ|κωδικός|密码|密碼|口令|暗証番号|パスワード|비밀번호|סיסמה|كلمة المرور"
    "|(?<=[mM])ật khẩu"
)
_WIDE: Final = {  # letters and signs that look like others: full-width, mathematical
    code: unicodedata.normalize("NFKC", chr(code))
    for code in (*range(0xFF01, 0xFF5F), *range(0x1D400, 0x1D6A4), 0xA0, 0x3000)
}
_UNSEEN: Final = (
    r"\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff"
)
_ESCAPE: Final = re.compile(_PLAIN)
_SEEN: Final = (
    f"[{_UNSEEN}\u00a0\u3000\uff10-\uff19\uff21-\uff3a\uff3f\uff41-\uff5a"
    "\U0001d400-\U0001d6a3ñÑöłóşŞăпПκ密口暗パ비\u05e1كậ]"
)
_ANY: Final = re.compile(rf"{_PLAIN}|(?P<UNSEEN>[{_UNSEEN}]{{1,9999}}+)|(?P<WORD>{_WORDS})")
_SIGNS: Final = "\\%&\x1b"  # one of them begins whatever ASCII alone writes otherwise
_HINT: Final = re.compile(_SEEN)
_BEGINS: Final = re.compile(rf"[\\%&\x1b]|{_SEEN}")
_NAMES: Final = {"quot": '"', "apos": "'", "lt": "<", "gt": ">", "amp": "&"}
_SPACES: Final = {"n": "\n", "r": "\r", "t": "\t"}


class Reading(NamedTuple):
    """A text as it is meant, and where each part of it stands as it is written."""

    text: str
    places: list[int]  # in the text, where a part begins: one as it is, or one that was read
    written: list[int]
    end: int  # up to where it was read, as it is written

    def span(self, span: Span) -> Span:
        """Where it is written; an escape that it begins or ends within is all of it."""
        start, whole = self._place(span.start), bisect_right(self.places, span.end) - 1
        end = self.written[whole] + span.end - self.places[whole]
        if whole % 2 and span.end > self.places[whole]:
            end = self.written[whole + 1]
        return span._replace(start=start, end=end)

    def _place(self, place: int) -> int:
        part = bisect_right(self.places, place) - 1
        return self.written[part] + (0 if part % 2 else place - self.places[part])


def readings(texts: Sequence[str], most: int | None = None) -> dict[int, Reading]:
    """By their place among them, of those that are not written as they are meant. One look at all
    of them together, so that others cost next to nothing. ``most``: signs that are read of each."""
    whole = "\n".join(texts)
    odd: set[int] = set()
    if not whole.isascii():
        odd = {i for i, one in enumerate(texts) if not one.isascii() and _HINT.search(one)}
    starts: list[int] = []
    for sign in _SIGNS:
        place = whole.find(sign)
        if place >= 0 and not starts:
            starts = [*accumulate((len(one) + 1 for one in texts), initial=0)]
        while place >= 0:
            at = bisect_right(starts, place)
            odd.add(at - 1)
            place = whole.find(sign, starts[at])
    found = ((at, reading(texts[at], most)) for at in sorted(odd))
    return {at: meant for at, meant in found if meant is not None}


def reading(text: str, most: int | None = None) -> Reading | None:
    """None where it is written as it is meant, to its end."""
    parts: list[str] = []
    narrow = text if text.isascii() else text.translate(_WIDE)
    places, written, at, end = [0], [0], 0, 0
    for n, begin in enumerate(_BEGINS.finditer(narrow)):
        if n == most:
            narrow = narrow[: max(end, begin.start())]
            break
        found = _ANY.match(narrow, begin.start()) if begin.start() >= end else None
        if found is None:
            continue
        said = _read(found)
        parts += narrow[end : found.start()], said
        at += found.start() - end
        places += at, at + len(said)
        written += found.span()
        at, end = at + len(said), found.end()
    if not parts and narrow == text:
        return None
    return Reading("".join((*parts, narrow[end:])), places, written, len(narrow))


def _read(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "SPACE":
            return _SPACES[found["SPACE"]]
        case "CODE" | "PERCENT" | "HEX" as code:
            return chr(int(found[code], 16))
        case "NUMBER":
            code_point = int(found["NUMBER"])
            return chr(code_point) if 32 <= code_point < 127 else " "
        case "NAME":
            return _NAMES[found["NAME"]]
        case "WORD":
            return "password"
    return ""


def uncut(text: str, spans: Iterable[Span]) -> list[Span]:
    """None begins or ends within an escape: what stays can still be read."""
    bounds = [found.span() for found in _ESCAPE.finditer(text)]
    inside = {place: one for one in bounds for place in range(one[0] + 1, one[1])}
    whole = [
        span._replace(
            start=inside.get(span.start, (0, span.start))[1],
            end=inside.get(span.end, (span.end, 0))[0],
        )
        for span in spans
    ]
    return [span for span in whole if span.start < span.end]
