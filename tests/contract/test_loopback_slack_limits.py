"""Every limit of Block Kit: at it a message passes, one beyond it is refused, asked by the SDK."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.loopback.recording import RECORDINGS
from tests.loopback.slack import LoopbackSlack

SAMPLES = json.loads((RECORDINGS / "slack" / "blocks.json").read_text())
Block = dict[str, Any]


@pytest.fixture
async def slack() -> AsyncIterator[LoopbackSlack]:
    async with LoopbackSlack() as server:
        server.add_file("F0CHART")
        yield server


@pytest.fixture
def client(slack: LoopbackSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.token, base_url=slack.api_url, retry_handlers=[])


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def section(text: str, **more: Any) -> Block:
    return {"type": "section", "text": mrkdwn(text), **more}


def fields(count: int, chars: int) -> Block:
    return {"type": "section", "fields": [mrkdwn("x" * chars) for _ in range(count)]}


def actions(*buttons: Block, **more: Any) -> Block:
    return {"type": "actions", "elements": list(buttons), **more}


def button(action_id: str = "a", text: str = "Approve", **more: Any) -> Block:
    return {"type": "button", "action_id": action_id, "text": plain(text), **more}


def confirm(title: str = "Sure?", text: str = "Really?", yes: str = "Yes") -> Block:
    return {"title": plain(title), "text": mrkdwn(text), "confirm": plain(yes), "deny": plain("No")}


def context(count: int) -> Block:
    return {"type": "context", "elements": [mrkdwn("x") for _ in range(count)]}


def image(**more: Any) -> Block:
    return {"type": "image", "alt_text": "a chart", **more}


AT_THE_LIMIT = [
    pytest.param([{"type": "header", "text": plain("x" * 150)}], id="header"),
    pytest.param([section("x" * 3000)], id="section text"),
    pytest.param([fields(10, 1)], id="fields"),
    pytest.param([fields(6, 2000)], id="field text"),
    pytest.param([context(10)], id="context elements"),
    pytest.param([actions(*[button(str(i)) for i in range(25)])], id="actions elements"),
    pytest.param([actions(button(text="x" * 75))], id="button text"),
    pytest.param([actions(button(value="x" * 2000))], id="button value"),
    pytest.param([actions(button("x" * 255))], id="action_id"),
    pytest.param([actions(button(url="https://" + "x" * 2992))], id="button url"),
    pytest.param([actions(button(style="danger", confirm=confirm("x" * 100)))], id="confirm title"),
    pytest.param([actions(button(confirm=confirm(text="x" * 300)))], id="confirm text"),
    pytest.param([actions(button(confirm=confirm(yes="x" * 30)))], id="confirm button"),
    pytest.param([section("x", block_id="x" * 255)], id="block_id"),
    pytest.param([{"type": "divider"}] * 50, id="blocks"),
    pytest.param([actions(button("a")), actions(button("a"))], id="action_id in two blocks"),
    pytest.param([section("x" * 2200)] * 6, id="all together"),
    pytest.param([section("x", accessory=button())], id="accessory"),
    pytest.param([image(image_url="https://example.com/chart.png", title=plain("x"))], id="image"),
    pytest.param([image(slack_file={"id": "F0CHART"})], id="slack_file"),
    pytest.param([{"type": "markdown", "text": "x" * 12_000}], id="markdown"),
]

OVER_THE_LIMIT = [
    pytest.param([{"type": "header", "text": plain("x" * 151)}], "less than 151", id="header"),
    pytest.param([{"type": "header", "text": mrkdwn("x")}], "unsupported type", id="header mrkdwn"),
    pytest.param([section("x" * 3001)], "must be less than 3001 characters", id="section text"),
    pytest.param([section("")], "more than 0 characters", id="empty text"),
    pytest.param([{"type": "section"}], "missing required field", id="section without text"),
    pytest.param([fields(11, 1)], "no more than 10 items allowed", id="fields"),
    pytest.param([fields(1, 2001)], "must be less than 2001", id="field text"),
    pytest.param([context(11)], "no more than 10 items allowed", id="context elements"),
    pytest.param([context(0)], "no less than 1 items", id="empty context"),
    pytest.param(
        [actions(*[button(str(i)) for i in range(26)])],
        "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
        id="actions elements",
    ),
    pytest.param([actions(button(text="x" * 76))], "less than 76", id="button text"),
    pytest.param([actions({**button(), "text": mrkdwn("x")})], "unsupported", id="button mrkdwn"),
    pytest.param([actions(button(value="x" * 2001))], "less than 2001", id="button value"),
    pytest.param([actions(button("x" * 256))], "less than 256", id="action_id"),
    pytest.param([actions(button(url="https://" + "x" * 2993))], "less than 3001", id="button url"),
    pytest.param([actions(button(url="javascript:x"))], "invalid url", id="button url scheme"),
    pytest.param([actions(button(style="green"))], "must be one of", id="button style"),
    pytest.param(
        [actions(button(confirm=confirm("x" * 101)))], "less than 101", id="confirm title"
    ),
    pytest.param([actions(button(confirm=confirm(text="x" * 301)))], "less than 301", id="confirm"),
    pytest.param(
        [actions(button(confirm=confirm(yes="x" * 31)))], "less than 31", id="confirm yes"
    ),
    pytest.param([actions(button("a"), button("a"))], "already exists", id="same action_id"),
    pytest.param(
        [section("x", block_id="b"), section("y", block_id="b")],
        "already exists",
        id="same block_id",
    ),
    pytest.param([section("x", block_id="x" * 256)], "less than 256", id="block_id"),
    pytest.param([{"type": "divider"}] * 51, "no more than 50 items allowed", id="blocks"),
    pytest.param([section("x", colour="red")], "invalid additional property: colour", id="extra"),
    pytest.param([{"type": "spinner"}], "unsupported type: spinner", id="unknown block"),
    pytest.param([image()], "missing required field", id="image of nothing"),
    pytest.param([{"type": "image", "image_url": "https://x"}], "alt_text", id="no alt_text"),
    pytest.param(
        [image(slack_file={"id": "F0NONE"})],
        "invalid slack file [json-pointer:/blocks/0/slack_file]",
        id="unknown slack_file",
    ),
]


@pytest.mark.parametrize("name", SAMPLES)
async def test_sample_message_passes(
    slack: LoopbackSlack, client: AsyncWebClient, name: str
) -> None:
    answer = await client.chat_postMessage(channel="C0OPS", **SAMPLES[name])
    (message,) = slack.roots("ops")
    assert (message.ts, message.text) == (answer["ts"], SAMPLES[name]["text"])
    assert message.blocks == SAMPLES[name]["blocks"]
    assert message.metadata == SAMPLES[name]["metadata"]


@pytest.mark.parametrize("blocks", AT_THE_LIMIT)
async def test_blocks_at_the_limit_pass(client: AsyncWebClient, blocks: list[Block]) -> None:
    assert (await client.chat_postMessage(channel="C0OPS", text="t", blocks=blocks))["ok"]


@pytest.mark.parametrize(("blocks", "reason"), OVER_THE_LIMIT)
async def test_blocks_over_the_limit_are_refused(
    slack: LoopbackSlack, client: AsyncWebClient, blocks: list[Block], reason: str
) -> None:
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0OPS", text="t", blocks=blocks)
    answer = refused.value.response
    assert (answer.status_code, answer["error"]) == (200, "invalid_blocks")
    assert reason in answer["errors"][0]
    assert answer["response_metadata"]["messages"][0] == f"[ERROR] {answer['errors'][0]}"
    assert slack.roots("ops") == []


async def test_blocks_are_limited_all_together(client: AsyncWebClient) -> None:
    blocks = [*[section("x" * 2200)] * 6, section("x")]
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0OPS", text="t", blocks=blocks)
    assert refused.value.response["error"] == "msg_blocks_too_long"
