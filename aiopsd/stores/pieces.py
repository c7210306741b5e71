"""A checkpoint in pieces, each kept once under the digest of its bytes.

A large one is written while events are appended in between: its pieces lie beside those of the one
before, and the last transaction puts their list in its place. What did not change is not written
again, and what is read back is what was written, or it is refused as a whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import sha256

PIECE_BYTES = 4 * 2**20
SCHEMA = """
drop table if exists checkpoint;
create table if not exists pieces (digest blob primary key, body blob not null);
create table if not exists snapshot (
  part text not null, number integer not null, digest blob not null,
  primary key (part, number)) without rowid;
"""

SWEPT = 16  # old pieces that one transaction frees

Piece = tuple[str, int, memoryview]
"""part, number, body"""
Row = tuple[str, int, bytes]
"""part, number, digest"""


def cut(parts: Mapping[str, bytes]) -> list[list[Piece]]:
    """Pieces by the load: as much as one transaction should hold. At least one load."""
    loads: list[list[Piece]] = [[]]
    room = PIECE_BYTES
    for part, body in parts.items():
        view = memoryview(body)
        for number, at in enumerate(range(0, max(len(view), 1), PIECE_BYTES)):
            piece = view[at : at + PIECE_BYTES]
            if len(piece) > room and loads[-1]:
                loads.append([])
                room = PIECE_BYTES
            loads[-1].append((part, number, piece))
            room -= len(piece)
    return loads


def keep(db: sqlite3.Connection, load: Sequence[Piece]) -> list[Row]:
    """Beside what is there; the caller holds a transaction."""
    rows = [(part, number, sha256(body).digest()) for part, number, body in load]
    for (_, _, digest), (_, _, body) in zip(rows, load, strict=True):
        if db.execute("select 1 from pieces where digest = ?", (digest,)).fetchone() is None:
            db.execute("insert into pieces values (?, ?)", (digest, body))
    return rows


def put(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """These pieces are the checkpoint from now on; the caller holds a transaction."""
    db.execute("delete from snapshot")
    db.executemany("insert into snapshot values (?, ?, ?)", [*rows, ("", -1, _seal(rows))])


def sweep(db: sqlite3.Connection) -> bool:
    """Frees some pieces that nothing names any more; true while there may be more of them."""
    old = "select digest from pieces where digest not in (select digest from snapshot) limit ?"
    gone = db.execute(old, (SWEPT,)).fetchall()
    db.executemany("delete from pieces where digest = ?", gone)
    return len(gone) == SWEPT


def drop(db: sqlite3.Connection) -> None:
    """What is damaged must not be taken for what was kept already; the caller holds a
    transaction."""
    db.execute("delete from snapshot")
    db.execute("delete from pieces")


def whole(db: sqlite3.Connection) -> dict[str, bytes]:
    """The parts that were put last. Raises ValueError where one bit of them is not as it was."""
    rows = db.execute("select part, number, digest from snapshot order by part, number").fetchall()
    if not rows:
        return {}
    (_, number, seal), *rows = rows
    if number != -1 or seal != _seal(rows):
        raise ValueError("its list of parts is damaged")
    found: dict[str, list[bytes]] = {}
    for part, _, digest in rows:
        row = db.execute("select body from pieces where digest = ?", (digest,)).fetchone()
        if row is None or sha256(row[0]).digest() != digest:
            raise ValueError(f"its part {part} is damaged")
        found.setdefault(part, []).append(row[0])
    return {part: b"".join(bodies) for part, bodies in found.items()}


def _seal(rows: Sequence[Row]) -> bytes:
    return sha256(repr(sorted(rows)).encode()).digest()
