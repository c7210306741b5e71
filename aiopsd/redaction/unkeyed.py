"""For who reads lines outside the daemon, where nobody has cleaned them: masks, since there is no
key for pseudonyms."""

from __future__ import annotations

from typing import Final

from aiopsd.redaction.redactor import Redactor

redact: Final = Redactor().text
