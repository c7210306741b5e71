"""A log file of logfmt lines: ``2026-11-23T10:00:00.123Z level=error msg="..." order=7``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

_BARE = re.compile(r'[^\s"=\\]+')


class LogFile:
    """Appends whole lines, each flushed at once; safe to follow with ``tail -F``."""

    def __init__(self, path: Path, service: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._service = service
        self._silent_until: dict[str, float] = {}

    def write(self, level: str, message: str, **fields: object) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        pairs = {"level": level, "service": self._service, "msg": message, **fields}
        text = " ".join(f"{key}={_quote(str(value))}" for key, value in pairs.items())
        self._file.write(f"{now}Z {text}\n")

    def sample(self, kind: str, every_secs: float) -> bool:
        """True when no line of this kind was let through within ``every_secs``."""
        now = monotonic()
        if now < self._silent_until.get(kind, 0.0):
            return False
        self._silent_until[kind] = now + every_secs
        return True


def _quote(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'
