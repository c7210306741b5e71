"""Hashes of passwords: whoever has one tries out passwords at home.

Forms: crypt(5), RFC 2307 (LDAP), the PHC string format.
"""

from __future__ import annotations

import re
from typing import Final

from aiopsd.redaction.detector import Detector, matching, near

_CRYPT: Final = re.compile(
    r"\$(?:2[abxy]?\$\d\d\$[./A-Za-z0-9]{22,53}+"
    r"|[156]\$(?:rounds=\d{1,9}\$)?[./A-Za-z0-9]{1,16}+\$[./A-Za-z0-9]{20,86}+"
    r"|(?:y|gy|7)\$[./A-Za-z0-9]{1,99}+\$[./A-Za-z0-9$]{20,160}+"
    r"|(?:argon2(?:id|i|d)|scrypt|pbkdf2[\w-]{0,16}+)\$[\w$=,./+-]{20,512}+)"
)
_LDAP: Final = re.compile(
    r"\{(?i:s?sha(?:256|384|512)?|s?md5|crypt|pbkdf2[\w-]{0,16}+|argon2)\}[\w+/=$.,-]{12,512}+"
)

HASHES: Final = (
    Detector("secret", near("$0a$", "$0b$", "$0x$", "$0y$", "$0$", "$y$", "$gy$", "$argon0",
                            "$scrypt$", "$pbkdf0"), matching("secret", _CRYPT)),
    Detector("secret", near("{sha", "{ssha", "{md0", "{smd0", "{crypt}", "{pbkdf0", "{argon0"),
             matching("secret", _LDAP)),
)  # fmt: skip
