"""The journal source over a stand-in for journalctl, whose words and deaths a test chooses."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aiopsd.model import Change, LogBatch, Position
from aiopsd.settings import Duration
from aiopsd.sources.journal import JournalSettings
from aiopsd.sources.journal_restarts import STARTED, STOPPED, STOPPING
from tests.loopback.journal_export import said
from tests.unit.sources.witness import Readings, ReadsLines, Witness, read

NOW_S = 1_795_421_700.0
US = 10**6
PROGRAM = """#!{python}
import json, os, sys, time
from pathlib import Path
folder = Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([os.getpid(), *sys.argv[1:]]) + "\\n")
if (folder / "refuse").exists() and any("--after-cursor" in word for word in sys.argv):
    sys.exit("Failed to seek to cursor: Invalid argument")
if (folder / "complain").exists():
    print("Hint: You are currently not seeing messages from other users.", file=sys.stderr)
after = [w.partition("=")[2] for w in sys.argv if w.startswith("--after-cursor=")]
data, told = b"", 0
while True:
    whole = (folder / "journal").read_bytes()
    if after and told == 0:
        at = whole.find(b"__CURSOR=" + after[0].encode())
        told = whole.find(b"__CURSOR=", at + 1) if at >= 0 else 0
        told = len(whole) if at >= 0 and told < 0 else told
    os.write(1, whole[told:])
    told = max(len(whole), told)
    if (folder / "die").exists():
        (folder / "die").unlink()
        sys.exit(3)
    time.sleep(0.01)
"""


@dataclass
class Machine(ReadsLines):
    """A journal, journalctl's stand-in, and what was read."""

    folder: Path
    witness: Witness = field(default_factory=lambda: Witness(clock=lambda: NOW_S))
    readings: Readings = field(default_factory=Readings)
    number: int = 0

    def __post_init__(self) -> None:
        self.program = self.folder / "journalctl"
        self.program.write_text(PROGRAM.format(python=sys.executable, folder=str(self.folder)))
        self.program.chmod(0o755)
        (self.folder / "journal").touch()

    def write(self, *texts: str | bytes, secs: float = 0, **fields: str) -> None:
        with (self.folder / "journal").open("ab") as file:
            for text in texts:
                self.number += 1
                at_us = int((NOW_S + secs) * US) + self.number
                file.write(said(self.number, at_us, text, **fields))

    @asynccontextmanager
    async def running(self, resume: Position | None = None, **more: Any) -> AsyncIterator[None]:
        settings = {"program": str(self.program), "every": Duration(0.02)} | more
        source = JournalSettings(**settings).build(self.witness.context("j"))
        async with read(source, resume) as self.readings:
            yield

    async def until(self, *texts: str) -> None:
        await self.readings.until(lambda: len(self.texts) >= len(texts))
        assert self.texts == list(texts)

    @property
    def calls(self) -> list[list[str]]:
        text = (self.folder / "calls").read_text() if (self.folder / "calls").exists() else ""
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    def at_once() -> Any:
        while True:
            yield 0.05

    monkeypatch.setattr("aiopsd.sources.journal.pauses", at_once)
    return Machine(tmp_path)


async def test_entries_become_lines(machine: Machine) -> None:
    async with machine.running(labels={"env": "prod"}):
        machine.write("one", PRIORITY="3")
        await machine.until("one")
        machine.write(b"t\xffo\x01\nlines")
        await machine.until("one", "t\ufffdo\x01\nlines")
        labels = {"service": "shop", "unit": "shop.service", "env": "prod"}
        assert machine.lines[0].labels == labels | {"level": "error"}
        assert machine.lines[1].labels == labels
        assert machine.lines[0].time_ns == (int(NOW_S * US) + 1) * 1000


