"""Log batches to counts of raw series: ``log_lines{service, level, template, ...}``.

Pure. A series that has been silent counts zero for an hour, so that a rate can fall; then it
is no longer mentioned.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import numpy as np

from aiopsd.contracts import Series
from aiopsd.logs.lines import MAX_CHARS, read_line
from aiopsd.logs.redaction import redact
from aiopsd.logs.templates import Templates
from aiopsd.model import Batch, Labels, LogBatch, LogLine

ENTITY = ("service", "job", "app", "namespace", "pod", "container", "unit", "host", "instance")
NAME = "log_lines"
SILENT_SECS = 3600.0
SAMPLE_CHARS = 300


class _State(msgspec.Struct):
    """What a checkpoint holds."""

    templates: bytes
    seen: dict[int, float]
    samples: dict[str, str]
    time_s: float


class Miner:
    """One configuration for every log."""

    def __init__(self, table: Series, max_templates: int = 2000) -> None:
        self._table = table
        self._templates = Templates(max_templates)
        self._seen: dict[int, float] = {}  # series -> when it last had a line
        self._samples: OrderedDict[str, str] = OrderedDict()
        self._time_s = 0.0

    def feed(self, batch: LogBatch) -> Batch:
        """One tick: how many lines of each series; known ones without a line count zero."""
        # Two batches within one clock tick are still two ticks.
        self._time_s = max(batch.time_s, float(np.nextafter(self._time_s, np.inf)))
        counts = dict.fromkeys(self._lately(), 0)
        for line in batch.lines:
            index = self._series(line)
            if index >= 0:
                counts[index] = counts.get(index, 0) + 1
                self._seen[index] = self._time_s
        series = np.fromiter(counts, np.int32, len(counts))
        values = np.fromiter(counts.values(), np.float64, len(counts))
        return Batch("", self._time_s, series, values, batch.history)

    def sample(self, template: str) -> str:
        """The newest line of this template, without its secrets; empty when there is none."""
        return self._samples.get(template, "")

    def _series(self, line: LogLine) -> int:
        text = redact(line.text[:MAX_CHARS])
        read = read_line(text, line.labels)
        template = self._templates.name(read.message)
        self._samples[template] = text[:SAMPLE_CHARS]
        self._samples.move_to_end(template)
        if len(self._samples) > self._templates.limit + 1:
            self._samples.popitem(last=False)
        labels: Labels = {k: line.labels[k] for k in ENTITY if line.labels.get(k)}
        labels |= {"__name__": NAME, "level": read.level or "unknown", "template": template}
        return self._table.intern("", labels)

    def _lately(self) -> list[int]:
        gone = [i for i, seen_s in self._seen.items() if seen_s < self._time_s - SILENT_SECS]
        for index in gone:
            del self._seen[index]
        return list(self._seen)

    def save(self) -> bytes:
        state = _State(self._templates.save(), self._seen, dict(self._samples), self._time_s)
        return msgspec.msgpack.encode(state)

    def load(self, saved: bytes) -> None:
        """Raises ValueError (msgspec's) on what is no saved state."""
        state = msgspec.msgpack.decode(saved, type=_State)
        self._templates.load(state.templates)
        self._seen, self._time_s = state.seen, state.time_s
        self._samples = OrderedDict(state.samples)
