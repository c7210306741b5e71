"""Log batches to counts of raw series: ``log_lines{service, level, template, ...}``.

Pure. A series without a line counts zero, so that a rate can fall; after an hour of silence it
is no longer mentioned.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import numpy as np

from aiopsd.contracts import Series
from aiopsd.failure_words import fails
from aiopsd.logs.entity import service_of
from aiopsd.logs.lines import MAX_CHARS, UNKNOWN, level_of
from aiopsd.logs.odd_sessions import OddSessions
from aiopsd.logs.reader import Known, Reader
from aiopsd.logs.templates import OTHER, Templates
from aiopsd.model import Batch, Labels, LogBatch, LogLine
from aiopsd.redaction.unkeyed import redact
from aiopsd.rows import pack, unpack

ENTITY: Final = (
    "service", "job", "app", "namespace", "pod", "container", "unit", "host", "instance",
)  # fmt: skip
PROGRAM: Final = ("job", "app", "namespace", "container", "unit", "filename")
NAME: Final = "log_lines"
OTHERS: Final = "<other>"  # lines of templates that the full table has no room for
KEEP_SECS: Final = 86400.0  # a full table forgets what was not seen for a day
SILENT_SECS: Final = 3600.0  # a series silent for longer is dropped
QUIET_SECS: Final = 5.0  # a stream that is not in the batch may be another source's
SAMPLE_CHARS, READ_CHARS = 300, 1024  # of a line that is kept for people, and read for it
MAX_NAME_CHARS: Final = 200
MAX_FAILED: Final = 1000  # streams whose newest failure is known


class Miner:
    """One configuration for every log. ``entity``: labels of a stream that its series keep;
    ``clean``: takes secrets out of a line, where nobody has before."""

    def __init__(
        self,
        table: Series,
        max_templates: int = 2000,
        entity: tuple[str, ...] = ENTITY,
        clean: Callable[[str], str] = redact,
        sessions: Literal[False] | str | None = False,
    ) -> None:
        self._table, self._entity, self._clean = table, entity, clean
        self._reader = Reader(Templates(max_templates, KEEP_SECS), clean)
        self.odd: OddSessions | None = None
        if sessions is not False:
            self.odd = OddSessions(table, self._reader.templates, clean, sessions)
        self._names: dict[int, str] = {}  # template -> its text when it was first told
        self._named: dict[str, int] = {}  # the other way round
        self._seen: dict[int, float] = {}  # series -> when it last had a line
        self._told: dict[int, float] = {}  # series -> when it was last counted, zero or not
        self._samples: dict[str, str] = {}  # template -> newest line
        self._failures: dict[tuple[tuple[str, str], ...], str] = {}  # by stream
        self._time_s = 0.0

    def feed(self, batch: LogBatch) -> Batch:
        """One tick: how many lines of each series. Zero are those without one whose stream is
        in the batch, or was not counted for five seconds."""
        # Two batches within one clock tick are still two ticks.
        now = self._time_s = max(batch.time_s, float(np.nextafter(self._time_s, np.inf)))
        labels = {id(line.labels): line.labels for line in batch.lines}
        streams = {stream: self._stream(one) for stream, one in labels.items()}
        seen: Counter[tuple[int, Known]] = Counter()
        newest: dict[str, str] = {}
        read: list[tuple[LogLine, Known]] = []
        for program, lines in _by_program(batch.lines).items():
            texts = [line.text[:MAX_CHARS].encode(errors="replace") for line in lines]
            found = self._reader.read(texts, program, now)
            if self.odd:
                read += zip(lines, found, strict=True)
            for line, known in zip(lines, found, strict=True):
                newest[self._name(known.template)] = line.text
                seen[id(line.labels), known] += 1
        counts: Counter[int] = Counter()
        for (stream, known), n in seen.items():
            told = self._labels(streams[stream], labels[stream], known)
            counts[self._table.intern("", told)] += n
        del counts[-1]  # the table is full
        self._seen |= dict.fromkeys(counts, now)
        counts.update(dict.fromkeys(self._silent(streams.values(), now), 0))
        self._told |= dict.fromkeys(counts, now)
        self._keep(newest)
        if self.odd:
            counts.update(self.odd.feed(read, now, history=batch.history))
        series = np.fromiter(counts, np.int32, len(counts))
        values = np.fromiter(counts.values(), np.float64, len(counts))
        return Batch("", now, series, values, batch.history)

    def failure(self, labels: Mapping[str, str]) -> str:
        """The newest line that speaks of failure, of streams with these labels; since a start."""
        wanted = {name: value for name, value in labels.items() if name in self._entity}
        found = (template for stream, template in reversed(self._failures.items())
                 if wanted.items() <= dict(stream).items())  # fmt: skip
        return self.sample(next(found, "")) if wanted else ""

    def sample(self, template: str) -> str:
        """The newest line of this template, without its secrets; empty when there is none."""
        return self._samples.get(template, "")

    def reads(self, name: str) -> str:
        """A template as it reads by now, of the name that it was given when it was new."""
        known = self._reader.templates
        text = known.text(self._named.get(name, OTHER)).strip()[:MAX_NAME_CHARS]
        return text or name

    def _name(self, template: int) -> str:
        """Readable, and the same for ever: what it was when a batch first had it."""
        template = self._reader.templates.canon(template)
        name = self._names.get(template)
        if name is None:
            if template == OTHER:
                return OTHERS
            if len(self._names) > 2 * self._reader.templates.limit:
                self._forget_names()
            text = self._reader.templates.text(template).strip() or "<empty>"
            name = text[:MAX_NAME_CHARS]
            if (
                self._named.get(name, OTHER) in self._reader.templates
            ):  # told apart by what is hidden
                name = f"{name[: MAX_NAME_CHARS - 12]} #{template}"
            self._names[template], self._named[name] = name, template
        return name

    def _forget_names(self) -> None:
        known = self._reader.templates
        self._names = {number: name for number, name in self._names.items() if number in known}
        self._named = {name: number for number, name in self._names.items()}

    def _labels(self, stream: Labels, labels: Labels, known: Known) -> Labels:
        kept = dict(stream)
        if known.service and not labels.get("service"):  # it knows better than other labels
            kept["service"] = known.service
        level = level_of(labels) or known.level or UNKNOWN
        template = self._name(known.template)
        if fails(template, level):
            self._failed(kept, template)
            kept["speaks"] = "failure"
        return kept | {"__name__": NAME, "level": level, "template": template}

    def _failed(self, stream: Labels, template: str) -> None:
        key = tuple(sorted(stream.items()))
        self._failures.pop(key, None)
        self._failures[key] = template
        if len(self._failures) > MAX_FAILED:
            del self._failures[next(iter(self._failures))]

    def _stream(self, labels: Labels) -> Labels:
        kept = {name: labels[name] for name in self._entity if labels.get(name)}
        if "service" not in kept and "service" in self._entity and (name := service_of(labels)):
            kept["service"] = name
        return kept

    def _silent(self, here: Iterable[Labels], now: float) -> list[int]:
        for index in [i for i, seen_s in self._seen.items() if seen_s < now - SILENT_SECS]:
            del self._seen[index], self._told[index]
        silent = [index for index, seen_s in self._seen.items() if seen_s < now]
        if not silent:
            return silent
        streams, told = {frozenset(one.items()) for one in here}, self._told
        return [
            index
            for index in silent
            if now - told[index] >= QUIET_SECS or self._stream_of(index) in streams
        ]

    def _stream_of(self, index: int) -> frozenset[tuple[str, str]]:
        return frozenset(self._stream(self._table.labels(index)).items())

    def _keep(self, newest: Mapping[str, str]) -> None:
        for template, text in newest.items():
            self._samples.pop(template, None)
            self._samples[template] = self._sample(text)
        while len(self._samples) > self._reader.templates.limit + 1:
            del self._samples[next(iter(self._samples))]

    def _sample(self, text: str) -> str:
        """The last word of a cut text may be half a secret that no longer looks like one."""
        clean = self._clean(text[:READ_CHARS])
        if len(text) > READ_CHARS:
            clean = clean.rpartition(" ")[0]
        return clean[:SAMPLE_CHARS]

    def rewind(self, now_s: float) -> None:
        """The clock was ahead when these lines came: none of them is newer than now."""
        self._time_s = min(self._time_s, now_s)
        self._reader.templates.rewind(now_s)
        if self.odd:
            self.odd.rewind(now_s)
        for times in (self._seen, self._told):
            times.update((index, min(time_s, now_s)) for index, time_s in times.items())

    def save(self) -> bytes:
        state = (self._names, self._seen, self._told, self._samples, self._time_s)
        return pack("miner", 2, self._reader.save(), *state)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state. The table must hold the same series."""
        shape = tuple[
            bytes, dict[int, str], dict[int, float], dict[int, float], dict[str, str], float
        ]
        reader, names, seen, told, samples, time_s = unpack("miner", 2, saved, shape)
        self._reader.load(reader)
        self._names, self._named = names, {name: number for number, name in names.items()}
        self._seen, self._told, self._samples, self._time_s = seen, told, samples, time_s


def _by_program(lines: Iterable[LogLine]) -> dict[str, list[LogLine]]:
    """Lines of one program look alike, wherever it runs."""
    programs: dict[int, str] = {}
    found: defaultdict[str, list[LogLine]] = defaultdict(list)
    for line in lines:
        program = programs.get(id(line.labels))
        if program is None:
            parts = [service_of(line.labels), *(line.labels.get(name, "") for name in PROGRAM)]
            program = programs[id(line.labels)] = "/".join(parts)
        found[program].append(line)
    return found
