"""The journal source and the real journalctl, over a journal that systemd-journal-remote writes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiopsd.model import LogBatch, Position
from aiopsd.settings import Duration
from aiopsd.sources.journal import JournalSettings
from tests.conftest import JOURNAL_REMOTE
from tests.loopback.journal_export import entry, said
from tests.unit.sources.witness import Readings, Witness, read

pytestmark = pytest.mark.journal
NOW_S = 1_795_421_700.0
US = 10**6


class Journal:
    """A folder with a journal of its own, as one that was collected from another machine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder / "journal", 0
        self.folder.mkdir()
        self.file = self.folder / "other.journal"
        self.witness, self.readings = Witness(clock=lambda: NOW_S), Readings()

    def write(self, *texts: str | bytes, secs: float = 0, **fields: str) -> None:
        entries = []
        for text in texts:
            self.number += 1
            entries.append(
                said(self.number, int((NOW_S + secs) * US) + self.number, text, **fields)
            )
        self.take(b"".join(entries))

    def take(self, entries: bytes) -> None:
        subprocess.run(
            [JOURNAL_REMOTE, "--output", self.file, "-"],
            input=entries, check=True, capture_output=True,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self, resume: Position | None = None, **more: Any) -> AsyncIterator[None]:
        settings = {"directory": str(self.folder), "every": Duration(0.05)} | more
        source = JournalSettings(**settings).build(self.witness.context("j"))
        async with read(source, resume) as self.readings:
            yield

    @property
    def texts(self) -> list[str]:
        items = [item for reading in self.readings.all for item in reading.items]
        return [line.text for item in items if isinstance(item, LogBatch) for line in item.lines]

    async def until(self, *texts: str) -> None:
        await self.readings.until(lambda: len(self.texts) >= len(texts))
        assert self.texts == list(texts)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


async def test_grows_while_it_is_read(journal: Journal) -> None:
    journal.write("long ago", secs=-3600)
    journal.write("one", b"tw\xffo\x01\nlines")
    async with journal.running():
        await journal.until("one", "tw\ufffdo\x01\nlines")
        for n in range(5):
            journal.write(f"{n}")
        await journal.until("one", "tw\ufffdo\x01\nlines", *(f"{n}" for n in range(5)))
    assert not journal.witness.is_gone("j")


async def test_after_a_restart_each_entry_once(journal: Journal) -> None:
    journal.write(*(f"{n}" for n in range(3000)))
    async with journal.running():
        await journal.readings.until(lambda: len(journal.texts) == 3000)
    middle = journal.readings.all[0].position
    first = [text for item in journal.readings.all[0].items for text in _texts(item)]
    journal.write("last")
    async with journal.running(middle):
        await journal.readings.until(lambda: "last" in journal.texts)
        assert [*first, *journal.texts] == [*(f"{n}" for n in range(3000)), "last"]


async def test_filters(journal: Journal) -> None:
    journal.write("fine", _SYSTEMD_UNIT="shop.service")
    journal.write("bad", _SYSTEMD_UNIT="shop.service", PRIORITY="3")
    journal.write("other", _SYSTEMD_UNIT="web.service", PRIORITY="3")
    async with journal.running(units=("shop.service",), priority="err"):
        await journal.until("bad")
    async with journal.running(matches=("_SYSTEMD_UNIT=web.service",)):
        await journal.until("other")
    async with journal.running(identifiers=("shop",), priority="err"):
        await journal.until("bad", "other")


async def test_the_entry_of_the_cursor_is_gone(journal: Journal) -> None:
    """Its file was rotated away and deleted: what is there is read from the time on."""
    journal.write("one")
    async with journal.running():
        await journal.until("one")
    position = journal.readings.all[-1].position
    journal.file.unlink()
    journal.write("before", secs=-10)
    journal.write("two")
    async with journal.running(position):
        await journal.readings.until(lambda: "two" in journal.texts)
        assert journal.texts == ["two"]


async def test_a_cursor_that_is_none(journal: Journal) -> None:
    journal.write("one")
    position = {"cursor": "nonsense", "time_ns": int(NOW_S * 1e9), "live_ns": 0}
    async with journal.running(position):
        await journal.until("one")
    assert journal.witness.counts["lost_cursors"] == 1


async def test_no_journal_there(journal: Journal) -> None:
    async with journal.running(directory=str(journal.folder / "nowhere")):
        await journal.readings.until(lambda: journal.witness.is_gone("j"))
        assert "No such file or directory" in journal.witness.reasons["j"]


async def test_killed_again_and_again(journal: Journal) -> None:
    """Of journalctl as of us: nothing is lost, nothing told twice."""
    position, told, wanted = None, [], []
    for life in range(6):
        texts = [f"{life}.{n}" for n in range(400)]
        journal.write(*texts)
        wanted += texts
        async with journal.running(position):
            await journal.readings.until(lambda: journal.readings.all)
            kept = journal.readings.all[: 1 + life % 2]
        told += [text for reading in kept for item in reading.items for text in _texts(item)]
        position = kept[-1].position
    async with journal.running(position):
        await journal.readings.until(lambda: len(told) + len(journal.texts) >= len(wanted))
        await asyncio.sleep(0)
    assert told + journal.texts == wanted


def test_what_journalctl_writes_is_what_we_say_it_does(journal: Journal) -> None:
    """The loopback's words, held to the real ones."""
    message = b"two\nlines \xff"
    journal.write(message)
    out = subprocess.run(
        ["journalctl", "--output=export", f"--directory={journal.folder}"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    fields = dict(line.split(b"=", 1) for line in out.split(b"MESSAGE\n")[0].splitlines())
    head = {name.decode(): value.decode() for name, value in fields.items()}
    assert out == entry({**head, "MESSAGE": message})


def _texts(item: object) -> list[str]:
    return [line.text for line in item.lines] if isinstance(item, LogBatch) else []
