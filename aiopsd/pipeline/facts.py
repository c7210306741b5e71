"""What the page, the service manager and the gate may ask of the house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiopsd.pipeline import Pipeline
from aiopsd.pipeline.listening import Listening
from aiopsd.remediation.halt import HaltFile

STILL_SECS = 15.0  # ticks come every second


class Facts:
    """See ``web.api.Facts``."""

    def __init__(self, pipeline: Pipeline, listening: Listening, halts: HaltFile) -> None:
        self._pipeline, self._listening, self._halts = pipeline, listening, halts
        self._telemetry = pipeline.telemetry
        self._gauges()

    def alive(self) -> str:
        secs = self._pipeline.still_secs
        return f"the pipeline has not moved for {secs:.0f} s" if secs > STILL_SECS else ""

    def ready(self) -> str:
        """It can see by at least one source; what it cannot see is named in /metrics."""
        sources = self._pipeline.sources
        if sources and self._telemetry.silent(sources) == set(sources):
            return "no source answers: " + "; ".join(
                f"{name}: {why}" for name, (_, why) in self._telemetry.gone.items()
            )
        return self.alive()

    def exposition(self) -> str:
        return self._telemetry.exposition()

    def listing(self, what: str) -> list[Any] | None:
        state = self._pipeline.state
        rooms: Mapping[str, Any] = {
            "incidents": lambda: sorted(state.incidents.values(), key=lambda i: -i.opened_s),
            "runs": lambda: sorted(state.runs.values(), key=lambda r: -r.started_s),
            "changes": self._pipeline.ledger.newest,
            "topology": lambda: self._pipeline.correlating.links(self._pipeline.clock()),
            "decisions": lambda: sorted(state.decisions.values(), key=lambda d: -d.time_s),
            "halts": self._halts.halts,
            "silences": lambda: sorted(state.silences.values(), key=lambda s: -s.created_s),
            "health": lambda: [
                {"part": part, "since_s": since_s, "reason": reason}
                for part, (since_s, reason) in self._telemetry.gone.items()
            ],
            "mute": lambda: [
                {"rule": rule, "reason": why} for rule, why in self._listening.mute.items()
            ],
        }
        return list(rooms[what]()) if what in rooms else None

    def _gauges(self) -> None:
        gauge, detection = self._telemetry.gauge, self._pipeline.detection
        table = detection.table
        gauge("series", table.__len__)
        gauge("series_refused", lambda: float(table.refused))
        gauge("samples_late", lambda: float(table.late))
        gauge("samples", lambda: float(detection.samples))
        gauge("halted", lambda: float(bool(self._halts.halts())))
        state = self._pipeline.state
        incidents = state.incidents
        gauge("incidents_open", lambda: float(sum(not i.closed for i in incidents.values())))
        gauge("incidents_muted", lambda: float(sum(
            i.muted is not None for i in incidents.values() if not i.closed)))  # fmt: skip
        gauge("silences", lambda: float(sum(not s.closed for s in state.silences.values())))
