"""A Prometheus API whose answers a test chooses: a recording, or a function of (query, time).

It evaluates no PromQL. In front of a function it checks a request's parameters as the real one
does (source: web/api/v1 of prometheus/prometheus 2.42, recordings in tests/recordings/prometheus).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from aiohttp import web

from .faults import Answer
from .recording import Recording, Reply
from .server import Call, LoopbackServer, Route, json_response

QUERY = "/api/v1/query"
QUERY_RANGE = "/api/v1/query_range"
MAX_POINTS = 11_000
UNIT_SECS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}

RANGE = re.compile(r"(?P<selector>.*)\[(?P<secs>\d+)s\]", re.DOTALL)

Scraped: TypeAlias = Iterable[tuple[Mapping[str, str], Sequence[tuple[float, float]]]]
"""Labels, and (time, value) of each sample."""
Vector: TypeAlias = Iterable[tuple[Mapping[str, str], float]]
"""Labels and value of each series that has a sample at the time asked for."""


class BadData(Exception):
    """A wrong parameter, in Prometheus' words."""


class ReplayPrometheus(LoopbackServer):
    """Prometheus on a free port; until told otherwise it knows no series.

    `clock` gives the time in seconds for instant queries that name none.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.clock = clock
        self._evaluate: Callable[[str, float], Vector] = lambda _query, _time: ()
        self._scraped: Callable[[str], Scraped] = lambda _selector: ()
        self._replies: dict[str, Reply] = {}
        for name in ("buildinfo", "ready"):
            self.answer_with(name)

    def answer_with(self, name: str) -> None:
        """From now on answer the recorded path as recorded, whatever is asked of it.

        `name` is a file below tests/recordings/prometheus, without `.json`.
        """
        recording = Recording.load(f"prometheus/{name}")
        self._replies[recording.path.partition("?")[0]] = recording.reply

    def answer_from(self, evaluate: Callable[[str, float], Vector]) -> None:
        """From now on compute both kinds of query: `evaluate` gets the query and one time.

        A range query calls it once a step; a series that is missing at a step has a gap there.
        """
        self._evaluate = evaluate
        for path in (QUERY, QUERY_RANGE):
            self._replies.pop(path, None)

    def keep(self, scraped: Callable[[str], Scraped]) -> None:
        """From now on answer a range vector, `selector[60s]`, from these samples: both ends of the
        range are in it, as before Prometheus 3.0."""
        self._scraped = scraped

    def huge_body_next(self, mb: int, times: int = 1, *, on: str = "") -> None:
        """Answer with a sound vector of more than `mb` megabytes, or as far as the client reads."""

        async def flood(request: web.Request, _answer: Answer) -> web.StreamResponse:
            endless = web.StreamResponse(headers={"Content-Type": "application/json"})
            await endless.prepare(request)
            await endless.write(
                b'{"status":"success","data":{"resultType":"vector","result":['
                b'{"metric":{"filler":"' + b"x" * 2**20
            )
            for _ in range(mb):
                await endless.write(b"x" * 2**20)
            await endless.write(b'"},"value":[0,"1"]}]}}')
            return endless

        self.plan(flood, times, on)

    def routes(self) -> Sequence[Route]:
        return [
            ("GET", "/-/ready|/api/v1/status/buildinfo", self._recorded),
            ("GET|POST", QUERY, self._query),
            ("GET|POST", QUERY_RANGE, self._query_range),
        ]

    def _recorded(self, call: Call) -> web.Response:
        reply = self._replies[call.path]
        if "json" in reply.content_type:
            return json_response(reply.body, reply.status, reply.content_type)
        headers = {"Content-Type": reply.content_type}
        return web.Response(status=reply.status, body=reply.body.encode(), headers=headers)

    def _query(self, call: Call) -> web.Response:
        if call.path in self._replies:
            return self._recorded(call)
        try:
            at = _time(call, "time") if "time" in call.params else self.clock()
            if ranged := RANGE.fullmatch(_query_text(call)):
                return self._range_vector(ranged["selector"], at - int(ranged["secs"]), at)
            result = [
                {"metric": dict(labels), "value": _sample(at, value)}
                for labels, value in self._evaluate(_query_text(call), at)
            ]
        except BadData as error:
            return _bad_data(error)
        return _success("vector", result)

    def _range_vector(self, selector: str, since: float, until: float) -> web.Response:
        found = [
            {"metric": dict(labels), "values": values}
            for labels, samples in self._scraped(selector)
            if (values := [_sample(at, v) for at, v in samples if since <= at <= until])
        ]
        return _success("matrix", found)

    def _query_range(self, call: Call) -> web.Response:
        if call.path in self._replies:
            return self._recorded(call)
        try:
            query = _query_text(call)
            series: dict[tuple[tuple[str, str], ...], list[list[Any]]] = {}
            for at in _steps(call):
                for labels, value in self._evaluate(query, at):
                    series.setdefault(tuple(sorted(labels.items())), []).append(_sample(at, value))
        except BadData as error:
            return _bad_data(error)
        matrix = [{"metric": dict(labels), "values": series[labels]} for labels in sorted(series)]
        return _success("matrix", matrix)


def value_text(value: float) -> str:
    """A sample's value as Prometheus writes it: shortest form, an exponent at the extremes."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    shortest = repr(float(value))
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        return shortest
    return format(Decimal(shortest), "f").removesuffix(".0")


def _sample(at: float, value: float) -> list[Any]:
    return [round(at, 3), value_text(value)]


def _success(result_type: str, result: list[dict[str, Any]]) -> web.Response:
    data = {"resultType": result_type, "result": result}
    return json_response({"status": "success", "data": data})


def _bad_data(error: BadData) -> web.Response:
    return json_response({"status": "error", "errorType": "bad_data", "error": str(error)}, 400)


def _query_text(call: Call) -> str:
    query = call.params.get("query", "")
    if not query:
        raise BadData('invalid parameter "query": 1:1: parse error: no expression found in input')
    return query


def _time(call: Call, name: str) -> float:
    """Seconds since 1970, or RFC 3339."""
    text = call.params.get(name, "")
    for read in (float, lambda t: datetime.fromisoformat(t).timestamp()):
        try:
            return read(text)
        except ValueError:
            continue
    hint = f"Invalid time value for '{name}': " if name == "time" else ""
    raise BadData(f'invalid parameter "{name}": {hint}cannot parse "{text}" to a valid timestamp')


def _steps(call: Call) -> list[float]:
    """The times of a range query, both ends included."""
    start, end = _time(call, "start"), _time(call, "end")
    if end < start:
        raise BadData('invalid parameter "end": end timestamp must not be before start time')
    step_secs = _duration_secs(call)
    if step_secs <= 0:
        raise BadData(
            'invalid parameter "step": zero or negative query resolution step widths are not '
            "accepted. Try a positive integer"
        )
    if (end - start) / step_secs > MAX_POINTS:
        raise BadData(
            f"exceeded maximum resolution of {MAX_POINTS:,} points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return [start + i * step_secs for i in range(math.floor((end - start) / step_secs) + 1)]


def _duration_secs(call: Call) -> float:
    """Seconds, or number and unit such as `5s`, `100ms`, `1h30m`."""
    text = call.params.get("step", "")
    try:
        return float(text)
    except ValueError:
        parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadData(
            f'invalid parameter "step": cannot parse "{text}" to a valid duration'
        ) from None
    return sum(int(number) * UNIT_SECS[unit] for number, unit in parts)
