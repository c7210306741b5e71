"""The journal in one SQLite file: write-ahead log, one durable commit an append.

``synchronous=FULL`` makes a commit survive kill -9 and power loss (sqlite.org/pragma.html);
it costs about 3 ms. Bodies are JSON, so that a person can read them with the sqlite3 shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from aiopsd.contracts import Clock
from aiopsd.errors import ConfigError, JournalFailed
from aiopsd.model import AnyEvent, Event, Kept
from aiopsd.stores import pieces
from aiopsd.telemetry import log

RESTORE = 'see "Backup and restore" in docs/operations.md'
T = TypeVar("T")

VERSION = 1
SCHEMA = """
create table if not exists events (
  seq integer primary key autoincrement, time_s real not null,
  kind text not null, id text not null, body blob not null);
create index if not exists events_time on events (time_s);
create table if not exists things (
  kind text not null, id text not null, seq integer not null, time_s real not null,
  open integer not null, body blob not null, primary key (kind, id)) without rowid;
create index if not exists things_open on things (kind, open, time_s);
create table if not exists kept (
  number integer primary key, source text not null, time_s real not null, body blob not null);
"""

KEPT_READ, KEPT_DROPPED = 16, 500  # readings in one go

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AnyEvent).decode


class SqliteStore:
    """All access happens in one thread of its own, in the order of the calls."""

    def __init__(self, path: Path, clock: Clock, *, read_only: bool = False) -> None:
        self._clock = clock
        self._path = path
        self._thread = ThreadPoolExecutor(1, "journal")
        self._db = self._thread.submit(_open, path, read_only).result()

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, work, self._db)
        except sqlite3.Error as error:
            raise JournalFailed(
                f"the journal {self._path} cannot be kept: {_why(error)}"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # to be started again is no help
            raise ConfigError(f"the journal {self._path} is damaged: {error}; {RESTORE}") from error

    async def append(self, *events: AnyEvent, keep: Kept | None = None) -> None:
        now = self._clock()
        rows = [(now, type(e).__name__, e.id, _encode(e), not e.closed) for e in events]

        def work(db: sqlite3.Connection) -> None:
            with db:
                for time_s, kind, name, body, still_open in rows:
                    seq = db.execute(
                        "insert into events (time_s, kind, id, body) values (?, ?, ?, ?)",
                        (time_s, kind, name, body),
                    ).lastrowid
                    db.execute(
                        "insert or replace into things values (?, ?, ?, ?, ?, ?)",
                        (kind, name, seq, time_s, still_open, body),
                    )
                if keep is not None:
                    row = (keep.number, keep.source, keep.time_s, keep.body)
                    db.execute("insert into kept values (?, ?, ?, ?)", row)

        if rows or keep is not None:
            # A write that has begun is finished even if the caller is cancelled.
            await asyncio.shield(self._call(work))

    async def current(self, kind: type[Event], *, since_s: float = math.inf) -> Sequence[Any]:
        def work(db: sqlite3.Connection) -> list[Any]:
            rows = db.execute(
                "select body from things where kind = ? and (open or time_s >= ?) order by seq",
                (kind.__name__, since_s),
            )
            return [_decode(body) for (body,) in rows]

        return await self._call(work)

    async def events(
        self, *, after: int = 0, limit: int = 1000
    ) -> Sequence[tuple[int, float, AnyEvent]]:
        def work(db: sqlite3.Connection) -> list[tuple[int, float, AnyEvent]]:
            rows = db.execute(
                "select seq, time_s, body from events where seq > ? order by seq limit ?",
                (after, limit),
            )
            return [(seq, time_s, _decode(body)) for seq, time_s, body in rows]

        return await self._call(work)

    async def kept(self, *, after: int) -> Sequence[Kept]:
        def work(db: sqlite3.Connection) -> list[Kept]:
            rows = db.execute(
                "select number, source, time_s, cast(body as blob) from kept where number > ? "
                "order by number limit ?", (after, KEPT_READ),
            )  # fmt: skip
            return [Kept(*row) for row in rows]

        return await self._call(work)

    async def drop_kept(self, upto: int) -> None:
        def work(db: sqlite3.Connection) -> bool:
            with db:
                some = "select number from kept where number <= ? order by number limit ?"
                gone = f"delete from kept where number in ({some})"  # noqa: S608 - no input
                return db.execute(gone, (upto, KEPT_DROPPED)).rowcount == KEPT_DROPPED

        while await asyncio.shield(self._call(work)):
            pass

    async def save_checkpoint(self, parts: Mapping[str, bytes]) -> None:
        """Events may be appended between its pieces; it counts once the last one is there."""
        rows: list[pieces.Row] = []
        loads = pieces.cut(parts)
        for number, load in enumerate(loads, 1):

            def keep(
                db: sqlite3.Connection,
                load: Sequence[pieces.Piece] = load,
                last: bool = number == len(loads),
            ) -> bool:
                with db:
                    rows.extend(pieces.keep(db, load))
                    if last:
                        pieces.put(db, rows)
                    return last and pieces.sweep(db)

            more = await asyncio.shield(self._call(keep))
        while more:
            more = await asyncio.shield(self._call(_sweep))

    async def load_checkpoint(self) -> Mapping[str, bytes]:
        """Raises ValueError, once, where it is not what was saved."""

        def work(db: sqlite3.Connection) -> Mapping[str, bytes]:
            try:
                return pieces.whole(db)
            except ValueError:
                with db:
                    pieces.drop(db)
                raise

        return await self._call(work)

    async def prune(self, before_s: float) -> int:
        """Forgets events, and closed things, written before; returns how many events."""

        def work(db: sqlite3.Connection) -> int:
            with db:
                db.execute("delete from things where not open and time_s < ?", (before_s,))
                return db.execute("delete from events where time_s < ?", (before_s,)).rowcount

        return await self._call(work)

    async def close(self) -> None:
        await self._call(lambda db: db.close())
        self._thread.shutdown()


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    try:
        if read_only:
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        else:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists() and not path.stat().st_size:
                log.warning("the journal %s is empty: starting as new, without incidents and what "
                            "was learned; %s", path, RESTORE)  # fmt: skip
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # -wal and -shm become alike
            db = sqlite3.connect(path, timeout=10)
            with contextlib.suppress(PermissionError):  # it is somebody else's, who let us write
                path.chmod(0o600)  # before the other files, which are made like it
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = full")
        _check_version(db, path, read_only)
    except (sqlite3.OperationalError, OSError) as error:  # a full disk: may be over by and by
        raise JournalFailed(f"the journal {path} cannot be opened: {error}") from error
    except sqlite3.Error as error:
        raise ConfigError(f"the journal {path} cannot be opened: {_why(error)}") from error
    return db


def _why(error: sqlite3.Error) -> str:
    """A file that is no database any more will not be one by waiting."""
    code = getattr(error, "sqlite_errorcode", None)
    lost = code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return f"{error}; {RESTORE}" if lost else str(error)


def _check_version(db: sqlite3.Connection, path: Path, read_only: bool) -> None:
    found = int(db.execute("pragma user_version").fetchone()[0])
    if found not in (0, VERSION):
        raise ConfigError(f"the journal {path} is of version {found}; this aiopsd reads {VERSION}")
    if not read_only:
        db.executescript(SCHEMA + pieces.SCHEMA)
        db.execute(f"pragma user_version = {VERSION}")


def _sweep(db: sqlite3.Connection) -> bool:
    with db:
        return pieces.sweep(db)
