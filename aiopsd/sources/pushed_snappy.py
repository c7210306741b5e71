"""The block format of snappy, which says first how long it will be.

Source: https://github.com/google/snappy/blob/main/format_description.txt .
"""

from __future__ import annotations

import cramjam

from aiopsd.sources.protobuf import Malformed, varint
from aiopsd.sources.pushed import Wrong


def unpacked(packed: bytes, limit_bytes: int) -> bytes:
    """Raises Wrong 413, before any memory is taken, where there is more in it than the limit;
    Malformed where it is not snappy."""
    length, _ = varint(packed, 0, min(len(packed), 10))
    if length > limit_bytes:
        raise Wrong(413, f"{length:,} bytes in a request; the limit is {limit_bytes:,}")
    try:
        return bytes(cramjam.snappy.decompress_raw(packed))
    except cramjam.DecompressionError as error:
        raise Malformed(str(error)) from None
