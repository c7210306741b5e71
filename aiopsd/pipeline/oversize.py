"""Series whose labels are longer than any name: dropped, counted, and said once a source."""

from __future__ import annotations

from aiopsd.model import MOST_LABEL_BYTES, Labels
from aiopsd.telemetry import Telemetry, log

SHOWN = 60  # characters of a name


class Oversize:
    """What the table tells of them."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._told: set[str] = set()

    def __call__(self, source: str, labels: Labels) -> None:
        part = source.partition("/")[0]
        self._telemetry.count("oversize_series", 1, part)
        if part in self._told:
            return
        self._told.add(part)
        longest = max(labels, key=lambda name: len(name) + len(labels[name]))
        log.warning(
            "dropped part=%s series=%s: its labels are more than %d bytes, most of them in %s",
            part, labels.get("__name__", "")[:SHOWN], MOST_LABEL_BYTES, longest[:SHOWN],
        )  # fmt: skip
