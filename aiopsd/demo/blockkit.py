"""Block Kit and mrkdwn as HTML, the way Slack shows them. Pure; everything is escaped.

Rules: docs.slack.dev/reference/block-kit and docs.slack.dev/messaging/formatting-message-text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from html import escape
from typing import Any

Block = Mapping[str, Any]

_SPECIAL = re.compile(r"```(?P<pre>.+?)```|`(?P<code>[^`\n]+)`|<(?P<angle>[^<>\n]+)>", re.DOTALL)
_STYLES = (("\\*", "b"), ("_", "i"), ("~", "s"))
_HELD = re.compile("[\ue000-\uf8ff]")
_DATE = re.compile(r"!date\^(?P<ts>\d{1,12})\^(?P<format>[^|^]*)(?:\^[^|]*)?\|(?P<fallback>.*)")
_DATE_FORMATS = {
    "{time}": "%H:%M",
    "{time_secs}": "%H:%M:%S",
    "{date_num}": "%Y-%m-%d",
    "{date}": "%B %d, %Y",
    "{date_short}": "%b %d, %Y",
    "{date_pretty}": "%B %d, %Y",
    "{date_short_pretty}": "%b %d, %Y",
}


def blocks_html(blocks: Sequence[Block], zone: tzinfo | None = None) -> str:
    """A message's blocks; one of an unknown type shows as its name. ``zone``: None is local."""
    return "".join(_block(block, zone) for block in blocks)


def mrkdwn_html(text: str, zone: tzinfo | None = None) -> str:
    """Slack's markup; what is no markup shows as it is."""
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        # Out of the way of bold and italic, which may stand around it but never inside it.
        held.append(_special(match, zone))
        return chr(0xE000 + len(held) - 1) if len(held) <= 6400 else ""

    loose = _SPECIAL.sub(hold, _HELD.sub("", text))
    shown = escape(unescape_slack(loose))
    for mark, tag in _STYLES:
        shown = re.sub(
            rf"(?<![\w{mark}]){mark}(?![\s{mark}])([^\n]*?[^\s{mark}]){mark}(?!\w)",
            rf"<{tag}>\1</{tag}>",
            shown,
        )
    shown = shown.replace("\n", "<br>")
    return _HELD.sub(lambda match: held[ord(match[0]) - 0xE000], shown)


def unescape_slack(text: str) -> str:
    """Slack knows three entities."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _special(match: re.Match[str], zone: tzinfo | None) -> str:
    if match["pre"] is not None:
        return f"<pre>{escape(unescape_slack(match['pre'].strip()))}</pre>"
    if match["code"] is not None:
        return f"<code>{escape(unescape_slack(match['code']))}</code>"
    return _angle(match["angle"], zone)


def _angle(inside: str, zone: tzinfo | None) -> str:
    """``<...>``: a date, a mention or a link."""
    date = _DATE.fullmatch(inside)
    if date:
        return _date(date, zone)
    target, _, label = inside.partition("|")
    if target.startswith(("@", "#", "!")):
        name = label or target.lstrip("!@#").partition("^")[0]
        mark = "#" if target.startswith("#") else "@"
        return f'<span class="mention">{mark}{escape(unescape_slack(name.lstrip("@#")))}</span>'
    return _link(unescape_slack(target), unescape_slack(label or target), "")


def _date(date: re.Match[str], zone: tzinfo | None) -> str:
    try:
        at = datetime.fromtimestamp(int(date["ts"]), zone).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return escape(unescape_slack(date["fallback"]))
    shown = date["format"]
    for name, form in _DATE_FORMATS.items():
        shown = shown.replace(name, at.strftime(form))
    title = at.strftime("%A, %d %B %Y, %H:%M:%S")
    return f'<time datetime="{at.isoformat()}" title="{title}">{escape(shown)}</time>'


def _link(url: str, label: str, css: str) -> str:
    if not url.startswith(("https://", "http://", "mailto:")):
        return f"<span{css}>{escape(label)}</span>"
    where = f'href="{escape(url)}" target="_blank" rel="noopener noreferrer"'
    return f"<a{css} {where}>{escape(label)}</a>"


def _block(block: Block, zone: tzinfo | None) -> str:
    kind = str(block.get("type"))
    draw = _BLOCKS.get(kind)
    inside = draw(block, zone) if draw else escape(f"[{kind}]")
    return f'<div class="block {kind if draw else "unknown"}">{inside}</div>'


def _text(text: Any, zone: tzinfo | None) -> str:
    """A text object."""
    if not isinstance(text, Mapping):
        return ""
    if text.get("type") == "mrkdwn":
        return mrkdwn_html(str(text.get("text", "")), zone)
    return escape(unescape_slack(str(text.get("text", "")))).replace("\n", "<br>")


def _header(block: Block, zone: tzinfo | None) -> str:
    return _text(block.get("text"), zone)


def _section(block: Block, zone: tzinfo | None) -> str:
    text = f"<div>{_text(block['text'], zone)}</div>" if "text" in block else ""
    fields = "".join(f"<div>{_text(field, zone)}</div>" for field in block.get("fields", ()))
    return text + (f'<div class="fields">{fields}</div>' if fields else "")


def _context(block: Block, zone: tzinfo | None) -> str:
    return " ".join(_element(element, zone) for element in block.get("elements", ()))


def _element(element: Block, zone: tzinfo | None) -> str:
    if element.get("type") == "image":
        return _image(element, zone)
    if element.get("type") == "button":
        style = str(element.get("style", ""))
        css = f' class="button {style}"' if style in ("primary", "danger") else ' class="button"'
        label = element.get("text") or {}
        return _link(str(element.get("url", "")), str(label.get("text", "")), css)
    return f"<span>{_text(element, zone)}</span>"


def _image(block: Block, _: tzinfo | None) -> str:
    url, alt = str(block.get("image_url", "")), escape(str(block.get("alt_text", "")))
    if not url.startswith(("https://", "http://")):
        return f'<span class="lost">{alt}</span>'
    return f'<img src="{escape(url)}" alt="{alt}">'


_BLOCKS: dict[str, Callable[[Block, tzinfo | None], str]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _context,
    "image": _image,
    "divider": lambda _block, _zone: "<hr>",
}
