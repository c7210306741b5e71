"""Whether a request is from whom it says it is, and whether it came before. Pure.

GitHub signs (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries), GitLab
shows its token, or signs as https://www.standardwebhooks.com says; the others show a token.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Final, Literal

from aiopsd.sources.kept_hash import kept_hash
from aiopsd.sources.pushed import Wrong, allowed

Sender = Literal["github", "gitlab", "argocd", "jenkins", "generic"]
SIGNING_TOKEN: Final = "whsec_"  # so begins a key of GitLab's that signs  # noqa: S105
_OFF_SECS: Final = 300.0  # how far a signed time may be from ours
_DAY_SECS: Final = 86400.0
_AGAIN_SECS: Final = 600.0  # who gives no id may say the same again, as news, after this time
_MOST: Final = 512  # deliveries that are remembered
_WRONG: Final = "wrong or missing signature or token"


def signs(sender: Sender, secret: str, signed: str) -> bool:
    """Whether the body is needed to know who sent it; else the headers say."""
    is_key = sender == "gitlab" and secret.startswith(SIGNING_TOKEN)
    return sender == "github" or is_key or bool(signed)


def check(
    sender: Sender, headers: Mapping[str, str], body: bytes, secret: str, signed: str, now_s: float
) -> None:
    """``signed``: the header in which a sender that is no other one signs the body as GitHub does.
    Raises Wrong 401."""
    if sender == "github" or signed:
        good = _is_signed(headers.get(signed or "X-Hub-Signature-256", ""), body, secret)
    elif sender == "gitlab" and secret.startswith(SIGNING_TOKEN):
        good = _is_standard(headers, body, secret, now_s)
    elif sender == "gitlab":
        good = _same(headers.get("X-Gitlab-Token", ""), secret)
    else:
        good = allowed(headers.get("Authorization", ""), secret)
    if not good:
        raise Wrong(401, _WRONG)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), wanted.encode())


def _is_signed(given: str, body: bytes, secret: str) -> bool:
    """HMAC-SHA256 of the body, in hexadecimal."""
    wanted = hmac.digest(secret.encode(), body, "sha256").hex()
    return _same(given.removeprefix("sha256=").lower(), wanted)


def _is_standard(headers: Mapping[str, str], body: bytes, secret: str, now_s: float) -> bool:
    """An old time is refused as well: it may have been overheard."""
    said_s, number = headers.get("webhook-timestamp", ""), headers.get("webhook-id", "")
    if not said_s.isdecimal() or len(said_s) > 12 or abs(int(said_s) - now_s) > _OFF_SECS:
        return False
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_TOKEN), validate=True)
    except binascii.Error:
        return False
    text = f"{number}.{said_s}.".encode(errors="surrogateescape") + body
    wanted = "v1," + base64.b64encode(hmac.digest(key, text, "sha256")).decode()
    given = headers.get("webhook-signature", "").split(" ")[:10]  # one for each key in use
    return any(_same(one, wanted) for one in given)


class Deliveries:
    """Hashes of those that were journalled, so that each is taken once; bounded."""

    def __init__(self, key: bytes, known: Mapping[str, float] | None = None) -> None:
        self._key = key
        self._until_s = dict(known or {})

    def name(self, sender: Sender, headers: Mapping[str, str], body: bytes) -> tuple[str, float]:
        """And for how long it is known. GitHub's id is not signed, but no two of its bodies are the
        same; others may say the same twice, and mean it."""
        if sender == "github":
            return kept_hash(self._key, body), _DAY_SECS
        given = headers.get("webhook-id") or headers.get("Idempotency-Key") or ""
        if given:
            return kept_hash(self._key, given.encode(errors="surrogateescape")), _DAY_SECS
        return kept_hash(self._key, body), _AGAIN_SECS

    def knows(self, name: str, now_s: float) -> bool:
        return self._until_s.get(name, 0.0) > now_s

    def add(self, name: str, until_s: float) -> None:
        self._until_s[name] = until_s
        while len(self._until_s) > _MOST:
            del self._until_s[next(iter(self._until_s))]

    def position(self) -> dict[str, float]:
        return dict(self._until_s)
