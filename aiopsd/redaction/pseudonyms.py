"""What stands where something was taken out: ``<email:3f9a2c04be>``, or ``<email>`` alone.

The same value has the same pseudonym wherever it turns up, so that one can still see that two lines
speak of one person; without the key nobody can try out values (HMAC-SHA256, its first 40 bits).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final, Literal

Action = Literal["mask", "pseudonym", "off"]

MASKED: Final = frozenset({"secret"})
"""Without a word of the configuration: a password is short enough to be guessed by who has the
key. All else has a pseudonym."""
HEX_CHARS: Final = 10


class Names:
    """``actions``: by kind, what is to be done other than usual. Without a key nothing has a
    pseudonym."""

    def __init__(self, key: bytes = b"", actions: Mapping[str, Action] | None = None) -> None:
        self.key = key
        self._actions = dict(actions or {})

    def action(self, kind: str) -> Action:
        return self._actions.get(kind, "mask" if kind in MASKED else "pseudonym")

    def name(self, kind: str, value: str) -> str:
        if not self.key or self.action(kind) == "mask":
            return f"<{kind}>"
        said = f"{kind}\0{value}".encode(errors="surrogatepass")
        return f"<{kind}:{hmac.digest(self.key, said, 'sha256').hex()[:HEX_CHARS]}>"
