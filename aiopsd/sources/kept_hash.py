"""Hashes that a position keeps: whoever holds a checkpoint cannot try out what was read.

They are made with a key of this installation that never changes, or else what was read before
would be new again. ``mark`` tells that a position is of another key, or of none.
"""

from __future__ import annotations

from hashlib import blake2b


def kept_hash(key: bytes, said: bytes) -> str:
    """64 bits, as text."""
    return blake2b(said, digest_size=8, key=key).hexdigest()


def mark(key: bytes) -> str:
    """Which key it is; says nothing about it."""
    return kept_hash(key, b"the key of this position")
