"""Secrets by their place in a command, a statement or a protocol: ``sshpass -p x``, ``AUTH x``.

Linear: words are taken whole (possessive), and so many of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from aiopsd.redaction.detector import PLACEHOLDER, Detector, Find, Span, near
from aiopsd.redaction.values import changes, classes, is_secret, is_telling

_NEXT: Final = r"(?:\\{0,3}[\"']?,?\s{1,3}|\\{0,3}[\"'],)\\{0,3}[\"']?"  # also of a list: "a","b"
_WORD: Final = r"[^\s\"'|;&\\]{1,256}+"
_VALUE: Final = (
    rf"\\{{0,3}}(?:\"(?P<double>(?:[^\"\\]|\\.|\"\"(?=\w)){{1,512}}+)|'(?P<single>(?:[^']|''(?=\w)){{1,512}}+)"
    rf"|(?!{PLACEHOLDER.pattern})(?P<bare>[^\s\"'|;&<>\\,][^\s\"'|;<>\\]{{0,512}}+))"
)
_COMMANDS: Final = (  # programs, as they begin; what stands between their name and the secret
    ("sshpass", "", rf"-p(?:{_NEXT})?"),
    ("mysql mariadb", r"[\w-]{0,12}(?:\.exe)?", "-p"),
    ("mongo", r"\w{0,8}", rf"-p(?:{_NEXT})?"),
    ("redis-cli", "", rf"-a(?:{_NEXT})?"),
    ("ldap", "(?:search|add|modify|delete|whoami|passwd)", rf"-w{_NEXT}"),
    ("ipmitool sqlcmd mosquitto_", r"\w{0,5}", rf"-P(?:{_NEXT})?"),
    ("zip", r"", rf"-P(?:{_NEXT})?"),
    ("7z", r"[ar]?", "-p"),
    ("unrar", "", "-p"),
    ("smbclient rpcclient winexe smbget", "", rf"-U(?:{_NEXT})?[^\s%\"']{{1,64}}+%"),
    ("plink pscp psftp putty", "", rf"-pw{_NEXT}"),
    ("xfreerdp wfreerdp mstsc", r"\d?", "/p:"),
    ("snmp", r"(?:get|walk|set|bulkwalk|getnext|trap)", rf"-[AX](?:{_NEXT})?"),
    ("curl wget", "", rf"(?:-u(?:{_NEXT})?|--user{_NEXT}|--user=)[^\s:\"']{{1,64}}+:"),
)  # fmt: skip
_PLACES: Final = (  # what the line says, up to the secret
    ("htpasswd ", rf"htpasswd(?:\s{{1,3}}-\w{{1,9}}){{0,4}}?\s{{1,3}}-\w{{0,8}}b\w{{0,8}}"
     rf"\s{{1,3}}{_WORD}\s{{1,3}}{_WORD}\s{{1,3}}"),
    ("rabbitmqctl", rf"rabbitmqctl{_NEXT}(?:add_user|change_password|authenticate_user){_NEXT}"
     rf"{_WORD}{_NEXT}"),
    ("wpa_passphrase ", rf"wpa_passphrase\s{{1,3}}{_WORD}\s{{1,3}}"),
    ("sqlplus ", r"sqlplus(?:\s{1,3}-\w{1,9}){0,4}\s{1,3}[^\s/\"']{1,64}+/(?=[^\s@/]{1,99}@)"),
    (" login ", rf" login(?:{_NEXT}{_WORD}){{0,24}}?{_NEXT}-p{_NEXT}"),
    ("vault login ", r"vault login\s{1,3}(?![-])"),
    ("net use ", r"net use\s{1,3}(?:\w:\s{1,3})?\\\\\S{1,99}\s{1,3}(?![/-])"),
    ("snmp-server community ", r"(?i:snmp-server community)\s{1,3}"),
    ("pass:", r"-(?i:pass(?:in|out)?)\s{1,3}pass:"),
)  # fmt: skip
_USERS: Final = re.compile(
    r"echo\s{1,3}[\"']?[\w.-]{1,64}:(?P<value>[^\s\"'|]{1,256}+)[\"']?\s{0,3}\|[^|]{0,40}?chpasswd"
)
_STDIN: Final = re.compile(
    r"echo\s{1,3}(?:-n\s{1,3})?[\"']?(?P<value>[^\s\"'|]{1,512}+)[\"']?\s{0,3}\|[^|]{0,200}?"
    r"--password-stdin"
)
_IDENTIFIED: Final = re.compile(
    r"(?i:identified(?:\s{1,3}with\s{1,3}[^\s]{1,64}+)?\s{1,3}by\s{1,3}(?:password\s{1,3})?)"
    + _VALUE
)
_OF_USER: Final = re.compile(r"(?i:(?:create|alter|grant)\s[^;]{1,160})\Z")
_AUTH: Final = re.compile(
    r"AUTH(?:ENTICATE)?(?:(?P<QUOTED>\\{0,3}\"(?:\s\\{0,3}\"[^\"\\]{1,512}+\\{0,3}\"){1,2})"
    r"|(?P<MANY>(?:\s{1,3}(?:\$\d{1,4}\s{1,3})?[^\s\"'\\]{1,512}+){1,2}))"
)
_PASS: Final = re.compile(
    r"(?<![\w.-])PASS\s{1,2}(?P<value>[^\s\"'<>\\]{1,256}+)(?P<END>[\"'\\]|\s{0,2}(?:\Z|[\r\n]))?"
)
_LOGIN: Final = re.compile(
    r"\sLOGIN\s{1,2}\"?[\w.@-]{1,64}+\"?\s{1,2}\"?(?P<value>[^\s\"]{1,256}+)\"?"
    r"(?P<END>\s{0,2}(?:\Z|[\r\n]))?"
)
_TALK: Final = re.compile(
    r"(?:[>:<\"'\]-]\s{0,2}|(?i:user|command)\s\S{1,64}\s{1,2}|\b[A-Za-z]{0,4}\d{1,6})\Z"
)
_MECHANISMS: Final = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")  # RFC 4616, SASL
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{8,512}+={0,2}")
_PART: Final = re.compile(r"(?!\$\d{1,4}\s)[^\s\"'\\]{1,512}+")


_NO_VALUE: Final = re.compile(r"[(\[]|\d{1,5}:\d{1,5}(?!\S)")  # a remark, two ports


def _valued(pattern: re.Pattern[str]) -> Find:
    def find(text: str, place: int) -> Iterator[Span]:
        found = pattern.match(text, place)
        if found is not None:
            span = Span(*found.span(found.lastgroup or 0), "secret", found[found.lastgroup or 0])
            if is_secret(span.value) and not _NO_VALUE.match(span.value):
                yield span

    return find


def _identified(text: str, place: int) -> Iterator[Span]:
    found = _IDENTIFIED.match(text, place)
    if found is None:
        return
    span = Span(*found.span(found.lastgroup or 0), "secret", found[found.lastgroup or 0])
    of_user = _OF_USER.search(text, max(0, place - 200), place)
    if is_secret(span.value) and (found.lastgroup != "bare" or of_user):
        yield span


def _is_mixed(value: str) -> bool:
    """Not a word: ``AUTH LOGIN Rejected``."""
    return changes(classes(value)) >= 3


def _auth(text: str, place: int) -> Iterator[Span]:
    """Redis, SMTP. Of a user and a password the latter tells itself; or a line says whose it is."""
    found = _AUTH.match(text, place)
    if found is None:
        return
    group = "QUOTED" if found["QUOTED"] else "MANY"
    sure = group == "QUOTED" or "redis" in text[max(0, place - 40) : place].lower()
    parts = [*_PART.finditer(text, *found.span(group))]
    told = [one for one in parts if is_telling(one[0])]
    if not told and parts[0][0].upper() in _MECHANISMS:
        told = [one for one in parts[1:] if _BASE64.fullmatch(one[0]) and _is_mixed(one[0])]
    if not told and sure:
        told = [one for one in parts[-1:] if is_secret(one[0])]
    for part in told:
        yield Span(*part.span(), "secret", part[0])


def _told(pattern: re.Pattern[str]) -> Find:
    """At a line's end, or in a talk of a client and a server."""

    def find(text: str, place: int) -> Iterator[Span]:
        found = pattern.match(text, place)
        if found is None or not is_telling(found["value"]):
            return
        if (
            "END" not in pattern.groupindex
            or found["END"] is not None
            or _TALK.search(text, max(0, place - 70), place)
        ):
            yield Span(*found.span("value"), "secret", found["value"])

    return find


