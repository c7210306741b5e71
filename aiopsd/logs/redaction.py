"""Takes secrets out of a line before anything is mined, kept, sent or shown.

Every pattern is linear: it starts at a word's edge or a rare mark, and a value that begins like a
secret is taken to its end, closed or not, so that nothing is read twice and nothing leaks behind.
"""

from __future__ import annotations

import re
from typing import Final

_TEXT: Final = r'"(?:[^"\\]|\\.)*"?' + r"|'(?:[^'\\]|\\.)*'?" + r"|[^\s,;&\"'}\]]+"
_NAMED: Final = re.compile(
    r"(?i)((?:passw(?:or)?d|passphrase|pwd|secret|api[_-]?key|access[_-]?key(?:[_-]?id)?"
    r"|private[_-]?key|auth[_-]?token|token|credentials?|cookie)"
    r"(?:\\?[\"'])?\s{0,3}[=:]\s{0,3})(?:" + _TEXT + ")"
)
_HEADER: Final = re.compile(
    r"(?i)(\b(?:proxy-)?authorization(?:\\?[\"'])?\s{0,3}[=:]\s{0,3}[\"']?)"
    r"(?:(\w{1,20})\s{1,3})?[^\s,;\"']+"
)
_SCHEME: Final = re.compile(r"(?i)\b(bearer|basic)[ =:]{1,3}[\w\-.~+/=]{8,}")
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*", re.DOTALL)
_JWT: Final = re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){1,4}")
_KNOWN: Final = re.compile(
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|(?:xox[abeprs]|gh[pousr]|glpat|sk|pk|rk)[-_][\w-]{10,})"
)
_IN_URL: Final = re.compile(r"(?<=://)[^\s/:@]{0,256}:[^\s/@]{1,256}@")
_EMAIL: Final = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_LONG: Final = re.compile(r"(?<![\w+/=-])[\w+/-]{32,}={0,2}")

SECRET: Final = "<secret>"  # noqa: S105 - what stands there instead


def redact(text: str) -> str:
    """The same line without what looks like a secret or a person's address."""
    text = _HEADER.sub(lambda m: f"{m[1]}{m[2] + ' ' if m[2] else ''}{SECRET}", text)
    text = _NAMED.sub(rf"\1{SECRET}", text)
    text = _SCHEME.sub(rf"\1 {SECRET}", text)
    if "-----BEGIN" in text:
        text = _PEM.sub(SECRET, text)
    text = _KNOWN.sub(SECRET, _JWT.sub(SECRET, text))
    if "@" in text:
        text = _EMAIL.sub("<email>", _IN_URL.sub(f"{SECRET}@", text))
    return _LONG.sub(_unless_path, text)


def _unless_path(found: re.Match[str]) -> str:
    """Keys are long and mixed; paths have slashes, names are words, numbers are only digits."""
    word = found[0]
    letters = sum(map(str.isalpha, word))
    mixed = letters and letters < len(word) and any(map(str.isdigit, word))
    if not mixed or word.count("/") > len(word) // 20 + 1:
        return word
    is_hex = all(c in "0123456789abcdefABCDEF" for c in word)
    return SECRET if is_hex or (len(word) >= 40 and word.count("-") + word.count("_") < 6) else word
