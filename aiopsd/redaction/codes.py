"""Codes of a few digits, and phrases of many words: secrets by their name alone.

One-time codes, PINs and card verification values are numbers, which behind other names are counts.
"""

from __future__ import annotations

import re
from typing import Final

from aiopsd.redaction.detector import Detector, matching, near
from aiopsd.redaction.secret_names import IS, QUOTE
from aiopsd.redaction.values import changes, classes

_OF: Final = ("verification", "security", "one-time", "one_time", "one time", "onetime", "mfa",
              "2fa", "sms", "confirmation")  # fmt: skip
_CODES: Final = tuple(f"{word}{sign}code" for word in _OF for sign in ("_", "-", " ", ""))
_SHORT: Final = ("otp", "totp", "pin", "cvv", "cvc", "cvn", "csc")
_SIGNS: Final = "=:\"' \\"
_CODE: Final = re.compile(
    rf"(?:(?i:{'|'.join(_CODES)})|(?<![A-Za-z])(?i:otp|totp|cvv2?|cvc2?|cvn|csc|(?P<PIN>pin))"
    rf"|(?<=[a-z])(?:Otp|Totp|Cvv|Cvc|(?P<HUMP>Pin)))"
    rf"(?:{QUOTE}{IS}[\"'\\\[(]{{0,4}}+(?P<value>\d{{3,8}}+)"
    r"|\s(?:is\s{1,3}|was\s{1,3}|:\s{0,3})?[\"'\[(]{0,2}+(?P<said>\d{6,8}+))(?!\w|[.:]\d)"
)
_PHRASES: Final = ("seed", "recovery", "backup", "mnemonic")
_PHRASE: Final = re.compile(
    rf"(?i:(?:{'|'.join(_PHRASES)})(?:[ _-]?(?:phrase|words))?){QUOTE}{IS}[\"'\\\[(]{{0,4}}+"
    r"(?P<value>[a-z]{3,10}(?:[\"']{0,2}[ ,_-]{1,2}[\"']{0,2}[a-z]{3,10}){11,24}+)"
)  # BIP 39: 12 to 24 words
_IN_URL: Final = re.compile(
    r"[?&](?i:code|ticket|invite|reset|state)=(?P<value>[\w%.~+/-]{12,1024}+)"
)


def _code(found: re.Match[str]) -> str | None:
    """Pins of a chip are numbers too, of at most three digits."""
    is_pin = found["PIN"] or found["HUMP"]
    if found["said"]:
        return None if is_pin else found["said"]
    return None if is_pin and len(found["value"]) < 4 else found["value"]


def _opaque(found: re.Match[str]) -> str | None:
    """Whoever has it may log in once; ``code=ERR_TOO_MANY_TRIES`` is none."""
    kinds = classes(found["value"][:128])
    has_letters = "a" in kinds or "A" in kinds
    return found["value"] if "0" in kinds and has_letters and changes(kinds) >= 4 else None


CODES: Final = (
    Detector("secret", near(*(word + sign for word in (*_SHORT, "cvv0", "cvc0") for sign in _SIGNS),
                            *(word.replace("2", "0") for word in _CODES)),
             matching("secret", _CODE, _code)),
    Detector("secret", near(*(f"{one}{sign}" for one in _PHRASES for sign in (*_SIGNS, "_", "-"))),
             matching("secret", _PHRASE)),
    Detector("secret", near(*(f"{sign}{word}=" for sign in "?&"
                              for word in ("code", "ticket", "invite", "reset", "state"))),
             matching("secret", _IN_URL, _opaque)),
)  # fmt: skip
