"""The body of a push request: unpacked, never larger than it may be, and read."""

from __future__ import annotations

import zlib
from typing import Final

from aiopsd.sources.loki_push_request import Pushed, read_json, read_protobuf
from aiopsd.sources.protobuf import Malformed
from aiopsd.sources.pushed import Wrong
from aiopsd.sources.pushed_snappy import unpacked

_ANY_HEADER: Final = 47  # zlib: gzip's header or its own
_NO_HEADER: Final = -15

JSON_HINT: Final = "; if it is JSON, say so by the header Content-Type: application/json"


def pushed_in(body: bytes, kind: str, encoding: str, limit_bytes: int) -> Pushed:
    """As Loki does it: JSON where it says so, else protobuf in snappy. Raises Wrong."""
    try:
        if kind == "application/json":
            return read_json(_plain(body, encoding, limit_bytes))
        if encoding not in ("", "snappy"):
            raise Wrong(415, f"Content-Encoding {encoding!r}: protobuf comes in snappy")
        return read_protobuf(unpacked(body, limit_bytes))
    except Malformed as error:
        hint = "" if kind == "application/json" or body.lstrip()[:1] != b"{" else JSON_HINT
        raise Wrong(400, f"not a push request: {error}{hint}") from None


def _plain(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    if encoding in ("gzip", "deflate"):
        return inflated(body, limit_bytes)
    if encoding == "snappy":
        return unpacked(body, limit_bytes)
    if encoding in ("", "identity") or body.lstrip()[:1] == b"{":
        return body
    raise Wrong(415, f"Content-Encoding {encoding!r}: gzip, deflate and snappy are read")


def inflated(body: bytes, limit_bytes: int) -> bytes:
    """Of ``gzip`` or ``deflate``, with zlib's header or without it. What the server has unpacked
    already begins as JSON does, and is left as it is. Raises Wrong."""
    if body.lstrip()[:1] == b"{":
        return body
    for header in (_ANY_HEADER, _NO_HEADER):
        unpacker = zlib.decompressobj(header)
        try:
            found = unpacker.decompress(body, limit_bytes + 1)
        except zlib.error:
            continue
        if len(found) > limit_bytes:
            raise Wrong(413, f"more than {limit_bytes:,} bytes in a request")
        if not unpacker.eof:
            raise Wrong(400, "the packed body was cut off")
        return found
    raise Wrong(400, "neither gzip nor deflate, whatever its header says")
