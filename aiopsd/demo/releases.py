"""The folder of releases: which there are, which is current, and which were before.

``releases/<service>/``: ``v1.json``, ``v2.json`` (one release each), ``current`` (a symlink to one
of them, read when the process starts) and ``history.json`` (every revision, oldest first).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aiopsd.errors import ConfigError, Refused


@dataclass(frozen=True, slots=True)
class Release:
    version: str
    fault: str | None
    by: str


@dataclass(frozen=True, slots=True)
class Revision:
    """One deployment; ``deployed_at`` in seconds since the epoch."""

    revision: int
    version: str
    by: str
    deployed_at: float


class Releases:
    """Every write is atomic: a reader sees the state before or after, never in between."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, service: str, name: str, release: Release) -> None:
        """Writes ``<service>/<name>.json``; does not deploy it."""
        (self._folder / service).mkdir(parents=True, exist_ok=True)
        write_atomically(self._folder / service / f"{name}.json", json.dumps(asdict(release)))

    def current(self, service: str) -> Release:
        """The release that the next start of the service runs."""
        return _read(self._home(service) / "current")

    def history(self, service: str) -> list[Revision]:
        """Every deployment, oldest first; the last one is the current one."""
        path = self._home(service) / "history.json"
        return [Revision(**entry) for entry in json.loads(path.read_text())]

    def previous(self, service: str) -> Revision | None:
        """The deployment before the current one."""
        before = self.history(service)[:-1]
        return before[-1] if before else None

    def make_current(self, service: str, version: str, now: float) -> bool:
        """Points ``current`` at the release of this version; False when it already did.

        Raises ``Refused`` when the service has no such release.
        """
        home = self._home(service)
        with _locked(home / "lock"):
            link = home / "current"
            if link.exists() and _read(link).version == version:
                return False
            chosen = self._find(service, version)
            self._record(home / "history.json", _read(chosen), now)
            fresh = home / "current.new"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(chosen.name)
            fresh.replace(link)
            return True

    def _record(self, path: Path, release: Release, now: float) -> None:
        entries = json.loads(path.read_text()) if path.exists() else []
        if entries and entries[-1]["version"] == release.version:
            return  # recorded, then interrupted before the link was flipped
        entry = Revision(len(entries) + 1, release.version, release.by, now)
        write_atomically(path, json.dumps([*entries, asdict(entry)], indent=1))

    def _find(self, service: str, version: str) -> Path:
        found = {_read(path).version: path for path in self._home(service).glob("v*.json")}
        if version not in found:
            known = ", ".join(sorted(found))
            raise Refused(f"{service} has no release {version}; there are: {known}")
        return found[version]

    def _home(self, service: str) -> Path:
        home = self._folder / service
        if not home.is_dir():
            raise ConfigError(f"no releases of {service!r} in {self._folder}")
        return home


def write_atomically(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_text(text)
    fresh.replace(path)


def _read(path: Path) -> Release:
    try:
        return Release(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} holds no release: {error}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two deployment tools at once take turns; the lock goes with the process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
