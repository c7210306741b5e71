"""State as MessagePack in one copy: large arrays go into the bytes once, however deep they lie.

``msgspec`` would copy an array for each thing it lies in, and again as its buffer grows; for a
million series that is seconds, and memory twice over. What is written is plain MessagePack
(https://github.com/msgpack/msgpack/blob/master/spec.md), read back by ``msgspec``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import msgspec
import numpy as np

_WALKED = 256  # a container with more than this is data, and is left to msgspec
_SLICE_BYTES = 2**20
_Buffer = bytes | memoryview


def packed(value: Any) -> bytes:
    """Of what msgspec takes, and arrays (as their bytes) in tuples, lists and dicts of these."""
    return _joined(_buffers(value))


def sealed(kind: str, version: int, state: Any) -> bytes:
    """(kind, version, state as bytes), such as ``packed`` gives them."""
    inside = list(_buffers(state))
    size = sum(map(len, inside))
    head = b"\x93" + msgspec.msgpack.encode(kind) + msgspec.msgpack.encode(version)
    return _joined((head, _bin(size), *inside))


def _joined(buffers: Iterable[_Buffer]) -> bytes:
    """Slice by slice: between two of them other threads get their turn."""
    out = BytesIO()
    for one in buffers:
        for at in range(0, len(one), _SLICE_BYTES):
            out.write(one[at : at + _SLICE_BYTES] if len(one) > _SLICE_BYTES else one)
    return out.getvalue()


def _buffers(value: Any) -> Iterator[_Buffer]:
    match value:
        case np.ndarray():
            yield _bin(value.nbytes)
            yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
        case bytes():
            yield _bin(len(value))
            yield memoryview(value)
        case tuple() | list() if len(value) <= _WALKED:
            yield b"\xdc" + len(value).to_bytes(2, "big")
            for one in value:
                yield from _buffers(one)
        case dict() if len(value) <= _WALKED:
            yield b"\xde" + len(value).to_bytes(2, "big")
            for key, one in value.items():
                yield msgspec.msgpack.encode(key)
                yield from _buffers(one)
        case _:
            yield msgspec.msgpack.encode(value)


def _bin(size: int) -> bytes:
    return b"\xc6" + size.to_bytes(4, "big")
