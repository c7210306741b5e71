"""What comes in and what goes out, without what nobody should keep."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from aiopsd.model import Event, LogBatch, LogLine, Run
from aiopsd.redaction import Redactor

E = TypeVar("E", bound=Event)


class Cleaning:
    """Lines before they are mined, events before they are journalled and told."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

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
