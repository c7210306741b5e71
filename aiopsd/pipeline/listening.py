"""Rules that cannot judge: no series answers them, or none is what their detector needs.

Such a rule is as quiet as a good one, so it is named, in the log once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping

from aiopsd.contracts import Sparing
from aiopsd.pipeline.detection import Detection, Hearing
from aiopsd.telemetry import Telemetry, log

LOOK_SECS = 15.0
PATIENCE_SECS = 120.0  # groups, histograms and targets come together by and by
AWAY_SECS = 3600.0  # a source that is away for longer is no excuse
TICKS = 2  # of a rule, that it is given at least


class Listening:
    """``mute`` holds each rule that has not been able to judge for long, and why."""

    def __init__(
        self,
        detection: Detection,
        telemetry: Telemetry,
        sources: Mapping[str, Collection[str]],
        every_secs: Mapping[str, float],
    ) -> None:
        """``sources``: by rule, those of which any may have what it looks at."""
        self.heard: Mapping[str, Hearing] = {}
        self.mute: dict[str, str] = {}
        self._detection = detection
        self._telemetry, self._sources = telemetry, sources
        self._patience_secs = {
            rule: max(PATIENCE_SECS, TICKS * secs) for rule, secs in every_secs.items()
        }
        self._since: dict[tuple[str, bool], float] = {}  # rule, whether a source of it is away
        self._named: set[str] = set()
        for rule in every_secs:
            self._gauges(rule)

    def _gauges(self, rule: str) -> None:
        gauge, watch = self._telemetry.gauge, self._detection.watches.get(rule)
        gauge("rule_series", lambda: float(self._of(rule).series), rule)
        gauge("rule_mute", lambda: float(rule in self.mute), rule)
        if watch is not None and isinstance(watch.detector, Sparing):
            gauge("samples_beyond", lambda: float(self._of(rule).beyond), rule)

    def _of(self, rule: str) -> Hearing:
        return self.heard.get(rule, Hearing(0))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.heard = await asyncio.to_thread(self._detection.hearing)
            self.look(loop.time())
            await asyncio.sleep(LOOK_SECS)

    def look(self, now: float) -> None:
        found = dict(self._found())
        self._since = {
            (rule, bool(away)): self._since.get((rule, bool(away)), now)
            for rule, (_, away) in found.items()
        }
        self.mute = {
            rule: f"{why}; {away} is away" if away else why
            for rule, (why, away) in found.items()
            if now - self._since[rule, bool(away)] >= self._patience(rule, away)
        }
        for rule, why in self.mute.items():
            if rule not in self._named:
                # That nothing answers may be as it should be: no errors, no new lines.
                level = logging.WARNING if self._of(rule).series else logging.INFO
                log.log(level, "mute rule=%s reason=%s", rule, why)
        for rule in self._named - found.keys():
            log.info("no longer mute rule=%s", rule)
        self._named = (self._named | self.mute.keys()) & found.keys()

    def _patience(self, rule: str, away: str) -> float:
        usual = self._patience_secs.get(rule, PATIENCE_SECS)
        return max(usual, AWAY_SECS) if away else usual

    def _found(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Rules that hear nothing of use, why, and which of their sources are away."""
        for rule, one in self.heard.items():
            if one.lacks:
                yield rule, (f"hears {one.series} series but can judge none: {one.lacks}", "")
            elif not one.series and not one.waits:
                away = sorted(self._telemetry.silent(self._sources.get(rule, ())))
                yield rule, (f"hears no series: {_nothing(one.selected)}", ", ".join(away))


def _nothing(selected: tuple[int, ...]) -> str:
    if not any(selected):
        return "what it asks or selects is not there"
    sides = zip(("select", "over"), selected, strict=False)
    matches = " and ".join(f"`{side}` matches {count}" for side, count in sides)
    return f"{matches}, and no value came of that"
