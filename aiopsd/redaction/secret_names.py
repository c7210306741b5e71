"""Names that secrets stand behind, and the signs between a name and its value."""

from __future__ import annotations

import re
from typing import Final

QUOTE: Final = r"(?:\\{0,3}[\"'])?"
IS: Final = r"\s{0,3}(?:=>|:=|={1,2}+|:(?!:)|%3[dD]|[\uff1a\uff1d])\s{0,3}"

_LOGIN: Final = (
    r"(?<!ch)passw(?:or[dt]|r?d)|pswd|pass[ _-]?phrase|passcode|kennwort|trase(?:n|ny|ni)a"
    r"|mot[ _]?de[ _]?passe|wachtwoord|senha|parola(?: d.ordine)?|haslo|salasana|heslo|losenord"
)
_STRONG: Final = (
    rf"{_LOGIN}|requirepass|masterauth|storepass|keypass"
    r"|(?:api|access|account|secret|private|encryption|signing|license|master|shared|storage"
    r"|subscription|auth)[_-]?key"
)
_APART: Final = r"(?:api|access|secret|private|encryption|signing|license) key"
QUALIFIED: Final = re.compile(
    r"(?i:auth|access|refresh|bearer|api|bot|(?<![a-z])id|session|client|app|shared)[_ -]?\Z"
)  # token, secret
_SHORT: Final = r"pass|psw|pwrd|pwd?|mdp|psk|otp|clave"
_WEAK: Final = r"secret|token|credentials?|creds|zugangsdaten|cvv|cvc"
_NAME: Final = (
    rf"(?i:(?P<STRONG>{_STRONG})|(?P<APART>{_APART})|(?P<SHORT>(?:{_SHORT})(?![a-rt-z]))"
    rf"|(?P<WEAK>{_WEAK}))"
)
_ENDING: Final = (
    r"(?i:[_-]?(?:id|key|base|hash|value|string|confirm(?:ation)?|again|repeat|prod|dev|test|live"
    r"|staging|default|main|b64|base64|plain|text|\d{1,2}))?"
)
NAMED: Final = re.compile(_NAME + _ENDING + "(?P<S>[sS])?")
_SIGNS: Final = "=:\"' \\<>_()[]{|-~`*,&%?\n\r\t"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0!$#@?+^."
PASS: Final = rb"(?i:pass(?:w|[ _-]?phr|code|s?[^a-z]))"
NAMES: Final = (
    "secret", "token", "pswd", "credential", "creds", "kennwort",
    "zugangsdaten", "trasena", "mot de passe", "mot_de_passe", "motdepasse", "wachtwoord",
    "senha", "parola", "haslo", "salasana", "heslo", "losenord", "requirepass", "masterauth",
    "storepass", "keypass",
    *(f"{word}{sign}key" for sign in ("", "_", "-", " ") for word in
      ("api", "access", "account", "private", "encryption", "signing", "license", "master",
       "shared", "storage", "subscription", "auth") if sign != " " or word in _APART),
    *(word + sign for word in ("pwd", "pwrd", "psw", "cvv", "cvc", "mdp", "psk", "otp", "clave")
      for sign in _SIGNS),
    *(f"pw{sign}{after}" for sign in "=: " for after in _SIGNS + _LETTERS),
    *(f"pw{sign}{after}" for sign in "\"'\\])" for after in _SIGNS),
    *(f"pw{sign}{after}" for sign in "([{>|,<_" for after in _LETTERS + "\"'/"),
)  # fmt: skip
SECRET_KEY: Final = re.compile(
    rf"(?i).{{0,60}}?(?P<STRONG>{_STRONG}|authorization|cookie){_ENDING}s?"
    rf"|(?:.{{0,60}}[_.\- ])?(?:{_WEAK}|{_SHORT}){_ENDING}|(?-i:.{{0,60}}(?:Secret|Token))"
)
"""A key of a mapping, or a label, whose value is a secret whatever it looks like."""
WHOSE: Final = (
    "db", "root", "user", "admin", "bind", "store", "key", "ssh", "smtp", "ftp", "sudo", "become",
    "ldap", "sql", "my", "pg", "http", "proxy", "auth", "login", "old", "new", "rpc", "git", "mail",
    "vnc", "ipmi", "bmc", "mqtt", "redis", "server", "client", "wifi", "wpa",
)  # fmt: skip
