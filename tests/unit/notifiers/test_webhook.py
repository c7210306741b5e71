"""The webhook notifier against a real server on the loopback."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aiopsd.contracts import Notifier
from aiopsd.errors import ConfigError, Refused, Unreachable
from aiopsd.model import Gap
from aiopsd.notifiers.webhook import WebhookSettings
from aiopsd.settings import Duration, SecretFile
from tests.loopback.server import LoopbackServer, Route
from tests.unit.notifiers import stories
from tests.unit.notifiers.house import House, KilledError


class Receiver(LoopbackServer):
    """Takes every POST."""

    def routes(self) -> Sequence[Route]:
        return [("POST", "/hook.*", lambda _call: web.Response(status=204))]

    @property
    def bodies(self) -> list[Any]:
        return [call.json() for call in self.calls]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as server:
        yield server


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "token").write_text("hook-token\n")
    (tmp_path / "secret").write_text("hook-secret\n")
    return House(tmp_path, clock=lambda: 1795442520.9)


def build(receiver: Receiver, house: House, **different: Any) -> Notifier:
    wanted: dict[str, Any] = {"url": f"{receiver.url}/hook/s3cr3t", "timeout": Duration(20)}
    return WebhookSettings(**(wanted | different)).build(house.context())


async def test_every_new_state_is_posted_once(receiver: Receiver, house: House) -> None:
    notifier = build(receiver, house)
    for event in (stories.opened(), stories.opened(), stories.acting(), stories.ranked()):
        await notifier.notify(event)
    assert [body["event"] for body in receiver.bodies] == ["incident", "run", "incident"]
    assert receiver.bodies[0]["incident"]["title"] == "checkout: error ratio 12 %"
    assert receiver.bodies[1]["run"]["steps"][1]["state"] == "started"
    again = build(receiver, house)
    for event in (stories.ranked(), stories.acting()):
        await again.notify(event)
    assert len(receiver.calls) == 3


async def test_the_sender_can_be_checked(receiver: Receiver, house: House) -> None:
    files = {"token_file": SecretFile("token"), "secret_file": SecretFile("secret")}
    await build(receiver, house, **files).notify(stories.opened())
    (call,) = receiver.calls
    assert call.headers["Authorization"] == "Bearer hook-token"
    assert call.headers["Content-Type"] == "application/json"
    signed = b"1795442520." + call.body
    digest = hmac.new(b"hook-secret", signed, hashlib.sha256).hexdigest()
    assert call.headers["X-Aiopsd-Signature"] == f"t=1795442520,v1={digest}"


async def test_a_repetition_has_the_same_key(receiver: Receiver, house: House) -> None:
    house.killed_before = lambda _: True
    with pytest.raises(KilledError):
        await build(receiver, house).notify(stories.opened())
    house.killed_before = lambda _: False
    await build(receiver, house).notify(stories.opened())
    await build(receiver, house).notify(stories.ranked())
    keys = [call.headers["Idempotency-Key"] for call in receiver.calls]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0].startswith("INC-2041-")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_later_means_again(receiver: Receiver, house: House, status: int) -> None:
    notifier = build(receiver, house)
    receiver.fail_next(status, "<html>")
    with pytest.raises(Unreachable, match=f"answers {status}"):
        await notifier.notify(stories.opened())
    await notifier.notify(stories.ranked())
    assert receiver.bodies[-1]["incident"]["title"] == "checkout: error ratio 31 %"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413])
async def test_no_means_no(receiver: Receiver, house: House, status: int) -> None:
    receiver.fail_next(status, "no")
    with pytest.raises(Refused, match=f"answers {status}") as caught:
        await build(receiver, house).notify(stories.opened())
    assert "s3cr3t" not in str(caught.value), "the path may be a secret"


async def test_no_redirect_is_followed(receiver: Receiver, house: House) -> None:
    receiver.fail_next(307, "", {"Location": f"{receiver.url}/hook/elsewhere"})
    notifier = build(receiver, house, token_file=SecretFile("token"))
    with pytest.raises(Refused, match="write the address it redirects to"):
        await notifier.notify(stories.opened())
    assert len(receiver.calls) == 1


async def test_away_silent_or_hanging_up(receiver: Receiver, house: House) -> None:
    notifier = build(receiver, house, timeout=Duration(0.3))
    async with receiver.away():
        with pytest.raises(Unreachable) as caught:
            await notifier.notify(stories.opened())
    assert "s3cr3t" not in str(caught.value)
    receiver.hang_next(30)
    with pytest.raises(Unreachable, match=r"no answer in 0\.3 s"):
        await notifier.notify(stories.opened())
    receiver.lose_answer_next()
    with pytest.raises(Unreachable):
        await notifier.notify(stories.opened())
    await build(receiver, house).notify(stories.opened())


async def test_hostile_and_endless_events_pass(receiver: Receiver, house: House) -> None:
    notifier = build(receiver, house)
    incident, run = stories.hostile(stories.HOSTILE + "x" * 1_000_000)
    endless, _ = stories.endless()
    for event in (incident, run, endless):
        await notifier.notify(event)
    assert receiver.bodies[0]["incident"]["title"] == incident.title
    assert json.loads(receiver.calls[1].body)["run"]["target"] == run.target


async def test_other_events_are_not_posted(receiver: Receiver, house: House) -> None:
    await build(receiver, house).notify(Gap(id="g", source="s", from_s=0, until_s=1, reason="r"))
    assert receiver.calls == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "example.org/hook"}, "full address"),
        ({"url": "ftp://example.org/hook"}, "full address"),
        ({"url": "https://me:pw@example.org/"}, "token_file"),
        ({"url": "http://example.org/", "token_file": SecretFile("token")}, "https"),
        ({"timeout": Duration(0)}, "timeout"),
        ({"timeout": Duration(61)}, "timeout"),
    ],
)
def test_wrong_settings(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WebhookSettings(**({"url": "https://example.org/hook"} | wrong))


def test_a_token_file_holds_one_token(house: House, receiver: Receiver) -> None:
    (house.base / "token").write_text("one\r\ntwo")
    with pytest.raises(ConfigError, match="one token") as caught:
        build(receiver, house, token_file=SecretFile("token"))
    assert "two" not in str(caught.value)