async def test_units_that_people_restart_are_changes(machine: Machine) -> None:
    systemd = {"_PID": "1", "UNIT": "shop@2.service", "_SYSTEMD_UNIT": "init.scope",
               "_HOSTNAME": "web1", "JOB_RESULT": "done"}  # fmt: skip

    def changes() -> list[Change]:
        items = [item for reading in machine.readings.all for item in reading.items]
        return [item for item in items if isinstance(item, Change)]

    for is_wanted in (True, False):
        async with machine.running(restarts=is_wanted):
            machine.write("Stopping Shop...", MESSAGE_ID=STOPPING, **systemd)
            machine.write("Stopped Shop.", MESSAGE_ID=STOPPED, **systemd)
            machine.write("Started Shop.", MESSAGE_ID=STARTED, secs=1, **systemd)
            await machine.readings.until(lambda: len(machine.lines) >= 3)
            assert len({change.id for change in changes()}) == int(is_wanted)
            if is_wanted:
                assert changes()[-1].labels["state"] == "restarted"
                assert (changes()[-1].service, changes()[-1].kind) == ("shop", "restart")
    assert "MESSAGE_ID" in str(machine.calls[0])


async def test_filters_are_words_of_their_own(machine: Machine) -> None:
    """No shell, and no value can be an option."""
    filters = {
        "units": ("shop.service", "web@*"),
        "identifiers": ("--vacuum-size=1",),
        "matches": ("_TRANSPORT=kernel", "X= -x $(id)"),
        "priority": "warning",
        "history": Duration(60),
        "directory": "elsewhere",
    }
    async with machine.running(**filters):
        await machine.readings.until(lambda: machine.calls)
    _, *words = machine.calls[0]
    assert words[:1] + words[2:] == [
        "--output=export",
        "--follow",
        "--no-tail",
        "--since=@1795421640.000000",
        "--directory=elsewhere",
        "--unit=shop.service",
        "--unit=web@*",
        "--identifier=--vacuum-size=1",
        "--priority=warning",
        "_TRANSPORT=kernel",
        "X= -x $(id)",
    ]
    assert words[1].startswith("--output-fields=__CURSOR,")


async def test_what_is_from_before_the_first_start_only_teaches(machine: Machine) -> None:
    machine.write("before", secs=-50)
    async with machine.running():
        await machine.until("before")
        machine.write("now")
        await machine.until("before", "now")
    assert [batch.history for batch in machine.batches] == [True, False]


async def test_a_restart_goes_on_after_the_cursor(machine: Machine) -> None:
    async with machine.running():
        machine.write("one", "two")
        await machine.until("one", "two")
    position = json.loads(json.dumps(machine.readings.all[-1].position))
    machine.write("three")
    async with machine.running(position):
        machine.write("four")
        await machine.until("three", "four")
    assert [batch.history for batch in machine.batches] == [False] * len(machine.batches)
    assert f"--after-cursor={position['cursor']}" in machine.calls[-1]


async def test_a_position_is_that_of_its_reading(machine: Machine) -> None:
    """Whatever comes after the newest reading that was kept is read again, and nothing else."""
    machine.write(*(f"{n}" for n in range(5000)))
    async with machine.running():
        await machine.readings.until(lambda: len(machine.texts) == 5000)
    assert len(machine.readings.all) > 1
    told = 0
    for reading in machine.readings.all[:-1]:
        told += sum(len(item.lines) for item in reading.items if isinstance(item, LogBatch))
    position = machine.readings.all[-2].position
    async with machine.running(position):
        await machine.readings.until(lambda: len(machine.texts) == 5000 - told)
    assert machine.texts[0] == f"{told}"


async def test_journalctl_dies_and_is_started_again(machine: Machine) -> None:
    async with machine.running():
        machine.write("one")
        await machine.until("one")
        (machine.folder / "die").touch()
        await machine.readings.until(lambda: machine.witness.is_gone("j"))
        assert machine.witness.reasons["j"] == f"{machine.program} ended with status 3"
        machine.write("two")
        await machine.until("one", "two")
        assert not machine.witness.is_gone("j")
        assert machine.witness.counts["restarted_programs"] == 1


