"""A real Prometheus that writes to us, and a target whose every scrape can be told apart."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.integration.programs import Program
from tests.loopback.server import Call, LoopbackServer, Route, text_response

SERIES = 700  # more than go into one request of this Prometheus
CONFIG = """
global: {scrape_interval: 500ms, scrape_timeout: 400ms, external_labels: {from: MODE}}
scrape_configs:
  - job_name: shop
    static_configs: [{targets: TARGETS}]
remote_write:
  - url: URL
    authorization: {credentials: s3cret}
    metadata_config: {send_interval: 1s}
    queue_config: {max_shards: 4, min_shards: 2, batch_send_deadline: 100ms, min_backoff: 30ms,
      max_backoff: 200ms, max_samples_per_send: 500}
"""


class Counted(LoopbackServer):
    """Each of its series says how often it was asked, and ``plus``; ``nan`` never says a number."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []  # when it was asked
        self.plus = 0

    @property
    def asked(self) -> int:
        return len(self.times)

    def routes(self) -> Sequence[Route]:
        return [("GET", "/metrics", self._metrics)]

    def _metrics(self, _call: Call) -> web.Response:
        self.times.append(time.time())
        value = self.asked + self.plus
        lines = [f'asked{{part="{n}"}} {value}' for n in range(SERIES)]
        told = ["# TYPE asked gauge", *lines, "nan NaN", "zero 0", "inf -Inf"]
        return text_response(200, "\n".join(told) + "\n")


@asynccontextmanager
async def prometheus(
    folder: Path, mode: str, hook: str, targets: Sequence[LoopbackServer]
) -> AsyncIterator[Program]:
    config = folder / "prometheus.yml"
    addresses = [f"127.0.0.1:{target.port}" for target in targets]
    filled = CONFIG.replace("URL", hook).replace("TARGETS", str(addresses)).replace("MODE", mode)
    config.write_text(filled)
    data = folder / "data"
    storage = {
        "server": [f"--storage.tsdb.path={data}"],
        "agent": ["--enable-feature=agent", f"--storage.agent.path={data}"],
    }
    program = Program(
        folder,
        "prometheus",
        f"--config.file={config}",
        "--web.listen-address=127.0.0.1:{port}",
        *storage[mode],
        ready="/-/ready",
    )
    async with program:
        yield program
