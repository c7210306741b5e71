"""What was taken already: a client whose answer was lost sends the same batch again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from aiopsd.model import LogLine
from aiopsd.sources.kept_hash import kept_hash

REQUESTS: Final = 1000  # kept over restarts; more than may wait for their answers at once
LINES: Final = 200_000  # of each half of the window: 30 MB in all


class Seen:
    """Requests by their bytes, the last thousand; lines by stream, time, metadata and text, for
    ``window_secs`` at most. Identical lines of one request are so many lines."""

    def __init__(self, window_secs: float, key: bytes = b"") -> None:
        self._key = key
        self.forgotten = 0  # lines that found no room before their time
        self._window_secs = window_secs
        self._requests: deque[str] = deque(maxlen=REQUESTS)
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._since_s = 0.0

    @property
    def requests(self) -> list[str]:
        return list(self._requests)

    def __contains__(self, request: str) -> bool:
        return request in self._requests

    def restore(self, requests: Iterable[str]) -> None:
        self._requests.extend(requests)

    def fresh(
        self, request: str, tenant: str, lines: Sequence[LogLine], now_s: float
    ) -> list[LogLine]:
        """Those that came in no request of this tenant before this one."""
        if request in self._requests:
            return []
        self._requests.append(request)
        self._age(now_s)
        keys = _keys(_salt(self._key, tenant), lines)
        new = [
            line
            for line, key in zip(lines, keys, strict=True)
            if key not in self._young and key not in self._old
        ]
        self._young.update(keys)
        return new

    def _age(self, now_s: float) -> None:
        full, age_secs = len(self._young) >= LINES, now_s - self._since_s
        if not full and 0 <= age_secs < self._window_secs / 2:
            return
        self.forgotten += len(self._old) if full else 0
        outlived = not 0 <= age_secs < self._window_secs
        self._old = set() if outlived else self._young
        self._young, self._since_s = set(), now_s


def digest(key: bytes, tenant: str, body: bytes) -> str:
    """Of a request, as it came."""
    return kept_hash(_salt(key, tenant), body)


def _salt(key: bytes, tenant: str) -> bytes:
    return blake2b(tenant.encode(errors="replace"), digest_size=16, key=key).digest()


def _keys(salt: bytes, lines: Sequence[LogLine]) -> list[int]:
    streams: dict[int, bytes] = {}
    found = []
    for line in lines:
        stream = streams.get(id(line.labels))
        if stream is None:
            stream = streams[id(line.labels)] = msgspec.json.encode(sorted(line.labels.items()))
        key = blake2b(stream, digest_size=8, key=salt)
        key.update(b"%d " % line.time_ns)
        key.update(line.text.encode(errors="replace"))
        found.append(int.from_bytes(key.digest()))
    return found
