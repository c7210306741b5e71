"""``journal``: what systemd's journal holds, read by ``journalctl`` as long as it lives.

journalctl writes the export format to a pipe, which holds it back while the daemon is busy. The
position is the cursor of the newest entry that was handed on; after it, nothing is read twice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from itertools import chain
from typing import Final

from aiopsd.contracts import SourceContext
from aiopsd.errors import Unreachable
from aiopsd.model import Change, LogBatch, Position, Reading
from aiopsd.settings import Duration, Settings, complain
from aiopsd.sources.fetch import pauses
from aiopsd.sources.journal_export import ExportReader
from aiopsd.sources.journal_lines import FIELDS, Read, finished, lines, read
from aiopsd.sources.journal_restarts import Restarts
from aiopsd.sources.log_ticks import ticks

log = logging.getLogger(__name__)

_NS: Final = 10**9
_CHUNK_BYTES: Final = 2**16
_MOST: Final = 2000  # entries in one reading
_GOES_ON_NS: Final = _NS // 10  # a program that prints a trace has said its next line by then
_QUIET_SECS: Final = 5.0  # that nothing came is news too
_STOP_SECS: Final = 2.0  # for journalctl to end when it is asked to
_SAID_BYTES: Final = 300  # of what it complains about
_PRIORITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_UNIT: Final = re.compile(r"[\w:.@\\*?\[\]-]+", re.ASCII)
_MATCH: Final = re.compile(r"[A-Z_][A-Z0-9_]*=.*", re.DOTALL)
_LOST_CURSOR: Final = re.compile(r"cursor", re.IGNORECASE)


class JournalSettings(Settings, frozen=True, kw_only=True, tag="journal"):
    """Which entries; units, identifiers and matches as `journalctl` knows them."""

    units: tuple[str, ...] = ()  # any of these; * and ? are understood
    identifiers: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()  # FIELD=value
    priority: str = ""  # this bad or worse
    labels: dict[str, str] = {}
    history: Duration = Duration(300)  # read before the first start, to learn from
    every: Duration = Duration(0.5)
    restarts: bool = True  # units that somebody stopped, restarted or reloaded are changes
    directory: str = ""  # a journal that is not this machine's
    program: str = "journalctl"

    def __post_init__(self) -> None:
        odd = [one for one in self.matches if not _MATCH.fullmatch(one) or "\0" in one]
        complain(
            [f"`units`: {one!r} is no name of a unit" for one in self.units
             if not _UNIT.fullmatch(one)]
            + [f"`matches`: {one!r} must be like _TRANSPORT=kernel" for one in odd]
        )  # fmt: skip
        if any(not one or "\0" in one for one in (*self.identifiers, self.program)):
            raise ValueError("`identifiers` and `program` cannot be empty")
        if self.priority not in ("", *_PRIORITIES):
            raise ValueError(f"`priority: {self.priority}` is none of {', '.join(_PRIORITIES)}")
        if self.every <= 0:
            raise ValueError("`every` must be longer than 0s")

    def build(self, context: SourceContext) -> JournalSource:
        return JournalSource(self, context)


class JournalSource:
    """Position: the cursor of the newest entry, its time, and when the very first start was."""

    def __init__(self, settings: JournalSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._cursor, self._time_ns, self._live_ns = "", 0, 0
        self._said = b""  # what journalctl complained about last
        self._restarts = Restarts(context.name)

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        self._resume(resume)
        waits = pauses()
        while True:
            try:
                async with aclosing(self._followed()) as readings:
                    async for reading in readings:
                        yield reading
                        waits = pauses()
            except Unreachable as trouble:
                self._context.health.gone(self._context.name, str(trouble))
            self._context.count("restarted_programs", 1)
            await asyncio.sleep(next(waits))

    async def commit(self, position: Position) -> None:
        """Nothing to do: the journal keeps its entries, we keep the position."""

    def _resume(self, resume: Position | None) -> None:
        if resume:
            self._cursor, self._time_ns = resume["cursor"], resume["time_ns"]
            self._live_ns = resume["live_ns"]
        else:
            self._live_ns = int(self._context.clock() * _NS)
            self._time_ns = self._live_ns - int(self._settings.history * _NS)

    async def _followed(self) -> AsyncGenerator[Reading, None]:
        """One life of journalctl. Raises Unreachable when it is over."""
        try:
            child = await asyncio.create_subprocess_exec(
                self._settings.program,
                *self._argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=os.environ | {"LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            )
        except OSError as error:
            raise Unreachable(
                f"{self._settings.program}: {os.strerror(error.errno or 0)}"
            ) from None
        self._said = b""
        listening = asyncio.create_task(self._listen(child), name=f"hear {self._context.name}")
        try:
            async for reading in self._readings(child):
                yield reading
            await child.wait()
            await listening
            raise self._over(child.returncode or 0)
        finally:
            listening.cancel()
            await _ended(child)

    def _argv(self) -> list[str]:
        """Every value is a word of its own, and none can be taken for an option."""
        settings = self._settings
        since = [f"--since=@{self._time_ns // 1000 / 1e6:.6f}"]
        return [
            "--output=export", f"--output-fields={','.join(FIELDS)}", "--follow", "--no-tail",
            *([f"--after-cursor={self._cursor}"] if self._cursor else since),
            *([f"--directory={self._context.base / settings.directory}"]
              if settings.directory else []),
            *(f"--unit={unit}" for unit in settings.units),
            *(f"--identifier={one}" for one in settings.identifiers),
            *([f"--priority={settings.priority}"] if settings.priority else []),
            *settings.matches,
        ]  # fmt: skip

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        """What it complains about is what is wrong, until an entry comes."""
        assert child.stderr is not None  # noqa: S101 - it is a pipe
        while said := await child.stderr.read(_CHUNK_BYTES):
            self._said = (self._said + said)[-_SAID_BYTES:]
            self._context.health.gone(self._context.name, self._complaint)

    @property
    def _complaint(self) -> str:
        return " ".join(self._said.decode(errors="replace").split())

    def _over(self, status: int) -> Unreachable:
        """A cursor that is of no use is given up; then time says where to go on."""
        if self._cursor and status and _LOST_CURSOR.search(self._complaint):
            log.warning("cursor gone part=%s: going on after the time of the last entry: %s",
                        self._context.name, self._complaint)  # fmt: skip
            self._context.count("lost_cursors", 1)
            self._cursor = ""
            self._time_ns += 1000  # the entry itself is known
        ended = f"{self._settings.program} ended with status {status}"
        return Unreachable(f"{ended}: {self._complaint}" if self._said else ended)

    async def _readings(self, child: asyncio.subprocess.Process) -> AsyncIterator[Reading]:
        """Until journalctl ends: what has come, and now and then that nothing did."""
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        loop, reader, over = asyncio.get_running_loop(), ExportReader(FIELDS), False
        told_s = loop.time()
        held: list[Read] = []  # of events that may go on; told with what comes next, or without
        while not over:
            found, over = await self._gathered(child.stdout, reader)
            found = held + found
            whole = len(found) if over else self._finished(found, len(held))
            found, held = found[:whole], found[whole:]
            if found or loop.time() - told_s >= _QUIET_SECS:
                told_s = loop.time()
                yield self._reading(found)

    async def _gathered(
        self, pipe: asyncio.StreamReader, reader: ExportReader
    ) -> tuple[list[Read], bool]:
        """What comes within ``every``, and whether that was all."""
        found: list[Read] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.every):
                while len(found) < _MOST:
                    data = await pipe.read(_CHUNK_BYTES)
                    if not data:
                        return found, True
                    found += self._entries(reader, data)
        return found, False

    def _finished(self, found: Sequence[Read], held: int) -> int:
        now_ns = int(self._context.clock() * _NS)
        if len(found) - held >= _MOST:  # there is more to be read at once
            now_ns = min(now_ns, found[-1].time_ns)
        return finished(found, now_ns - _GOES_ON_NS, held)

    def _entries(self, reader: ExportReader, data: bytes) -> list[Read]:
        """Raises Unreachable on what is no journal."""
        try:
            entries = [read(one, self._settings.labels) for one in reader.feed(data)]
        except ValueError as error:
            raise Unreachable(str(error)) from None
        self._context.count("cut_lines", reader.cut)
        reader.cut = 0
        return [one for one in entries if one is not None]

    def _reading(self, found: Sequence[Read]) -> Reading:
        now_s = self._context.clock()
        every_secs = float(self._settings.every)
        old = [one for one in found if one.time_ns < self._live_ns]
        new = [one for one in found if one.time_ns >= self._live_ns]
        if found:
            self._cursor, self._time_ns = found[-1].cursor, found[-1].time_ns
            self._context.health.back(self._context.name)
        self._context.count("lines", len(found))
        batches = chain(
            ticks(lines(old), now_s, every_secs, history=True), ticks(lines(new), now_s, every_secs)
        )
        items = tuple(batches) or (LogBatch(now_s, ()),)
        return Reading((*items, *self._changes(found)), self._position())

    def _changes(self, found: Sequence[Read]) -> list[Change]:
        if not self._settings.restarts:
            return []
        changes = self._restarts.changes([one.event for one in found if one.event is not None])
        self._context.count("restarts_left_out", self._restarts.left_out)
        self._restarts.left_out = 0
        return changes

    def _position(self) -> Position:
        return {"cursor": self._cursor, "time_ns": self._time_ns, "live_ns": self._live_ns}


async def _ended(child: asyncio.subprocess.Process) -> None:
    """It is asked to end, and made to where it does not."""
    with suppress(ProcessLookupError, TimeoutError):
        child.terminate()
        async with asyncio.timeout(_STOP_SECS):
            await child.wait()
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
