"""Entries in the Journal Export Format, as `journalctl --output=export` writes them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

BOOT = "00000000000000000000000000000001"


def entry(fields: Mapping[str, str | bytes]) -> bytes:
    parts = []
    for name, value in fields.items():
        data = value.encode() if isinstance(value, str) else value
        if any(byte < 32 and byte != 9 for byte in data) or not _is_text(data):
            parts.append(name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts) + b"\n"


def said(number: int, time_us: int, message: str | bytes, **fields: str) -> bytes:
    """One line of a service."""
    named = {
        "__CURSOR": f"s=0;i={number:x};t={time_us:x}",
        "__REALTIME_TIMESTAMP": f"{time_us}",
        "__MONOTONIC_TIMESTAMP": f"{number}",
        "_BOOT_ID": BOOT,
        "PRIORITY": "6",
        "_SYSTEMD_UNIT": "shop.service",
        "SYSLOG_IDENTIFIER": "shop",
        "_PID": "7",
    }
    return entry({**named, **fields, "MESSAGE": message})


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
