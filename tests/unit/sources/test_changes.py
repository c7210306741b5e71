"""The receiver of changes: who is believed, what is taken once, and when its sender is told 200."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession

from aiopsd.errors import ConfigError
from aiopsd.model import Change
from aiopsd.settings import Duration, SecretFile
from aiopsd.sources.changes import ChangesSettings, ChangesSource
from aiopsd.sources.changes_sender import Deliveries, Sender, check
from aiopsd.sources.pushed import Wrong
from tests.loopback.recording import RECORDINGS
from tests.unit.sources.witness import Readings, Witness, commit_all, read, served

NOW_S = 1_557_933_700.0  # the afternoon of the recorded deployment, 2019-05-15
SECRET = "It's a Secret to Everybody"
DEPLOYED = (RECORDINGS / "changes" / "github_deployment_status.json").read_bytes()


def signed(body: bytes, secret: str = SECRET, event: str = "deployment_status") -> dict[str, str]:
    digest = hmac.digest(secret.encode(), body, "sha256").hex()
    return {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Event": event,
            "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "Content-Type": "application/json"}  # fmt: skip


@dataclass
class Hook:
    """The source behind a real server, read and committed as the pipeline would."""

    source: ChangesSource
    witness: Witness
    url: str
    session: ClientSession
    readings: Readings

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        async with self.session.post(self.url, data=body, headers=headers) as response:
            return response.status, await response.text()

    @property
    def changes(self) -> list[Change]:
        items = [item for reading in self.readings.all for item in reading.items]
        return [item for item in items if isinstance(item, Change)]


@asynccontextmanager
async def hook(
    folder: Path,
    sender: Sender = "github",
    *,
    resume: Any = None,
    commits: bool = True,
    **more: Any,
) -> AsyncIterator[Hook]:
    (folder / "secret").write_text(SECRET + "\n")
    witness = Witness(clock=lambda: NOW_S, base=folder)
    settings = ChangesSettings(sender=sender, secret_file=SecretFile("secret"), **more)
    source = settings.build(witness.context("tool"))
    async with served(witness) as (url, session), read(source, resume) as readings:
        committer = asyncio.create_task(commit_all(source, readings) if commits else _nothing())
        await asyncio.sleep(0)
        yield Hook(source, witness, url, session, readings)
        committer.cancel()


async def _nothing() -> None:
    """Nobody commits."""


# --- who is believed ----------------------------------------------------------------------


def is_believed(sender: Sender, headers: dict[str, str], body: bytes, secret: str,
                header: str = "", now_s: float = NOW_S) -> bool:  # fmt: skip
    try:
        check(sender, headers, body, secret, header, now_s)
    except Wrong as wrong:
        return wrong.status != 401
    return True


def test_github_signs_as_its_documents_say() -> None:
    body, good = (
        b"Hello, World!",
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )
    said = {"X-Hub-Signature-256": f"sha256={good}"}
    assert is_believed("github", said, body, SECRET)
    assert not is_believed("github", said, body + b" ", SECRET)
    assert not is_believed("github", said, body, SECRET + " ")
    for wrong in ("", "sha256=", good[:-1], f"sha1={good}", "sha256=\udcff", "sha256=é", good * 99):
        assert not is_believed("github", {"X-Hub-Signature-256": wrong}, body, SECRET)
    assert not is_believed("github", {"Authorization": f"Bearer {SECRET}"}, body, SECRET)
    assert is_believed("generic", {"X-Own": good}, body, SECRET, "X-Own")


def test_gitlab_shows_its_token() -> None:
    assert is_believed("gitlab", {"X-Gitlab-Token": SECRET}, b"", SECRET)
    for wrong in ({}, {"X-Gitlab-Token": SECRET[:-1]}, {"X-Gitlab-Token": "\udcff"}):
        assert not is_believed("gitlab", wrong, b"", SECRET)


def test_gitlab_signs_as_the_standard_says() -> None:
    """The vector of the Standard Webhooks libraries."""
    secret, then_s = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1_614_265_330.0
    body = b'{"test": 2432232314}'
    said = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,bm9uZQ== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert is_believed("gitlab", said, body, secret, now_s=then_s)
    assert not is_believed("gitlab", said, body, secret, now_s=then_s + 301)  # overheard
    assert not is_believed("gitlab", said, body + b"x", secret, now_s=then_s)
    assert not is_believed("gitlab", {"X-Gitlab-Token": secret}, body, secret, now_s=then_s)
    for wrong in ({"webhook-id": "another"}, {"webhook-timestamp": "1614265331"},
                  {"webhook-timestamp": "²"}, {"webhook-timestamp": "9" * 400},
                  {"webhook-signature": "v1,\udcff"}, {"webhook-signature": ""}):  # fmt: skip
        assert not is_believed("gitlab", said | wrong, body, secret, now_s=then_s)
    assert not is_believed("gitlab", said, body, "whsec_not base64", now_s=then_s)


@pytest.mark.parametrize("sender", ["argocd", "jenkins", "generic"])
def test_the_others_show_a_bearer_token_or_a_password(sender: Sender) -> None:
    assert is_believed(sender, {"Authorization": "Bearer t0ken"}, b"", "t0ken")
    assert is_believed(sender, {"Authorization": "Basic YW55OnQwa2Vu"}, b"", "t0ken")
    assert not is_believed(sender, {"Authorization": "Bearer other"}, b"", "t0ken")
    assert not is_believed(sender, {}, b"", "t0ken")


async def test_who_is_not_believed_is_told_and_counted(tmp_path: Path) -> None:
    async with hook(tmp_path) as one:
        assert (await one.post(DEPLOYED, {}))[0] == 401
        assert (await one.post(DEPLOYED, signed(DEPLOYED, "guess")))[0] == 401
        other = DEPLOYED.replace(b"production", b"staging")
        assert (await one.post(other, signed(DEPLOYED)))[0] == 401
        assert one.changes == []
        assert one.witness.counts == {"refused_requests": 3}


async def test_who_shows_no_token_is_not_listened_to(tmp_path: Path) -> None:
    """Before a byte of the body: it may be large, and slow."""
    async with hook(tmp_path, "generic", answer_within=Duration(30)) as one:
        port = int(one.url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /hooks/generic HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n")
        async with asyncio.timeout(10):
            assert b" 401 " in await reader.readline()
        writer.close()


# --- what is taken ------------------------------------------------------------------------


async def test_a_change_is_journalled_before_its_sender_is_told(tmp_path: Path) -> None:
    async with hook(tmp_path, commits=False) as one:
        asking = asyncio.create_task(one.post(DEPLOYED, signed(DEPLOYED)))
        await one.readings.until(lambda: one.readings.all)
        assert not asking.done()
        await one.source.commit(one.readings.all[0].position)
        assert await asking == (200, "1 changes journalled\n")
    (change,) = one.changes
    assert change.id == "tool:Codertocat/Hello-World/deployments/145988746"
    assert (change.service, change.source) == ("Hello-World", "tool")
    assert one.witness.counts == {"changes": 1}


async def test_the_same_again_is_taken_once_also_after_a_restart(tmp_path: Path) -> None:
    """Also under another id of delivery, which GitHub does not sign."""
    async with hook(tmp_path) as one:
        assert (await one.post(DEPLOYED, signed(DEPLOYED)))[0] == 200
        again = signed(DEPLOYED) | {"X-GitHub-Delivery": "forged"}
        assert await one.post(DEPLOYED, again) == (200, "known already\n")
        assert len(one.changes) == 1
    position = json.loads(json.dumps(one.readings.all[-1].position))
    async with hook(tmp_path, resume=position) as later:
        assert await later.post(DEPLOYED, signed(DEPLOYED)) == (200, "known already\n")
        assert later.changes == []
        assert later.witness.counts == {"repeated_deliveries": 1}


async def test_what_was_not_journalled_is_not_known(tmp_path: Path) -> None:
    async with hook(tmp_path, commits=False, answer_within=Duration(0.05)) as one:
        assert (await one.post(DEPLOYED, signed(DEPLOYED)))[0] == 503
        assert (await one.post(DEPLOYED, signed(DEPLOYED)))[0] == 503
        assert len({change.id for change in one.changes}) == 1  # and is the same change
        await one.source.commit(one.readings.all[-1].position)
        assert await one.post(DEPLOYED, signed(DEPLOYED)) == (200, "known already\n")


async def test_who_is_full_or_not_there_says_come_again(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    witness = Witness(clock=lambda: NOW_S, base=tmp_path)
    source = ChangesSettings(sender="github", secret_file=SecretFile("secret")).build(
        witness.context("tool")
    )
    async with served(witness) as (url, session):
        answer = await session.post(url, data=DEPLOYED, headers=signed(DEPLOYED))
        assert answer.status == 503
        stream = source.stream(None)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await stream.aclose()
        answer = await session.post(url, data=DEPLOYED, headers=signed(DEPLOYED))
        assert answer.status == 503


def test_deliveries_are_few_and_who_gives_no_id_may_say_it_again() -> None:
    known = Deliveries(b"k" * 32)
    for number in range(2000):
        known.add(str(number), NOW_S)
    assert len(known.position()) == 512
    assert known.knows("1999", NOW_S - 1)
    assert not known.knows("0", NOW_S - 1)
    name, secs = known.name("gitlab", {"Idempotency-Key": "a"}, b"body")
    assert known.name("gitlab", {"Idempotency-Key": "b"}, b"body")[0] != name
    assert secs > known.name("gitlab", {}, b"body")[1] == 600


async def test_events_that_are_no_change_are_well_and_counted(tmp_path: Path) -> None:
    async with hook(tmp_path, only={"deployment.environment": ("prod*", "live")}) as one:
        ping = b'{"zen": "Design for failure.", "hook_id": 1}'
        assert (await one.post(ping, signed(ping, event="ping")))[0] == 200
        assert (await one.post(DEPLOYED, signed(DEPLOYED, event="push")))[0] == 200
        staging = DEPLOYED.replace(b"production", b"staging")
        assert (await one.post(staging, signed(staging)))[0] == 200
        old = DEPLOYED.replace(b"2019-05-15T15:20:55Z", b"2019-05-13T15:20:55Z")
        assert (await one.post(old, signed(old)))[0] == 200  # overheard, and said again
        assert one.changes == []
        assert one.witness.counts == {"other_events": 4}
        assert (await one.post(DEPLOYED, signed(DEPLOYED)))[0] == 200
        assert len(one.changes) == 1


async def test_a_repository_may_be_several_of_our_services(tmp_path: Path) -> None:
    async with hook(
        tmp_path, services={"Codertocat/Hello-World": ("checkout", "cart")}, kind="config"
    ) as one:
        assert await one.post(DEPLOYED, signed(DEPLOYED)) == (200, "2 changes journalled\n")
    assert [(c.service, c.kind) for c in one.changes] == [
        ("checkout", "config"),
        ("cart", "config"),
    ]
    assert len({c.id for c in one.changes}) == 2


async def test_a_form_as_githubs_older_hooks_post_it(tmp_path: Path) -> None:
    body = urlencode({"payload": DEPLOYED.decode()}).encode()
    said = signed(body) | {"Content-Type": "application/x-www-form-urlencoded"}
    async with hook(tmp_path) as one:
        assert (await one.post(body, said))[0] == 200
        assert len(one.changes) == 1


async def test_a_packed_body_is_signed_as_it_is_sent(tmp_path: Path) -> None:
    body = gzip.compress(DEPLOYED)
    async with hook(tmp_path, max_body_bytes=20_000) as one:
        assert (await one.post(body, signed(body) | {"Content-Encoding": "gzip"}))[0] == 200
        bomb = gzip.compress(b" " * 1_000_000)
        assert (await one.post(bomb, signed(bomb) | {"Content-Encoding": "gzip"}))[0] == 413
        assert (await one.post(b"x", signed(b"x") | {"Content-Encoding": "br"}))[0] == 415
        assert len(one.changes) == 1


# --- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b"{", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 20_000,
     b'{"deployment_status": {"state": "success"}}', b'{"repository": ' + b"9" * 5000 + b"}",
     b'{"deployment_status": {"state": "success"}, "repository": {"full_name": "a/b"}}'],
    ids=lambda body: repr(body[:30]),
)  # fmt: skip
async def test_bodies_that_make_no_sense_are_refused(tmp_path: Path, body: bytes) -> None:
    async with hook(tmp_path) as one:
        status, said = await one.post(body, signed(body))
        assert (status, one.changes) == (400, [])
        assert len(said) < 300
        assert (await one.post(DEPLOYED, signed(DEPLOYED)))[0] == 200


async def test_a_large_body_is_refused_and_the_next_one_taken(tmp_path: Path) -> None:
    async with hook(tmp_path, max_body_bytes=20_000) as one:
        large = DEPLOYED[:-3] + b', "x": "' + b"x" * 20_000 + b'"}'
        assert (await one.post(large, signed(large)))[0] == 413
        assert (await one.post(DEPLOYED, signed(DEPLOYED)))[0] == 200


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sender": "github", "events": ("pull_request",)}, "'pull_request' is none of"),
        ({"sender": "github", "fields": {"kind": "a"}}, "belong to `sender: generic`"),
        ({"sender": "generic", "fields": {"colour": "a"}}, "'colour' is none of kind"),
        ({"sender": "generic", "path": "hooks"}, "must be like /hooks/generic"),
        ({"sender": "generic", "waiting": 0}, "must be more than 0"),
    ],
)
def test_settings_that_cannot_be_right(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ChangesSettings(secret_file=SecretFile("s"), **wrong)


def test_a_path_belongs_to_one(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    witness = Witness(base=tmp_path)
    settings = ChangesSettings(sender="gitlab", secret_file=SecretFile("secret"))
    settings.build(witness.context("one"))
    with pytest.raises(ConfigError, match="/hooks/gitlab` is taken"):
        settings.build(witness.context("two"))
