"""What was pushed lies in the journal until a checkpoint has it, and is learned again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiopsd.app import House
from aiopsd.config import load
from aiopsd.model import Kept, LogBatch, LogLine, Position, Reading
from aiopsd.pipeline import keeping
from aiopsd.pipeline.keeping import Keeping, packed, unpacked
from aiopsd.stores import MemoryStore, SqliteStore
from tests.unit.pipeline.test_cleaning import MAIL, detection

NOW_S = 1_795_421_700.0
CONFIG = """
sources: {pushed: {type: loki_push}}
limits: {checkpoint: 1h, grace: 5s}
"""


def batch(*texts: str, time_s: float = NOW_S) -> LogBatch:
    labels = {"app": "shop"}
    return LogBatch(time_s, tuple(LogLine(7 + n, labels, text) for n, text in enumerate(texts)))


class Teller:
    """Hands its batches on once each, as what nobody can ask it for again."""

    def __init__(self, *batches: LogBatch) -> None:
        self.batches = batches
        self.resumed: Position | None = None
        self.lost: list[float] = []
        self.committed, self.begun = 0, False

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        self.resumed, self.begun = resume, True
        for n, one in enumerate(self.batches, 1):
            yield Reading((one,), {"read": [n]}, {"read": [n]})
        await asyncio.Event().wait()

    async def commit(self, position: Position) -> None:
        self.committed += 1

    def again(self, before: Position, kept_s: float, news: Position | None) -> Position:
        if news is None:
            self.lost.append(kept_s)
            return before
        return {"read": [*before.get("read", ()), *news["read"]]}


async def life(folder: Path, source: Teller, *, killed: bool = True) -> House:
    """Until all of it is committed; ``killed`` before there is a checkpoint."""
    (folder / "aiopsd.yaml").write_text(CONFIG)
    (folder / "state").mkdir(exist_ok=True)
    store = SqliteStore(folder / "state" / "journal.db", lambda: NOW_S)
    house = House(load(folder / "aiopsd.yaml"), lambda: NOW_S, store)
    house.sources = {"pushed": source}
    await house.restore()
    stopping = asyncio.Event()
    living = asyncio.create_task(house.pipeline.run(stopping))
    async with asyncio.timeout(30):
        while not source.begun or source.committed < len(source.batches):
            await asyncio.sleep(0.01)
    if killed:
        living.cancel()
    else:
        stopping.set()
    await asyncio.gather(living, return_exceptions=True)
    await store.close()
    return house


# --- its form -----------------------------------------------------------------------------


def test_what_is_packed_comes_back() -> None:
    other = LogLine(2**64 + 5, {}, "x\x00\U0001f600 ")
    two = LogBatch(NOW_S, (*batch("one", "two").lines, other), history=True)
    found, news = unpacked(packed([two, LogBatch(3.0, ())], {"taken": ["a"]}), NOW_S)
    latest = LogLine(2**63 - 1, {}, other.text)
    assert found == [LogBatch(NOW_S, (*two.lines[:2], latest), True), LogBatch(3.0, ())]
    assert news == {"taken": ["a"]}
    assert found[0].lines[0].labels is found[0].lines[1].labels


def test_nothing_is_of_later_than_now() -> None:
    (found,), _ = unpacked(packed([batch("one")], {}), NOW_S - 60)
    assert found.time_s == NOW_S - 60


@pytest.mark.parametrize("at", [0, 15, 16, 20, -1])
def test_a_damaged_byte_is_noticed(at: int) -> None:
    body = bytearray(packed([batch("one", "two")], {}))
    body[at] ^= 4
    for damaged in (bytes(body), bytes(body[:at]), b""):
        with pytest.raises(ValueError, match="it is damaged"):
            unpacked(damaged, NOW_S)


def test_nothing_is_kept_that_should_not_be() -> None:
    """Of labels neither: their values stay here otherwise, and their names go nowhere."""
    one, miner = detection()
    labels = {"service": "api", "user": MAIL, MAIL: "1", "password": "hunter2!x"}
    lines = (LogLine(1, labels, f"to {MAIL}"), LogLine(2, labels, "token=ghp_" + "a1B2" * 9))
    found = one.observe("lp", (LogBatch(1.0, lines),), {"n": 1}, {"n": 1})
    assert found.keep is not None
    assert (found.keep.number, found.keep.source, found.keep.time_s) == (1, "lp", 1.0)
    (kept,), news = unpacked(found.keep.body, NOW_S)
    assert news == {"n": 1}
    assert [line.text for line in kept.lines] == miner.fed
    said = repr(kept)
    assert not [secret for secret in (MAIL, "hunter2", "ghp_") if secret in said], said
    assert kept.lines[0].labels["service"] == "api"
    assert kept.lines[0].labels is kept.lines[1].labels


def test_what_can_be_asked_for_again_is_not_kept() -> None:
    one, _ = detection()
    assert one.observe("file", (batch("one"),), {"n": 1}).keep is None
    assert one.kept == 0


# --- after a crash ------------------------------------------------------------------------


async def test_what_no_checkpoint_has_is_learned_again(tmp_path: Path) -> None:
    before = await life(tmp_path, Teller(batch("one", time_s=NOW_S - 1), batch("two")))
    source = Teller()
    after = await life(tmp_path, source)
    assert source.resumed == {"read": [1, 2]}
    assert (after.detection.kept, after.detection.miner.save()) == (
        2, before.detection.miner.save()
    )  # fmt: skip
    assert after.pipeline.keeping.bytes == before.pipeline.keeping.bytes > 0


async def test_what_a_checkpoint_has_is_dropped(tmp_path: Path) -> None:
    before = await life(tmp_path, Teller(batch("one"), batch("two")), killed=False)
    assert before.pipeline.keeping.bytes == 0
    source = Teller(batch("three"))
    await life(tmp_path, source)
    assert source.resumed == {"read": [2]}
    with sqlite3.connect(tmp_path / "state" / "journal.db") as db:
        assert db.execute("select number from kept").fetchall() == [(3,)], "numbers grow"


async def test_a_checkpoint_that_was_saved_counts_though_nothing_was_dropped(
    tmp_path: Path,
) -> None:
    """Killed between the two."""
    await life(tmp_path, Teller(batch("one")))
    path = tmp_path / "state" / "journal.db"
    with sqlite3.connect(path) as db:
        (row,) = db.execute("select * from kept").fetchall()
    await life(tmp_path, Teller(), killed=False)
    with sqlite3.connect(path) as db:
        db.execute("insert into kept values (?, ?, ?, ?)", row)
    source = Teller()
    after = await life(tmp_path, source)
    assert (source.resumed, after.detection.kept) == ({"read": [1]}, 1)


@pytest.mark.parametrize("damaged", [b"\0\1\2\3", "text"])
async def test_what_is_damaged_is_said_and_the_rest_is_used(
    damaged: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    batches = [batch(f"word{n} is here", time_s=NOW_S - 9 + n) for n in range(3)]
    await life(tmp_path, Teller(*batches))
    path = tmp_path / "state" / "journal.db"
    with sqlite3.connect(path) as db:
        db.execute("update kept set body = ? where number = 2", (damaged,))
    source = Teller()
    after = await life(tmp_path, source)
    assert (source.resumed, source.lost) == ({"read": [1, 3]}, [NOW_S - 8])
    (line,) = [one for one in caplog.messages if one.startswith("kept reading not usable")]
    assert line == "kept reading not usable source=pushed number=2: it is damaged"
    again = [one for one in caplog.messages if one.startswith("learned again")]
    assert again == ["learned again what was kept and lost what was damaged=1 readings=2"]
    assert after.detection.kept == 3


async def test_a_source_that_is_gone_still_had_its_lines_counted(tmp_path: Path) -> None:
    await life(tmp_path, Teller(batch("one")))
    store = SqliteStore(tmp_path / "state" / "journal.db", lambda: NOW_S)
    (tmp_path / "aiopsd.yaml").write_text("sources: {}\n")
    house = House(load(tmp_path / "aiopsd.yaml"), lambda: NOW_S, store)
    await house.restore()
    await house.pipeline._again()
    assert house.detection.kept == 1
    await store.close()


# --- how much of it -----------------------------------------------------------------------


async def test_a_full_place_is_said_until_a_checkpoint_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "MOST_BYTES", 10)
    monkeypatch.setattr(keeping, "EARLY_BYTES", 5)
    store = MemoryStore(lambda: 0.0)
    one = Keeping(store)
    for number in range(1, 6):
        kept = Kept(number, "lp", 1.0, b"xx")
        await store.append(keep=kept)
        one.add(kept)
        assert (one.much, one.full) == (number >= 3, number == 5)
    await one.drop(3)
    assert (one.bytes, one.full) == (4, False)
    assert [kept.number for kept in await store.kept(after=0)] == [4, 5]
    after = Keeping(store)
    assert [kept.number async for kept in after.since(4)] == [5]
    assert after.bytes == 2


async def test_much_of_it_brings_a_checkpoint_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "EARLY_BYTES", 5)
    await life(tmp_path, Teller(*(batch(f"{n}") for n in range(20))))
    with sqlite3.connect(tmp_path / "state" / "journal.db") as db:
        assert db.execute("select count(*) from snapshot").fetchone()[0] > 0
