"""A Loki that keeps lines in memory and answers log queries as a real one does.

Source: docs/sources/reference/loki-http-api.md of grafana/loki, and recordings of a real Loki in
tests/recordings/loki. Not modelled: metric queries and parsers (501), `/tail`, protobuf push.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from aiohttp import web

from . import logql, loki_push
from .loki_streams import Entry, Labels, Stream, Window, canonical, grouped, page
from .server import Call, Handler, LoopbackServer, Route, json_response, text_response

NS = 10**9
MAX_QUERY_HOURS = 721
MAX_POINTS = 11_000
DEFAULT_LIMIT = 100
API = "/loki/api/v1"
JSON = "application/json; charset=UTF-8"
CATEGORIZE = "categorize-labels"
NO_TENANT = "fake"
"""The tenant that Loki itself uses when it runs without authentication."""


class Refusal(Exception):
    """An answer in plain text with this status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class LoopbackLoki(LoopbackServer):
    """Loki on a free port.

    `auth` asks every request for an X-Scope-OrgID. `max_entries` is the server's limit for a
    query's `limit`: more is refused, not clipped. `clock` gives the time in seconds; only the
    default window of queries and the age checks of the push API read it.
    """

    def __init__(
        self,
        *,
        auth: bool = False,
        max_entries: int = 5000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.auth = auth
        self.max_entries = max_entries
        self.clock = clock
        self._tenants: dict[str, dict[Labels, Stream]] = {}

    def push(
        self,
        labels: Mapping[str, str],
        entries: Iterable[tuple[int, str, Mapping[str, str] | None]],
        tenant: str = NO_TENANT,
    ) -> None:
        """Store (nanoseconds, line, structured metadata) of any age and in any order.

        Like the real one, adds the label `service_name` and the metadata `detected_level`.
        """
        streams = self._tenants.setdefault(tenant, {})
        full = loki_push.with_service_name(labels)
        stream = streams.setdefault(canonical(full), Stream(full))
        for ns, line, metadata in entries:
            stream.add(Entry(ns, line, canonical(loki_push.with_level(full, metadata or {}))))

    def routes(self) -> Sequence[Route]:
        return [
            ("GET", "/ready", lambda _call: text_response(200, "ready\n")),
            ("GET", f"{API}/status/buildinfo", self._buildinfo),
            ("GET|POST", f"{API}/query_range", self._for_tenant(self._query_range)),
            ("GET|POST", f"{API}/query", self._for_tenant(self._query)),
            ("GET|POST", f"{API}/labels", self._for_tenant(self._labels)),
            ("GET", f"{API}/label/(?P<name>[^/]+)/values", self._for_tenant(self._label_values)),
            ("GET|POST", f"{API}/series", self._for_tenant(self._series)),
            ("POST", f"{API}/push", self._for_tenant(self._push)),
        ]

    def wrong_method(self) -> web.Response:
        return web.Response(status=405)

    def _for_tenant(self, handler: Handler) -> Handler:
        """Give the handler its tenant's streams, and put its refusals into answers."""

        def handle(call: Call, **groups: str) -> web.Response:
            try:
                streams = self._tenants.setdefault(self._tenant(call), {})
                return handler(call, streams, **groups)
            except Refusal as refusal:
                return text_response(refusal.status, str(refusal))
            except logql.LogQLError as error:
                return text_response(400, str(error))
            except logql.NotModelled as missing:
                return text_response(501, f"the loopback Loki does not model {missing}")

        return handle

    def _tenant(self, call: Call) -> str:
        if not self.auth:
            return NO_TENANT
        tenant = call.headers.get("X-Scope-OrgID", "")
        if not tenant:
            raise Refusal(401, "no org id\n")
        wrong = re.search(r"[^A-Za-z0-9!\-_.*'()]", tenant)
        if wrong:
            raise Refusal(400, f"tenant ID '{tenant}' contains unsupported character '{wrong[0]}'")
        return tenant

    def _buildinfo(self, _call: Call) -> web.Response:
        unset = dict.fromkeys(("version", "revision", "branch", "buildUser", "buildDate"), "")
        return json_response({**unset, "goVersion": "go1.27.3"})

    def _query_range(self, call: Call, streams: dict[Labels, Stream]) -> web.Response:
        window = _window(call, self.clock())
        query = logql.parse(call.params.get("query", ""))
        if window.limit > self.max_entries:
            raise Refusal(
                400,
                "max entries limit per query exceeded, limit > max_entries_limit_per_query "
                f"({window.limit} > {self.max_entries})",
            )
        lines = page(streams.values(), query, window)
        categorize = CATEGORIZE in call.headers.get("X-Loki-Response-Encoding-Flags", "")
        flags = {"encodingFlags": [CATEGORIZE]} if categorize else {}
        return _success(
            {
                "resultType": "streams",
                **flags,
                "result": grouped(lines, categorize),
                "stats": {"summary": {"totalEntriesReturned": len(lines)}},
            }
        )

    def _query(self, call: Call, _streams: dict[Labels, Stream]) -> web.Response:
        logql.parse(call.params.get("query", ""))
        raise Refusal(
            400,
            "log queries are not supported as an instant query type, "
            "please change your query to a range query type",
        )

    # Labels of recent streams are listed whatever the request's start and end; series are not.

    def _labels(self, _call: Call, streams: dict[Labels, Stream]) -> web.Response:
        return _names({name for stream in streams.values() for name in stream.labels})

    def _label_values(self, call: Call, streams: dict[Labels, Stream], name: str) -> web.Response:
        query = call.params.get("query")
        chosen = logql.parse(query) if query else logql.LogQuery(matchers=())
        labels = [s.labels for s in streams.values() if chosen.selects(s.labels)]
        return _names({one[name] for one in labels if name in one})

    def _series(self, call: Call, streams: dict[Labels, Stream]) -> web.Response:
        window = _window(call, self.clock())
        queries = [logql.parse(match) for match in call.params.getall("match[]", [])]
        return _success(
            [
                stream.labels
                for stream in streams.values()
                if stream.between(window.start_ns, window.end_ns)
                and any(query.selects(stream.labels) for query in queries)
            ]
        )

    def _push(self, call: Call, streams: dict[Labels, Stream]) -> web.Response:
        error = loki_push.push(call, streams, now_ns=int(self.clock() * NS))
        return text_response(400, error) if error else web.Response(status=204)


def _success(data: object) -> web.Response:
    return json_response({"status": "success", "data": data}, content_type=JSON)


def _names(names: set[str]) -> web.Response:
    """A sorted list; where there is nothing to list, `data` is left out altogether."""
    data = {"data": sorted(names)} if names else {}
    return json_response({"status": "success", **data}, content_type=JSON)


def _window(call: Call, now_secs: float) -> Window:
    """Read and check a request's window; Refusal with Loki's own words."""
    params = call.params
    direction = params.get("direction", "backward").lower()
    if direction not in ("forward", "backward"):
        raise Refusal(400, f"invalid direction '{direction}'")
    limit = _limit(params.get("limit", str(DEFAULT_LIMIT)))
    end_ns = _stamp_ns(params.get("end", str(now_secs)))
    since_ns = _duration_ns(params.get("since", "1h"))
    start_ns = _stamp_ns(params["start"]) if "start" in params else end_ns - since_ns
    if end_ns <= start_ns:
        raise Refusal(400, "end timestamp must not be before or equal to start time")
    if "step" in params and (end_ns - start_ns) // _duration_ns(params["step"]) > MAX_POINTS:
        raise Refusal(
            400,
            f"exceeded maximum resolution of {MAX_POINTS:,} points per time series. "
            "Try increasing the value of the step parameter",
        )
    hours, rest_ns = divmod(end_ns - start_ns, 3600 * NS)
    if (hours, rest_ns) > (MAX_QUERY_HOURS, 0):
        length = f"{hours}h{rest_ns // (60 * NS)}m{rest_ns // NS % 60}s"
        raise Refusal(
            400, f"the query time range exceeds the limit (query length: {length}, limit: 30d1h)"
        )
    return Window(start_ns, end_ns, limit, direction == "forward")


def _limit(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise Refusal(400, f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if int(text) <= 0:
        raise Refusal(400, "limit must be a positive value")
    return int(text)


def _stamp_ns(text: str) -> int:
    """Nanoseconds (more than 10 digits), seconds with or without a fraction, or RFC 3339."""
    if re.fullmatch(r"-?\d{11,}", text):
        return int(text)
    try:
        return int(Decimal(text) * NS)
    except InvalidOperation:
        pass
    try:
        return int(Decimal(str(datetime.fromisoformat(text).timestamp())) * NS)
    except ValueError as error:
        raise Refusal(400, f'could not parse "{text}" as a time') from error


def _duration_ns(text: str) -> int:
    """Seconds, or number and unit such as `60s` and `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text)
    if not match or not float(match[1]):
        raise Refusal(400, f'cannot parse "{text}" to a valid duration')
    unit_ns = {"ms": NS // 1000, "m": 60 * NS, "h": 3600 * NS, "d": 86_400 * NS}
    return int(Decimal(match[1]) * unit_ns.get(match[2], NS))
