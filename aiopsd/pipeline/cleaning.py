"""What comes in and what goes out, without what nobody should keep."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from aiopsd.model import Anomaly, Change, Event, Item, LogBatch, LogLine, Run
from aiopsd.redaction import Redactor

E = TypeVar("E", bound=Event)


class Cleaning:
    """Lines before they are mined, events before they are journalled and told."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def item(self, item: Item) -> Item:
        """The same where all of it may be known."""
        match item:
            case LogBatch():
                return self.lines(item)
            case Anomaly() | Change():
                return self.event(item)
        return item

    def stored(self, item: Item) -> Item:
        """The same where all of it may be stored: of lines their labels as well, which otherwise
        stay here."""
        item = self.item(item)
        if not isinstance(item, LogBatch):
            return item
        streams = {id(line.labels): line.labels for line in item.lines}
        said = list(streams.values())
        clean = self._redactor.streams(said)
        if clean is said:
            return item
        labels = dict(zip(streams, clean, strict=True))
        lines = (LogLine(one.time_ns, labels[id(one.labels)], one.text) for one in item.lines)
        return LogBatch(item.time_s, tuple(lines), item.history)

    def lines(self, batch: LogBatch) -> LogBatch:
        """The same batch where all its lines may be kept; a very long line is cut."""
        said = [line.text for line in batch.lines]
        clean = self._redactor.lines(said)
        if clean is said:
            return batch
        lines = tuple(
            line if line.text is text else LogLine(line.time_ns, line.labels, text)
            for line, text in zip(batch.lines, clean, strict=True)
        )
        return LogBatch(batch.time_s, lines, batch.history)

    def event(self, event: E) -> E:
        """The same event where all of it may be kept."""
        said = msgspec.to_builtins(event)
        clean = self._redactor.tree(said)
        if clean == said:
            return event
        cleaned = msgspec.convert(clean, type(event))
        if isinstance(event, Run) and isinstance(cleaned, Run) and _given(event) != _given(cleaned):
            return replace(cleaned, redacted=True)
        return cleaned


def _given(run: Run) -> Any:
    return run.params, [step.inputs for step in run.steps]
