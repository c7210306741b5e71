"""Whether what stands behind a name is a secret, or says what is wrong with one."""

from __future__ import annotations

import re
from typing import Final

from aiopsd.redaction.detector import PLACEHOLDER

_SAYING: Final = """
    null none nil undefined empty redacted masked hidden filtered omitted missing absent blank unset
    unknown default n/a eof true false yes no on off

    required optional invalid valid expired failed incorrect correct wrong bad ok okay accepted
    rejected denied changed unchanged updated set reset verified validated success successful
    successfully error disabled enabled present provided given supplied revoked refreshed renewed
    generated created deleted removed rotated loaded found used unused pending locked unlocked
    encrypted hashed plain plaintext cleartext match matched mismatch mismatched weak strong short
    long fallido incorrecto incorrecta inválida inválido ungültig falsch abgelaufen erforderlich
    requis oublié muss darf minimum maximum fails doesn't can't

    is was are be been has have had for not and or the a an to in of at by with from via as too must
    should cannot can could will would may might does do did if when your my our their its this that
    field string text value type user username name admin login authentication

    password passwords passwd pass token tokens secret secrets credential credentials key keys
    apikey passwort kennwort bearer basic

    include omit same-origin
"""
"""That there is none, what became of it, how people go on, and the name itself."""
_COMPLAINING: Final = """
    is are was must be been should cannot can may not required least most characters character
    invalid incorrect expired too field contain contains match empty blank longer shorter
"""
_NOTHING: Final = frozenset(_SAYING.split())
_PROSE: Final = frozenset(_COMPLAINING.split())
_REFERENCE: Final = re.compile(
    r"\$\{|\{\{|\$\(|%\{|%\(|\$[A-Z_]{3,64}+(?!\w)|%[svdq]$|:[a-z_]{1,32}\d?$|\$\d$"
)
_OBJECT: Final = re.compile(r"[A-Za-z][A-Za-z.$]{2,60}+[{(\[]")  # such as token=AppToken{de92
_AROUND: Final = "()[]{}<>*.:;,!?'\"`|/-"


def is_nothing(value: str) -> bool:
    """It says that there is none, what became of it, or where it comes from."""
    plain = value.strip(_AROUND).lower()
    if not plain.strip("x-_*•●") or plain in _NOTHING:
        return True
    if PLACEHOLDER.fullmatch(value.strip("=: \t\r\n")):
        return True
    return _REFERENCE.match(value) is not None


def is_secret(value: str, *, strong: bool = True) -> bool:
    """Behind a sign, such as ``=``. Of a weak name not when it is a count, a path or what a program
    prints of an object."""
    if is_nothing(value):
        return False
    if strong:
        return True
    if value.startswith(("/", "~/", "./")) or value[1:3] == ":\\":
        return False
    return not (value.isdecimal() and len(value) < 8) and not _OBJECT.match(value)


def is_prose(value: str) -> bool:
    """What is wrong with it, in more than a word."""
    return (
        " " in value
        and sum(word.strip(_AROUND) in _PROSE for word in value[:200].lower().split(" ")) >= 2
    )


_ORDINARY: Final = re.compile(
    r"[\d.,:/_+#-]+%?"  # numbers, times, dates, addresses
    r"|[\d.,]+[A-Za-zµ]{1,4}|0[xX][0-9a-fA-F]+|[vV]?\d+(?:\.\w{1,16}){1,4}|\d{4}-\d\d-\d\dT.*"
    r"|(?:[A-Za-z]+[-_./:@#])+\d{1,6}|(?:[A-Za-z]+[-_./])+[A-Za-z]+\d{0,3}"  # node-7, web-node7
    r"|(?:[a-z][\w-]*@)?(?:[\w-]+\.)+[A-Za-z]{2,16}(?::\d+)?(?:\(.*)?"
    r"|[\w.-]+:\d{1,5}|/.*|[\w+]{1,10}://.*"
    r"|[A-Z]+\d{0,3}(?:[-_][A-Z0-9]+)*|.*[=<>{}].*|[\w.$]+\(.*|[A-Z][\w.$]*@[0-9a-f]{4,8}"
    r"|(?:[a-z][a-z0-9]*-)+[0-9a-f]{6,10}-[a-z0-9]{5}|[A-Za-z]+_-?\d{4,}(?:_\w*)?"
    r"|(?i:(?:sha|md|ssh|aes|des|rc|ssl|tls|tlsv|utf|http|h|oauth|auth|ipv|base|pkcs|x|p|hs|rs|es"
    r"|ps|ed|arm|amd|ec|k|s|log|i|pbkdf|argon|bcrypt|scrypt|scram|curve|latin|iso|cp|win|python|java|node"
    r"|attempt|step|phase|try|user|test|level|type|version|part|line|row|col|page|port|worker|app)"
    r"[-_./]?\d{1,5}[a-z]{0,4}(?:[-_.]\w{1,8})?)|(?:sha|md)\d{1,3}:.*"
)
_OF: Final = re.compile(r"^(?!sha\d|md5)[A-Za-z][\w.@-]{0,40}:")  # bob:x
_CLASSES: Final = "".join(
    "A" if "A" <= c <= "Z" else "a" if "a" <= c <= "z" else "0" if "0" <= c <= "9" else "_"
    for c in map(chr, range(128))
)


def is_telling(value: str, *, strong: bool = True) -> bool:
    """Where only words stand before it, in prose: whether it looks like a secret itself. Behind a
    weak name it has to look random."""
    value = value[:128].strip("()[].,:;!?'\"")
    value = _OF.sub("", value)
    if len(value) < 6 or is_nothing(value) or _ORDINARY.fullmatch(value):
        return False
    kinds = classes(value)
    if "0" not in kinds:
        signs = sum(c in "!@#$%^&*+~" for c in value[1:])
        return strong and bool(signs) and ("a" in kinds or "A" in kinds)
    if "a" not in kinds and "A" not in kinds:
        return False
    return strong or changes(kinds) >= 3


def classes(value: str) -> str:
    """``A`` for a capital letter, ``a`` for a small one, ``0`` for a digit, ``_`` for a sign."""
    return value.encode("ascii", "replace").decode().translate(_CLASSES)


def changes(kinds: str) -> int:
    return sum(map(str.__ne__, kinds, kinds[1:]))
