"""Loki's push API (JSON): what it adds to a line, and what it refuses.

A push with some bad lines is answered with 400, and its good lines are kept all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from .loki_streams import Entry, Labels, Stream, canonical, labels_text
from .server import Call

NS = 10**9
OLDEST_NS = 168 * 3600 * NS
NEWEST_NS = 600 * NS
BEHIND_NS = 3600 * NS  # half of max_chunk_age
MAX_LINE_BYTES = 262_144
MAX_LABELS = 15
SERVICE_LABELS = ("service", "app", "application", "name", "container", "component", "job")


def with_service_name(labels: Mapping[str, str]) -> dict[str, str]:
    """Every stream gets a `service_name`: its own, or that of the first label that names it."""
    named = [labels[name] for name in SERVICE_LABELS if name in labels]
    return {"service_name": (named or ["unknown_service"])[0], **labels}


def with_level(labels: Mapping[str, str], metadata: Mapping[str, str]) -> dict[str, str]:
    """Every line gets a `detected_level`; the real one looks into the text, too."""
    level = metadata.get("level") or labels.get("level") or "unknown"
    return {"detected_level": level, **metadata}


@dataclass
class Limits:
    """Of one tenant; 0: none. `burst_bytes` is what one push may hold, for here no time passes."""

    burst_bytes: int = 0
    rate_bytes: int = 0
    streams: int = 0


def push(
    call: Call, streams: dict[Labels, Stream], now_ns: int, tenant: str, limits: Limits
) -> tuple[int, str]:
    """Keep the good lines of a push request; status and text of the first error, or no text."""
    try:
        parsed = list(_entries(call))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return 400, f"loghttp.PushRequest.Streams: {error}\n"
    size = sum(len(entry.line.encode()) for _, entry in parsed)
    if limits.burst_bytes and size > limits.burst_bytes:
        return 429, (
            f"ingestion rate limit exceeded for user {tenant} (limit: {limits.rate_bytes} "
            f"bytes/sec) while attempting to ingest '{len(parsed)}' lines totaling '{size}' bytes, "
            "reduce log volume or contact your Loki administrator to see if the limit can be "
            "increased\n"
        )
    errors = [error for labels, entry in parsed
              if (error := _kept(streams, labels, entry, now_ns, tenant, limits))[1]]  # fmt: skip
    return errors[0] if errors else (204, "")


def _kept(
    streams: dict[Labels, Stream],
    labels: dict[str, str],
    entry: Entry,
    now_ns: int,
    tenant: str,
    limits: Limits,
) -> tuple[int, str]:
    error = _refusal(labels, entry, now_ns)
    if error:
        return 400, f"{error}\n"
    full = with_service_name(labels)
    stream = streams.get(canonical(full))
    if stream is None:
        if limits.streams and len(streams) >= limits.streams:
            return 429, (
                f"maximum active stream limit exceeded when trying to create stream "
                f"{labels_text(full)}, reduce the number of active streams (reduce labels or "
                "reduce label values), or contact your Loki administrator to see if the limit "
                f"can be increased, user: '{tenant}'\n"
            )
        stream = streams[canonical(full)] = Stream(full)
    oldest_ns = stream.entries[-1].ns - BEHIND_NS if stream.entries else entry.ns
    if entry.ns < oldest_ns:
        return 400, (
            f"entry with timestamp {_full_time_text(entry.ns)} ignored, reason: 'entry too far "
            f"behind, entry timestamp is: {_time_text(entry.ns)}, oldest acceptable timestamp is: "
            f"{_time_text(oldest_ns)}',\nuser '{tenant}', total ignored: 1 out of 1 for stream: "
            f"{labels_text(full)}\n"
        )
    stream.add(Entry(entry.ns, entry.line, canonical(with_level(full, dict(entry.metadata)))))
    return 204, ""


def _entries(call: Call) -> Iterator[tuple[dict[str, str], Entry]]:
    for stream in call.json()["streams"]:
        for stamp, line, *more in stream["values"]:
            if not isinstance(stamp, str) or not isinstance(line, str):
                raise TypeError("a value is [<nanoseconds as a string>, <line>, <metadata>]")
            metadata = more[0] if more else {}
            yield stream["stream"], Entry(int(stamp), line, canonical(metadata))


def _refusal(labels: Mapping[str, str], entry: Entry, now_ns: int) -> str:
    name = labels_text(with_service_name(labels))
    if len(labels) > MAX_LABELS:
        return f"entry for stream '{name}' has {len(labels)} label names; limit {MAX_LABELS}"
    if entry.ns < now_ns - OLDEST_NS:
        return (
            f"entry for stream '{name}' has timestamp too old: {_time_text(entry.ns)}, "
            f"oldest acceptable timestamp is: {_time_text(now_ns - OLDEST_NS)}"
        )
    if entry.ns > now_ns + NEWEST_NS:
        return f"entry for stream '{name}' has timestamp too new: {_time_text(entry.ns)}"
    size = len(entry.line.encode())
    if size > MAX_LINE_BYTES:
        return (
            f"max entry size '{MAX_LINE_BYTES}' bytes exceeded for stream '{name}' "
            f"while adding an entry with length '{size}' bytes"
        )
    return ""


def _time_text(ns: int) -> str:
    return datetime.fromtimestamp(ns // NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _full_time_text(ns: int) -> str:
    whole = datetime.fromtimestamp(ns // NS, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{whole}.{ns % NS:09} +0000 UTC"
