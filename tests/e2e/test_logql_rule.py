"""A rule that asks Loki for a number: an incident opens by it, and ends when no line comes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from aiopsd.model import Anomaly
from tests.e2e.asking import beside, newest
from tests.e2e.daemon import daemon_in
from tests.loopback.loki import LoopbackLoki

CONFIG = """
sources:
  logs: {{type: loki, url: {url}, query: "", delay: 1s}}
incidents: {{quiet: 1s}}
history: 0s
"""
RULES = """
pack: test
rules:
  - id: refused
    logql: sum by (service) (count_over_time({app="shop"} |= "refused" [3s]))
    every: 1s
    detector: {type: threshold, above: 5}
    kind: error-rate
    severity: critical
"""


async def test_an_incident_opens_and_ends_by_a_count(tmp_path: Path) -> None:
    async with LoopbackLoki() as loki, daemon_in(tmp_path) as daemon:
        daemon.write(CONFIG.format(url=loki.url), rules__test=RULES)
        await daemon.start()

        async def trouble() -> None:
            """Many refusals, and as many lines of another kind."""
            while True:
                for text in ("payment refused", "payment accepted"):
                    entries = [(time.time_ns() + i, f"{text} {i}", None) for i in range(10)]
                    loki.push({"app": "shop", "service": "till"}, entries)
                await asyncio.sleep(0.5)

        async with beside(trouble()):
            (incident,) = await daemon.until(daemon.open_incidents)
        assert incident["services"] == ["till"]
        await daemon.until(lambda: not daemon.open_incidents())
        (anomaly,) = await newest(daemon, Anomaly)
        assert anomaly.rule == "refused"
        assert 5 < anomaly.observed <= 80
        assert anomaly.closed, "no line is none, and not unknown"
        assert not loki.asked("/query_range") or all(
            "count_over_time" in call.params["query"] for call in loki.asked("/query_range")
        )
        assert await daemon.stop() == 0
