"""What says who somebody is, or pays with: addresses, accounts and numbers, by their check digits
where they have some."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Final

from aiopsd.redaction import checks
from aiopsd.redaction.detector import Detector, Span, Value, matching, near, searching

_NO_DOMAINS: Final = frozenset({
    "service", "socket", "timer", "target", "mount", "automount", "slice", "scope", "device",
    "path", "swap", "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "json", "html", "so",
    "py", "java", "go", "rs", "class", "jar", "lock",
})  # fmt: skip
_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}+@(?:[\w-]{1,63}\.){1,6}(?P<END>[^\W\d_][\w-]{1,62})(?![\w-])"
)


def _email(found: re.Match[str]) -> str | None:
    """Not ``getty@tty1.service``, ``icon@2x.png`` and ``git@host``."""
    if found["END"].lower() in _NO_DOMAINS or found[0].startswith("git@"):
        return None
    return found[0].lower()


def _whole(kind: str, pattern: str, *anchors: str, value: Value, confirm: bytes = b"") -> Detector:
    return Detector(
        kind,
        near(*anchors, confirm=confirm),
        searching(kind, re.compile(pattern), value),
        whole=True,
    )


def _digits(check: Callable[[str], bool]) -> Value:
    """Compared without what stands between the digits."""

    def value(found: re.Match[str]) -> str | None:
        digits = "".join(c for c in found[0] if c.isdecimal())
        return digits if digits.isascii() and check(digits) else None

    return value


def _text(check: Callable[[str], bool]) -> Value:
    return lambda found: found[0].upper() if found[0].isascii() and check(found[0]) else None


_CARD: Final = (
    r"(?<![\w.+-])(?:[2-6]\d{3}(?P<A>[ -])\d{4}(?P=A)\d{4}(?P=A)\d{2,4}"
    r"|3[47]\d\d(?P<B>[ -])\d{6}(?P=B)\d{5}|3[0689]\d\d(?P<C>[ -])\d{6}(?P=C)\d{4}"
    r"|[2-6]\d{13,18}+)(?![\w-]|\.\d)"
)
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d(?:[ -]?[A-Za-z0-9]){11,30}+")


def _iban(text: str, place: int) -> Iterator[Span]:
    """The country says how long it is; words that follow are none of it."""
    found = _IBAN.match(text, place)
    if found is None:
        return
    left = checks.IBAN_CHARS.get(found[0][:2].upper(), 0)
    for end, char in enumerate(found[0], found.start() + 1):
        left -= char not in " -"
        if left == 0:
            said = "".join(c for c in text[place:end] if c not in " -").upper()
            if not text[end : end + 1].isalnum() and checks.is_iban(said):
                yield Span(place, end, "iban", said)
            return


_PHONE: Final = re.compile(r"(?<![\w+])\+[1-9](?:[ ./-]?\(?\d{1,14}+\)?){1,8}+")
_GROUP: Final = re.compile(r"\d+")
LONG_ENOUGH: Final = 10  # digits, country and all: what stands apart after that is something else
_PLUS: Final = ("+000", "+00 ", "+00-", "+00.", "+00(", "+00/", "+0 0", "+0 (", "+0-0", "+0.0",
                "+0(0")  # fmt: skip


def _phone(text: str, place: int) -> Iterator[Span]:
    """ITU E.164: at most 15 digits; what follows them is another number."""
    found = _PHONE.match(text, place)
    if found is None:
        return
    digits, end = "", place
    for group in _GROUP.finditer(found[0]):
        apart = found[0][group.start() - 1].isspace() and len(digits) >= LONG_ENOUGH
        if apart or len(digits) + len(group[0]) > 15:
            break
        digits, end = digits + group[0], place + group.end()
    if len(digits) >= 8:
        yield Span(place, end, "phone", "+" + digits)


_NAMED_PHONE: Final = re.compile(
    r"(?i:phone(?:[_ -]?(?:number|no))?|mobile|msisdn|tel)(?:\\?[\"'])?\s{0,2}[=:]\s{0,2}"
    r"(?:\\?[\"'])?(?P<value>\+?[\d(](?:[ ().-]{0,2}\d){5,14}+)(?!\d)"
)
_US_PHONE: Final = r"(?<![\w.-])(?:\([2-9]\d\d\) ?|[2-9]\d\d-)[2-9]\d\d-\d{4}(?![\w-])"


def _named_phone(found: re.Match[str]) -> str | None:
    digits = "".join(c for c in found["value"] if c.isdecimal())
    return digits if 6 <= len(digits) <= 15 else None


_IPV4: Final = r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"
_IPV6: Final = (
    r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])"
)


def _address(found: re.Match[str]) -> str | None:
    """Times are written with colons too, but these are no addresses."""
    try:
        return str(ipaddress.ip_address(found[0]))
    except ValueError:
        return None


_ALONE: Final = rb"(?<![\w.+-])"
_RUN: Final = _ALONE + rb"(?:[2-6]\d{12,18}|[12]\d{14}|\d{17}[\dXx])(?![\w-])"
_CARD_GROUPS: Final = _ALONE + rb"(?:[2-6]\d{3}[ -]\d{4}[ -]|3[04-9]\d\d[ -]\d{6}[ -])"
_MAIL: Final = rb"(?<=[\w.+%?-])@[\w?-]{1,63}+\.[^\W_]"  # ? may be a letter of any script

PEOPLE: Final = (
    Detector("email", near("@", confirm=_MAIL), searching("email", _EMAIL, _email), whole=True),
    _whole("card", _CARD, "0" * 13, value=_digits(checks.is_card), confirm=_RUN),
    _whole("card", _CARD, "0000 0000 0000", "0000-0000-0000", "0000 000000 0000",
           "0000-000000-0000", value=_digits(checks.is_card), confirm=_CARD_GROUPS),
    Detector("iban", near(*(f"{c.lower()}00" for c in checks.IBAN_CHARS),
                          confirm=rb"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d[ -]?[A-Za-z0-9]{4}"), _iban),
    _whole("national-id", r"(?<![\w.-])\d{3}-\d\d-\d{4}(?![\w-])", "000-00-0000",
           value=_digits(checks.is_us_ssn), confirm=_ALONE),
    _whole("national-id", r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d\d(?![\w-])", "000.000.000-00",
           value=_digits(checks.is_brazilian), confirm=_ALONE),
    _whole("national-id", r"(?<![\w.-])\d{17}[\dXx](?![\w-])", "0" * 13,
           value=_text(checks.is_chinese), confirm=_RUN),
    _whole("national-id", r"(?<![\w.-])[12]\d{14}(?![\w-]|\.\d)", "0" * 13,
           value=_digits(checks.is_french), confirm=_RUN),
    _whole("national-id", r"(?<![\w.-])[12] \d\d \d\d \d\d \d{3} \d{3} \d\d(?![\w-])",
           "0 00 00 00 000 000 00", value=_digits(checks.is_french)),
    _whole("national-id", r"(?<![\w.-])\d{6}[-+A]\d{3}[0-9A-Ya-y](?![\w-])", "000000-000",
           "000000a000", value=_text(lambda t: checks.is_finnish(t) or checks.is_swedish(t)),
           confirm=_ALONE + rb"\d{6}[-+A]\d{3}\w(?![\w-])"),
    Detector("phone", near(*_PLUS, confirm=rb"(?<![\w+])\+[1-9][\d ()./-]{7}"), _phone),
    Detector("phone", near("phone", "mobile", "msisdn", "tel=", "tel:", 'tel"'),
             matching("phone", _NAMED_PHONE, _named_phone)),
    _whole("phone", _US_PHONE, "000-000-0000", "(000) 000-0000", "(000)000-0000",
           value=_digits(lambda _: True), confirm=_ALONE),
)  # fmt: skip
ADDRESSES: Final = (
    Detector("ip", (), searching("ip", re.compile(_IPV4), _address), whole=True),
    Detector("ip", (), searching("ip", re.compile(_IPV6), _address), whole=True),
)
"""Looked for in every line, and only where somebody asked for it."""
