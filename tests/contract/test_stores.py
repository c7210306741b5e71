"""Every store keeps the promises of contracts.Store."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from aiopsd.contracts import Store
from aiopsd.errors import ConfigError, JournalFailed
from aiopsd.model import Change, Gap, Halt, Incident, Kept
from aiopsd.stores import MemoryStore, SqliteStore
from aiopsd.stores.pieces import PIECE_BYTES


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[Store]:
    makers: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(clock),
        "sqlite": lambda: SqliteStore(tmp_path / "journal.db", clock),
    }
    one = makers[request.param]()
    yield one
    await one.close()


def halt(name: str, on: bool) -> Halt:
    return Halt(id=name, on=on, by="me", reason="", time_s=1.0)


def gap(name: str) -> Gap:
    return Gap(id=name, source="prom", from_s=1.0, until_s=2.0, reason="away")


async def test_events_come_back_in_order_and_in_pages(store: Store) -> None:
    await store.append(gap("a"), halt("b", True))
    await store.append(gap("c"))
    assert [e.id for _, _, e in await store.events()] == ["a", "b", "c"]
    ((seq, time_s, first),) = await store.events(limit=1)
    assert (time_s, first) == (100.0, gap("a"))
    assert [e.id for _, _, e in await store.events(after=seq)] == ["b", "c"]


async def test_current_is_the_newest_version_of_each_thing(store: Store, clock: Clock) -> None:
    await store.append(halt("x", True), halt("y", True))
    clock.now_s = 200.0
    await store.append(halt("x", False))
    assert await store.current(Halt) == [halt("y", True)]
    assert await store.current(Halt, since_s=150.0) == [halt("y", True), halt("x", False)]
    assert await store.current(Change) == []


async def test_a_checkpoint_replaces_the_one_before_as_a_whole(store: Store) -> None:
    assert dict(await store.load_checkpoint()) == {}
    await store.save_checkpoint({"a": b"1", "b": b"2"})
    await store.save_checkpoint({"b": b"\x00\xff"})
    assert dict(await store.load_checkpoint()) == {"b": b"\x00\xff"}


async def test_what_is_kept_comes_in_order_until_it_is_dropped(store: Store) -> None:
    for number in range(1, 41):
        await store.append(gap("a"), keep=Kept(number, "lp", 1.0, b"\x00%d" % number))
    found: list[Kept] = []
    while page := await store.kept(after=found[-1].number if found else 2):
        found += page
    assert [one.number for one in found] == list(range(3, 41))
    assert found[-1] == Kept(40, "lp", 1.0, b"\x0040")
    await store.drop_kept(39)
    assert [one.number for one in await store.kept(after=0)] == [40]
    assert len(await store.events()) == 40


async def test_nobody_else_may_read_the_journal(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "journal.db"
    path.touch(0o644)
    store = SqliteStore(path, clock)
    await store.append(gap("a"), keep=Kept(1, "lp", 1.0, b"x"))
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 3
    await store.close()


async def test_many_appends_at_once_are_all_there(store: Store) -> None:
    await asyncio.gather(*(store.append(gap(str(n))) for n in range(50)))
    assert {e.id for _, _, e in await store.events()} == {str(n) for n in range(50)}


async def test_pruning_keeps_what_is_open(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path / "journal.db", clock)
    await store.append(gap("old"), halt("still", True))
    clock.now_s = 1000.0
    await store.append(gap("new"))
    assert await store.prune(500.0) == 2
    assert [e.id for _, _, e in await store.events()] == ["new"]
    assert await store.current(Halt) == [halt("still", True)]
    assert await store.current(Gap) == []
    await store.close()


async def test_a_second_process_reads_while_the_first_writes(tmp_path: Path, clock: Clock) -> None:
    writer = SqliteStore(tmp_path / "journal.db", clock)
    reader = SqliteStore(tmp_path / "journal.db", clock, read_only=True)
    await writer.append(gap("a"))
    assert [e.id for _, _, e in await reader.events()] == ["a"]
    await reader.close()
    await writer.close()


async def test_what_is_no_journal_is_refused_with_its_path(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is not a database, not at all" * 100)
    with pytest.raises(ConfigError, match=r"journal\.db cannot be opened: .*Backup and rest"):
        SqliteStore(path, clock)
    assert path.read_bytes().startswith(b"this is not")


async def test_an_empty_journal_is_said(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It was there, and what was in it is lost; where there was none, all is as it should be."""
    (tmp_path / "journal.db").touch()
    for folder in (tmp_path, tmp_path / "new"):
        await SqliteStore(folder / "journal.db", clock).close()
    (line,) = [line for line in caplog.messages if "is empty: starting as new" in line]
    assert f"{tmp_path}/journal.db" in line


