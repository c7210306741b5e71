"""The stages and their channels, on one screen.

::

    sources ──▶ readings ──▶ detect ──▶ findings ──▶ correlate ──▶ incidents ──▶ heal
                               │                        │                         │
                               ▼                        ▼                         ▼
                            journal                  journal ──▶ outboxes      journal ──▶ outboxes
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from aiopsd.channel import Channel, ChannelClosed
from aiopsd.contracts import Clock, Source, Store, Unasked
from aiopsd.correlation.changes import Ledger
from aiopsd.correlation.own_changes import changes_of
from aiopsd.model import AnyEvent, Change, Decision, Incident, Kept, Reading, Run
from aiopsd.pipeline.correlating import Correlating
from aiopsd.pipeline.detection import Detection, Findings
from aiopsd.pipeline.healing import Healing
from aiopsd.pipeline.keeping import Keeping, unpacked
from aiopsd.pipeline.listening import Listening
from aiopsd.pipeline.state import REMEMBER_SECS, State
from aiopsd.pipeline.telling import Outbox
from aiopsd.pipeline.warming import Warming
from aiopsd.telemetry import Telemetry, log

FORGET_SERIES_SECS, CROWDED_SECS = 86400.0, 3600.0
CHECKPOINT_SHARE = 0.05  # of the time; a large state is saved less often than it should
CLOCK_BACK_SECS = 120.0  # samples that are late by less than this need no new life


@dataclass
class Pipeline:
    """Everything is built and restored; ``run`` connects it and lets it live."""

    sources: Mapping[str, Source]
    detection: Detection
    correlating: Correlating
    healing: Healing
    outboxes: Mapping[str, Outbox]
    store: Store
    state: State
    telemetry: Telemetry
    clock: Clock
    checkpoint_secs: float = 30.0
    keep_secs: float = 90 * 86400.0
    warming: Warming | None = None
    listening: Listening | None = None
    clean: Callable[[AnyEvent], AnyEvent] = lambda event: event
    each_checkpoint: Callable[[float], None] = lambda now_s: None  # noqa: ARG005
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.readings: Channel[tuple[str, Reading] | None] = Channel("readings", 64)  # None: a tick
        self.findings: Channel[Findings] = Channel("findings", 256)
        self.incidents: Channel[Incident | None] = Channel("incidents", 256)
        self._moved = dict.fromkeys(("detect", "correlate"), _monotonic())
        self._snapshots: Channel[Mapping[str, bytes]] = Channel("snapshots", 1)
        self.keeping = Keeping(self.store)
        self._checkpoint_s = self.clock()
        self._checkpoint_begun_s, self._checkpoint_pause_secs = 0.0, self.checkpoint_secs
        self._crowded, self._refused = False, 0
        self._troubled: frozenset[str] = frozenset()
        self.out_of_time = False  # the clock went back: what was learned must be loaded anew
        for channel in (self.readings, self.findings, self.incidents):
            self.telemetry.gauge("queue_depth", channel.__len__, channel.name)
        for name, outbox in self.outboxes.items():
            self.telemetry.gauge("outbox_depth", outbox.__len__, name)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until ``stopping`` is set; then sources stop and the line drains, in order."""
        loop = asyncio.get_running_loop()
        # A reading of a hundred thousand new series takes its time, and is no standstill.
        self.detection.moved = lambda: self._moved.update(detect=loop.time())
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._tick(stopping), name="tick")]
            if self.warming is not None:
                beside.append(group.create_task(self.warming.run(), name="warm start"))
            if self.listening is not None:
                beside.append(group.create_task(self.listening.run(), name="listen"))
            told = [
                group.create_task(outbox.deliver(), name=f"tell {name}")
                for name, outbox in self.outboxes.items()
            ]
            correlate = group.create_task(self._correlate(), name="correlate")
            heal = group.create_task(self._heal(), name="heal")
            keep = group.create_task(self._keep(), name="keep")
            await self._again()
            detect = group.create_task(self._detect(), name="detect")
            readers = [
                group.create_task(self._read(name, source), name=f"read {name}")
                for name, source in self.sources.items()
            ]
            await stopping.wait()
            for task in (*readers, *beside):
                task.cancel()
            await asyncio.wait([*readers, *beside])
            for channel, stage in (
                (self.readings, detect),
                (self.findings, correlate),
                (self.incidents, heal),
            ):
                await channel.close()
                await stage
            for outbox in self.outboxes.values():
                outbox.close()
            await asyncio.gather(*told)
            await self._snapshots.put(await self._snapshot())
            await self._snapshots.close()
            await keep

    @property
    def still_secs(self) -> float:
        """For how long a stage that has work has not moved, by a clock that never jumps.

        Correlation gets a tick every second. Healing waits for other systems, within bounds of
        its own: that it waits says nothing of us.
        """
        if not len(self.readings):
            self._moved["detect"] = _monotonic()
        return _monotonic() - min(self._moved.values())

    async def publish(self, *events: AnyEvent) -> None:
        """Journal first, then everyone who looks at the state, then people."""
        events = tuple(map(self.clean, events))
        done = [change for event in events for change in self._done(event)]
        await self.store.append(*events, *done)
        for change in done:
            self.ledger.add(change)
        for event in events:
            self._log(event)
            self.state.apply(event)
            for outbox in self.outboxes.values():
                outbox.put(event)

    def _done(self, event: AnyEvent) -> list[Change]:
        """What we did ourselves since this run was published last."""
        if not isinstance(event, Run):
            return []
        before = self.state.runs.get(event.id)
        told = {one.id: one for one in changes_of(before)} if before is not None else {}
        return [one for one in changes_of(event) if told.get(one.id) != one]

    def _log(self, event: AnyEvent) -> None:
        """One line for each turn that a person would want to find in the log."""
        match event:
            case Incident():
                before = self.state.incidents.get(event.id)
                if before is None or before.state != event.state:
                    log.info("incident id=%s state=%s severity=%s title=%s",
                             event.id, event.state, event.severity, event.title)  # fmt: skip
            case Run():
                known = self.state.runs.get(event.id)
                if known is None or event.closed:
                    log.info("run id=%s incident=%s playbook=%s target=%s outcome=%s", event.id,
                             event.incident, event.playbook, event.target,
                             event.outcome or "begun")  # fmt: skip
            case Decision(verdict=verdict, reason=reason) if verdict != "run":
                log.info("held incident=%s playbook=%s verdict=%s reason=%s",
                         event.incident, event.playbook, verdict, reason.text)  # fmt: skip

    async def _read(self, name: str, source: Source) -> None:
        readings = source.stream(self.detection.positions.get(name))
        # Closed at once on a stop, not when the garbage collector comes by.
        async with aclosing(cast("AsyncGenerator[Reading, None]", readings)) as stream:
            async for reading in stream:
                try:
                    await self.readings.put((name, reading))
                except ChannelClosed:
                    return

    async def _again(self) -> None:
        """What was kept and is in no checkpoint, before anything new: its sources are not asked."""
        readings = damaged = 0
        async for kept in self.keeping.since(self.detection.kept):
            self._moved["detect"] = _monotonic()
            found, whole = await asyncio.to_thread(self._judge_again, kept)
            await self.store.append(*found.changes, *found.anomalies)
            if found:
                await self.findings.put(found)
            readings += whole
            damaged += not whole
        if readings or damaged:
            lost = f" and lost what was damaged={damaged}" if damaged else ""
            log.info("learned again what was kept%s readings=%d", lost, readings)

    def _judge_again(self, kept: Kept) -> tuple[Findings, bool]:
        """And whether it was whole."""
        try:
            items, news = unpacked(kept.body, self.clock())
        except ValueError as error:
            log.error("kept reading not usable source=%s number=%d: %s",
                      kept.source, kept.number, error)  # fmt: skip
            items, news = [], None
        source = self.sources.get(kept.source)
        position = self.detection.positions.get(kept.source, {})
        if isinstance(source, Unasked):
            position = source.again(position, kept.time_s, news)
        self._heed_trouble()
        return self.detection.again(kept, items, position), news is not None

    async def _detect(self) -> None:
        async for read in self.readings:
            self._moved["detect"] = _monotonic()
            found = await asyncio.to_thread(self._judge, read)
            await self.store.append(*found.changes, *found.anomalies, keep=found.keep)
            if found.keep is not None:
                self.keeping.add(found.keep)
            if read is not None:
                await self.sources[read[0]].commit(read[1].position)
            if found:
                await self.findings.put(found)
            if self._checkpoint_due():
                await self._snapshots.put(await self._snapshot())

    def _checkpoint_due(self) -> bool:
        if self.keeping.much and math.isfinite(self._checkpoint_pause_secs):
            return True
        return not 0 <= self.clock() - self._checkpoint_s < self._checkpoint_pause_secs

    def _judge(self, read: tuple[str, Reading] | None) -> Findings:
        self._heed_trouble()
        if read is None:
            return self.detection.tick(self.clock())
        name, reading = read
        return self.detection.observe(name, reading.items, reading.position, reading.news)

    def _heed_trouble(self) -> None:
        troubled = self.state.troubled(self.clock())
        if troubled != self._troubled:
            self.detection.troubled(troubled)
            self._troubled = troubled

    async def _correlate(self) -> None:
        async for found in self.findings:
            self._moved["correlate"] = _monotonic()
            blind = bool(self.telemetry.silent(self.sources))
            for incident in await self.correlating.absorb(
                found, self.clock(), self.publish, blind=blind
            ):
                await self.incidents.put(incident)

    async def _heal(self) -> None:
        async with self.healing:
            async for incident in self.incidents:
                await self.healing.consider(incident, self.clock(), self.publish)

    async def _tick(self, stopping: asyncio.Event) -> None:
        """Once a second: what only time changes. Never waits for a full channel."""
        before_s = self.clock()
        while True:
            await asyncio.sleep(1.0)
            now_s = self.clock()
            if now_s < before_s - CLOCK_BACK_SECS:
                log.warning("the clock went back by %.0f s: beginning anew", before_s - now_s)
                self.out_of_time = True
                stopping.set()
            before_s = now_s
            if not len(self.readings):  # a reading would say as well that time goes on
                await self.readings.put(None)
            if not self.findings.full:
                await self.findings.put(Findings())
            if not self.incidents.full:
                await self.incidents.put(None)

    async def _snapshot(self) -> Mapping[str, bytes]:
        """All that was learned and every position, between two readings."""
        now_s = self._checkpoint_s = self.clock()
        self._checkpoint_begun_s = _monotonic()
        self._checkpoint_pause_secs = math.inf  # one at a time
        parts = await asyncio.to_thread(self.detection.save)
        if not len(self.readings):  # those hold indexes that must not mean another series by then
            await asyncio.to_thread(self._forget_series, now_s)
        return parts

    async def _keep(self) -> None:
        """Writes each snapshot beside the readings that come after it."""
        async for parts in self._snapshots:
            now_s = self._checkpoint_s
            await self.store.save_checkpoint(parts)
            await self.keeping.drop(int(parts["kept"]))
            self.state.forget(now_s - REMEMBER_SECS)
            self.each_checkpoint(now_s)
            forgotten = await self.store.prune(now_s - self.keep_secs)
            if forgotten:
                log.info("pruned events=%d older_than_days=%.0f", forgotten, self.keep_secs / 86400)
            took_secs = _monotonic() - self._checkpoint_begun_s
            self._checkpoint_pause_secs = max(self.checkpoint_secs, took_secs / CHECKPOINT_SHARE)

    def _forget_series(self, now_s: float) -> None:
        """What was not seen for a day; for an hour, where there is no room for what is new."""
        table, before, refused = self.detection.table, self._crowded, self._refused
        self._refused = table.refused
        self._crowded = table.refused > refused
        if self._crowded and not before:
            log.warning(
                "no room for new series series=%d: they wait until others are gone for an hour; "
                "see limits.series (%s)", len(table), table.crowd(),
            )  # fmt: skip
        self.detection.expire(now_s - (CROWDED_SECS if self._crowded else FORGET_SERIES_SECS))


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
