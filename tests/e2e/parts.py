"""The parts of a house that a test takes away: what each adds, and what each must not lose."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from aiopsd.model import Anomaly, Incident, Run
from aiopsd.notifiers.story import story
from tests.e2e.asking import beside, eventually, metric, newest
from tests.e2e.broker import Broker
from tests.e2e.daemon import Daemon
from tests.loopback.exporter import Exporter
from tests.loopback.loki import LoopbackLoki
from tests.loopback.prometheus import ReplayPrometheus
from tests.loopback.server import LoopbackServer
from tests.loopback.slack import LoopbackSlack

NS = 10**9


class Part(Protocol):
    """One thing that goes away."""

    name: str  # as the log names it
    sources: str  # lines of aiopsd.yaml
    notifiers: str
    rules: str

    async def settled(self, daemon: Daemon) -> None:
        """Returns when the daemon knows this part and its ordinary ways."""
        ...

    async def go(self) -> None: ...

    async def come(self) -> None: ...

    async def whole(self, daemon: Daemon) -> None:
        """Raises unless the daemon has, in the end, all that happened meanwhile."""
        ...


class Base:
    sources = notifiers = rules = ""
    server: LoopbackServer

    async def go(self) -> None:
        await self.server.stop()

    async def come(self) -> None:
        await self.server.start()


class PrometheusPart(Base):
    """A rule's value leaves its limits only while nobody can ask for it."""

    name = "prom"
    rules = """
  - {id: heart, promql: heart, every: 1s, severity: critical, kind: stale,
     detector: {type: absent, after: 3s}}
  - {id: fever, promql: fever, every: 1s, severity: info, kind: saturation,
     detector: {type: threshold, above: 0.5}}
"""

    def __init__(self, server: ReplayPrometheus) -> None:
        self.server = server
        self.sources = f"  prom: {{type: prometheus, url: {server.url}, timeout: 3s}}\n"
        self.left_s = self.came_s = float("inf")
        server.answer_from(self._evaluate)

    def _evaluate(self, query: str, time_s: float) -> list[tuple[dict[str, str], float]]:
        """The fever falls two seconds before the server is back."""
        ill = self.left_s + 1 < time_s < self.came_s - 2
        return [({"service": "ward"}, 1.0 if query == "heart" else float(ill))]

    async def settled(self, daemon: Daemon) -> None:
        await self.server.wait_asked(10, on="/query")

    async def go(self) -> None:
        self.left_s = time.time()
        await super().go()

    async def come(self) -> None:
        self.came_s = time.time()
        await super().come()

    async def whole(self, daemon: Daemon) -> None:
        def told() -> bool:
            return metric(daemon, "reread_ticks", "prom") > 0

        await daemon.until(told)
        found = await eventually(daemon, lambda: _anomalies(daemon, "fever"))
        assert len({anomaly.id for anomaly in found}) == 1
        assert self.left_s < found[0].onset_s < self.came_s
        assert not await _anomalies(daemon, "heart"), "nobody asked is not nobody there"


class LokiPart(Base):
    """Two lines a second, whether anybody reads them or not."""

    name = "logs"
    rules = """
  - {id: flood, select: 'log_lines{level="error"}', by: [service], severity: critical,
     kind: log-novelty, detector: {type: threshold, above: 8}}
  - {id: strange, select: log_lines, by: [service, template], severity: critical,
     kind: log-novelty, detector: {type: novel, learn_samples: 3}}
"""

    def __init__(self, server: LoopbackLoki) -> None:
        self.server = self.loki = server
        self.sources = (
            f"  logs: {{type: loki, url: {server.url}, every: 1s, delay: 1s, late: 8s, "
            "history: 0s, timeout: 3s}\n"
        )
        self.written = 0

    async def write(self) -> None:
        """Until cancelled."""
        while True:
            line = (time.time_ns(), f"error: order {self.written} was refused", None)
            self.loki.push({"service": "till"}, [line])
            self.written += 1
            await asyncio.sleep(0.5)

    async def settled(self, daemon: Daemon) -> None:
        await daemon.until(lambda: metric(daemon, "lines", "logs") > 12)

    async def whole(self, daemon: Daemon) -> None:
        """Every line once. Late ones are looked for a few times more before that is said."""
        written = self.written
        await daemon.until(lambda: self._read(daemon) >= written)
        asked = len(self.server.asked("/query_range"))
        await self.server.wait_asked(asked + 12, on="/query_range")
        read = self._read(daemon)
        assert read <= self.written, f"{read} lines read, {self.written} written"

    def _read(self, daemon: Daemon) -> float:
        return metric(daemon, "lines", "logs") + metric(daemon, "late_lines", "logs")


class TargetPart(Base):
    """One of two targets of one source."""

    rules = """
  - {id: down, select: up, by: [instance], entity: [instance], severity: info,
     kind: availability, detector: {type: threshold, below: 0.5}}
"""

    def __init__(self, server: Exporter, other: Exporter) -> None:
        self.server = server
        self.name = f"app/127.0.0.1:{server.port}"
        self.instance = f"127.0.0.1:{server.port}"

    async def settled(self, daemon: Daemon) -> None:
        await self.server.wait_asked(3, on="/metrics")

    async def whole(self, daemon: Daemon) -> None:
        async def ended() -> list[Anomaly]:
            found = await _anomalies(daemon, "down")
            return found if found and found[-1].closed else []

        found = await eventually(daemon, ended)
        assert {anomaly.labels["instance"] for anomaly in found} == {self.instance}
        assert len({anomaly.id for anomaly in found}) == 1