async def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path / "journal.db", clock)
    await store.append(gap("a"))
    await store._call(lambda db: db.execute("pragma max_page_count = 1"))
    with pytest.raises(JournalFailed, match=r"journal\.db cannot be kept: .*full"):
        await store.append(*(gap(f"{'b' * 4000}{number}") for number in range(10)))
    assert [e.id for _, _, e in await store.events()] == ["a"], "an append is all or nothing"
    await store.close()


# --- a checkpoint in pieces ---------------------------------------------------------------


async def test_a_large_checkpoint_lets_events_pass_and_frees_what_it_replaced(
    tmp_path: Path, clock: Clock
) -> None:
    store = SqliteStore(tmp_path / "journal.db", clock)
    for life in range(2):
        body = os.urandom(11 * PIECE_BYTES + 3)
        saving = asyncio.create_task(store.save_checkpoint({"big": body, "small": b"x"}))
        passed = 0
        while not saving.done():
            await store.append(gap(f"{life}/{passed}"))
            passed += 1
        await saving
        assert passed >= 3, "events waited for the whole checkpoint"
        assert dict(await store.load_checkpoint()) == {"big": body, "small": b"x"}
    count = "select count(*), sum(length(body)) from pieces"
    pieces, size = await store._call(lambda db: db.execute(count).fetchone())
    assert (pieces, size) == (13, len(body) + 1)
    await store.close()


async def test_what_did_not_change_is_not_written_again(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path / "journal.db", clock)
    same = os.urandom(PIECE_BYTES + 5)
    rowids = "select rowid from pieces order by rowid"
    await store.save_checkpoint({"same": same, "other": b"1", "copy": same})
    before = await store._call(lambda db: db.execute(rowids).fetchall())
    await store.save_checkpoint({"same": same, "other": b"2"})
    after = await store._call(lambda db: db.execute(rowids).fetchall())
    assert (len(before), len(after), len({*before} & {*after})) == (3, 3, 2)
    await store.close()


async def test_a_checkpoint_that_broke_off_leaves_the_one_before(
    tmp_path: Path, clock: Clock
) -> None:
    store = SqliteStore(tmp_path / "journal.db", clock)
    await store.save_checkpoint({"a": b"1"})
    saving = asyncio.create_task(store.save_checkpoint({"a": os.urandom(9 * PIECE_BYTES)}))
    async with asyncio.timeout(30):
        while not await store._call(
            lambda db: db.execute("select 1 from pieces limit 1, 1").fetchone()
        ):
            await asyncio.sleep(0.001)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)
    await store.close()
    store = SqliteStore(tmp_path / "journal.db", clock)
    assert dict(await store.load_checkpoint()) == {"a": b"1"}
    await store.save_checkpoint({"a": b"2"})
    assert await store._call(lambda db: db.execute("select count(*) from pieces").fetchone()) == (
        1,
    )
    await store.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("update pieces set body = x'32' where body = x'31'", "its part a is damaged"),
        ("update pieces set body = x'' where body = x'31'", "its part a is damaged"),
        ("delete from pieces where body = x'31'", "its part a is damaged"),
        ("delete from snapshot where part = 'a'", "its list of parts is damaged"),
        ("delete from snapshot where part = ''", "its list of parts is damaged"),
        ("update snapshot set part = 'c' where part = 'a'", "its list of parts is damaged"),
    ],
)
async def test_a_damaged_checkpoint_is_refused_as_a_whole(
    tmp_path: Path, clock: Clock, damage: str, words: str
) -> None:
    store = SqliteStore(tmp_path / "journal.db", clock)
    await store.append(gap("a"))
    await store.save_checkpoint({"a": b"1", "b": b""})
    await store._call(lambda db: db.execute(damage))
    with pytest.raises(ValueError, match=words):
        await store.load_checkpoint()
    assert [e.id for _, _, e in await store.events()] == ["a"]
    assert dict(await store.load_checkpoint()) == {}
    await store.save_checkpoint({"a": b"1", "b": b""})
    assert dict(await store.load_checkpoint()) == {"a": b"1", "b": b""}
    await store.close()


@pytest.mark.parametrize("body", [b"\xf8\xff", b'{"type":', b'{"type": "Nothing"}'])
async def test_a_damaged_journal_is_said_in_a_sentence(tmp_path: Path, body: bytes) -> None:
    store = SqliteStore(tmp_path / "journal.db", lambda: 100.0)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("insert into things values ('Incident', 'INC-1', 1, 1.0, 1, ?)", (body,))
    with pytest.raises(ConfigError, match=r"journal\.db is damaged: .*Backup and restore"):
        await store.current(Incident)
    await store.close()
