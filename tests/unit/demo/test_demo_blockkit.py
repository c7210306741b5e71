"""Block Kit as HTML: it looks as Slack shows it, and nothing in it comes alive."""

import json
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.demo.blockkit import blocks_html, mrkdwn_html

BLOCKS = Path(__file__).parents[2] / "recordings" / "slack" / "blocks.json"
HARMLESS = {"a", "b", "br", "code", "div", "hr", "i", "img", "pre", "s", "span", "time"}


class Seen(HTMLParser):
    """Tags, attributes and text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: dict[str, str] = {}
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name: value or "" for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_harmless(html: str) -> None:
    seen = Seen(html)
    assert seen.tags <= HARMLESS
    wanted = {"href", "src", "class", "alt", "target", "rel", "datetime", "title"}
    assert seen.attributes.keys() <= wanted
    assert seen.attributes.get("href", "https://").startswith(("https://", "http://", "mailto:"))
    assert seen.attributes.get("src", "https://").startswith(("https://", "http://"))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* and _so_ ~not~", "<b>bold</b> and <i>so</i> <s>not</s>"),
        ("*a*, (*b*)", "<b>a</b>, (<b>b</b>)"),
        ("2*3*4 and a_b_c", "2*3*4 and a_b_c"),
        ("* not * _ so _", "* not * _ so _"),
        ("*Since*\n14:02", "<b>Since</b><br>14:02"),
        ("`rm *x*` *`y`*", "<code>rm *x*</code> <b><code>y</code></b>"),
        ("```a\n <b>&lt;```", "<pre>a\n &lt;b&gt;&lt;</pre>"),
        ("&lt;script&gt; &amp;lt;", "&lt;script&gt; &amp;lt;"),
        ("<script>", "<span>script</span>"),
        ("<javascript:alert(1)|me>", "<span>me</span>"),
        ("<!channel> <@U1|mara> <#C1|ops>",
         '<span class="mention">@channel</span> <span class="mention">@mara</span> '
         '<span class="mention">#ops</span>'),
        ("<https://x.example/?a=1&amp;b|here>",
         '<a href="https://x.example/?a=1&amp;b" target="_blank" rel="noopener noreferrer">'
         "here</a>"),
    ],
)  # fmt: skip
def test_mrkdwn(text: str, html: str) -> None:
    assert mrkdwn_html(text) == html


def test_dates_are_said_in_the_zone_of_the_reader() -> None:
    html = mrkdwn_html("<!date^1795442520^{date_num} {time}|then>", UTC)
    assert Seen(html).text == "2026-11-23 14:02"
    assert 'datetime="2026-11-23T14:02:00+00:00"' in html
    assert mrkdwn_html("<!date^999999999999^{time}|then>", UTC) == "then"


@given(st.text() | st.text(alphabet="*_~`<>|!@#&;^{}adehtx:/0\"' \n\ue000"))
def test_no_text_comes_alive(text: str) -> None:
    assert_harmless(mrkdwn_html(text))


@given(st.text(), st.text())
def test_no_block_comes_alive(text: str, url: str) -> None:
    label = {"type": "plain_text", "text": text}
    marked = {"type": "mrkdwn", "text": text}
    blocks = [
        {"type": "header", "text": label},
        {"type": "section", "text": marked, "fields": [marked, label]},
        {"type": "context", "elements": [marked, {"type": "image", "image_url": url}]},
        {"type": "actions", "elements": [{"type": "button", "text": label, "url": url}]},
        {"type": "image", "image_url": url, "alt_text": text},
        {"type": "divider"},
        {"type": text},
    ]
    assert_harmless(blocks_html(blocks))


@pytest.mark.parametrize("state", ["opened", "approval", "healing", "healed"])
def test_the_designed_messages(state: str) -> None:
    designed = json.loads(BLOCKS.read_text())[state]["blocks"]
    html = blocks_html(designed, UTC)
    assert_harmless(html)
    assert html.count('<div class="block') == len(designed)
    assert Seen(html).text.startswith(designed[0]["text"]["text"])