async def test_a_cursor_that_nobody_knows_gives_way_to_the_time(machine: Machine) -> None:
    async with machine.running():
        machine.write("one")
        await machine.until("one")
    (machine.folder / "refuse").touch()
    position = machine.readings.all[-1].position
    (machine.folder / "journal").write_bytes(b"")
    machine.write("two")
    async with machine.running(position):
        await machine.until("two")
    assert machine.witness.counts["lost_cursors"] == 1
    since_s = position["time_ns"] // 1000 / US + 1e-6
    assert f"--since=@{since_s:.6f}" in machine.calls[-1]


async def test_what_it_complains_about_is_told(machine: Machine) -> None:
    (machine.folder / "complain").touch()
    async with machine.running():
        await machine.readings.until(lambda: machine.witness.is_gone("j"))
        assert "not seeing messages" in machine.witness.reasons["j"]
        machine.write("one")
        await machine.until("one")
        assert not machine.witness.is_gone("j")


async def test_no_such_program(machine: Machine) -> None:
    async with machine.running(program="/nowhere/journalctl"):
        await machine.readings.until(lambda: machine.witness.is_gone("j"))
        assert machine.witness.reasons["j"] == "/nowhere/journalctl: No such file or directory"


async def test_another_program_is_no_journal(machine: Machine) -> None:
    (machine.folder / "journal").write_bytes(b"Usage\n" + b"\xff" * 100)
    async with machine.running():
        await machine.readings.until(lambda: machine.witness.is_gone("j"))
        assert "this is no journal" in machine.witness.reasons["j"]


async def test_no_child_outlives_its_source(machine: Machine) -> None:
    async with machine.running():
        machine.write("one")
        await machine.until("one")
    (call,) = machine.calls
    with pytest.raises(ProcessLookupError):
        os.kill(int(call[0]), 0)


async def test_a_backlog_comes_tick_by_tick(machine: Machine) -> None:
    async with machine.running(every=Duration(0.5)):
        for secs in range(-100, 0):
            machine.write("a", "b", secs=secs)
        await machine.readings.until(lambda: len(machine.texts) == 200)
    assert {len(batch.lines) for batch in machine.batches} == {2}


async def test_a_trace_that_comes_in_two_readings_is_one_line(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read at once, 64 KiB, has its first half and not its second."""
    monkeypatch.setattr("aiopsd.sources.journal._MOST", 1)
    other, first, second = "x" * 30_000, "ERROR " + "y" * 33_000, "    at " + "z" * 30_000
    machine.write(other, _PID="1")
    machine.write(first, second, _PID="7")
    async with machine.running(every=Duration(2)):
        await machine.until(other, f"{first}\n{second}")
    async with machine.running(machine.readings.all[-1].position, every=Duration(0.02)):
        machine.write("next")
        await machine.until("next")


async def test_silence_is_news_too(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiopsd.sources.journal._QUIET_SECS", 0.05)
    async with machine.running():
        await machine.readings.until(lambda: len(machine.readings.all) >= 2)
        assert machine.readings.all[0].items == (LogBatch(NOW_S, ()),)


async def test_a_busy_daemon_holds_it_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks for the next reading: the pipe is full, and journalctl waits."""
    monkeypatch.setattr("aiopsd.sources.journal._MOST", 20)
    machine.write("x" * 50_000, *["y" * 50_000] * 200)
    settings = JournalSettings(program=str(machine.program), every=Duration(0.02))
    stream = settings.build(machine.witness.context("j")).stream(None)
    first = await anext(stream)
    await asyncio.sleep(0.2)
    assert sum(len(item.lines) for item in first.items if isinstance(item, LogBatch)) < 200
    told = [first]
    while sum(len(i.lines) for r in told for i in r.items if isinstance(i, LogBatch)) < 201:
        told.append(await anext(stream))
    await stream.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"units": ("a b",)}, "units"),
        ({"units": ("--x y",)}, "units"),
        ({"matches": ("-x",)}, "matches"),
        ({"matches": ("+",)}, "matches"),
        ({"identifiers": ("",)}, "identifiers"),
        ({"priority": "bad"}, "priority"),
        ({"every": Duration(0)}, "every"),
    ],
)
def test_wrong_settings_say_what_is_wrong(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        JournalSettings(**wrong)
