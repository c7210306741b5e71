"""Log batches to counts of raw series: ``log_lines{service, level, template, ...}``.

Pure. A series without a line counts zero, so that a rate can fall; after an hour of silence it
is no longer mentioned.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from aiopsd.contracts import Series
from aiopsd.logs import mask
from aiopsd.logs.lines import MAX_CHARS, UNKNOWN, level_of, read_line
from aiopsd.logs.redaction import redact
from aiopsd.logs.templates import Templates
from aiopsd.model import Batch, Labels, LogBatch
from aiopsd.rows import pack, unpack

ENTITY: Final = (
    "service", "job", "app", "namespace", "pod", "container", "unit", "host", "instance",
)  # fmt: skip
NAME: Final = "log_lines"
SILENT_SECS: Final = 3600.0  # a series silent for longer is dropped
QUIET_SECS: Final = 5.0  # a stream that is not in the batch may be another source's
SAMPLE_CHARS, READ_CHARS = 300, 1024  # of a line that is kept for people, and read for it
MAX_CACHED: Final = 20_000

_HEX: Final = re.compile(r"\b[0-9a-f]{8}[0-9a-f-]*")
_Known = tuple[str, str, str]  # level, template, service: what the text alone says


class Miner:
    """One configuration for every log. ``entity``: labels of a stream that its series keep."""

    def __init__(
        self, table: Series, max_templates: int = 2000, entity: tuple[str, ...] = ENTITY
    ) -> None:
        self._table, self._entity = table, entity
        self._templates = Templates(max_templates)
        self._cache: dict[int, _Known] = {}  # hash of a line without its digits
        self._seen: dict[int, float] = {}  # series -> when it last had a line
        self._told: dict[int, float] = {}  # series -> when it was last counted, zero or not
        self._samples: dict[str, str] = {}  # template -> newest line
        self._time_s = 0.0

    def feed(self, batch: LogBatch) -> Batch:
        """One tick: how many lines of each series. Zero are those without one whose stream is
        in the batch, or was not counted for five seconds."""
        # Two batches within one clock tick are still two ticks.
        now = self._time_s = max(batch.time_s, float(np.nextafter(self._time_s, np.inf)))
        streams = {id(line.labels): line.labels for line in batch.lines}
        seen: Counter[tuple[int, _Known]] = Counter()
        newest: dict[str, str] = {}
        for line in batch.lines:
            known = self._read(line.text[:MAX_CHARS], now)
            newest[known[1]] = line.text
            seen[id(line.labels), known] += 1
        counts: Counter[int] = Counter()
        for (stream, known), lines in seen.items():
            counts[self._table.intern("", self._labels(streams[stream], known))] += lines
        del counts[-1]  # the table is full
        self._seen |= dict.fromkeys(counts, now)
        counts.update(dict.fromkeys(self._silent(streams.values(), now), 0))
        self._told |= dict.fromkeys(counts, now)
        self._keep(newest)
        series = np.fromiter(counts, np.int32, len(counts))
        values = np.fromiter(counts.values(), np.float64, len(counts))
        return Batch("", now, series, values, batch.history)

    def sample(self, template: str) -> str:
        """The newest line of this template, without its secrets; empty when there is none."""
        return self._samples.get(template, "")

    def _read(self, text: str, now: float) -> _Known:
        """Most lines differ from a known one by digits and ids only. What is cached is a hash:
        a line may hold secrets."""
        key = _digitless(text)
        known = self._cache.get(key)
        if known is None:
            key = _digitless(_HEX.sub("", text))
            known = self._cache.get(key)
        if known is None or known[1] not in self._templates:
            said = read_line(redact(text))
            template = self._templates.name(mask.words(said.message), now)
            known = said.level, template, said.service
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[key] = known
        self._templates.touch(known[1], now)
        return known

    def _labels(self, labels: Labels, known: _Known) -> Labels:
        level, template, service = known
        kept = self._stream(labels)
        if service and "service" not in kept:
            kept["service"] = service
        level = level_of(labels) or level or UNKNOWN
        return kept | {"__name__": NAME, "level": level, "template": template}

    def _stream(self, labels: Labels) -> Labels:
        return {name: labels[name] for name in self._entity if labels.get(name)}

    def _silent(self, streams: Iterable[Labels], now: float) -> list[int]:
        for index in [i for i, seen_s in self._seen.items() if seen_s < now - SILENT_SECS]:
            del self._seen[index], self._told[index]
        here = [self._stream(labels) for labels in streams]
        return [
            index
            for index, seen_s in self._seen.items()
            if seen_s < now
            and (now - self._told[index] >= QUIET_SECS or self._stream_of(index) in here)
        ]

    def _stream_of(self, index: int) -> Labels:
        return self._stream(self._table.labels(index))

    def _keep(self, newest: Mapping[str, str]) -> None:
        for template, text in newest.items():
            self._samples.pop(template, None)
            self._samples[template] = _sample(text)
        while len(self._samples) > self._templates.limit + 1:
            del self._samples[next(iter(self._samples))]

    def rewind(self, now_s: float) -> None:
        """The clock was ahead when these lines came: none of them is newer than now."""
        self._time_s = min(self._time_s, now_s)
        for times in (self._seen, self._told):
            times.update((index, min(time_s, now_s)) for index, time_s in times.items())

    def save(self) -> bytes:
        state = (self._seen, self._told, self._samples, self._time_s)
        return pack("miner", 1, self._templates.save(), *state)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state. The table must hold the same series."""
        shape = tuple[bytes, dict[int, float], dict[int, float], dict[str, str], float]
        templates, seen, told, samples, time_s = unpack("miner", 1, saved, shape)
        self._templates.load(templates)
        self._cache.clear()
        self._seen, self._told, self._samples, self._time_s = seen, told, samples, time_s


def _sample(text: str) -> str:
    """The last word of a cut text may be half a secret that no longer looks like one."""
    clean = redact(text[:READ_CHARS])
    if len(text) > READ_CHARS:
        clean = clean.rpartition(" ")[0]
    return clean[:SAMPLE_CHARS]


def _digitless(text: str) -> int:
    return hash(text.encode(errors="replace").translate(None, b"0123456789"))
