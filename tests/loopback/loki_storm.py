"""A Loki in bad weather: whatever it was asked, something may go wrong, drawn from a seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from . import faults
from .faults import Fault
from .loki import LoopbackLoki

SLOW_SECS = 3.0
"""Longer than one who asks here should wait."""
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_HTML = {"Content-Type": "text/html"}
_COST = (
    "the query would read too many bytes (query: 49 MiB, limit: 1.0 MiB); consider adding more "
    "specific stream selectors or reduce the time range of the query"
)

FAULTS: dict[str, Fault] = {
    "429": faults.fail(429, "too many outstanding requests", _TEXT),
    "429 with Retry-After": faults.fail(429, "slow down", _TEXT | {"Retry-After": "1"}),
    "500": faults.fail(500, "ingester is gone", _TEXT),
    "502 of a gateway": faults.fail(502, "<html><h1>502 Bad Gateway</h1></html>", _HTML),
    "503": faults.fail(503, "", _TEXT),
    "504": faults.fail(504, "context deadline exceeded", _TEXT),
    "too many bytes": faults.fail(400, _COST, _TEXT),
    "a login page": faults.fail(200, "<html><h1>Sign in</h1></html>", _HTML),
    "an answer of another kind": faults.fail(
        200, '{"status":"success","data":{"resultType":"vector","result":[]}}', {}
    ),
    "time-out": faults.hang(SLOW_SECS),
    "time-out in the middle of a body": faults.trickle(SLOW_SECS),
    "body cut off": faults.truncate(clean=False),
    "JSON cut off": faults.truncate(clean=True),
    "connection reset": faults.reset,
    "no answer": faults.lose_answer,
}


class StormyLoki(LoopbackLoki):
    """`odds` is the chance of a fault for each request; `happened` counts them by name."""

    def __init__(self, random: Random, odds: float) -> None:
        super().__init__()
        self.random = random
        self.odds = odds
        self.happened: Counter[str] = Counter()

    def _take_fault(self, path: str) -> Fault | None:
        if self.random.random() >= self.odds:
            return None
        name = self.random.choice(list(FAULTS))
        self.happened[name] += 1
        return FAULTS[name]

    async def weather(self, every_secs: float) -> None:
        """Now and then it has other limits, ends all tails, or is gone for a moment."""
        while True:
            await asyncio.sleep(self.random.expovariate(1 / every_secs))
            what = self.random.choice(["entries", "range", "tails", "away"])
            self.happened[what] += 1
            match what:
                case "entries":
                    self.max_entries = self.random.choice([5000, 3000, 1000, 700])
                case "range":
                    self.max_query_secs = self.random.choice([721 * 3600, 3600, 60, 20])
                case "tails":
                    self.end_tails(1011, "reached tail max duration limit")
                case "away":
                    async with self.away():
                        await asyncio.sleep(self.random.uniform(0.1, 2.0))