class SlackPart(Base):
    """One incident is there before it goes, and one comes meanwhile; both end meanwhile."""

    name = "ops"

    def __init__(self, server: LoopbackSlack, exporter: Exporter) -> None:
        self.server = self.slack = server
        self.exporter = exporter

    async def settled(self, daemon: Daemon) -> None:
        self.exporter.gauges['slow{service="db"}'] = 1.0
        await daemon.until(lambda: len(self.slack.roots("ops")) == 1)

    async def go(self) -> None:
        await super().go()
        self.exporter.gauges['slow{service="db"}'] = 0.0

    async def whole(self, daemon: Daemon) -> None:
        incidents = await newest(daemon, Incident)
        runs = await newest(daemon, Run)
        assert all(incident.closed for incident in incidents), incidents
        await daemon.until(lambda: self._told() >= self._story(incidents, runs))
        assert self._told() == self._story(incidents, runs), "a line is missing or comes twice"
        roots = self.slack.roots("ops")
        assert len(roots) == len(incidents) == 2
        for root in roots:
            assert root.text.startswith(("Healed", "Resolved")), root.text

    def _told(self) -> Counter[str]:
        threads = [m for root in self.slack.roots("ops") for m in self.slack.thread(root.ts)]
        told = [(m.metadata or {}).get("event_payload", {}).get("told", "") for m in threads]
        return Counter(mark for marks in told for mark in marks.split())

    def _story(self, incidents: list[Incident], runs: list[Run]) -> Counter[str]:
        lines = [
            line.mark
            for incident in incidents
            for line in story(incident, [run for run in runs if run.incident == incident.id])
        ]
        return Counter(lines)


class PlantPart(Base):
    """A device speaks every half second, as long as there is a broker to speak to."""

    name = "plant"
    rules = """
  - {id: mute, select: temperature, by: [line], entity: [line], severity: critical, kind: stale,
     detector: {type: absent, after: 3s}}
  - {id: hot, select: temperature, by: [line], entity: [line], severity: info, kind: saturation,
     detector: {type: threshold, above: 100}}
"""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.degrees = 20.0
        self.sources = (
            f"  plant: {{type: mqtt, host: 127.0.0.1, port: {broker.port}, "
            'topics: [{topic: "plant/{line}/{metric}"}]}\n'
        )

    async def speak(self) -> None:
        """Until cancelled."""
        from aiomqtt import MqttError

        while True:
            with suppress(MqttError):
                await self.broker.publish("plant/a/temperature", str(self.degrees))
            await asyncio.sleep(0.5)

    async def settled(self, daemon: Daemon) -> None:
        await self._fever(daemon, times=1)

    async def go(self) -> None:
        await self.broker.kill()

    async def come(self) -> None:
        await self.broker.start()

    async def whole(self, daemon: Daemon) -> None:
        assert not await _anomalies(daemon, "mute"), "nobody heard is not nobody spoke"
        await self._fever(daemon, times=2)

    async def _fever(self, daemon: Daemon, times: int) -> None:
        """It is heard, and heard to be over."""

        async def seen(over: bool) -> bool:
            found = {a.id: a.closed for a in await _anomalies(daemon, "hot")}
            return len(found) == times and all(found.values()) == over

        self.degrees = 150.0
        await eventually(daemon, lambda: seen(over=False))
        self.degrees = 20.0
        await eventually(daemon, lambda: seen(over=True))


class BrokerPart(Base):
    """The broker forgets what it held; what is new since then it must get."""

    name = "edge"

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.notifiers = f"  edge: {{type: mqtt, host: 127.0.0.1, port: {broker.port}}}\n"

    async def settled(self, daemon: Daemon) -> None:
        await asyncio.sleep(0)

    async def go(self) -> None:
        await self.broker.kill()

    async def come(self) -> None:
        await self.broker.start()

    async def whole(self, daemon: Daemon) -> None:
        (incident,), (run,) = await newest(daemon, Incident), await newest(daemon, Run)

        async def told() -> bool:
            held = await self.broker.retained("aiopsd")
            states = {topic: one.get("state") for topic, one in held.items()}
            return states == {
                f"aiopsd/incident/{incident.id}": "resolved",
                f"aiopsd/run/{run.id}": "closed",
            }

        await eventually(daemon, told)


async def _anomalies(daemon: Daemon, rule: str) -> list[Anomaly]:
    return [e for e in await daemon.events() if isinstance(e, Anomaly) and e.rule == rule]


@asynccontextmanager
async def part_of(
    kind: str, folder: Path, exporter: Exporter, slack: LoopbackSlack
) -> AsyncIterator[tuple[Part, Exporter]]:
    """The part by its word, alive, and a second target of the scrape source."""
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(Exporter())
        match kind:
            case "prometheus":
                yield PrometheusPart(await stack.enter_async_context(ReplayPrometheus())), second
            case "loki":
                part = LokiPart(await stack.enter_async_context(LoopbackLoki()))
                async with beside(part.write()):
                    yield part, second
            case "target":
                yield TargetPart(second, exporter), second
            case "slack":
                yield SlackPart(slack, exporter), second
            case "mqtt-source":
                plant = PlantPart(await stack.enter_async_context(Broker(folder)))
                async with beside(plant.speak()):
                    yield plant, second
            case "mqtt":
                yield BrokerPart(await stack.enter_async_context(Broker(folder))), second
