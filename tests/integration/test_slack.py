"""The Slack notifier against a strict Slack: one message, one story, whatever goes wrong."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from aiopsd.contracts import Notifier
from aiopsd.errors import ConfigError, Refused, Unreachable
from aiopsd.model import Event, Gap, Matcher, Moment, Muted, Silence
from aiopsd.notifiers.slack import SlackSettings
from aiopsd.pipeline.telling import Outbox
from aiopsd.settings import Duration, SecretFile
from aiopsd.telemetry import Telemetry
from tests.loopback.faults import Answer
from tests.loopback.slack import TOKEN, LoopbackSlack
from tests.loopback.slack_objects import Message
from tests.unit.notifiers import stories
from tests.unit.notifiers.house import House, KilledError

POST, UPDATE = "chat.postMessage", "chat.update"


@pytest.fixture
async def slack() -> AsyncIterator[LoopbackSlack]:
    async with LoopbackSlack() as server:
        yield server


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return House(tmp_path, page_url="https://aiopsd.example")


def build(slack: LoopbackSlack, house: House, **different: Any) -> Notifier:
    """A notifier as a fresh process makes it."""
    wanted: dict[str, Any] = {
        "channel": "#ops", "token_file": SecretFile("token"), "api_url": slack.api_url,
        "edit_every": Duration(0.001), "timeout": Duration(20),
    }  # fmt: skip
    return SlackSettings(**(wanted | different)).build(house.context())


async def tell(notifier: Notifier, *events: Event) -> None:
    for event in events:
        await notifier.notify(event)


def head(message: Message) -> str:
    return str(message.blocks[0]["text"]["text"])


def story(slack: LoopbackSlack, root: Message) -> list[str]:
    """The words of the thread's lines, in order."""
    lines = "\n".join(reply.text for reply in slack.thread(root.ts)).splitlines()
    return [line.split("*")[1] for line in lines]


def only_root(slack: LoopbackSlack) -> Message:
    (root,) = slack.roots("ops")
    return root


STORY = ["change", "anomaly", "opened", "suspect", "run", "apply", "verify", "healed", "resolved"]


async def test_one_incident_is_one_message_and_one_story(
    slack: LoopbackSlack, house: House
) -> None:
    notifier = build(slack, house)
    await notifier.notify(stories.opened())
    root = only_root(slack)
    assert head(root) == "checkout: error ratio 12 %"
    assert root.metadata == {"event_type": "aiopsd_incident", "event_payload": {"id": "INC-2041"}}
    await tell(notifier, stories.ranked(), stories.acting())
    assert head(only_root(slack)) == "Healing: checkout: error ratio 31 %"
    await tell(notifier, stories.verifying(), stories.healed(), stories.resolved())
    assert head(only_root(slack)).startswith("Healed after 14 min")
    assert sorted(story(slack, root)) == sorted(STORY)
    assert story(slack, root)[:3] == ["anomaly", "opened", "change"], "told as it became known"
    assert house.delivery("INC-2041").told == len(STORY)
    assert not any(reply.broadcast for reply in slack.thread(root.ts))
    assert house.counts["slack_text_only"] == 0


async def test_what_comes_together_is_told_together(slack: LoopbackSlack, house: House) -> None:
    notifier = build(slack, house)
    await tell(notifier, stories.healed(), stories.resolved())
    assert story(slack, only_root(slack)) == STORY
    assert len(slack.thread(only_root(slack).ts)) == 1


async def test_the_same_news_twice_is_said_once(slack: LoopbackSlack, house: House) -> None:
    notifier = build(slack, house)
    await tell(notifier, stories.ranked(), stories.acting())
    calls = len(slack.calls)
    await tell(notifier, stories.ranked(), stories.acting(), stories.ranked())
    assert len(slack.calls) == calls


async def test_a_restart_says_nothing_again(slack: LoopbackSlack, house: House) -> None:
    first = replace(stories.made_worse(), id="INC-2041/rollback/0", started_s=stories.T0 + 40)
    await tell(build(slack, house), stories.resolved(), first, stories.healed())
    calls = len(slack.calls)
    again = build(slack, house)
    for event in (stories.resolved(), stories.healed(), first):  # in whatever order they come
        await again.notify(event)
        assert len(slack.calls) == calls


