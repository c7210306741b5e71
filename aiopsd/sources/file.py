"""Follows plain log files: growth, rotation, truncation. By polling, so any file system will do."""

from __future__ import annotations

import asyncio
import glob
import io
import logging
import os
import re
import stat
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from aiopsd.contracts import SourceContext
from aiopsd.model import Labels, LogBatch, LogLine, Position, Reading
from aiopsd.settings import Duration, Settings
from aiopsd.sources.file_tail import Piece, Place, Tail

log = logging.getLogger(__name__)

_Key = tuple[int, int]  # device, inode

_NS = 10**9
_DAY_NS = 86_400 * _NS
_MAX_FILES = 256
_TICK_SECS = 5.0
_TEMPLATE = re.compile(r"\{(?:name|dir)\}")


class FileSettings(Settings, frozen=True, kw_only=True, tag="file"):
    """Which files, and what their lines are called.

    In a label's value ``{name}`` is the file's name without its last suffix, ``{dir}`` the name
    of its folder.
    """

    paths: tuple[str, ...]  # or globs; ** is any number of folders
    labels: dict[str, str] = {}
    every: Duration = Duration(0.5)
    from_start: bool = False  # at the first start: read what is there, as history

    def __post_init__(self) -> None:
        if not self.paths or not all(self.paths):
            raise ValueError("`paths` needs at least one path or glob")
        if self.every <= 0:
            raise ValueError("`every` must be longer than 0s")
        for value in self.labels.values():
            if re.search(r"[{}]", _TEMPLATE.sub("", value)):
                raise ValueError(f"in `labels`, {value!r}: only {{name}} and {{dir}} are filled in")

    def build(self, context: SourceContext) -> FileSource:
        return FileSource(self, context)


