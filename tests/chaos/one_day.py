"""A fleet that lives a day: its metrics and logs as a source, and what is written about it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

from aiopsd.contracts import Clock, Notifier, NotifierContext, Series
from aiopsd.model import Batch, Event, Incident, LogBatch, LogLine, Position, Reading, Run
from aiopsd.notifiers.said import Said, as_json, digest

HOUR_SECS, DAY_SECS = 3600.0, 86400.0
PODS, SERVICES = 200, 20  # five series a pod, and one a service
CHURN = 0.1  # of the pods, an hour
FAULT_SECS = 300.0  # in every hour

RULES = """
pack: fleet
rules:
  - {id: load, select: load, by: [pod, service], kind: saturation, severity: info,
     detector: {type: band, direction: up, floor: 5}}
  - {id: rate, select: requests_total, as: rate, by: [service], window: 5m, kind: traffic,
     severity: info, detector: {type: band, floor: 100}}
  - {id: there, select: load, by: [pod, service], kind: stale, severity: info,
     detector: {type: absent, after: 5m, forget: 1h}}
  - {id: errors, select: errors, by: [service], for: 30s, kind: error-rate, severity: critical,
     detector: {type: threshold, above: 0.5}}
  - {id: release, select: build_info, by: [pod, version], entity: [pod],
     change: {label: version}}
  - {id: strange, select: log_lines, by: [service, template], kind: log-novelty, severity: info,
     detector: {type: novel}}
"""

PLAYBOOK = """
playbook: v1
name: cure
owner: the test
mode: auto
on: [{incident: error-rate}]
target: {kind: service, id: "${root.service}"}
guard: {cooldown: 1m}
steps:
  - {id: act, do: command.run, with: {argv: ["true"]}, timeout: 10m, undo: none}
verify:
  after: 30s
  every: 15s
  within: 10m
  passes: 2
  checks:
    - {name: errors, rule: errors, where: {service: "${root.service}"}, expect: value < 0.5}
on_failure: {rollback: never, then: notify}
"""


class Fleet:
    """A source. Pods go and come, releases too, and every hour a service falls ill for a while."""

    def __init__(self, table: Series, clock: Clock, every_secs: float) -> None:
        self._table = table
        self._clock = clock
        self._every_secs = every_secs
        self._random = np.random.default_rng(7)
        self._born_s = clock()
        self._ticks = 0

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        while True:
            await asyncio.sleep(self._every_secs - self._clock() % self._every_secs)
            now_s = self._clock()
            self._ticks += 1
            yield Reading((self._numbers(now_s), self._lines(now_s)), {"time": now_s})

    async def commit(self, position: Position) -> None:
        """It is not read twice."""

    def _numbers(self, now_s: float) -> Batch:
        found: dict[int, float] = {}
        age_h = (now_s - self._born_s) / HOUR_SECS
        day = 1 + 0.5 * math.sin(now_s / DAY_SECS * 2 * math.pi)
        ill = int(age_h) % SERVICES if now_s % HOUR_SECS < FAULT_SECS and age_h > 0.5 else -1
        first = int(age_h * CHURN * PODS)
        noise = iter(self._random.normal(size=2 * PODS + SERVICES))
        for pod in range(first, first + PODS):
            service = f"s{pod % SERVICES}"
            labels = {"pod": f"p{pod}", "service": service}
            sick = 3.0 if pod % SERVICES == ill else 1.0
            for name, value in (
                ("load", sick * day * (10 + next(noise))),
                ("requests_total", 6000.0 * self._ticks + pod),
                ("memory_bytes", 1e6 * (10 + next(noise))),
            ):
                found[self._table.intern("", {"__name__": name, **labels})] = value
            version = {"version": f"v{int(age_h + pod / 10)}", "__name__": "build_info"}
            found[self._table.intern("", version | labels)] = 1.0
            edge = {"client": service, "server": f"pod-{pod}"}
            found[self._table.intern("", {"__name__": "calls", **edge})] = 1.0
        for one in range(SERVICES):
            labels = {"service": f"s{one}"}
            errors = float(one == ill)
            found[self._table.intern("", {"__name__": "errors", **labels})] = errors
        series = np.fromiter(found.keys(), np.int32, len(found))
        return Batch("", now_s, series, np.fromiter(found.values(), np.float64, len(found)))

    def _lines(self, now_s: float) -> LogBatch:
        """Most are of a kind that was there before; now and then there is a new word."""
        lines = []
        for one in range(SERVICES):
            word = "cache" if self._random.random() > 0.002 else f"thing-{chr(97 + one)}"
            word += "x" * (self._ticks % 50 == 0) * (self._ticks // 50 % 10)
            text = f"info {word} served {self._ticks} for {one}.5 ms"
            lines.append(LogLine(int(now_s * 1e9), {"service": f"s{one}"}, text))
        return LogBatch(now_s, tuple(lines))


@dataclass(frozen=True)
class TellerSettings:
    """A notifier that journals what it said, as the real ones do, and says it to nobody."""

    def build(self, context: NotifierContext) -> Notifier:
        return Teller(context)


class Teller:
    def __init__(self, context: NotifierContext) -> None:
        self._said = Said(context)
        self.told = 0

    async def notify(self, event: Event) -> None:
        if isinstance(event, Incident | Run):
            mark = digest(as_json(event))
            if mark != self._said.digest(event.id):
                await self._said.record(event.id, digest=mark)
                self.told += 1

    async def close(self) -> None: ...