async def test_a_run_that_never_comes_back_holds_up_nothing(
    slack: LoopbackSlack, house: House
) -> None:
    now = 1000.0
    house.clock = lambda: now
    await tell(build(slack, house), stories.ranked(), stories.healed())
    again = build(slack, house)
    now += 31
    await again.notify(stories.resolved())
    assert head(only_root(slack)).startswith("Resolved")


async def test_after_an_outage_only_the_newest_state_is_said(
    slack: LoopbackSlack, house: House
) -> None:
    notifier = build(slack, house)
    async with slack.away():
        for event in (stories.opened(), stories.ranked(), stories.acting()):
            with pytest.raises(Unreachable, match="cannot be reached"):
                await notifier.notify(event)
    await notifier.notify(stories.acting())
    assert head(only_root(slack)).startswith("Healing")
    assert only_root(slack).edits == 0
    assert len(slack.asked(POST)) == 2, "a message and its thread"


async def test_edits_wait_for_their_turn_and_the_newest_wins(
    slack: LoopbackSlack, house: House
) -> None:
    notifier = build(slack, house, edit_every=Duration(0.5))
    await notifier.notify(stories.opened())
    news = [replace(stories.ranked(), updated_s=stories.T0 + 60 * n) for n in range(1, 21)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for event in news:
            group.create_task(notifier.notify(event))
    assert loop.time() - began >= 0.3
    assert only_root(slack).edits == 1
    assert "20 min" in only_root(slack).blocks[2]["fields"][0]["text"]


# --- what went wrong is not known: was it done? -----------------------------------------------


@pytest.mark.parametrize("channel", ["#ops", "C0OPS"])
async def test_a_lost_answer_makes_no_second_message(
    slack: LoopbackSlack, house: House, channel: str
) -> None:
    notifier = build(slack, house, channel=channel)
    slack.lose_answer_next(on=POST)
    with pytest.raises(Unreachable):
        await notifier.notify(stories.opened())
    slack.say("ops", "what is going on?")
    await notifier.notify(stories.ranked())
    roots = [root for root in slack.roots("ops") if root.user == "U0BOT"]
    assert [head(root) for root in roots] == ["checkout: error ratio 31 %"]


async def test_killed_between_post_and_journal(slack: LoopbackSlack, house: House) -> None:
    house.killed_before = lambda delivery: "ts" in delivery.ref
    with pytest.raises(KilledError):
        await build(slack, house).notify(stories.opened())
    assert house.delivery("INC-2041").state == "sending"
    house.killed_before = lambda _: False
    await build(slack, house).notify(stories.ranked())
    assert head(only_root(slack)) == "checkout: error ratio 31 %"
    assert house.delivery("INC-2041").ref["ts"] == only_root(slack).ts


async def test_killed_before_the_post(slack: LoopbackSlack, house: House) -> None:
    house.journal["ops/INC-2041"] = b'{"type":"Delivery","id":"ops/INC-2041","state":"sending"}'
    await build(slack, house).notify(stories.opened())
    assert head(only_root(slack)) == "checkout: error ratio 12 %"


@pytest.mark.parametrize(
    "history",
    [
        '{"ok": true}',
        '{"ok": true, "messages": "none", "response_metadata": []}',
        '{"ok": true, "messages": [1, {}, {"metadata": 1}, {"metadata": {"event_type": '
        '"aiopsd_incident", "event_payload": 1}}], "response_metadata": {"next_cursor": null}}',
    ],
)
async def test_an_odd_history_is_no_find(slack: LoopbackSlack, house: House, history: str) -> None:
    house.journal["ops/INC-2041"] = b'{"type":"Delivery","id":"ops/INC-2041","state":"sending"}'
    slack.fail_next(200, history, {"Content-Type": "application/json"}, on="conversations.history")
    await build(slack, house, channel="C0OPS").notify(stories.opened())
    assert len(slack.roots("ops")) == 1


async def test_a_message_is_found_behind_many_others(slack: LoopbackSlack, house: House) -> None:
    notifier = build(slack, house)
    slack.lose_answer_next(on=POST)
    with pytest.raises(Unreachable):
        await notifier.notify(stories.opened())
    for number in range(450):
        slack.say("ops", f"chatter {number}")
    await notifier.notify(stories.opened())
    assert len(slack.roots("ops")) == 451
    assert len(slack.asked("conversations.history")) == 3


async def test_a_hanging_slack_is_left(slack: LoopbackSlack, house: House) -> None:
    notifier = build(slack, house, timeout=Duration(0.3))
    slack.hang_next(30, on=POST)
    with pytest.raises(Unreachable, match="no answer from Slack within"):
        await notifier.notify(stories.opened())
    await build(slack, house).notify(stories.opened())
    assert len(slack.roots("ops")) == 1


async def test_where_looking_is_forbidden_a_double_is_accepted(
    slack: LoopbackSlack, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = build(slack, house, channel="C0OPS")
    slack.lose_answer_next(on=POST)
    slack.refuse_next("missing_scope", times=2, on="conversations.history")
    with pytest.raises(Unreachable):
        await notifier.notify(stories.opened())
    with caplog.at_level(logging.WARNING):
        await notifier.notify(stories.opened())
    assert len(slack.roots("ops")) == 2
    assert "it may be doubled" in caplog.text
    assert "missing_scope" in caplog.text


@pytest.mark.parametrize("restart", [False, True])
async def test_a_lost_answer_in_the_thread_tells_no_line_twice(
    slack: LoopbackSlack, house: House, restart: bool
) -> None:
    notifier = build(slack, house)
    await notifier.notify(stories.opened())
    slack.lose_answer_next(on=POST)
    with pytest.raises(Unreachable):
        await notifier.notify(stories.ranked())
    notifier = build(slack, house) if restart else notifier
    await tell(notifier, stories.ranked())
    await tell(notifier, stories.acting())
    assert story(slack, only_root(slack)) == [
        "anomaly", "opened", "change", "suspect", "run", "apply",
    ]  # fmt: skip
    assert len(slack.asked("conversations.replies")) == 1, "once in doubt, then sure"


async def test_a_thread_that_may_not_be_read_is_told_at_most_twice(
    slack: LoopbackSlack, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = build(slack, house)
    slack.refuse_next("missing_scope", on="conversations.replies")
    await notifier.notify(stories.opened())
    slack.lose_answer_next(on=POST)
    with pytest.raises(Unreachable):
        await notifier.notify(stories.ranked())
    await tell(notifier, stories.ranked(), stories.acting(), stories.healed())
    told = story(slack, only_root(slack))
    assert told.count("suspect") == 2
    assert told.count("opened") == told.count("healed") == 1
    assert "a line may be doubled" in caplog.text


# --- Slack says no ----------------------------------------------------------------------------


async def test_a_rate_limit_is_waited_for_without_asking(
    slack: LoopbackSlack, house: House
) -> None:
    notifier = build(slack, house)
    slack.limit_next(1, on=POST)
    with pytest.raises(Unreachable, match=r"no chat.postMessage for 1 s \(429\)"):
        await notifier.notify(stories.opened())
    with pytest.raises(Unreachable, match="for another"):
        await notifier.notify(stories.opened())
    assert [call.path for call in slack.calls] == ["/api/chat.postMessage"]
    await _until_heard(notifier, stories.opened())
    assert len(slack.roots("ops")) == 1
    assert not slack.asked("conversations.history"), "what was refused needs no search"


async def _until_heard(notifier: Notifier, event: Event) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await notifier.notify(event)
            except Unreachable:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (503, "text/html", "<html>oops</html>"),
        (502, "text/plain", "bad gateway"),
        (200, "text/html", "<html>sign in</html>"),
        (200, "text/plain", "ok"),
        (200, "application/json", "{"),
        (200, "application/json", "[]"),
        (200, "application/json", '"yes"'),
        (200, "application/json", b"\xff\xfe"),
        (200, "application/json", "{}"),
        (200, "application/json", '{"ok": true}'),
        (200, "application/json", '{"ok": false, "error": "internal_error"}'),
        (500, "application/json", '{"ok": false, "error": "anything"}'),
    ],
)
async def test_nonsense_is_retried(
    slack: LoopbackSlack, house: House, status: int, kind: str, body: str | bytes
) -> None:
    notifier = build(slack, house)
    slack.fail_next(status, body, {"Content-Type": kind}, on=POST)
    with pytest.raises(Unreachable):
        await notifier.notify(stories.opened())
    await notifier.notify(stories.opened())
    assert len(slack.roots("ops")) == 1


async def test_who_was_not_invited_reads_what_to_do(slack: LoopbackSlack, house: House) -> None:
    slack.workspace.channels["ops"].member = False
    notifier = build(slack, house)
    with pytest.raises(Refused, match=r"not_in_channel; invite the app .*: /invite @aiopsd"):
        await notifier.notify(stories.opened())
    slack.workspace.channels["ops"].member = True
    await notifier.notify(stories.ranked())
    assert len(slack.roots("ops")) == 1


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("channel_not_found", "/invite @aiopsd"),
        ("invalid_auth", "copy the Bot User OAuth Token"),
        ("account_inactive", "install it again"),
        ("is_archived", "choose another"),
        ("something_new", "docs.slack.dev/reference/methods/chat.postMessage"),
    ],
)
async def test_a_refusal_says_what_to_do(
    slack: LoopbackSlack, house: House, code: str, advice: str
) -> None:
    slack.refuse_next(code, on=POST)
    with pytest.raises(Refused, match=code) as caught:
        await build(slack, house).notify(stories.opened())
    assert advice in str(caught.value)


