"""How a pushed body was packed, by its Content-Encoding (RFC 9110, section 8.4.1)."""

from __future__ import annotations

import zlib
from typing import Final

from aiopsd.sources.protobuf import Malformed
from aiopsd.sources.pushed import Wrong
from aiopsd.sources.pushed_snappy import unpacked

_HEADERS: Final = {"gzip": (31,), "deflate": (15, -15)}  # zlib's wbits; some send no header


def decoded(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Raises Wrong: 415 for an encoding that is not read, 413 where there is more in it than the
    limit, 400 where it is something else."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding == "snappy":
        try:
            return unpacked(body, limit_bytes)
        except Malformed:
            raise _not(encoding) from None
    if encoding not in _HEADERS:
        raise Wrong(415, f"Content-Encoding {encoding!r}: gzip, deflate and snappy are read")
    return _inflated(body, encoding, limit_bytes)


def _inflated(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    if body.lstrip()[:1] == b"{":  # plain JSON, though zlib may only say that its end is missing
        raise _not(encoding)
    for header in _HEADERS[encoding]:
        unpacker = zlib.decompressobj(header)
        try:
            found = unpacker.decompress(body, limit_bytes + 1)
        except zlib.error:
            continue
        if len(found) > limit_bytes:
            raise Wrong(413, f"more than {limit_bytes:,} bytes in a request")
        if not unpacker.eof:
            raise Wrong(400, "the packed body was cut off")
        if unpacker.unused_data:
            raise Wrong(400, f"something comes behind the end of the {encoding}")
        return found
    raise _not(encoding)


def _not(encoding: str) -> Wrong:
    return Wrong(400, f"it is not {encoding}, as its Content-Encoding says")
