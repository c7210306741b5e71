"""A target whose numbers the test sets: what a daemon that scrapes looks at."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from .server import Call, LoopbackServer, Route, text_response


class Exporter(LoopbackServer):
    """``exporter.gauges['sick{service="api"}'] = 1`` and it says so at /metrics."""

    def __init__(self, **gauges: float) -> None:
        super().__init__()
        self.gauges: dict[str, float | str] = dict(gauges)
        self.extra = ""  # lines as they are, for what is not a number

    def routes(self) -> Sequence[Route]:
        return (("GET", "/metrics", self._metrics),)

    def _metrics(self, call: Call) -> web.Response:
        lines = [f"{series} {value}" for series, value in self.gauges.items()]
        return text_response(200, "\n".join([*lines, self.extra]) + "\n")
