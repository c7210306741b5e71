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
# Slack has no escape for its markup, so look-alikes stand in, as jsx-slack does. An underscore
# inside a word marks nothing up, and stays: people copy names of metrics.
_LOOK_ALIKE = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "\u02cb"})
_EDGE = re.compile(r"(?<!\w)_++|_++(?!\w)")
_HALF_ENTITY = re.compile(r"&[a-z]*$")
LATEST_S = 253_402_300_799  # the end of the year 9999, and of what a date can be
MOST_READ = 20_000  # nobody reads on; and a megabyte needs no cleaning to be cut


def plain(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters, every character of it visible."""
    line = " ".join(text[:MOST_READ].split())
    seen = _INVISIBLE.sub(lambda m: f"\\u{ord(m[0]):04x}", line)
    return seen if len(seen) <= limit else seen[: limit - 1] + "…"


def said(text: str, limit: int) -> str:
    """The same as mrkdwn: no mention, no link, no formatting comes from it."""
    line = plain(text, MOST_READ).translate(_LOOK_ALIKE)
    return _escaped(_EDGE.sub(lambda m: "\u02cd" * len(m[0]), line), limit)


def code(text: str, limit: int) -> str:
    """The same in a code span."""
    return f"`{_escaped(plain(text, MOST_READ).replace('`', _LOOK_ALIKE[ord('`')]), limit) or ' '}`"


def clock(time_s: float, *, secs: bool = False) -> str:
    """A time of day in the reader's own zone; UTC where Slack cannot tell."""
    whole = min(max(0, int(time_s)), LATEST_S)
    form, fallback = ("{time_secs}", "%H:%M:%S UTC") if secs else ("{time}", "%H:%M UTC")
    return f"<!date^{whole}^{form}|{datetime.fromtimestamp(whole, UTC).strftime(fallback)}>"


def _escaped(text: str, limit: int) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe if len(safe) <= limit else _HALF_ENTITY.sub("", safe[: limit - 1]) + "…"
