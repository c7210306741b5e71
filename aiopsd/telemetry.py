"""How the daemon shows itself: log lines, counters, and who is gone or back.

One line per fact, key=value on a terminal, JSON under systemd. Counters follow the Prometheus
naming rules: ``aiopsd_<noun>_<unit>_total``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from aiopsd.contracts import Clock

log = logging.getLogger("aiopsd")


class JsonLines(logging.Formatter):
    """One JSON object a line; journald keeps the time itself, others need it too."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(level: str = "info") -> None:
    """JSON when systemd reads us (JOURNAL_STREAM), plain for people."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


@dataclass
class Telemetry:
    """Counters and gauges by (name, part), and the health of every part that can go away."""

    clock: Clock
    counters: dict[tuple[str, str], float] = field(default_factory=dict)
    gauges: dict[str, Callable[[], float]] = field(default_factory=dict)
    gone: dict[str, tuple[float, str]] = field(default_factory=dict)  # part -> since, reason
    well: set[str] = field(default_factory=set)  # parts whose last word was a good one

    def count(self, what: str, amount: float = 1.0, part: str = "") -> None:
        key = (what, part)
        self.counters[key] = self.counters.get(key, 0.0) + amount

    def counting(self, part: str) -> Callable[[str, float], None]:
        return lambda what, amount: self.count(what, amount, part)

    def went(self, part: str, reason: str) -> None:
        """Logs once, when the part goes away; later reasons only replace the one shown."""
        since = self.gone.get(part, (self.clock(), ""))[0]
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
        lines: list[str] = []
        for name in sorted({what for what, _ in self.counters}):
            lines.append(f"# TYPE aiopsd_{name}_total counter")
            for (what, part), value in sorted(self.counters.items()):
                if what == name:
                    labels = f'{{part="{_escaped(part)}"}}' if part else ""
                    lines.append(f"aiopsd_{name}_total{labels} {value:.17g}")
        for name, read in sorted(self.gauges.items()):
            lines += [f"# TYPE aiopsd_{name} gauge", f"aiopsd_{name} {read():.17g}"]
        lines.append("# TYPE aiopsd_part_gone gauge")
        lines += [f'aiopsd_part_gone{{part="{_escaped(part)}"}} 1' for part in sorted(self.gone)]
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
