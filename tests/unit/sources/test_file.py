"""Following real files: growth, rotation, truncation, restarts."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.model import LogBatch, LogLine, Position, Reading
from aiopsd.settings import Duration
from aiopsd.sources import file_tail
from aiopsd.sources.file import FileSettings
from tests.unit.sources.house import House

START_S = 1_800_000_000
NS = 10**9


@dataclass
class Follower:
    """A source over one folder, moved along step by step; the clock moves only when told to."""

    folder: Path
    written: FileSettings
    position: Position | None = None
    now_s: float = START_S
    lines: list[LogLine] = field(default_factory=list)
    batches: list[LogBatch] = field(default_factory=list)
    house: House = field(default_factory=House)

    def __post_init__(self) -> None:
        self.house = House(clock=lambda: self.now_s, base=self.folder)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Steps]:
        source = self.written.build(self.house.context())
        async with aclosing(source.stream(self.position)) as stream:
            steps = Steps(self, stream)
            await steps.idle()
            yield steps


@dataclass
class Steps:
    follower: Follower
    stream: AsyncIterator[Reading]

    async def idle(self) -> list[str]:
        """Reads until the source says that all is quiet; what was read. Takes 5 s of its clock."""
        before = len(self.follower.lines)
        self.follower.now_s += 5
        while await self.next():
            self.follower.now_s += 5
        return [line.text for line in self.follower.lines[before:]]

    async def next(self) -> list[str]:
        reading = await asyncio.wait_for(anext(self.stream), 20)
        batches = [item for item in reading.items if isinstance(item, LogBatch)]
        lines = [line for batch in batches for line in batch.lines]
        self.follower.position = json.loads(json.dumps(reading.position))
        self.follower.batches += batches if lines else []
        self.follower.lines += lines
        return [line.text for line in lines]


def follower(folder: Path, *paths: str, **more: Any) -> Follower:
    more = {"every": Duration(0.001)} | more
    return Follower(folder, FileSettings(paths=paths or ("app.log",), **more))


def append(path: Path, text: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


async def test_only_what_is_written_after_the_first_start_is_read(tmp_path: Path) -> None:
    append(tmp_path / "app.log", "before\n")
    async with follower(tmp_path).running() as steps:
        append(tmp_path / "app.log", "one\ntwo\r\n\n")
        assert await steps.idle() == ["one", "two"]
        append(tmp_path / "app.log", "three\n")
        assert await steps.idle() == ["three"]


async def test_the_rest_of_a_line_that_was_begun_before_is_no_line(tmp_path: Path) -> None:
    append(tmp_path / "app.log", "beg")
    async with follower(tmp_path).running() as steps:
        append(tmp_path / "app.log", "un\nwhole\n")
        assert await steps.idle() == ["whole"]


async def test_from_start_what_is_there_is_history(tmp_path: Path) -> None:
    append(tmp_path / "app.log", "before\n")
    reader = follower(tmp_path, from_start=True)
    async with reader.running() as steps:
        append(tmp_path / "app.log", "live\n")
        await steps.idle()
    assert [(b.history, [x.text for x in b.lines]) for b in reader.batches] == [
        (True, ["before"]),
        (False, ["live"]),
    ]


async def test_a_path_that_leads_to_nothing_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(tmp_path / "app.log", "one\n")
    reader = follower(tmp_path, "*.log", "sub/**/*.log")
    async with reader.running() as steps:
        await steps.idle()
        await steps.idle()
    assert [r.getMessage() for r in caplog.records if "no file matches" in r.getMessage()] == [
        "source=src no file matches sub/**/*.log yet"
    ]
    assert reader.house.gone == []


async def test_a_file_that_appears_later_is_read_from_its_start(tmp_path: Path) -> None:
    reader = follower(tmp_path, "*.log", "sub/**/*.log")
    async with reader.running() as steps:
        assert "no file matches" in reader.house.gone[0]
        append(tmp_path / "new.log", "one\n")
        (tmp_path / "sub/deep").mkdir(parents=True)
        append(tmp_path / "sub/deep/er.log", "two\n")
        assert await steps.idle() == ["one", "two"]
        assert not reader.house.away


@pytest.mark.parametrize(("labels", "named"), [(None, {"service": "shop"}), ({}, {})])
async def test_without_labels_a_file_is_called_as_its_service(
    tmp_path: Path, labels: dict[str, str] | None, named: dict[str, str]
) -> None:
    reader = follower(tmp_path, "*.log", labels=labels)
    async with reader.running() as steps:
        append(tmp_path / "shop.log", "hello\n")
        await steps.idle()
    assert reader.lines[0].labels == named


async def test_labels_come_from_the_settings_alone(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    labels = {"service": "{dir}-{name}", "env": "prod"}
    reader = follower(tmp_path, "*/*.log", labels=labels)
    async with reader.running() as steps:
        append(tmp_path / "nginx/access.log", "level=error\n")
        await steps.idle()
    assert reader.lines[0].labels == {"service": "nginx-access", "env": "prod"}


# --- unfinished and odd lines -------------------------------------------------------------


async def test_a_line_written_in_two_parts_is_one_line(tmp_path: Path) -> None:
    async with follower(tmp_path).running() as steps:
        append(tmp_path / "app.log", "first\nbeg")
        assert await steps.next() == ["first"]
        append(tmp_path / "app.log", "un\n")
        assert await steps.next() == ["begun"]


async def test_the_end_of_a_line_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(tmp_path / "app.log", "first\nbeg")
        assert await steps.next() == ["first"]
        reader.now_s += 5
        assert await steps.next() == ["beg"]
        append(tmp_path / "app.log", "\nsecond\n")
        assert await steps.next() == ["second"]


async def test_an_overlong_line_is_cut_and_counted(tmp_path: Path) -> None:
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(tmp_path / "app.log", "a" * 65_537 + "\n" + "b" * 1_000_000)
        append(tmp_path / "app.log", "b" * 1_000_000 + "\nshort\n")
        assert [(x[0], len(x)) for x in await steps.idle()] == [
            ("a", 65_536),
            ("b", 65_536),
            ("s", 5),
        ]
    assert reader.house.counts["cut_lines"] == 2


async def test_broken_characters_are_replaced(tmp_path: Path) -> None:
    async with follower(tmp_path).running() as steps:
        append(tmp_path / "app.log", b"caf\xe9 \x00\xff\n")
        assert await steps.idle() == ["caf\ufffd \x00\ufffd"]


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("2027-01-15T08:00:00Z GET /", START_S * NS),
        ("2027-01-15 08:00:01.000000001+00:00 x", (START_S + 1) * NS + 1),
        ("2027-01-15T10:30:00,25+0230 x", START_S * NS + NS // 4),
        ("2027-01-14T07:59:59Z too long ago", None),
        ("2027-13-45T08:00:00Z no such day", None),
        ("2027-01-15T08:00:00 no zone", START_S * NS),
        ("at 2027-01-15T08:00:00Z", None),
    ],
)
async def test_a_leading_time_is_the_lines_time(
    tmp_path: Path, text: str, expected_ns: int | None
) -> None:
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(tmp_path / "app.log", f"{text}\n")
        now_s = reader.now_s + 5
        await steps.idle()
    assert reader.lines == [LogLine(expected_ns or int(now_s) * NS, {"service": "app"}, text)]


# --- rotation and truncation --------------------------------------------------------------


async def test_a_rotated_file_is_read_to_its_end_before_the_new_one(tmp_path: Path) -> None:
    log, old = tmp_path / "app.log", tmp_path / "app.log.1"
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(log, "one\n")
        await steps.idle()
        append(log, "two\n" * 100_000)
        log.rename(old)
        append(log, "four\n")
        append(old, "three\n")  # the program has not reopened its log yet
        assert await steps.idle() == ["two"] * 100_000 + ["three", "four"]
        append(old, "a straggler\n")
        append(log, "five\n")
        assert await steps.idle() == ["a straggler", "five"]
        for _ in range(8):
            await steps.idle()
    assert reader.position
    assert [place["path"] for place in reader.position["files"]] == [str(log)]


async def test_a_rotated_file_that_is_followed_too_is_not_read_twice(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    async with follower(tmp_path, "app.log*").running() as steps:
        append(log, "one\n")
        await steps.idle()
        append(log, "two\n")
        log.rename(tmp_path / "app.log.1")
        os.utime(tmp_path / "app.log.1", ns=(0, 0))
        append(log, "three\n")
        assert await steps.idle() == ["two", "three"]


async def test_a_deleted_file_is_read_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    async with follower(tmp_path).running() as steps:
        append(log, "one\n")
        await steps.idle()
        append(log, "two\nlast")
        log.unlink()
        assert await steps.idle() == ["two", "last"]


async def test_a_truncated_file_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(log, "one\n")
        await steps.idle()
        log.write_text("2\n")
        assert await steps.idle() == ["2"]
        log.write_text("longer than all that was there before\n")
        assert await steps.idle() == ["longer than all that was there before"]
    assert reader.house.counts["truncated_files"] == 2


async def test_a_log_that_is_copied_and_emptied_is_read_once(tmp_path: Path) -> None:
    """As `copytruncate` does it; what was not read before the log was emptied is in the copy."""
    log, copy = tmp_path / "app.log", tmp_path / "app.log.1"
    reader = follower(tmp_path, "app.log*")
    async with reader.running() as steps:
        append(log, "a line of the first file\ntwo\n")
        await steps.idle()
        append(log, "three\n")
        copy.write_bytes(log.read_bytes())
        assert await steps.idle() == ["three"]  # a copy that is as long as its origin waits
        append(log, "four\n")
        copy.write_bytes(log.read_bytes())
        log.write_text("five\n")
        assert await steps.idle() == ["four", "five"]
    assert {line.labels["service"] for line in reader.lines if line.labels} <= {"app"}


async def test_a_copy_that_is_not_done_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiopsd.sources.file._COPYING_SECS", 100.0)
    log, copy = tmp_path / "app.log", tmp_path / "app.log.1"
    reader = follower(tmp_path, "app.log*")
    async with reader.running() as steps:
        append(log, "a line of the first file\ntwo\nthree\n")
        await steps.idle()
        copy.write_text("a line of the first file\nt")
        assert await steps.idle() == []
        copy.write_bytes(log.read_bytes())
        log.write_text("")
        assert await steps.idle() == []
        for _ in range(4):
            append(log, "x\n")
            assert await steps.idle() == ["x"]


async def test_a_file_that_only_begins_alike_is_read(tmp_path: Path) -> None:
    """Programs that begin each log with the same words; after a while it is no copy."""
    words = "=== the shop, version 1 ===\n"
    reader = follower(tmp_path, "app*.log")
    append(tmp_path / "app.log", words + "one\n")
    async with reader.running() as steps:
        append(tmp_path / "app.log", "two\n")
        append(tmp_path / "app-b.log", words)
        assert await steps.next() == ["two"]
        assert [await steps.idle() for _ in range(3)] == [[], [words.strip()], []]
        append(tmp_path / "app-b.log", "three\n")
        assert await steps.idle() == ["three"]


async def test_a_new_log_that_begins_with_the_same_words_is_read(tmp_path: Path) -> None:
    log, words = tmp_path / "app.log", "=== the shop, version 1 ===\n"
    reader = follower(tmp_path, "app.log*")
    append(log, words)
    async with reader.running() as steps:
        append(log, "one\n")
        await steps.idle()
        log.rename(tmp_path / "app.log.1")
        append(log, words + "two\n")
        assert await steps.idle() == [words.strip(), "two"]
        log.write_text(words + "three, and it is longer than before\n")
        assert await steps.idle() == [words.strip(), "three, and it is longer than before"]


async def test_packed_logs_are_not_read(tmp_path: Path) -> None:
    reader = follower(tmp_path, "app.log*")
    async with reader.running() as steps:
        (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(b"old\n"))
        append(tmp_path / "app.log", "new\n")
        assert await steps.idle() == ["new"]


async def test_a_hole_where_the_file_was_emptied_is_no_line(tmp_path: Path) -> None:
    """A program that does not append goes on where it was, far behind the end."""
    log = tmp_path / "app.log"
    async with follower(tmp_path).running() as steps:
        with log.open("wb", buffering=0) as file:
            file.write(b"one\n" * 1000)
            await steps.idle()
            os.truncate(log, 0)
            file.seek(10**10)
            file.write(b"two\n")
            assert await steps.idle() == ["two"]


# --- events of several lines --------------------------------------------------------------

TRACE = """ERROR could not sell
Traceback (most recent call last):
  File "shop.py", line 1
