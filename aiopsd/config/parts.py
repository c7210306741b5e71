"""What the names and files of sources, notifiers and executors must be for them to be built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiopsd.config.schema import DaemonSettings
from aiopsd.document import Document, Path_
from aiopsd.errors import ConfigError, MissingExtra
from aiopsd.settings import SecretFile, Settings, installed

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def check_parts(document: Document, settings: DaemonSettings, base: Path) -> None:
    """What is wrong would otherwise come out when the part is built, or at night."""
    rooms: dict[str, dict[str, Any]] = {
        "sources": settings.sources,
        "notifiers": settings.notifiers,
        "executors": settings.executors,
    }
    for room, parts in rooms.items():
        for name, part in parts.items():
            if not _NAME.fullmatch(name):
                document.complain((room, name), f"{name!r} cannot name a part: letters, digits, "
                                                "_ and -, with a letter first")  # fmt: skip
            if lack := lacking(f"{room[:-1]} {name!r}", part):
                document.complain((room, name, "type", "="), lack)
            for key, wrong in _files(part, base):
                document.complain((room, name, key, "="), wrong)
    if lack := lacking("warm_start", settings.warm_start):
        document.complain(("warm_start",), lack)
    names = [window.name for window in settings.maintenance]
    for at, name in enumerate(names):
        if name in names[:at]:
            document.complain(("maintenance", at, "name", "="), f"two windows are called {name!r}")
    for path, wrong in _hooks(settings):
        document.complain(path, wrong)


def lacking(who: str, part: Settings | None) -> str:
    """Which extra this part needs and has not; empty where it has all."""
    extra = part.extra() if part is not None else ""
    return "" if installed(extra) else str(MissingExtra(who, extra))


def _files(part: Any, base: Path) -> Iterator[tuple[str, str]]:
    """Secrets and certificates that are not there to be read."""
    for key in part.__struct_fields__:
        value = getattr(part, key)
        if isinstance(value, SecretFile):
            try:
                value.read(base)
            except ConfigError as error:
                yield key, str(error)
        elif key == "ca_file" and value and not (base / value).is_file():
            yield key, f"no such file: {base / value}"


def _hooks(settings: DaemonSettings) -> Iterator[tuple[Path_, str]]:
    """Two sources cannot listen on one path."""
    owner: dict[str, str] = {}
    for name, source in settings.sources.items():
        if path := getattr(source, "path", None):  # of those that are pushed to, and of no others
            if path in owner:
                yield ("sources", name), f"`path: {path}` is taken by {owner[path]}"
            owner.setdefault(path, name)
