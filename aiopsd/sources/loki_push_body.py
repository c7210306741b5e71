"""The body of a push request: unpacked, never larger than it may be, and read."""

from __future__ import annotations

from typing import Final

from aiopsd.sources.loki_push_request import Pushed, read_json, read_protobuf
from aiopsd.sources.protobuf import Malformed
from aiopsd.sources.pushed import Wrong
from aiopsd.sources.pushed_encoding import decoded
from aiopsd.sources.pushed_snappy import unpacked

JSON_HINT: Final = "; if it is JSON, say so by the header Content-Type: application/json"


def pushed_in(body: bytes, kind: str, encoding: str, limit_bytes: int) -> Pushed:
    """As Loki does it: JSON where it says so, else protobuf in snappy. Raises Wrong."""
    try:
        if kind == "application/json":
            return read_json(decoded(body, encoding, limit_bytes))
        if encoding not in ("", "snappy"):
            raise Wrong(415, f"Content-Encoding {encoding!r}: protobuf comes in snappy")
        return read_protobuf(unpacked(body, limit_bytes))
    except Malformed as error:
        hint = "" if kind == "application/json" or body.lstrip()[:1] != b"{" else JSON_HINT
        raise Wrong(400, f"not a push request: {error}{hint}") from None