async def test_no_message_holds_the_token(
    slack: LoopbackSlack, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    (house.base / "token").write_text("xoxb-wrong-token")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Refused, match="invalid_auth") as caught:
        await build(slack, house).notify(stories.opened())
    async with slack.away():
        with pytest.raises(Unreachable) as away:
            await build(slack, house).notify(stories.opened())
    (house.base / "token").write_text("xoxb-wrong-token\nxoxb-another")
    with pytest.raises(ConfigError) as broken:
        build(slack, house)
    told = [str(error.value) for error in (caught, away, broken)]
    assert not [text for text in (*told, caplog.text) if "xoxb" in text]


async def test_a_deleted_message_is_replaced(slack: LoopbackSlack, house: House) -> None:
    notifier = build(slack, house)
    await notifier.notify(stories.opened())
    slack.delete(only_root(slack).ts)
    await notifier.notify(stories.ranked())
    root = only_root(slack)
    assert head(root) == "checkout: error ratio 31 %"
    assert story(slack, root) == ["change", "suspect"], "told once, wherever"
    await notifier.notify(stories.acting())
    assert only_root(slack).ts == root.ts


@pytest.mark.parametrize("done", [True, False])
async def test_a_message_that_may_not_be_edited_is_not_found_again(
    slack: LoopbackSlack, house: House, done: bool
) -> None:
    notifier = build(slack, house)
    await notifier.notify(stories.opened())
    slack.refuse_next("edit_window_closed", on=UPDATE)
    if done:
        slack.lose_answer_next(on=POST)
    else:
        slack.fail_next(503, on=POST)
    with pytest.raises(Unreachable):
        await notifier.notify(stories.ranked())
    await notifier.notify(stories.ranked())
    assert [head(root) for root in slack.roots("ops")] == [
        "checkout: error ratio 12 %", "checkout: error ratio 31 %",
    ]  # fmt: skip


