"""A series as bytes: its rule, then each label, in order of their names.

``rule RS (name US value RS)*`` in UTF-8. Where that could be misread, because a label holds one of
these signs or half a character, it begins with ESC and all parts are written with escapes.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from aiopsd.model import Labels

_RS, _US, _ESC = "\x1e", "\x1f", "\x1b"
ODD = _ESC.encode()  # what a name with escapes begins with


def name_of(rule: str, labels: Labels) -> bytes:
    text = rule + _RS + "".join([pair_of(name, labels[name]) for name in sorted(labels)])
    n = len(labels)
    if text.count(_RS) == n + 1 and text.count(_US) == n and not text.startswith(_ESC):
        try:
            return text.encode()
        except UnicodeEncodeError:
            pass
    pairs = [pair_of(_escaped(name), _escaped(labels[name])) for name in sorted(labels)]
    return "".join((_ESC, _escaped(rule), _RS, *pairs)).encode()


def pair_of(name: str, value: str) -> str:
    """Stands in the bytes of every series with this label, after another RS."""
    return f"{name}{_US}{value}{_RS}"


def labels_of(key: bytes) -> Labels:
    parts = [pair.split(_US) for pair in key.decode().split(_RS)[1:-1]]
    if key.startswith(ODD):
        return {_plain(name): _plain(value) for name, value in parts}
    return dict(parts)


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode()


def _plain(text: str) -> str:
    return text.encode().decode("unicode_escape")


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
