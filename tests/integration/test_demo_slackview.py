"""The stand-in for Slack: the real notifier talks to it, and a browser shows the channel."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
from msgspec.structs import replace

from aiopsd.contracts import Notifier
from aiopsd.demo.slackview import SlackView
from aiopsd.errors import Refused, Unreachable
from aiopsd.notifiers.slack import SlackSettings
from aiopsd.settings import Duration, SecretFile
from tests.unit.notifiers import stories
from tests.unit.notifiers.house import House


@pytest.fixture
async def view() -> AsyncIterator[SlackView]:
    async with SlackView() as running:
        yield running


@pytest.fixture
def notifier(view: SlackView, tmp_path: Path) -> Notifier:
    (tmp_path / "token").write_text(view.token)
    return build(view, tmp_path)


def build(view: SlackView, folder: Path, **different: Any) -> Notifier:
    wanted: dict[str, Any] = {
        "channel": "#ops", "token_file": SecretFile("token"), "api_url": view.api_url,
        "edit_every": Duration(0.001), "timeout": Duration(20),
    }  # fmt: skip
    return SlackSettings(**(wanted | different)).build(House(folder).context())


async def page(view: SlackView, path: str = "") -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(view.page_url + path) as answer,
    ):
        answer.raise_for_status()
        return await answer.text()


async def test_the_page_shows_the_message_and_its_thread(
    view: SlackView, notifier: Notifier
) -> None:
    assert "Nothing yet." in await page(view)
    for event in (stories.ranked(), stories.acting(), stories.healed(), stories.resolved()):
        await notifier.notify(event)
    shown = await page(view)
    assert shown.count("<article") == 1
    assert "Healed after 14 min: checkout: error ratio 31 %" in shown
    assert "<b>Most likely: deploy api v1.42</b> at <time" in shown
    assert "<h3>4 replies</h3>" in shown
    assert "edited in place" in shown


async def test_a_cry_for_help_stands_in_the_channel(view: SlackView, notifier: Notifier) -> None:
    for event in (stories.ranked(), stories.acting(), stories.made_worse()):
        await notifier.notify(event)
    shown = await page(view)
    assert shown.count("<article") == 2
    assert "replied to a thread: <b>Needs you: checkout: error ratio 31 %</b>" in shown


async def test_a_restarted_notifier_finds_its_message(view: SlackView, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(view.token)
    house = House(tmp_path)
    house.journal["ops/INC-2041"] = b'{"type":"Delivery","id":"ops/INC-2041","state":"sending"}'
    await build(view, tmp_path).notify(stories.opened())
    settings = SlackSettings(
        channel="#ops", token_file=SecretFile("token"), api_url=view.api_url,
        edit_every=Duration(0.001),
    )  # fmt: skip
    await settings.build(house.context()).notify(stories.ranked())
    assert [post.thread_ts for post in view.posts].count("") == 1


async def test_only_who_knows_the_token_may_post(view: SlackView, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxb-other")
    with pytest.raises(Refused, match="invalid_auth"):
        await build(view, tmp_path).notify(stories.opened())
    (tmp_path / "token").write_text(view.token)
    with pytest.raises(Refused, match="channel_not_found"):
        await build(view, tmp_path, channel="#dev").notify(stories.opened())
    assert view.posts == []


async def test_the_stream_tells_every_change_and_the_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxb-demo")
    async with aiohttp.ClientSession() as session:
        async with SlackView() as view:
            notifier = build(view, tmp_path)
            answer = await session.get(view.page_url + "stream")
            assert answer.content_type == "text/event-stream"
            assert await _news(answer) == []
            await notifier.notify(stories.opened())
            async with asyncio.timeout(60):
                while not (shown := await _news(answer)):
                    pass
            assert "checkout: error ratio 12 %" in shown[0][1]
        rest = (await answer.read()).decode()
    assert rest.endswith("event: end\ndata:\n\n")
    with pytest.raises(Unreachable):
        await notifier.notify(stories.ranked())


async def _news(answer: aiohttp.ClientResponse) -> list[list[str]]:
    async with asyncio.timeout(60):
        async for line in answer.content:
            if line.startswith(b"data: "):
                found: list[list[str]] = json.loads(line[6:])
                return found
    raise AssertionError("the stream has ended")


async def test_files_of_the_page_and_no_others(view: SlackView) -> None:
    assert "color-scheme: light dark" in await page(view, "static/slackview.css")
    assert "EventSource" in await page(view, "static/slackview.js")
    with pytest.raises(aiohttp.ClientResponseError, match="404"):
        await page(view, "static/slackview.html")


class Browser:
    """A headless Chromium with one page, by the DevTools protocol."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls = 0

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
            "--remote-debugging-port=0", f"--user-data-dir={self._folder}", "about:blank",
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._session = aiohttp.ClientSession()
        assert self._process.stderr is not None
        async with asyncio.timeout(120):
            while b"DevTools listening" not in (line := await self._process.stderr.readline()):
                assert line, "the browser has ended"
        port = line.decode().split("//")[1].split("/")[0]
        async with self._session.get(f"http://{port}/json") as answer:
            page = next(one for one in await answer.json() if one["type"] == "page")
        self._socket = await self._session.ws_connect(page["webSocketDebuggerUrl"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        self._process.kill()
        await self._process.wait()

    async def ask(self, method: str, **params: Any) -> Any:
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": params})
        async with asyncio.timeout(60):
            while (told := await self._socket.receive_json()).get("id") != self._calls:
                pass
        return told["result"]

    async def value(self, script: str) -> Any:
        told = await self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return told["result"].get("value")

    async def until(self, script: str, wanted: object) -> None:
        async with asyncio.timeout(60):
            while await self.value(script) != wanted:
                await asyncio.sleep(0.05)


@pytest.mark.chromium
async def test_a_browser_follows_the_channel(
    view: SlackView, notifier: Notifier, tmp_path: Path
) -> None:
    heads = "[...document.querySelectorAll('.header')].map(h => h.textContent).join('|')"
    async with Browser(tmp_path / "profile") as browser:
        await notifier.notify(stories.opened())
        await browser.ask("Page.navigate", url=view.page_url)
        await browser.until(heads, "checkout: error ratio 12 %")
        await browser.until("known.size", 1)
        await browser.value("document.querySelector('article').mine = true")
        await notifier.notify(replace(stories.ranked(), id="INC-2"))
        await browser.until(heads, "checkout: error ratio 12 %|checkout: error ratio 31 %")
        assert await browser.value("document.querySelector('article').mine"), "left untouched"
        await notifier.notify(stories.resolved())
        await browser.until(
            heads, "Resolved after 14 min: checkout: error ratio 31 %|checkout: error ratio 31 %"
        )
        assert await browser.value("document.querySelectorAll('article').length") == 2


@pytest.mark.chromium
async def test_nothing_comes_alive_in_a_browser(
    view: SlackView, notifier: Notifier, tmp_path: Path
) -> None:
    image = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"
    incident, run = stories.hostile(image + stories.HOSTILE)
    await notifier.notify(incident)
    async with Browser(tmp_path / "profile") as browser:
        await browser.ask("Page.navigate", url=view.page_url)
        await browser.until("known.size", 1)
        await notifier.notify(run)
        await browser.until("document.querySelectorAll('.thread li').length", 2)
        assert await browser.value("document.title") == "#ops · aiopsd demo"
        assert await browser.value("document.querySelectorAll('#channel script, img').length") == 0
        text = await browser.value("document.querySelector('.header').textContent")
        assert text.startswith(f"Healing: {image}"[:60])
