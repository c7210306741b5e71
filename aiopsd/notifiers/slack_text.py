"""Text for Slack: whatever a label or a log line holds, it shows as text. Pure.

Rules of mrkdwn: docs.slack.dev/messaging/formatting-message-text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

# Controls, zero-width and direction marks, lone surrogates: what hides text or turns it around.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_MARKUP = re.compile(r"(?<!\w)([*_~])(?=\S)")
_HALF_ENTITY = re.compile(r"&[a-z]*$")
MOST_READ = 20_000  # nobody reads on; and a megabyte needs no cleaning to be cut


def plain(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters, every character of it visible."""
    line = " ".join(text[:MOST_READ].split())
    return _cut(_INVISIBLE.sub(lambda m: f"\\u{ord(m[0]):04x}", line), limit)


def said(text: str, limit: int) -> str:
    """The same as mrkdwn: no mention, no link, no formatting comes from it."""
    quiet = _MARKUP.sub("\\1\u200b", plain(text, MOST_READ).replace("`", "\u02cb"))
    return _HALF_ENTITY.sub("", _cut(_escaped(quiet), limit))


def code(text: str, limit: int) -> str:
    """The same in a code span."""
    quiet = plain(text, MOST_READ).replace("`", "\u02cb")
    return f"`{_HALF_ENTITY.sub('', _cut(_escaped(quiet), limit)) or ' '}`"


def clock(time_s: float) -> str:
    """A time of day in the reader's own zone; UTC where Slack cannot tell."""
    whole = max(0, int(time_s))
    fallback = datetime.fromtimestamp(whole, UTC).strftime("%H:%M UTC")
    return f"<!date^{whole}^{{time}}|{fallback}>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
