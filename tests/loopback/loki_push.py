"""Loki's push API (JSON): what it adds to a line, and what it refuses.

A push with some bad lines is answered with 400, and its good lines are kept all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from .loki_streams import Entry, Labels, Stream, canonical, labels_text
from .server import Call

NS = 10**9
OLDEST_NS = 168 * 3600 * NS
NEWEST_NS = 600 * NS
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


def push(call: Call, streams: dict[Labels, Stream], now_ns: int) -> str:
    """Keep the good lines of a push request; the text of the first error, or nothing."""
    try:
        parsed = list(_entries(call))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return f"loghttp.PushRequest.Streams: {error}\n"
    errors: list[str] = []
    for labels, entry in parsed:
        error_text = _refusal(labels, entry, now_ns)
        if error_text:
            errors.append(error_text)
            continue
        full = with_service_name(labels)
        stream = streams.setdefault(canonical(full), Stream(full))
        stream.add(Entry(entry.ns, entry.line, canonical(with_level(full, dict(entry.metadata)))))
    return f"{errors[0]}\n" if errors else ""


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
