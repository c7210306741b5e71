"""Follows plain log files: growth, rotation, truncation. By polling, so any file system will do."""

from __future__ import annotations

import asyncio
import glob
import io
import logging
import os
import re
import stat
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from aiopsd.contracts import SourceContext
from aiopsd.model import Labels, LogBatch, LogLine, Position, Reading
from aiopsd.patterns import line_pattern
from aiopsd.settings import Duration, Settings, complain
from aiopsd.sources.file_tail import Piece, Place, Tail
from aiopsd.sources.kept_hash import mark
from aiopsd.sources.line_times import times_ns
from aiopsd.sources.log_ticks import ticks

log = logging.getLogger(__name__)

_Key = tuple[int, int]  # device, inode
_Same = Callable[[Place, io.FileIO, bytes], bool]

_NS = 10**9
_MAX_FILES = 256
_TICK_SECS = 5.0
_COPYING_SECS = 10.0  # so long may a file that begins like another one be a copy that is not done
_PACKED = (".gz", ".xz", ".zst", ".bz2", ".lz4", ".zip", ".Z")
_TEMPLATE = re.compile(r"\{(?:name|dir)\}")


class FileSettings(Settings, frozen=True, kw_only=True, tag="file"):
    """Which files, and what their lines are called.

    In a label's value ``{name}`` is the file's name without its last suffix, ``{dir}`` the name
    of its folder. Without labels the service is called as its file: what has no name is nowhere.
    """

    paths: tuple[str, ...]  # or globs; ** is any number of folders
    labels: dict[str, str] | None = None
    every: Duration = Duration(0.5)
    from_start: bool = False  # at the first start: read what is there, as history
    begins: str = ""  # a pattern of how an event begins; empty: see aiopsd.line_events

    def __post_init__(self) -> None:
        if not self.paths or not all(self.paths):
            raise ValueError("`paths` needs at least one path or glob")
        if self.every <= 0:
            raise ValueError("`every` must be longer than 0s")
        try:
            line_pattern(self.begins, empty=True)
        except ValueError as error:
            raise ValueError(f"`begins` is no regular expression: {error}") from None
        complain(
            f"in `labels`, {value!r}: only {{name}} and {{dir}} are filled in"
            for value in self.named.values()
            if re.search(r"[{}]", _TEMPLATE.sub("", value))
        )

    @property
    def named(self) -> Labels:
        return {"service": "{name}"} if self.labels is None else self.labels

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
                now_s, more, held = self._context.clock(), False, False
                tails = await asyncio.to_thread(files.look, now_s)
                self._tell(files.trouble)
                async for piece, batches in self._pieces(tails, now_s):
                    more, held = more or piece.more, held or piece.held
                    if batches:
                        told_s = now_s
                        yield Reading(batches, files.position())
                if more:
                    continue
                if now_s - told_s >= _TICK_SECS and not held:  # quiet is news too
                    told_s = now_s
                    yield Reading((LogBatch(now_s, ()),), files.position())
                await asyncio.sleep(self._settings.every)
        finally:
            files.close()

    async def _pieces(
        self, tails: Iterable[Tail], now_s: float
    ) -> AsyncIterator[tuple[Piece, tuple[LogBatch, ...]]]:
        """One piece of each; but all of a file that was rotated, before its successor."""
        for tail in tails:
            more = True
            while more:
                piece, batches = await asyncio.to_thread(self._read, tail, now_s)
                self._context.count("lines", len(piece.events))
                self._context.count("cut_lines", piece.cut)
                self._context.count("truncated_files", piece.restarted)
                yield piece, batches
                more = piece.more and tail.rotated

    def _read(self, tail: Tail, now_s: float) -> tuple[Piece, tuple[LogBatch, ...]]:
        """What was written over a longer time comes tick by tick, as it would have come."""
        piece, labels = tail.read(now_s), _labels(self._settings.named, tail.path)
        times = times_ns(piece.events, int(piece.since_s * _NS), int(piece.until_s * _NS))
        lines = [LogLine(ns, labels, text) for ns, text in zip(times, piece.events, strict=True)]
        return piece, ticks(lines, now_s, float(self._settings.every), history=piece.history)

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
        self._begins = line_pattern(settings.begins, empty=True) if settings.begins else None
        self._tails: dict[_Key, Tail] = {}
        self._copies: dict[_Key, float] = {}  # what may be one, and since when
        self._first_start = True
        self._told = False  # which paths lead to nothing; while all do, ``trouble`` says it
        self._looked_s = 0.0  # what is new was written after this
        self.trouble = ""  # what keeps us from following what was asked for

    def restore(self, resume: Position) -> None:
        self._first_start = False
        places = msgspec.convert(resume["files"], list[Place])
        if resume.get("mark") != mark(self._context.key):
            places = [place.by_inode() for place in places]
        self._looked_s = min((place.told_s for place in places), default=0.0)
        for place in places:
            if not self._found_again(place):
                self._context.count("lost_files", 1)
                log.warning(
                    "file gone while away part=%s path=%s read_bytes=%d",
                    self._context.name, place.path, place.offset,
                )  # fmt: skip

    def position(self) -> Position:
        places = [msgspec.to_builtins(tail.place()) for tail in self._tails.values()]
        return {"files": places, "mark": mark(self._context.key)}

    def look(self, now_s: float) -> list[Tail]:
        """Those with something to read; what was rotated away, or written longer ago, first."""
        there = self._matching()
        for key, tail in list(self._tails.items()):
            tail.rotated = there.get(key) != tail.path
            if key in there:
                tail.moved_s = None
            elif tail.moved_s is None:
                tail.moved_s = now_s
            elif tail.finished(now_s):
                tail.close()
                del self._tails[key]
        new = {key: path for key, path in there.items() if key not in self._tails}
        trouble = self._follow(new, now_s)
        if not there:
            trouble.append(f"no file matches {', '.join(self._settings.paths)}")
        self.trouble = "; ".join(trouble[:3])
        self._first_start, self._looked_s = False, now_s
        due = [tail for tail in self._tails.values() if tail.due(now_s)]
        return sorted(due, key=lambda tail: (not tail.rotated, tail.written_ns))

    def close(self) -> None:
        for tail in self._tails.values():
            tail.close()

    def _matching(self) -> dict[_Key, str]:
        """Regular files, each once, the most recently written first."""
        there: dict[_Key, tuple[int, str]] = {}
        empty = []
        for pattern in self._settings.paths:
            matching = list(_plain_files(self._context.base, pattern))
            empty += [] if matching else [pattern]
            for path, found in matching:
                there.setdefault((found.st_dev, found.st_ino), (-found.st_mtime_ns, path))
        if there and not self._told:
            self._told = True
            for pattern in empty:
                log.warning("source=%s no file matches %s yet", self._context.name, pattern)
        return {key: path for key, (_, path) in sorted(there.items(), key=lambda item: item[1])}

    def _follow(self, new: Mapping[_Key, str], now_s: float) -> list[str]:
        """What is wrong with those that can't be followed."""
        room = _MAX_FILES - len(self._tails)
        trouble = []
        self._copies = {key: since_s for key, since_s in self._copies.items() if key in new}
        for key, path in list(new.items())[:room]:
            try:
                file = io.FileIO(path)
            except OSError as error:
                trouble.append(f"{path}: {os.strerror(error.errno or 0).lower()}")
                continue
            tail = self._tail(key, path, file, now_s)
            if tail is None:
                file.close()
                continue
            if self._first_start and self._settings.from_start:
                tail.learn_what_is_there()
            elif self._first_start:
                tail.skip_what_is_there()
            self._keep(tail, file)
        if len(new) > room:
            trouble.append(f"{len(new) - room} files more than {_MAX_FILES} are not followed")
        return trouble

    def _tail(self, key: _Key, path: str, file: io.FileIO, now_s: float) -> Tail | None:
        """None while it may be on its way to become a copy of one that we follow: `copytruncate`
        copies a log before it empties it. Of a copy only that is read which its origin had when
        it was emptied, and nobody had read."""
        tail = Tail(path, file, self._looked_s, self._begins, self._context.key)
        alike = [one for one in self._tails.values() if _derived(path, one.path)]
        alike = [] if self._first_start else [one for one in alike if one.resembles(file)]
        origin = next((one for one in alike if one.place().copied(file, self._context.key)), None)
        waits = now_s - self._copies.setdefault(key, now_s) < _COPYING_SECS
        if alike and waits and not (origin and origin.replaced):
            return None
        del self._copies[key]
        return tail.resume(origin.place()) if origin else tail

    def _found_again(self, place: Place) -> bool:
        """Under its old name, or a new one in the same folder; or what a copy has of it."""
        folder = Path(place.path).parent
        beside = [str(path) for path in folder.iterdir()] if folder.is_dir() else []
        paths = [place.path, *beside, *self._matching().values()]
        return any(self._resumed(place, path, Place.fits) for path in paths) or (
            place.edge_bytes > 0 and any(self._resumed(place, path, Place.copied) for path in paths)
        )

    def _resumed(self, place: Place, path: str, same: _Same) -> bool:
        with suppress(OSError):
            if same is Place.fits and Path(path).stat().st_ino != place.inode:
                return False
            if path.endswith(_PACKED) or not Path(path).is_file():
                return False
            file = io.FileIO(path)
            if same(place, file, self._context.key):
                tail = Tail(path, file, 0.0, self._begins, self._context.key)
                self._keep(tail.resume(place), file)
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


def unmatched(settings: FileSettings, base: Path) -> list[str]:
    """Those of its paths that lead to no file."""
    return [pattern for pattern in settings.paths if not any(_plain_files(base, pattern))]


def _plain_files(base: Path, pattern: str) -> Iterator[tuple[str, os.stat_result]]:
    for path in glob.iglob(str(base / pattern), recursive=True):  # noqa: PTH207 - may be absolute
        with suppress(OSError):  # gone between the two looks
            found = Path(path).stat()
            if stat.S_ISREG(found.st_mode) and not path.endswith(_PACKED):
                yield path, found


def _derived(path: str, origin: str) -> bool:
    """As `app.log.1` and `app-20270115.log` are of `app.log`."""
    one, other = Path(path), Path(origin)
    return one != other and one.parent == other.parent and one.name.startswith(other.stem)


# --- lines --------------------------------------------------------------------------------


def _labels(templates: Labels, path: str) -> Labels:
    where = Path(path)
    return {
        name: value.replace("{name}", where.stem).replace("{dir}", where.parent.name)
        for name, value in templates.items()
    }
