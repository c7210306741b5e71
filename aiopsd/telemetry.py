"""How the daemon shows itself: log lines, counters, and who is gone or back.

One line per fact, key=value on a terminal, JSON under systemd. Counters follow the Prometheus
naming rules: ``aiopsd_<noun>_<unit>_total``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from aiopsd.contracts import Clock

log = logging.getLogger("aiopsd")


MAX_CHARS = 8_192  # of a message; a title holds what labels say, and they may say a megabyte


class PlainLines(logging.Formatter):
    """For people on a terminal: what labels and lines hold can neither steer it nor look like a
    line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        lines = super().formatMessage(record)[:MAX_CHARS].split("\n")
        return "\n    ".join(line if line.isprintable() else _tame(line) for line in lines)


def _tame(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class JsonLines(logging.Formatter):
    """One JSON object a line; journald keeps the time itself, others need it too."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_CHARS],
        }
        if record.exc_info:
            line["exception"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(level: str = "info") -> None:
    """JSON when systemd reads us (JOURNAL_STREAM), plain for people."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(PlainLines("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


@contextmanager
def cleaned_logs(clean: Callable[[str], str]) -> Iterator[None]:
    """For the length of the block nothing is logged that ``clean`` takes out."""
    formatter = logging.Formatter()

    def cleaned(record: logging.LogRecord) -> bool:
        record.msg, record.args = clean(record.getMessage()), None
        if record.exc_info:
            record.exc_text = clean(formatter.formatException(record.exc_info))
        return True

    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(cleaned)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(cleaned)


@dataclass
class Telemetry:
    """Counters and gauges by (name, part), and the health of every part that can go away."""

    clock: Clock
    counters: dict[tuple[str, str], float] = field(default_factory=dict)
    gauges: dict[tuple[str, str], Callable[[], float]] = field(default_factory=dict)
    clean: Callable[[str], str] = str  # what of a reason may be said
    gone: dict[str, tuple[float, str]] = field(default_factory=dict)  # part -> since, reason
    well: set[str] = field(default_factory=set)  # parts whose last word was a good one

    def count(self, what: str, amount: float = 1.0, part: str = "") -> None:
        key = (what, part)
        self.counters[key] = self.counters.get(key, 0.0) + amount

    def counting(self, part: str) -> Callable[[str, float], None]:
        return lambda what, amount: self.count(what, amount, part)

    def gauge(self, what: str, read: Callable[[], float], part: str = "") -> None:
        self.gauges[what, part] = read

    def went(self, part: str, reason: str) -> None:
        """Logs once, when the part goes away; later reasons only replace the one shown."""
        since, reason = self.gone.get(part, (self.clock(), ""))[0], self.clean(reason)
        if part not in self.gone:
            log.warning("gone part=%s reason=%s", part, reason)
            self.count("gone", 1, part)
        self.gone[part] = (since, reason)
        self.well.discard(part)

    def came(self, part: str) -> None:
        self.well.add(part)
        if part in self.gone:
            since, _ = self.gone.pop(part)
            log.info("back part=%s after=%.0fs", part, self.clock() - since)

    def silent(self, parts: Collection[str]) -> set[str]:
        """Which of these parts are gone altogether.

        One of many targets (``part/target``) is there as long as one of them answers.
        """
        gone, well = ({name.split("/")[0] for name in names} for names in (self.gone, self.well))
        return (gone - well) & set(parts)

    def exposition(self) -> str:
        """Prometheus text format 0.0.4."""
        gauges = {key: read() for key, read in self.gauges.items()}
        gauges |= {("part_gone", part): 1.0 for part in self.gone}
        lines: list[str] = []
        for kind, ending, values in (("counter", "_total", self.counters), ("gauge", "", gauges)):
            for what, family in groupby(sorted(values.items()), lambda one: one[0][0]):
                lines.append(f"# TYPE aiopsd_{what}{ending} {kind}")
                for (_, part), value in family:
                    labels = f'{{part="{_escaped(part)}"}}' if part else ""
                    lines.append(f"aiopsd_{what}{ending}{labels} {value:.17g}")
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