async def test_where_blocks_are_too_much_the_text_goes_alone(
    slack: LoopbackSlack, house: House
) -> None:
    notifier = build(slack, house)
    slack.refuse_next("invalid_blocks", on=POST)
    await notifier.notify(stories.opened())
    assert only_root(slack).blocks == []
    assert only_root(slack).text.startswith("*checkout: error ratio 12 %*\n*No cause found yet.*")
    slack.refuse_next("msg_blocks_too_long", on=UPDATE)
    await notifier.notify(stories.ranked())
    assert "*Most likely: deploy api v1.42*" in only_root(slack).text
    assert house.counts["slack_text_only"] == 2


# --- what people must see, and what they must not ---------------------------------------------


@pytest.mark.parametrize("text", [stories.HOSTILE, "x" * 1_000_000, "", "\ud800", "``` " * 999])
async def test_hostile_text_passes(slack: LoopbackSlack, house: House, text: str) -> None:
    incident, run = stories.hostile(text)
    await tell(build(slack, house), incident, run)
    seen = [message.text for message in slack.workspace.messages]
    assert len(seen) == 3
    assert not [part for part in seen if "<!channel" in part or "<script" in part or "<@" in part]
    assert house.counts["slack_text_only"] == 0


async def test_an_endless_incident_stays_within_the_limits(
    slack: LoopbackSlack, house: House
) -> None:
    incident, runs = stories.endless()
    notifier = build(slack, house)
    await tell(notifier, *runs, incident)
    root = only_root(slack)
    assert len(root.blocks) <= 9
    assert house.counts["slack_text_only"] == 0
    assert max(len(reply.text) for reply in slack.thread(root.ts)) <= 3000
    told = story(slack, root)
    calls = len(slack.calls)
    assert told.count("anomaly") == 200
    await tell(build(slack, house), *runs, incident)
    assert len(slack.calls) == calls


