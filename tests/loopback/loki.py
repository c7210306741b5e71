"""A Loki that keeps lines in memory and answers log queries as a real one does.

Source: docs/sources/reference/loki-http-api.md of grafana/loki, and recordings of a real Loki in
tests/recordings/loki. Of metric queries it knows those that count lines; what it does not model
it answers with 501. Statistics and discovery that aiopsd never asks for are the recorded ones.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from . import logql, logql_metrics, loki_numbers, loki_push, loki_tail
from .loki_streams import Entry, Labels, Stream, canonical, grouped, page
from .loki_window import NS, Refusal, duration_ns, stamp_ns, window
from .recording import Recording
from .server import Call, Handler, LoopbackServer, Route, json_response, text_response

API = "/loki/api/v1"
JSON = "application/json; charset=UTF-8"
CATEGORIZE = "categorize-labels"
NO_TENANT = "fake"
"""The tenant that Loki itself uses when it runs without authentication."""
RECORDED = {
    f"{API}/index/stats": "index_stats",
    f"{API}/index/volume": "index_volume",
    f"{API}/index/volume_range": "index_volume_range",
    f"{API}/patterns": "patterns",
    f"{API}/detected_fields": "detected_fields",
    f"{API}/detected_labels": "detected_labels",
    f"{API}/format_query": "format_query",
    "/services": "services",
    "/flush": "flush",
}


class LoopbackLoki(LoopbackServer):
    """Loki on a free port.

    `auth` asks every request for an X-Scope-OrgID; `multi_tenant` allows `a|b` in it. `max_entries`
    and `max_query_secs` are the server's limits for lines and time: more is refused, not clipped.
    `clock` gives the time in seconds; only the default window of queries and the age checks of the
    push API read it.
    """

    def __init__(
        self,
        *,
        auth: bool = False,
        multi_tenant: bool = False,
        max_entries: int = 5000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.auth = auth
        self.multi_tenant = multi_tenant
        self.max_entries = max_entries
        self.max_query_secs = 721 * 3600
        self.max_series = 500
        self.push_limits = loki_push.Limits()
        self.clock = clock
        self.tails: list[loki_tail.Tail] = []
        self._tenants: dict[str, dict[Labels, Stream]] = {}

    def push(
        self,
        labels: Mapping[str, str],
        entries: Iterable[tuple[int, str, Mapping[str, str] | None]],
        tenant: str = NO_TENANT,
    ) -> int:
        """Store (nanoseconds, line, structured metadata) of any age and in any order; how many
        of them were new.

        Like the real one, adds the label `service_name` and the metadata `detected_level`.
        """
        streams = self._tenants.setdefault(tenant, {})
        full = loki_push.with_service_name(labels)
        stream = streams.setdefault(canonical(full), Stream(full))
        new = [
            entry
            for ns, line, metadata in entries
            if stream.add(
                entry := Entry(ns, line, canonical(loki_push.with_level(full, metadata or {})))
            )
        ]
        for tail in self.tails:
            tail.take(stream, new)
        return len(new)

    def forget(self, before_ns: int) -> None:
        """Lines that nobody will ask for again."""
        for streams in self._tenants.values():
            for stream in streams.values():
                stream.forget(before_ns)

    def end_tails(self, code: int, reason: str) -> None:
        for tail in self.tails:
            tail.end = code, reason

    def routes(self) -> Sequence[Route]:
        recorded = [("GET|POST", path, _recorded(name)) for path, name in RECORDED.items()]
        return [
            ("GET", "/ready", lambda _call: text_response(200, "ready\n")),
            ("GET", f"{API}/status/buildinfo", self._buildinfo),
            ("GET|POST", f"{API}/query_range", self._for_tenant(self._query_range)),
            ("GET|POST", f"{API}/query", self._for_tenant(self._query)),
            ("GET|POST", f"{API}/labels", self._for_tenant(self._labels)),
            ("GET", f"{API}/label/(?P<name>[^/]+)/values", self._for_tenant(self._label_values)),
            ("GET|POST", f"{API}/series", self._for_tenant(self._series)),
            ("POST", f"{API}/push", self._for_tenant(self._push)),
            *recorded,
        ]

    def wrong_method(self) -> web.Response:
        return web.Response(status=405)

    def _for_tenant(self, handler: Handler) -> Handler:
        """Give the handler its tenant's streams, and put its refusals into answers."""

        def handle(call: Call, **groups: str) -> web.Response:
            try:
                return handler(call, self._streams(call), **groups)
            except Refusal as refusal:
                return text_response(refusal.status, str(refusal))
            except logql.LogQLError as error:
                return text_response(400, str(error))
            except logql.NotModelled as missing:
                return text_response(501, f"the loopback Loki does not model {missing}")

        return handle

    def _streams(self, call: Call) -> dict[Labels, Stream]:
        tenants = self._asking(call)
        if len(tenants) == 1:
            return self._tenants.setdefault(tenants[0], {})
        seen = [s.under(t) for t in tenants for s in self._tenants.get(t, {}).values()]
        return {canonical(stream.labels): stream for stream in seen}

    def _asking(self, call: Call) -> list[str]:
        if not self.auth:
            return [NO_TENANT]
        tenants = call.headers.get("X-Scope-OrgID", "").split("|")
        if tenants == [""]:
            raise Refusal(401, "no org id\n")
        for tenant in tenants:
            wrong = re.search(r"[^A-Za-z0-9!\-_.*'()]", tenant)
            if wrong:
                text = f"tenant ID '{tenant}' contains unsupported character '{wrong[0]}'"
                raise Refusal(400, text)
        if len(tenants) > 1 and not self.multi_tenant:
            raise Refusal(400, "multiple org IDs present")
        return tenants

    def _buildinfo(self, _call: Call) -> web.Response:
        unset = dict.fromkeys(("version", "revision", "branch", "buildUser", "buildDate"), "")
        return json_response({**unset, "goVersion": "go1.27.3"})

    def _query_range(self, call: Call, streams: dict[Labels, Stream]) -> web.Response:
        asked = window(call, self.clock(), self.max_query_secs)
        metric = logql_metrics.parse(call.params.get("query", ""))
        if metric is not None:
            step_ns = duration_ns(call.params.get("step", "60"))
            rows = loki_numbers.matrix(metric, streams.values(), asked, step_ns, self.max_series)
            return _result("matrix", rows, len(rows))
        query = logql.parse(call.params.get("query", ""))
        if asked.limit > self.max_entries:
            raise Refusal(
                400,
                "max entries limit per query exceeded, limit > max_entries_limit_per_query "
                f"({asked.limit} > {self.max_entries})",
            )
        lines = page(streams.values(), query, asked)
        categorize = CATEGORIZE in call.headers.get("X-Loki-Response-Encoding-Flags", "")
        flags = {"encodingFlags": [CATEGORIZE]} if categorize else {}
        result = grouped(lines, query, categorize)
        return _result("streams", result, len(lines), flags)

    def _query(self, call: Call, streams: dict[Labels, Stream]) -> web.Response:
        query = call.params.get("query", "")
        now_ns = stamp_ns(call.params.get("time", str(self.clock())))
        number = logql_metrics.number(query)
        if number is not None:
            return _result("scalar", [now_ns // (NS // 1000), str(number)], 1)
        metric = logql_metrics.parse(query)
        if metric is None:
            logql.parse(query)
            raise Refusal(
                400,
                "log queries are not supported as an instant query type, "
                "please change your query to a range query type",
            )
        rows = loki_numbers.vector(metric, streams.values(), now_ns, self.max_series)
        return _result("vector", rows, len(rows))

    # Labels of recent streams are listed whatever the request's start and end; series are not.

    def _labels(self, _call: Call, streams: dict[Labels, Stream]) -> web.Response:
        return _names({name for stream in streams.values() for name in stream.labels})

    def _label_values(self, call: Call, streams: dict[Labels, Stream], name: str) -> web.Response:
        query = call.params.get("query")
        chosen = logql.parse(query) if query else logql.LogQuery(matchers=())
        labels = [s.labels for s in streams.values() if chosen.selects(s.labels)]
        return _names({one[name] for one in labels if name in one})

    def _series(self, call: Call, streams: dict[Labels, Stream]) -> web.Response:
        asked = window(call, self.clock(), self.max_query_secs)
        queries = [logql.parse(match) for match in call.params.getall("match[]", [])]
        return _success(
            [
                stream.labels
                for stream in streams.values()
                if stream.between(asked.start_ns, asked.end_ns)
                and any(query.selects(stream.labels) for query in queries)
            ]
        )

    def _push(self, call: Call, streams: dict[Labels, Stream]) -> web.Response:
        (tenant,) = self._asking(call)
        now_ns = int(self.clock() * NS)
        status, error = loki_push.push(call, streams, now_ns, tenant, self.push_limits)
        return text_response(status, error) if error else web.Response(status=204)

    # Tails need a connection of their own.

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/tail"):
            return await super()._serve(request)
        call = await Call.read(request)
        await self._remember(call)
        upgrade = "websocket" in request.headers.get("Upgrade", "").lower()
        try:
            tenants = self._asking(call)
        except Refusal as refusal:
            return text_response(refusal.status, str(refusal))
        several = "multiple org IDs present" if len(tenants) > 1 else ""
        refused = several or loki_tail.refusal(call.params, upgrade)
        if refused:
            return text_response(400, refused)
        fault = self._take_fault(call.path)
        if fault is not None:
            return await fault(request, lambda: text_response(500, ""))
        return await self._tail(request, call)

    async def _tail(self, request: web.Request, call: Call) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        try:
            query = logql.parse(call.params["query"])
        except logql.NotModelled:
            message = b"parse error : only log selectors can be tailed"
            await socket.close(code=1011, message=message)
            return socket
        flags = call.headers.get("X-Loki-Response-Encoding-Flags", "")
        tail = loki_tail.Tail(query, CATEGORIZE in flags)
        self.tails.append(tail)
        try:
            await tail.send(socket)
        finally:
            self.tails.remove(tail)
        return socket


def _recorded(name: str) -> Handler:
    def handle(_call: Call) -> web.Response:
        reply = Recording.load(f"loki/{name}").reply
        body = reply.body if isinstance(reply.body, str) else msgspec.json.encode(reply.body)
        content = body.encode() if isinstance(body, str) else body
        headers = {"Content-Type": reply.content_type} if reply.content_type else {}
        return web.Response(status=reply.status, body=content or None, headers=headers)

    return handle


def _result(
    kind: str, result: object, returned: int, flags: Mapping[str, Any] | None = None
) -> web.Response:
    stats = {"summary": {"totalEntriesReturned": returned}}
    return _success({"resultType": kind, **(flags or {}), "result": result, "stats": stats})


def _success(data: object) -> web.Response:
    body = msgspec.json.encode({"status": "success", "data": data})
    return web.Response(body=body, headers={"Content-Type": JSON})


def _names(names: set[str]) -> web.Response:
    """A sorted list; where there is nothing to list, `data` is left out altogether."""
    data = {"data": sorted(names)} if names else {}
    return json_response({"status": "success", **data}, content_type=JSON)
