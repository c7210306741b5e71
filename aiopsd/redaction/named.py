"""Secrets by the name that stands before them: ``password=``, ``"api_key": ``, ``--token``.

The value is taken to its end, closed or not; the name stays. Linear: it matches at one place, gives
nothing back (possessive) and is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aiopsd.redaction.detector import PLACEHOLDER, Span

QUOTE: Final = r"(?:\\{0,3}[\"'])?"
IS: Final = r"\s{0,3}(?:=>|:=|[=:]|%3[dD])\s{0,3}"
_VALUE: Final = (
    r"\[?(?:"
    r"\\{1,3}\"(?P<escaped>[^\"\\]{1,4096}+)"
    r"|\"(?P<double>(?:[^\"\\]|\\.){1,4096}+)"
    r"|'(?P<single>(?:[^'\\]|\\.){1,4096}+)"
    rf"|(?!{PLACEHOLDER.pattern})(?P<bare>[^\s,;&\"'}}\]\\][^\s,;&\"'}}\]]{{0,4096}}+))"
)
_STRONG: Final = (
    r"passw(?:or)?d|passwd|passphrase|api[_-]?key|access[_-]?key|account[_-]?key"
    r"|secret[_-]?key|private[_-]?key|client[_-]?secret|auth[_-]?token|access[_-]?token"
    r"|refresh[_-]?token|encryption[_-]?key|signing[_-]?key|license[_-]?key|jsessionid|phpsessid"
)
_WEAK: Final = r"pass|pwd|secret|token|credentials?|cvv|cvc"
_NAME: Final = rf"(?:(?P<STRONG>{_STRONG})|{_WEAK})"
_ENDING: Final = r"(?:[_-]?(?:id|key|base|hash|value|string|confirm(?:ation)?|\d{1,2}))?"
_NAMED: Final = re.compile(
    rf"(?i:{_NAME}{_ENDING})"
    rf"(?:{QUOTE}{IS}|(?P<XML>>)|(?P<SPACE>\s{{1,3}})){_VALUE}"
)
NAMES: Final = (
    "passw", "passphrase", "pass=", "pass\"", "secret", "token", "apikey", "api_key",
    "api-key", "accesskey", "access_key", "access-key", "accountkey", "account_key", "account-key",
    "privatekey", "private_key", "private-key", "encryption_key", "encryptionkey", "signing_key",
    "signingkey", "license_key", "licensekey", "credential", "jsessionid", "phpsessid",
    *(word + sign for word in ("pwd", "cvv", "cvc") for sign in "=:\"' \\>_"),
)  # fmt: skip
SECRET_KEY: Final = re.compile(
    rf"(?i).{{0,60}}?(?P<STRONG>{_STRONG}|authorization|cookie){_ENDING}"
    rf"|(?:.{{0,60}}[_.\- ])?(?:{_WEAK}){_ENDING}|(?-i:.{{0,60}}(?:Secret|Token))"
)
"""A key of a mapping, or a label, whose value is a secret whatever it looks like."""

_NOTHING: Final = frozenset({
    "null", "none", "nil", "true", "false", "undefined", "empty", "redacted", "masked", "hidden",
    "filtered", "required", "missing", "invalid", "expired", "failed", "incorrect", "wrong",
    "yes", "no", "is", "was", "for", "not", "and", "or", "the", "on", "off",
})  # fmt: skip


_OBJECT: Final = re.compile(r"[A-Za-z][A-Za-z.$]{2,60}+[{(\[]")  # such as token=AppToken{de92


def is_secret(value: str, *, strong: bool = True) -> bool:
    """Not when it says that there is none, or what is wrong with it. Of a weak name also not when
    it is a count, a path or what a program prints of an object."""
    plain = value.strip("()[]<>*.:;,!?'\"").lower()
    if not plain.strip("x-_") or plain in _NOTHING or PLACEHOLDER.fullmatch(value):
        return False
    if value.startswith(("${", "{{", "$(", "%{", "%(")) or value in ("%s", "%v", "%d"):
        return False
    if strong:
        return True
    if value.startswith(("/", "~/", "./")) or value[1:3] == ":\\":
        return False
    return not (value.isdecimal() and len(value) < 8) and not _OBJECT.match(value)


def named(text: str, place: int) -> Iterator[Span]:
    """What the name at this place gives away."""
    found = _NAMED.match(text, place)
    if found is None:
        return
    group = found.lastgroup or ""
    value, strong = found[group], found["STRONG"] is not None
    if found["XML"] is not None:
        value, closed, _ = value.partition("</")
        if not closed:
            return
    elif text.startswith("<", place - 1) and PLACEHOLDER.match(text, place - 1):
        return
    elif found["SPACE"] is not None:
        # Such as SQL's: PASSWORD 'x'. What a : follows is a name itself.
        quoted = group != "bare" and strong and text[found.end() + 1 :][:1] not in (":", "=")
        if not quoted and not _is_option(text, place):
            return
    elif group == "bare" and found[0][-len(value) - 1].isspace() and value.isalpha():
        strong = strong and value.lower() not in _NOTHING  # prose, perhaps: "token: expired"
        if not strong and value.islower():
            return
    if value and is_secret(value, strong=strong):
        start = found.start(group)
        yield Span(start, start + len(value), "secret", value)


def _is_option(text: str, place: int) -> bool:
    """``--db-password x``, but not ``the password x``."""
    begin = max(text.rfind(" ", max(0, place - 40), place) + 1, place - 40, 0)
    return text.startswith("--", begin)
