"""`/tail`: frames of lines as they come, ten at most for one who does not read, the rest dropped.

Source: recordings of a real one, tests/recordings/loki/tail_*.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from . import logql
from .loki_streams import Entry, Stream

BUFFERED, FRAME_LINES, NOTED = 10, 100, 1000
MAX_DELAY_SECS = 5


def refusal(params: Mapping[str, str], upgrade: bool) -> str:
    """Why there is no tail, or nothing; in Loki's words."""
    if int(params.get("delay_for", "0")) > MAX_DELAY_SECS:
        return f"delay_for can't be greater than {MAX_DELAY_SECS}"
    try:
        logql.parse(params.get("query", ""))
    except logql.LogQLError as error:
        return str(error)
    except logql.NotModelled:
        pass
    return "" if upgrade else "Bad Request\n"


@dataclass
class Tail:
    query: logql.LogQuery
    categorize: bool
    frames: asyncio.Queue[Sequence[tuple[Stream, Entry]]] = field(
        default_factory=lambda: asyncio.Queue(BUFFERED)
    )
    dropped: list[tuple[Stream, Entry]] = field(default_factory=list)
    end: tuple[int, str] | None = None
    nonsense: str = ""  # sent in the place of every frame

    def take(self, stream: Stream, entries: Sequence[Entry]) -> None:
        """Never waits: what does not fit is dropped, and beyond a thousand not even noted."""
        if not self.query.selects(stream.labels):
            return
        lines = [(stream, entry) for entry in entries if self.query.keeps(entry.line)]
        for at in range(0, len(lines), FRAME_LINES):
            frame = lines[at : at + FRAME_LINES]
            if self.frames.full():
                self.dropped = (self.dropped + frame)[:NOTED]
            else:
                self.frames.put_nowait(frame)

    async def send(self, socket: web.WebSocketResponse) -> None:
        """Until `close` or the other side ends it."""
        while self.end is None and not socket.closed:
            try:
                async with asyncio.timeout(0.05):
                    lines = await self.frames.get()
            except TimeoutError:
                continue
            dropped, self.dropped = self.dropped, []
            await socket.send_str(self.nonsense or self._frame(lines, dropped))
        if self.end is not None:
            code, reason = self.end
            await socket.close(code=code, message=reason.encode())

    def _frame(
        self, lines: Sequence[tuple[Stream, Entry]], dropped: Sequence[tuple[Stream, Entry]]
    ) -> str:
        frame: dict[str, Any] = {"streams": [self._shown(*pair) for pair in lines]}
        if dropped:
            frame["dropped_entries"] = [
                {"timestamp": str(entry.ns), "labels": stream.labels} for stream, entry in dropped
            ]
        if self.categorize:
            frame["encodingFlags"] = ["categorize-labels"]
        return msgspec.json.encode(frame).decode()

    def _shown(self, stream: Stream, entry: Entry) -> dict[str, Any]:
        """One stream a line."""
        value: list[Any] = [str(entry.ns), entry.line]
        if self.categorize:
            value.append({"structuredMetadata": dict(entry.metadata)})
        return {"stream": stream.labels, "values": [value]}