Declined: card"""


async def test_a_trace_is_one_line(tmp_path: Path) -> None:
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(tmp_path / "app.log", f"INFO one\n{TRACE}\n\nINFO two\n")
        assert await steps.idle() == ["INFO one", TRACE, "INFO two"]
    assert reader.house.counts["lines"] == 3


async def test_a_trace_in_two_pieces_is_one_line(tmp_path: Path) -> None:
    log, reader = tmp_path / "app.log", follower(tmp_path)
    async with reader.running() as steps:
        for cut in (21, 25, 50, 60):
            append(log, f"INFO one\n{TRACE[:cut]}")
            os.utime(log, (reader.now_s, reader.now_s))
            assert await steps.next() == ["INFO one"]
            append(log, f"{TRACE[cut:]}\n")
            os.utime(log, (reader.now_s, reader.now_s))
            assert await steps.next() == [TRACE]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), max_size=60))
def test_events_over_the_edges_of_what_is_read_at_once(shapes: list[tuple[int, int]]) -> None:
    events = [f"{n}{'x' * wide}" + "\n  at" * deep for n, (wide, deep) in enumerate(shapes)]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_tail, "CHUNK_BYTES", 100)
        append(Path(folder) / "app.log", "".join(f"{event}\n" for event in events))
        reader = follower(Path(folder), from_start=True)
        asyncio.run(_read_all(reader))
    assert [line.text for line in reader.lines] == events


async def _read_all(reader: Follower) -> None:
    async with reader.running():
        pass


async def test_an_event_as_people_say_it_begins(tmp_path: Path) -> None:
    async with follower(tmp_path, begins=r"^\d+ ").running() as steps:
        append(tmp_path / "app.log", "1 a\nb\nc\n2 d\n")
        assert await steps.idle() == ["1 a\nb\nc", "2 d"]


# --- by time ------------------------------------------------------------------------------


async def test_what_was_written_while_away_comes_tick_by_tick(tmp_path: Path) -> None:
    """By the times in the lines; without them, evenly from the last look to the last writing."""
    for stamped in (True, False):
        folder = tmp_path / f"{stamped}"
        folder.mkdir()
        log, reader = folder / "app.log", follower(folder, every=Duration(1))
        log.touch()
        async with reader.running():
            pass
        await_s = reader.now_s
        for n in range(3600):
            stamp = datetime.fromtimestamp(await_s + n, UTC).isoformat()
            append(log, f"{stamp + ' ' if stamped else ''}{n}\n")
        reader.now_s += 3600
        os.utime(log, (reader.now_s, reader.now_s))
        async with reader.running():
            pass
        assert len(reader.lines) == 3600
        assert max(len(batch.lines) for batch in reader.batches) <= 4
        times = [batch.time_s for batch in reader.batches]
        assert times == sorted(times)
        assert times[0] == pytest.approx(await_s, abs=5)
        assert times[-1] == pytest.approx(await_s + 3600, abs=15)


# --- restarts -----------------------------------------------------------------------------


async def test_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    reader = follower(tmp_path)
    append(log, "before\n")
    async with reader.running():
        pass
    append(log, "while away\nbeg")
    async with reader.running() as steps:
        append(log, "un\n")
        await steps.idle()
    assert "".join(line.text for line in reader.lines) == "while awaybegun"


async def test_a_rotation_while_away_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    reader = follower(tmp_path, labels={"service": "{name}"})
    async with reader.running() as steps:
        append(log, "one\n")
        await steps.idle()
    append(log, "two\n")
    log.rename(tmp_path / "app.log-20270115")
    append(log, "three\n")
    async with reader.running():
        pass
    assert [line.text for line in reader.lines] == ["one", "two", "three"]
    assert {line.labels["service"] for line in reader.lines} == {"app"}


async def test_a_copy_made_while_away_has_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(log, "a line of the first file\n")
        await steps.idle()
    append(log, "two\n")
    (tmp_path / "app.log.1").write_bytes(log.read_bytes())
    log.write_text("three\n")
    async with reader.running():
        pass
    assert [line.text for line in reader.lines][1:] == ["two", "three"]
    assert "lost_files" not in reader.house.counts


@pytest.mark.parametrize("before", ["another key", "no key"])
async def test_without_the_key_a_file_is_known_by_its_inode(tmp_path: Path, before: str) -> None:
    log = tmp_path / "app.log"
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(log, "one\n")
        await steps.idle()
    assert reader.position
    if before == "no key":
        del reader.position["mark"]
    reader.house.key = b"another"
    append(log, "two\n")
    async with reader.running() as steps:
        append(log, "three\n")
        await steps.idle()
    log.rename(tmp_path / "app.log.1")
    append(log, "four\n")
    async with reader.running():
        pass
    assert [line.text for line in reader.lines] == ["one", "two", "three", "four"]
    assert "lost_files" not in reader.house.counts


async def test_another_file_of_the_same_inode_is_another_file(tmp_path: Path) -> None:
    log, words = tmp_path / "app.log", "=== the shop, version 1 ===\n"
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(log, words + "one\n")
        await steps.idle()
    inode = log.stat().st_ino
    log.write_text(words + "two, and longer\n")  # as if the inode had been free, and used again
    assert log.stat().st_ino == inode
    async with reader.running():
        pass
    assert [line.text for line in reader.lines][2:] == [words.strip(), "two, and longer"]


async def test_a_file_that_went_while_away_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    reader = follower(tmp_path)
    async with reader.running() as steps:
        append(log, "one\n")
        await steps.idle()
    inode = log.stat().st_ino
    log.write_text("other\n")  # the same inode, but not the file that it was
    assert log.stat().st_ino == inode
    async with reader.running():
        pass
    assert [line.text for line in reader.lines] == ["one", "other"]
    assert reader.house.counts["lost_files"] == 1


# --- limits -------------------------------------------------------------------------------


async def test_too_many_files_are_told(tmp_path: Path) -> None:
    for number in range(300):
        append(tmp_path / f"{number}.log", "x\n")
        os.utime(tmp_path / f"{number}.log", (number, number))
    reader = follower(tmp_path, "*.log")
    async with reader.running() as steps:
        assert reader.house.gone == ["44 files more than 256 are not followed"]
        append(tmp_path / "44.log", "the oldest that is followed\n")
        append(tmp_path / "43.log", "the youngest that is not\n")
        assert await steps.idle() == ["the oldest that is followed"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"paths": ()}, "paths"),
        ({"paths": ("a", "")}, "paths"),
        ({"labels": {"a": "{path}"}}, "only {name} and {dir}"),
        ({"every": Duration(0)}, "every"),
        ({"begins": "("}, "begins"),
        ({"begins": "(?=a)"}, "`begins` is no regular expression: .* RE2 has no lookahead"),
    ],
)
def test_wrong_settings_say_what_is_wrong(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FileSettings(**{"paths": ("a",), **wrong})


# --- all of it together -------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 40), st.booleans()),
    st.tuples(
        st.sampled_from(["read", "rotate", "truncate", "copy", "restart", "trace"]),
        st.just(0),
        st.just(False),
    ),
    st.tuples(st.just("crash"), st.integers(0, 3), st.just(False)),
)


@settings(max_examples=60, deadline=None, print_blob=True)
@given(st.lists(STEPS, max_size=30))
def test_whatever_is_written_is_read_once_and_in_order(
    steps: list[tuple[str, int, bool]],
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(Story(Path(folder)).run(steps))


class Story:
    """One program writes, rotates and truncates its log; one daemon reads, stops and crashes."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "app.log"
        self.log.touch()
        self.reader = follower(folder, "app.log*")
        self.wanted = ""
        self.written = self.rotations = 0
        self.checkpoints: list[tuple[Position | None, list[LogLine]]] = []

    async def run(self, steps: list[tuple[str, int, bool]]) -> None:
        await self.read()
        self.checkpoints = self.checkpoints[-1:]  # before it, all of this is not followed yet
        for what, amount, ended in steps:
            await getattr(self, what)(amount, ended)
        await self.read()
        assert "".join(line.text for line in self.reader.lines).replace("\n", "") == self.wanted

    async def write(self, amount: int, ended: bool) -> None:
        for _ in range(amount + 1):
            self.written += 1
            self.wanted += f"<{self.written}>"
            append(self.log, f"<{self.written}>" + ("\n" if ended else ""))
        os.utime(self.log, (self.written, self.written))  # the file system's clock is coarse

    async def rotate(self, *_: object) -> None:
        append(self.log, "\n")  # programs rotate between lines
        os.utime(self.log, (self.written, self.written))
        self.rotations += 1
        self.log.rename(self.log.with_name(f"app.log.{self.rotations}"))
        self.log.touch()
        self.written += 1
        os.utime(self.log, (self.written, self.written))

    async def trace(self, *_: object) -> None:
        self.written += 1
        lines = [f"<{self.written}>", "  at a", "  at b", "Caused by: c"]
        self.wanted += "".join(lines)
        append(self.log, "\n" + "\n".join(lines) + "\n")
        os.utime(self.log, (self.written, self.written))

    async def copy(self, *_: object) -> None:
        """And empty it; a copy of a few bytes is not known as one, so there is nothing to do."""
        if self.log.stat().st_size < 32:
            return
        append(self.log, "\n")
        self.rotations += 1
        self.log.with_name(f"app.log.{self.rotations}").write_bytes(self.log.read_bytes())
        os.utime(self.log.with_name(f"app.log.{self.rotations}"), (self.written, self.written))
        os.truncate(self.log, 0)
        self.written += 1
        os.utime(self.log, (self.written, self.written))
        await self.read()
        self.checkpoints = self.checkpoints[-1:]

    async def truncate(self, *_: object) -> None:
        """What was not read before is lost: no reader could help it."""
        await self.read()
        os.truncate(self.log, 0)
        await self.read()
        self.checkpoints = self.checkpoints[-1:]

    async def crash(self, since: int, _: bool) -> None:
        await self.read()
        self.reader.position, self.reader.lines = self.checkpoints[-1 - since :][0]
        self.reader.lines = list(self.reader.lines)

    async def restart(self, *_: object) -> None:
        await self.read()

    async def read(self, *_: object) -> None:
        async with self.reader.running() as steps:
            await steps.idle()
        self.checkpoints.append((self.reader.position, list(self.reader.lines)))
