"""A series as bytes: its rule, then each label, in order of their names.

No UTF-8 holds the two bytes that stand between them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from aiopsd.model import Labels

_ODD: Final = ("utf-8", "surrogatepass")  # half a character may stand in a label all the same


def name_of(rule: str, labels: Labels) -> bytes:
    pairs = [pair_of(name, labels[name]) for name in sorted(labels)]
    return b"".join((rule.encode(*_ODD), b"\xff", *pairs))


def pair_of(name: str, value: str) -> bytes:
    return b"%b\xfe%b\xff" % (name.encode(*_ODD), value.encode(*_ODD))


def labels_of(key: bytes) -> Labels:
    labels = {}
    for pair in key.split(b"\xff")[1:-1]:
        name, _, value = pair.partition(b"\xfe")
        labels[name.decode(*_ODD)] = value.decode(*_ODD)
    return labels


# --- keeping them -----------------------------------------------------------------------------


def joined(keys: list[bytes]) -> bytes:
    lengths = np.fromiter(map(len, keys), np.int32, len(keys))
    return msgspec.msgpack.encode((lengths.tobytes(), b"".join(keys)))


def cut(saved: bytes) -> list[bytes]:
    lengths, text = unpacked(saved, tuple[bytes, bytes])
    ends = np.cumsum(np.frombuffer(lengths, np.int32), dtype=np.int64).tolist()
    if ends[-1:] != [len(text)]:
        raise ValueError("the saved names of series are cut off")
    return [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def unpacked(saved: bytes, shape: Any) -> Any:
    """MessagePack as this type. Raises ValueError on anything else."""
    try:
        return msgspec.msgpack.decode(saved, type=shape)
    except msgspec.DecodeError as error:
        raise ValueError(f"saved series cannot be read: {error}") from None
