"""No position holds a hash that somebody without the key can make of what was read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from aiopsd.sources.kept_hash import kept_hash, mark
from aiopsd.sources.loki_api import LokiApi
from aiopsd.sources.loki_cursor import Cursor
from aiopsd.sources.loki_push_seen import Seen, digest
from tests.unit.sources.test_file import append, follower
from tests.unit.sources.test_loki_api import page_of

KEY = b"k" * 32
CANARY = "login password=hunter2hunter2"


def tried(said: bytes) -> Iterator[str]:
    """What somebody would look for who knows, or guesses, what was said."""
    yield said.decode()
    for size in (4, 5, 7, 8, 16, 20, 32, 64):
        yield hashlib.blake2b(said, digest_size=size).hexdigest()
    for salt in (b"", b"default", said):
        salted = hashlib.blake2b(salt, digest_size=16).digest()
        yield hashlib.blake2b(said, digest_size=8, key=salted).hexdigest()
    for name in ("md5", "sha1", "sha256", "sha512", "blake2s"):
        yield hashlib.new(name, said).hexdigest()


def found(position: object, *said: bytes) -> set[str]:
    kept = json.dumps(position)
    return {one for one in chain.from_iterable(map(tried, said)) if one in kept}


@pytest.mark.parametrize("key", [KEY, b""], ids=["keyed", "the test can fail"])
async def test_file(tmp_path: Path, key: bytes) -> None:
    reader = follower(tmp_path)
    reader.house.key = key
    async with reader.running() as steps:
        append(tmp_path / "app.log", f"{CANARY}\n")
        await steps.idle()
    assert [line.text for line in reader.lines] == [CANARY]
    assert bool(found(reader.position, CANARY.encode(), f"{CANARY}\n".encode())) is not bool(key)


@pytest.mark.parametrize("key", [KEY, b""], ids=["keyed", "the test can fail"])
async def test_loki(key: bytes) -> None:
    answer = page_of({"app": "s"}, ["7", CANARY])

    async def fetch(_path: str, _params: object) -> object:
        return answer

    page = await LokiApi(fetch, key).lines("{}", 0, 8, 1)  # type: ignore[arg-type]
    cursor = Cursor.begin(now_ns=10, history_ns=10, mark=mark(key))
    cursor.advance(page.found, to_ns=8, final_ns=1)
    identity = b'[["app","s"]]7[]' + CANARY.encode()
    assert cursor.position()["seen"]
    assert bool(found(cursor.position(), CANARY.encode(), identity)) is not bool(key)


@pytest.mark.parametrize("key", [KEY, b""], ids=["keyed", "the test can fail"])
def test_loki_push(key: bytes) -> None:
    body = json.dumps({"streams": [{"stream": {}, "values": [["7", CANARY]]}]}).encode()
    seen = Seen(60.0, key)
    seen.fresh(digest(key, "", body), "", (), 0.0)
    assert bool(found(seen.requests, CANARY.encode(), body)) is not bool(key)


def test_a_mark_tells_keys_apart_and_is_no_key() -> None:
    assert len({mark(KEY), mark(b"another"), mark(b""), ""}) == 4
    assert mark(KEY) == mark(KEY)
    assert kept_hash(KEY, b"x") != kept_hash(b"", b"x")
