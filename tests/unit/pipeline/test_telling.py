"""An outbox tells the newest state until it is heard, and holds up nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from aiopsd.errors import AiopsdError, Refused, Unreachable
from aiopsd.model import Event, Gap, Incident, Muted, Silence
from aiopsd.pipeline.telling import Outbox
from aiopsd.telemetry import Telemetry


def incident(name: str, title: str) -> Incident:
    return Incident(
        id=name,
        fingerprint="f",
        title=title,
        kind="latency",
        severity="high",
        opened_s=0,
        onset_s=0,
        updated_s=0,
    )


class Ear:
    """A notifier that hears, or fails as told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.failures: list[AiopsdError] = []
        self.tried = 0

    async def notify(self, event: Event) -> None:
        self.tried += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        assert isinstance(event, Incident)
        self.heard.append(event.title)

    async def close(self) -> None: ...


@asynccontextmanager
async def told(ear: Ear) -> AsyncIterator[tuple[Outbox, Telemetry]]:
    telemetry = Telemetry(lambda: asyncio.get_running_loop().time())
    outbox = Outbox("ear", ear, telemetry)
    task = asyncio.create_task(outbox.deliver())
    yield outbox, telemetry
    outbox.close()
    await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(300):
        while not condition():
            await asyncio.sleep(0.01)


pytestmark = pytest.mark.looptime


async def test_what_is_put_is_told_in_order() -> None:
    ear = Ear()
    async with told(ear) as (outbox, _):
        outbox.put(incident("a", "one"))
        outbox.put(incident("b", "two"))
        outbox.put(Gap(id="g", source="s", from_s=0, until_s=1, reason="no news for people"))
        await until(lambda: len(ear.heard) == 2)
    assert ear.heard == ["one", "two"]


MUTED = Muted(code="silenced", text="by ana", by="SIL-1")


async def test_what_is_muted_is_not_told_and_told_when_it_no_more_is() -> None:
    ear = Ear()
    async with told(ear) as (outbox, _):
        outbox.put(replace(incident("a", "muted"), muted=MUTED))
        outbox.put(incident("b", "loud"))
        await until(lambda: not len(outbox))
        outbox.put(incident("a", "loud again"))
        await until(lambda: len(ear.heard) == 2)
    assert ear.heard == ["loud", "loud again"]


async def test_who_was_told_before_hears_that_it_is_muted() -> None:
    ear = Ear()
    telemetry = Telemetry(lambda: asyncio.get_running_loop().time())
    outbox = Outbox("ear", ear, telemetry, lambda name: name == "a")
    for name in "ab":
        outbox.put(replace(incident(name, name), muted=MUTED))
    outbox.close()
    await outbox.deliver()
    assert ear.heard == ["a"]


async def test_of_a_silence_people_hear_that_it_ends_soon() -> None:
    telemetry = Telemetry(lambda: asyncio.get_running_loop().time())
    outbox = Outbox("ear", Ear(), telemetry)
    one = Silence(id="SIL-1", matchers=(), owner="ana", reason="r", created_s=0.0, starts_s=0.0,
                  ends_s=9.0)  # fmt: skip
    outbox.put(one)
    outbox.put(replace(one, warned_s=8.0, ended_s=9.0))
    assert len(outbox) == 0
    outbox.put(replace(one, warned_s=8.0))
    assert len(outbox) == 1


async def test_what_is_muted_while_nobody_hears_is_forgotten() -> None:
    ear = Ear()
    ear.failures = [Unreachable("away")]
    async with told(ear) as (outbox, telemetry):
        outbox.put(incident("a", "loud"))
        await until(lambda: ear.tried == 1)
        outbox.put(replace(incident("a", "muted"), muted=MUTED))
        await until(lambda: not len(outbox))
        outbox.put(incident("b", "loud"))
        await until(lambda: bool(ear.heard))
        assert "ear" not in telemetry.gone
    assert ear.heard == ["loud"]


async def test_many_versions_become_the_newest() -> None:
    ear = Ear()
    async with told(ear) as (outbox, _):
        for number in range(100):
            outbox.put(incident("a", str(number)))
        assert len(outbox) == 1
    assert ear.heard == ["99"]


async def test_it_tries_again_until_heard_and_logs_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "aiopsd")
    ear = Ear()
    ear.failures = [Unreachable("away") for _ in range(5)]
    async with told(ear) as (outbox, telemetry):
        outbox.put(incident("a", "old"))
        await until(lambda: ear.tried == 3)
        outbox.put(incident("a", "new"))
        await until(lambda: bool(ear.heard))
        assert telemetry.gone == {}
    assert ear.heard == ["new"]
    assert [r.message.split()[0] for r in caplog.records] == ["gone", "back"]


async def test_a_failed_older_version_never_replaces_a_newer_one() -> None:
    ear = Ear()
    ear.failures = [Unreachable("away")]
    async with told(ear) as (outbox, _):
        outbox.put(incident("a", "old"))
        await until(lambda: ear.tried == 1 or len(outbox) == 0)
        outbox.put(incident("a", "new"))
        await until(lambda: bool(ear.heard))
    assert ear.heard == ["new"]


async def test_what_is_refused_is_given_up_and_counted() -> None:
    ear = Ear()
    ear.failures = [Refused("no such channel")]
    async with told(ear) as (outbox, telemetry):
        outbox.put(incident("a", "one"))
        outbox.put(incident("b", "two"))
        await until(lambda: bool(ear.heard))
        assert telemetry.counters[("notices_refused", "ear")] == 1
    assert ear.heard == ["two"]


async def test_closing_does_not_wait_for_one_who_is_away() -> None:
    ear = Ear()
    ear.failures = [Unreachable("away") for _ in range(100)]
    async with told(ear) as (outbox, _):
        outbox.put(incident("a", "one"))
        await until(lambda: ear.tried == 4)
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 1.0


async def test_a_thing_with_nothing_to_say_does_not_mean_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a restart every incident is told again, and most were heard long ago."""

    class Deaf(Ear):
        async def notify(self, event: Event) -> None:
            self.tried += 1
            await asyncio.sleep(0)
            if event.id == "new" and self.failures:
                raise self.failures.pop(0)

    caplog.set_level("INFO", "aiopsd")
    ear = Deaf()
    ear.failures = [Unreachable("away") for _ in range(3)]
    async with told(ear) as (outbox, _):
        for name in ("new", "old", "older"):
            outbox.put(incident(name, "news"))
        await until(lambda: ear.tried == 6)
    assert [r.message.split()[0] for r in caplog.records] == ["gone", "back"]
