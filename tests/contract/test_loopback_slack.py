"""The loopback Slack takes what Slack takes and refuses what it refuses, asked by the real SDK."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.loopback.recording import RECORDINGS
from tests.loopback.slack import LoopbackSlack

SAMPLES = json.loads((RECORDINGS / "slack" / "blocks.json").read_text())
Block = dict[str, Any]


def client_of(slack: LoopbackSlack, token: str | None = None) -> AsyncWebClient:
    """The SDK without its retries: each request of these tests is made once."""
    return AsyncWebClient(token=token or slack.token, base_url=slack.api_url, retry_handlers=[])


@pytest.fixture
async def slack() -> AsyncIterator[LoopbackSlack]:
    async with LoopbackSlack(channels={"ops": "C0OPS", "dev": "C0DEV"}) as server:
        server.add_file("F0CHART")  # the samples show it
        yield server


@pytest.fixture
def client(slack: LoopbackSlack) -> AsyncWebClient:
    return client_of(slack)


async def error_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as refused:
        await call
    return str(refused.value.response["error"])


def section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def image_of(file_id: str) -> Block:
    return {"type": "image", "alt_text": "a chart", "slack_file": {"id": file_id}}


@pytest.mark.filterwarnings("ignore:The top-level `text`:UserWarning")
async def test_malformed_arguments_are_refused(client: AsyncWebClient) -> None:
    post = client.chat_postMessage
    assert await error_of(post(channel="C0OPS", text="")) == "no_text"
    assert await error_of(post(channel="C0OPS", blocks="[{", text="t")) == "invalid_blocks_format"
    half = {"event_type": "x"}
    assert (
        await error_of(post(channel="C0OPS", text="t", metadata=half)) == "invalid_metadata_format"
    )
    assert await error_of(client.api_call("chat.postMessage", json={})) == "invalid_arguments"
    assert await error_of(client.api_call("chat.nosuch")) == "unknown_method"


async def test_token_is_checked(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    assert (await client.auth_test())["bot_id"] == "B0BOT"
    assert await error_of(client_of(slack, "xoxb-stolen").auth_test()) == "invalid_auth"
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{slack.api_url}auth.test") as response,
    ):
        assert await response.json() == {"ok": False, "error": "not_authed"}


async def test_channel_is_posted_to_by_name_or_id(
    slack: LoopbackSlack, client: AsyncWebClient
) -> None:
    for channel in ("#ops", "ops", "C0OPS"):
        assert (await client.chat_postMessage(channel=channel, text="t"))["channel"] == "C0OPS"
    assert len(slack.roots("#ops")) == 3
    assert slack.roots("dev") == []
    for channel in ("C0NONE", "#none"):
        call = client.chat_postMessage(channel=channel, text="t")
        assert await error_of(call) == "channel_not_found"


async def test_channel_must_take_messages(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    slack.workspace.channels["ops"].archived = True
    slack.workspace.channels["dev"].member = False
    assert await error_of(client.chat_postMessage(channel="C0OPS", text="t")) == "is_archived"
    assert await error_of(client.chat_postMessage(channel="C0DEV", text="t")) == "not_in_channel"


async def test_update_edits_in_place(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0OPS", **SAMPLES["opened"]))["ts"]
    (message,) = slack.roots("ops")
    await client.chat_update(channel="C0OPS", ts=ts, text="t", blocks=[section("new")])
    assert (message.text, message.blocks, message.edits) == ("t", [section("new")], 1)
    await client.chat_update(channel="C0OPS", ts=ts, text="bare")
    assert (message.text, message.blocks, message.edits) == ("bare", [], 2)
    assert message.metadata == SAMPLES["opened"]["metadata"]


@pytest.mark.filterwarnings("ignore:The top-level `text`:UserWarning")
async def test_update_is_refused(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0OPS", text="t"))["ts"]
    foreign = slack.say("ops", "I am on it")
    update = client.chat_update
    assert await error_of(update(channel="#ops", ts=ts, text="n")) == "channel_not_found"
    assert await error_of(update(channel="C0DEV", ts=ts, text="n")) == "message_not_found"
    assert await error_of(update(channel="C0OPS", ts="1.000001", text="n")) == "message_not_found"
    assert await error_of(update(channel="C0OPS", ts=foreign, text="n")) == "cant_update_message"
    assert await error_of(update(channel="C0OPS", ts=ts, text="x" * 4001)) == "msg_too_long"
    assert await error_of(update(channel="C0OPS", ts=ts, text="")) == "no_text"
    slack.delete(ts)
    assert await error_of(update(channel="C0OPS", ts=ts, text="n")) == "message_not_found"


async def test_replies_hang_on_a_root(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    root = (await client.chat_postMessage(channel="C0OPS", text="root"))["ts"]
    reply = (await client.chat_postMessage(channel="C0OPS", text="reply", thread_ts=root))["ts"]
    assert [message.text for message in slack.thread(root)] == ["reply"]
    assert [message.text for message in slack.roots("ops")] == ["root"]
    for ts in (reply, "1.000001"):
        call = client.chat_postMessage(channel="C0OPS", text="lost", thread_ts=ts)
        assert await error_of(call) == "thread_not_found"


async def test_history_finds_the_app_s_own_mark(
    slack: LoopbackSlack, client: AsyncWebClient
) -> None:
    root = (await client.chat_postMessage(channel="C0OPS", **SAMPLES["opened"]))["ts"]
    slack.say("ops", "hello")
    await client.chat_postMessage(channel="C0OPS", text="reply", thread_ts=root)
    await client.chat_postMessage(channel="C0OPS", text="all", thread_ts=root, reply_broadcast=True)
    history = await client.conversations_history(channel="C0OPS", include_all_metadata=True)
    assert [message["text"] for message in history["messages"]] == [
        "all",
        "hello",
        SAMPLES["opened"]["text"],
    ]
    assert history["messages"][-1]["metadata"]["event_payload"] == {"id": "INC-2041"}
    unmarked = await client.conversations_history(channel="C0OPS", oldest=root, inclusive=True)
    assert not any("metadata" in message for message in unmarked["messages"])
    assert len(unmarked["messages"]) == 3
    later = await client.conversations_history(channel="C0OPS", oldest=root)
    assert len(later["messages"]) == 2
    assert await error_of(client.conversations_history(channel="ops")) == "channel_not_found"


async def test_history_comes_in_pages(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    for number in range(5):
        slack.say("ops", str(number))
    pages = [
        [message["text"] for message in page["messages"]]
        async for page in await client.conversations_history(channel="C0OPS", limit=2)
    ]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]


async def test_channels_are_listed(client: AsyncWebClient) -> None:
    listed = await client.conversations_list()
    assert {one["name"]: one["id"] for one in listed["channels"]} == {
        "ops": "C0OPS",
        "dev": "C0DEV",
    }


async def test_ephemeral_is_shown_to_one(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    await client.chat_postEphemeral(channel="C0OPS", user="U1", text="not allowed")
    assert [one["user"] for one in slack.workspace.ephemerals] == ["U1"]
    assert slack.roots("ops") == []


async def test_upload_into_a_thread(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    root = (await client.chat_postMessage(channel="C0OPS", text="root"))["ts"]
    await client.files_upload_v2(
        filename="chart.png", content=b"\x89PNG", channel="C0OPS", thread_ts=root
    )
    (shared,) = slack.thread(root)
    assert slack.workspace.files[shared.files[0]].content == b"\x89PNG"


async def test_upload_is_shown_only_once_it_is_complete(
    slack: LoopbackSlack, client: AsyncWebClient
) -> None:
    announced = await client.files_getUploadURLExternal(filename="c.png", length=4)
    chart = [image_of(announced["file_id"])]
    complete = client.files_completeUploadExternal
    files = [{"id": announced["file_id"], "title": "c"}]
    assert await error_of(complete(files=files)) == "file_not_found"
    async with aiohttp.ClientSession() as session:
        for content, status in ((b"\x89PN", 400), (b"\x89PNG", 200)):
            async with session.post(announced["upload_url"], data=content) as response:
                assert response.status == status
    early = client.chat_postMessage(channel="C0OPS", text="t", blocks=chart)
    assert await error_of(early) == "invalid_blocks"
    await complete(files=files)
    assert (await client.chat_postMessage(channel="C0OPS", text="t", blocks=chart))["ok"]


async def test_rate_limit_is_per_channel() -> None:
    now = 1.0
    channels = {"ops": "C0OPS", "dev": "C0DEV"}
    async with LoopbackSlack(channels=channels, limit_rate=True, clock=lambda: now) as slack:
        client = client_of(slack)
        await client.chat_postMessage(channel="C0OPS", text="1")
        now = 1.5
        with pytest.raises(SlackApiError) as limited:
            await client.chat_postMessage(channel="C0OPS", text="2")
        assert limited.value.response.status_code == 429
        assert limited.value.response.headers["Retry-After"] == "1"
        await client.chat_postMessage(channel="C0DEV", text="3")
        now = 2.1
        await client.chat_postMessage(channel="C0OPS", text="4")
        assert [message.text for message in slack.roots("ops")] == ["1", "4"]


async def test_faults_hit_the_method_they_are_for(
    slack: LoopbackSlack, client: AsyncWebClient
) -> None:
    slack.refuse_next("is_archived", on="chat.update")
    slack.limit_next(30, on="chat.postMessage")
    slack.fail_next(503, "<html>", {"Content-Type": "text/html"}, on="chat.postMessage")
    for status, retry_after in ((429, "30"), (503, None)):
        with pytest.raises(SlackApiError) as failed:
            await client.chat_postMessage(channel="C0OPS", text="t")
        assert failed.value.response.status_code == status
        assert failed.value.response.headers.get("Retry-After") == retry_after
    ts = (await client.chat_postMessage(channel="C0OPS", text="t"))["ts"]
    assert await error_of(client.chat_update(channel="C0OPS", ts=ts, text="u")) == "is_archived"
    assert [args["text"] for args in slack.args_of("chat.postMessage")] == ["t"]


async def test_lost_answer_leaves_the_message(slack: LoopbackSlack, client: AsyncWebClient) -> None:
    slack.lose_answer_next(on="chat.postMessage")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.chat_postMessage(channel="C0OPS", text="posted all the same")
    assert [message.text for message in slack.roots("ops")] == ["posted all the same"]


async def test_webhook(slack: LoopbackSlack) -> None:
    hook = AsyncWebhookClient(slack.hook_url)
    sent = await hook.send(text="opened", blocks=SAMPLES["opened"]["blocks"])
    assert (sent.status_code, sent.body) == (200, "ok")
    assert [payload["text"] for payload in slack.hooked] == ["opened"]
    for payload, word in (
        ({"text": ""}, "no_text"),
        ({"text": "t", "blocks": [section("x" * 3001)]}, "invalid_blocks"),
    ):
        refused = await hook.send_dict(payload)
        assert (refused.status_code, refused.body) == (400, word)
    async with (
        aiohttp.ClientSession() as session,
        session.post(slack.hook_url, data=b"{") as response,
    ):
        assert (response.status, await response.text()) == (400, "invalid_payload")