_ANCHORS: Final = {"zip": ("zip -", 'zip"', "zip'"), "7z": ("0z a", "0z x", "0z e", "0z t")}


def _command(names: str, more: str, option: str) -> Detector:
    programs = names.split()
    either = "|".join(map(re.escape, programs))
    pattern = rf"(?:{either}){more}(?:{_NEXT}{_WORD}){{0,24}}?{_NEXT}{option}{_VALUE}"
    confirm = rf"(?:{either}){more}[\s\"',\\]".encode()
    texts = (text for one in programs for text in _ANCHORS.get(one, (one,)))
    return Detector("secret", near(*texts, confirm=confirm), _valued(re.compile(pattern)))


def _at(text: str, find: Find, confirm: bytes = b"") -> Detector:
    return Detector("secret", near(text, confirm=confirm), find)


_Build = Callable[[re.Pattern[str]], Find]
COMMANDS: Final = (
    *(_command(*row) for row in _COMMANDS),
    *(_at(text, _valued(re.compile(pattern + _VALUE))) for text, pattern in _PLACES),
    _at("echo ", _told(_USERS)), _at("echo ", _told(_STDIN)), _at("identified", _identified),
    _at("auth", _auth, rb"AUTH(?:ENTICATE)?[\s\"'\\]"), _at("pass ", _told(_PASS), rb"PASS "),
    _at(" login ", _told(_LOGIN), rb" LOGIN "),
)  # fmt: skip