async def test_a_cry_for_help_is_heard_in_the_channel_once(
    slack: LoopbackSlack, house: House
) -> None:
    notifier = build(slack, house)
    await tell(notifier, stories.ranked(), stories.acting(), stories.made_worse())
    root = only_root(slack)
    assert head(root).startswith("Needs you: ")
    assert [m.broadcast for m in slack.thread(root.ts)] == [False, False, True]
    late = Moment(time_s=stories.T0 + 400, what="suspect", text="orders-db 0.61")
    again = build(slack, house)
    await tell(again, replace(stories.ranked(), moments=(*stories.ranked().moments, late)))
    await tell(again, stories.made_worse())
    assert story(slack, root)[-1] == "suspect"
    assert sum(m.broadcast for m in slack.thread(root.ts)) == 1


async def test_what_is_not_muted_any_more_is_heard_in_the_channel_where_it_was_told_before(
    slack: LoopbackSlack, house: House
) -> None:
    notifier, open_ = build(slack, house), stories.ranked()
    muted = Muted(code="silenced", text="silenced by ana until x: y (SIL-1)", by="SIL-1")
    lines = [Moment(time_s=open_.updated_s + n, what=what, text="SIL-1 is over, and this lasts")
             for n, what in enumerate(("muted", "unmuted"))]  # fmt: skip
    quiet = replace(open_, muted=muted, moments=(*open_.moments, lines[0]))
    loud = replace(open_, moments=(*open_.moments, *lines))
    await tell(notifier, open_, quiet)
    root = only_root(slack)
    assert head(root).startswith("Muted: ")
    assert not any(m.broadcast for m in slack.thread(root.ts))
    await tell(notifier, loud, loud)
    await tell(build(slack, house), loud)
    assert [m.broadcast for m in slack.thread(root.ts)][-1]
    assert sum(m.broadcast for m in slack.thread(root.ts)) == 1
    first = replace(loud, id="INC-first")  # muted from its beginning: the message itself is heard
    await tell(notifier, first)
    assert not any(m.broadcast for m in slack.thread(slack.roots("ops")[-1].ts))