class FileSource:
    """Position: for each file its inode, its first bytes' fingerprint, and an offset."""

    def __init__(self, settings: FileSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        files = _Files(self._settings, self._context)
        told_s = -_TICK_SECS
        try:
            if resume:
                await asyncio.to_thread(files.restore, resume)
            while True:
                now_s, more = self._context.clock(), False
                tails = await asyncio.to_thread(files.look, now_s)
                self._tell(files.trouble)
                async for piece, batch in self._pieces(tails, now_s):
                    more = more or piece.more
                    if batch.lines:
                        told_s = now_s
                        yield Reading((batch,), files.position())
                if more:
                    continue
                if now_s - told_s >= _TICK_SECS:  # quiet is news too
                    told_s = now_s
                    yield Reading((LogBatch(now_s, ()),), files.position())
                await asyncio.sleep(self._settings.every)
        finally:
            files.close()

    async def _pieces(
        self, tails: Iterable[Tail], now_s: float
    ) -> AsyncIterator[tuple[Piece, LogBatch]]:
        """One piece of each; but all of a file that was rotated, before its successor."""
        for tail in tails:
            more = True
            while more:
                piece, batch = await asyncio.to_thread(self._read, tail, now_s)
                self._context.count("lines", len(batch.lines))
                self._context.count("cut_lines", piece.cut)
                self._context.count("truncated_files", piece.restarted)
                yield piece, batch
                more = piece.more and tail.moved_s is not None

    def _read(self, tail: Tail, now_s: float) -> tuple[Piece, LogBatch]:
        piece, labels = tail.read(now_s), _labels(self._settings.labels, tail.path)
        now_ns = int(now_s * _NS)
        lines = (LogLine(_stamp_ns(text, now_ns), labels, text) for text in piece.lines)
        return piece, LogBatch(now_s, tuple(lines), piece.history)

    def _tell(self, trouble: str) -> None:
        if trouble:
            self._context.health.gone(self._context.name, trouble)
        else:
            self._context.health.back(self._context.name)

    async def commit(self, position: Position) -> None:
        """Nothing to do: the files keep the lines, we keep the position."""


class _Files:
    """The files that the paths lead to now, and those that they led to a moment ago."""

    def __init__(self, settings: FileSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._tails: dict[_Key, Tail] = {}
        self._first_start = True
        self.trouble = ""  # what keeps us from following what was asked for

    def restore(self, resume: Position) -> None:
        self._first_start = False
        for place in msgspec.convert(resume["files"], list[Place]):
            if not self._found_again(place):
                self._context.count("lost_files", 1)
                log.warning(
                    "file gone while away part=%s path=%s read_bytes=%d",
                    self._context.name, place.path, place.offset,
                )  # fmt: skip

    def position(self) -> Position:
        return {"files": [msgspec.to_builtins(tail.place()) for tail in self._tails.values()]}

    def look(self, now_s: float) -> list[Tail]:
        """Those with something to read; what was rotated away, or written longer ago, first."""
        there = self._matching()
        for key, tail in list(self._tails.items()):
            if key in there:
                tail.moved_s = None
            elif tail.moved_s is None:
                tail.moved_s = now_s
            elif tail.finished(now_s):
                tail.close()
                del self._tails[key]
        new = [path for key, path in there.items() if key not in self._tails]
        trouble = self._follow(new)
        if not there:
            trouble.append(f"no file matches {', '.join(self._settings.paths)}")
        self.trouble = "; ".join(trouble[:3])
        self._first_start = False
        due = [tail for tail in self._tails.values() if tail.due()]
        return sorted(due, key=lambda tail: (tail.moved_s is None, tail.written_ns))

    def close(self) -> None:
        for tail in self._tails.values():
            tail.close()

    def _matching(self) -> dict[_Key, str]:
        """Regular files, each once, the most recently written first."""
        there: dict[_Key, tuple[int, str]] = {}
        for pattern in self._settings.paths:
            wanted = str(self._context.base / pattern)
            for path in glob.iglob(wanted, recursive=True):  # noqa: PTH207 - may be absolute
                with suppress(OSError):  # gone between the two looks
                    found = Path(path).stat()
                    if stat.S_ISREG(found.st_mode):
                        there.setdefault((found.st_dev, found.st_ino), (-found.st_mtime_ns, path))
        return {key: path for key, (_, path) in sorted(there.items(), key=lambda item: item[1])}

    def _follow(self, paths: Sequence[str]) -> list[str]:
        """What is wrong with those that can't be followed."""
        room = _MAX_FILES - len(self._tails)
        trouble = []
        for path in paths[:room]:
            try:
                file = io.FileIO(path)
            except OSError as error:
                trouble.append(f"{path}: {os.strerror(error.errno or 0).lower()}")
                continue
            tail = Tail(path, file)
            if self._first_start and self._settings.from_start:
                tail.learn_what_is_there()
            elif self._first_start:
                tail.skip_what_is_there()
            self._keep(tail, file)
        if len(paths) > room:
            trouble.append(f"{len(paths) - room} files more than {_MAX_FILES} are not followed")
        return trouble

    def _found_again(self, place: Place) -> bool:
        """Under its old name, or a new one in the same folder."""
        folder = Path(place.path).parent
        beside = [str(path) for path in folder.iterdir()] if folder.is_dir() else []
        for path in [place.path, *beside, *self._matching().values()]:
            with suppress(OSError):
                if Path(path).stat().st_ino == place.inode:
                    file = io.FileIO(path)
                    if place.fits(file):
                        self._keep(Tail.resumed(place, file), file)
                        return True
                    file.close()
        return False

    def _keep(self, tail: Tail, file: io.FileIO) -> None:
        found = os.fstat(file.fileno())
        key = (found.st_dev, found.st_ino)
        if key in self._tails:  # renamed between two looks: followed already
            tail.close()
        else:
            self._tails[key] = tail


# --- lines --------------------------------------------------------------------------------


def _labels(templates: Labels, path: str) -> Labels:
    where = Path(path)
    return {
        name: value.replace("{name}", where.stem).replace("{dir}", where.parent.name)
        for name, value in templates.items()
    }


_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?([Zz]|[+-]\d\d:?\d\d)"
)


def _stamp_ns(text: str, now_ns: int) -> int:
    """The RFC 3339 time that the line begins with, if it is within a day of now; else now."""
    if (found := _STAMP.match(text)) is None:
        return now_ns
    date, time, fraction, zone = found.groups()
    time_ns = _second_ns(f"{date}T{time}{zone.upper()}") + int((fraction or "0").ljust(9, "0"))
    return time_ns if abs(time_ns - now_ns) <= _DAY_NS else now_ns


@lru_cache(maxsize=1024)
def _second_ns(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp()) * _NS
    except ValueError:  # month 13
        return 0
