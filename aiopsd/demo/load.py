"""Customers: a steady stream of requests that does not wait for slow answers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

PATIENCE_SECS = 5.0


class Load:
    """Independent arrivals (exponential gaps) at ``requests_per_sec`` on ``url``.

    ``answers`` counts what customers got: a status code, ``error`` for none, and ``skipped`` for
    those that were not sent because ``max_in_flight`` were waiting.
    """

    def __init__(
        self, url: str, requests_per_sec: float = 20.0, seed: int = 0, max_in_flight: int = 200
    ) -> None:
        self.answers: Counter[str] = Counter()
        self._url, self._rate, self._max_in_flight = url, requests_per_sec, max_in_flight
        self._rng = random.Random(f"load:{seed}")
        self._in_flight = 0

    async def run(self) -> None:
        """Sends until cancelled."""
        loop = asyncio.get_running_loop()
        timeout, connector = ClientTimeout(total=PATIENCE_SECS), TCPConnector(limit=0)
        async with (
            ClientSession(timeout=timeout, connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            due, order = loop.time(), 1000
            while True:
                # After a stall of this process the missed arrivals are left out, not sent at once.
                due = max(due + self._rng.expovariate(self._rate), loop.time() - 0.5)
                await asyncio.sleep(due - loop.time())
                order += 1
                if self._in_flight < self._max_in_flight:
                    group.create_task(self._send(session, order), name=f"order {order}")
                else:
                    self.answers["skipped"] += 1

    async def _send(self, session: ClientSession, order: int) -> None:
        self._in_flight += 1
        try:
            async with session.get(f"{self._url}?order={order}") as response:
                self.answers[str(response.status)] += 1
        except (ClientError, TimeoutError):
            self.answers["error"] += 1
        finally:
            self._in_flight -= 1