async def test_that_a_silence_ends_soon_is_said_once(slack: LoopbackSlack, house: House) -> None:
    matchers = (Matcher(label="service", op="=~", value="<db>.*"),)
    one = Silence(id="SIL-1", matchers=matchers, owner="ana", reason="new & old disks",
                  created_s=0.0, starts_s=0.0, ends_s=3600.0, mutes=("INC-1", "INC-2"))  # fmt: skip
    slack.refuse_next("fatal_error", on=POST)
    notifier = build(slack, house)
    with pytest.raises(Unreachable):
        await notifier.notify(one)
    await tell(notifier, one, one)
    await tell(build(slack, house), one)  # after a restart, too
    assert only_root(slack).text == (
        "The silence SIL-1 of ana over `service=~&lt;db&gt;.*` ends at "
        "<!date^3600^{time}|01:00 UTC>. Told then, if it lasts: INC-1, INC-2. "
        "(new &amp; old disks)")  # fmt: skip


async def test_other_events_are_not_for_slack(slack: LoopbackSlack, house: House) -> None:
    gap = Gap(id="g", source="prom", from_s=0, until_s=1, reason="away")
    await build(slack, house).notify(gap)
    assert slack.calls == []


async def test_many_incidents_are_told_and_forgotten(slack: LoopbackSlack, house: House) -> None:
    house.journal["other/INC-2041"] = b'{"type":"Delivery","id":"other/INC-2041","state":"sent"}'
    notifier = build(slack, house)
    many = [replace(stories.resolved(), id=f"INC-{n}", moments=()) for n in range(520)]
    await tell(notifier, *many)
    assert len(slack.roots("ops")) == 520
    calls = len(slack.calls)
    await tell(notifier, *many)
    assert len(slack.calls) == calls
    assert len(notifier._cards) == 500  # type: ignore[attr-defined]


# --- a real process, a real journal -----------------------------------------------------------


async def _teller(slack: LoopbackSlack, folder: Path) -> asyncio.subprocess.Process:
    module = "tests.integration.slack_teller"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, str(folder), slack.api_url
    )


@pytest.mark.parametrize("nth", [1, 2])
async def test_kill_9_while_slack_answers(slack: LoopbackSlack, house: House, nth: int) -> None:
    """Slack has taken the message (or the thread's), and the process dies before it knows."""
    taken = asyncio.Event()

    async def take_and_keep_silent(_: web.Request, answer: Answer) -> web.StreamResponse:
        answer()
        taken.set()
        await asyncio.sleep(60)
        return web.Response()

    async def usual(_: web.Request, answer: Answer) -> web.StreamResponse:
        return answer()

    if nth == 2:
        slack.plan(usual, 1, POST)
    slack.plan(take_and_keep_silent, 1, POST)
    first = await _teller(slack, house.base)
    async with asyncio.timeout(60):
        await taken.wait()
    first.kill()
    assert await first.wait() == -signal.SIGKILL
    second = await _teller(slack, house.base)
    assert await asyncio.wait_for(second.wait(), 60) == 0
    assert head(only_root(slack)) == "checkout: error ratio 31 %"
    assert sorted(story(slack, only_root(slack))) == ["anomaly", "change", "opened", "suspect"]


async def test_the_house_tells_a_storm_through_an_outage(house: House) -> None:
    """The outbox retries and gathers, Slack takes one post a second: nothing is lost or doubled."""
    async with LoopbackSlack(limit_rate=True) as slack:
        outbox = Outbox("ops", build(slack, house), Telemetry(house.clock))
        telling = asyncio.create_task(outbox.deliver())
        slack.lose_answer_next(on=POST)
        for number in range(3):
            outbox.put(replace(stories.opened(), id=f"INC-{number}"))
        await slack.wait_asked(1, on=POST)
        async with slack.away():
            for number in range(3):
                outbox.put(replace(stories.ranked(), id=f"INC-{number}"))
                outbox.put(replace(stories.acting(), id=f"r-{number}", incident=f"INC-{number}"))
        async with asyncio.timeout(120):
            while len(outbox) or len(slack.roots("ops")) < 3:
                await asyncio.sleep(0.05)
            outbox.close()
            await telling
        roots = slack.roots("ops")
        assert [head(root) for root in roots] == ["Healing: checkout: error ratio 31 %"] * 3
        for root in roots:
            told = story(slack, root)
            assert sorted(told) == ["anomaly", "apply", "change", "opened", "run", "suspect"]
