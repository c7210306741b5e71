"""Passwords, keys and tokens: in headers, addresses and files, and by their own looks.

Every pattern is linear: it gives nothing back (possessive) and is bounded. What begins like a
secret is taken to its end, closed or not.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from aiopsd.redaction.anchors import Anchor
from aiopsd.redaction.codes import CODES
from aiopsd.redaction.commands import COMMANDS
from aiopsd.redaction.detector import Detector, matching, near, searching
from aiopsd.redaction.hashes import HASHES
from aiopsd.redaction.named import named
from aiopsd.redaction.secret_names import IS, NAMES, PASS, QUOTE
from aiopsd.redaction.session_ids import SESSIONS, session
from aiopsd.redaction.tokens import TOKENS
from aiopsd.redaction.values import changes, classes, is_nothing, is_secret

_AUTHORIZATION: Final = re.compile(
    rf"(?i:authorization){QUOTE}{IS}[\[\"'\\]{{0,5}}+(?:"
    r"(?i:digest|aws4-hmac-sha256|oauth|hmac|signature)[ ]"
    r"(?P<rest>(?:=\\{0,3}\"[^\"\\\r\n]{0,512}+(?:\\{0,3}\")?|[^\r\n\"'\\]){1,4096}+)"
    r"|(?i:bearer|basic|token|negotiate|ntlm|apikey|key|splunk|bot)[ =:]{1,3}"
    r"(?P<credentials>[^\s,;\"'\\\]}]{1,4096}+)"
    r"|[A-Za-z][\w-]{1,20} (?P<custom>(?=[^\s\"']{0,99}\d)[^\s,;\"'\\\]}]{8,4096}+)"
    r"|(?P<bare>[^\s,;\"'\\\]}<]{1,4096}+))"
)
_SCHEME: Final = re.compile(
    r"(?i:(?P<BASIC>basic)|bearer)[ =:]{1,3}[\"']?(?P<value>[\w\-.~+/]{8,4096}+={0,2})"
)
_COOKIE: Final = re.compile(
    rf"(?i:cookie2?){QUOTE}\s{{0,3}}(?::\s{{0,3}}[\[\"'\\]{{0,5}}+(?P<all>[^\r\n\"'\\\]<]"
    r"[^\r\n\"'\\\]]{0,4096}+)|=\s{0,1}[\"']?(?P<one>[^\s\"',<][^\s\"',]{0,4096}+))"
)
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".{0,16384}?(?:-----END[^-]{0,60}-----|\Z)",
    re.DOTALL,
)
_IN_URL: Final = re.compile(r"(?<=://)[^\s/:@\"'<>]{0,128}+:(?P<value>[^\s/\"'<>]{1,256})@")
_CURL_USER: Final = re.compile(
    r" -u\s{1,3}[\"']?[^\s:\"']{1,64}+:(?P<value>(?!\d{1,6}(?:\s|$))[^\s\"']{1,256}+)"
)
_SIGNED: Final = re.compile(
    r"(?i:[?&;](?:sig|x-amz-signature|signature)=)(?P<value>[\w%+/=-]{16,512}+)"
)
_DOCKER: Final = re.compile(
    r"\\{0,3}\"auth\\{0,3}\"\s{0,3}:\s{0,3}\\{0,3}\"(?P<value>[A-Za-z0-9+/]{4,4096}+={0,2})"
)
_LDIF: Final = re.compile(  # RFC 2849: after two colons it is base64
    r"(?i:userpassword|unicodepwd|sambantpassword)::\s{1,3}(?P<value>[\w+/]{4,4096}+={0,2})"
)
_HOOKS: Final = ("hooks.slack.com/", "/api/webhooks/", "webhook.office.com/")
_HOOK: Final = re.compile(
    r"(?i:hooks\.slack\.com/\w{1,20}/|/api/webhooks/|webhook\.office\.com/)"
    r"(?P<value>[\w/@.-]{16,512}+)"
)
_OPAQUE: Final = re.compile(r"(?<![\w+/=-])(?<!sha256:)[\w+/-]{32,}+={0,2}")


def _authorized(found: re.Match[str]) -> str | None:
    value = found[found.lastgroup or 0]
    if found.lastgroup == "bare" and (value.isalpha() or len(value) < 6):
        return None
    return value if is_secret(value) else None


def _after_scheme(found: re.Match[str]) -> str | None:
    """Prose knows these words too: "basic authentication", "bearer certificates"."""
    value = found["value"]
    if found["BASIC"]:
        return value if _is_basic(value) else None
    return value if any(c.isdigit() for c in value) or len(value) >= 20 else None


def _of_docker(found: re.Match[str]) -> str | None:
    return found["value"] if _is_basic(found["value"]) else None


def _is_basic(value: str) -> bool:
    try:
        return b":" in base64.b64decode(value, validate=True)
    except ValueError:  # also what is not ASCII
        return False


def _cookie(found: re.Match[str]) -> str | None:
    value = found[found.lastgroup or 0].strip()
    if is_nothing(value.split(" ", 1)[0]):
        return None
    telling = "=" in value or len(value) >= 8 or any(c.isdigit() for c in value)
    return value if telling and is_secret(value) else None


def _opaque(found: re.Match[str]) -> str | None:
    """Random letters of both cases and digits change their class at more than every third
    character (two of three are expected); names and paths seldom do."""
    word = found[0]
    kinds = classes(word[:128].rstrip("="))
    if not {"A", "a", "0"} <= set(kinds) or word.count("/") > len(word) // 16 + 1:
        return None
    return word if changes(kinds) >= 0.4 * (len(kinds) - 1) else None


_HEX: Final = re.compile(r"(?<![\w+/=:-])[0-9a-fA-F]{64,}+(?![\w+/-])")


def _hex(found: re.Match[str]) -> str | None:
    return None if found[0].isdecimal() else found[0]


_MIXED: Final = re.compile(
    rb"(?=[^A-Z\s]{0,31}+[A-Z])(?=[^a-z\s]{0,31}+[a-z])(?=[^0-9\s]{0,31}+[0-9])"
)


def _mixed(line: bytes, place: int) -> bool:
    """Most ids of this length are of small letters alone."""
    return not line[place : place + 32].islower() and bool(_MIXED.match(line, place))


_LONG: Final = (Anchor("x" * 32, _mixed, in_words=True),)
_LONGER: Final = (Anchor("x" * 64, re.compile(rb"[0-9a-fA-F]{64}").match, in_words=True),)
_USER: Final = rb"://[^\s/:@\"'<>]{0,128}+:[^\s/\"'<>]{1,256}@"

SECRETS: Final = (
    Detector("private-key", near("-----begin"), matching("private-key", _PEM)),
    Detector("secret", near("authoriz"), matching("secret", _AUTHORIZATION, _authorized)),
    Detector("secret", near("bearer", "basic "), matching("secret", _SCHEME, _after_scheme)),
    Detector("secret", near('"auth"', '"auth\\'), matching("secret", _DOCKER, _of_docker)),
    Detector(
        "secret", near("password:: ", "unicodepwd:: "), searching("secret", _LDIF), whole=True
    ),
    Detector("secret", near("cookie"), matching("secret", _COOKIE, _cookie)),
    Detector("secret", (*near(*NAMES), *near("pass", confirm=PASS)), named),
    Detector("session", near(*SESSIONS), session),
    *COMMANDS,
    Detector("secret", near("://", confirm=_USER), searching("secret", _IN_URL), whole=True),
    Detector("secret", near(" -u "), matching("secret", _CURL_USER)),
    Detector("secret", near("sig=", "signature="), searching("secret", _SIGNED), whole=True),
    Detector("secret", near(*_HOOKS), matching("secret", _HOOK)),
    *CODES,
    *HASHES,
    *TOKENS,
    Detector("opaque", _LONG, searching("opaque", _OPAQUE, _opaque), whole=True),
    Detector("opaque", _LONGER, searching("opaque", _HEX, _hex), whole=True, prose=True),
)
