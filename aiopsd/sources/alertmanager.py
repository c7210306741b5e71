"""``alertmanager``: takes Alertmanager's webhook, so that its alerts become anomalies here.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config (version 4).
Alertmanager tries again after 5xx and gives up after other errors, so what may be our own
trouble is answered 503.
"""

from __future__ import annotations

import asyncio
import typing
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from aiopsd.contracts import SourceContext
from aiopsd.errors import ConfigError
from aiopsd.model import Anomaly, Kind, Labels, Position, Reading, Severity
from aiopsd.settings import Duration, SecretFile, Settings
from aiopsd.sources.kept_hash import kept_hash
from aiopsd.sources.pushed import Wrong, allowed, body_of
from aiopsd.sources.pushed_encoding import decoded
from aiopsd.sources.pushed_refusals import Refusals

_KINDS: frozenset[str] = frozenset(typing.get_args(Kind))
_SEVERITIES: dict[str, Severity] = {
    "critical": "critical", "page": "critical", "emergency": "critical", "fatal": "critical",
    "high": "high", "error": "high", "major": "high",
    "low": "low", "warning": "low", "warn": "low", "minor": "low",
    "info": "info", "none": "info",
}  # fmt: skip
Time = Annotated[datetime, msgspec.Meta(tz=True)]

_SERVICE = ("service", "job")
_ENTITY = ("service", "job", "instance", "pod", "container", "node", "host", "namespace")


class AlertmanagerSettings(Settings, frozen=True, kw_only=True, tag="alertmanager"):
    """A path on the daemon's own address, for ``webhook_configs`` of Alertmanager."""

    path: str = "/hooks/alertmanager"
    token_file: SecretFile | None = None  # Alertmanager's bearer token or basic-auth password
    max_body_bytes: int = 1_000_000
    waiting: int = 64  # notifications not yet journalled; more are answered 503
    answer_within: Duration = Duration(10)
    lasts: Duration = Duration(5 * 3600)  # longer than its `repeat_interval` (4h by default)

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or set("?#{} ") & set(self.path):
            raise ValueError(f"`path: {self.path}` must be like /hooks/alertmanager")
        if self.max_body_bytes < 1 or self.waiting < 1:
            raise ValueError("`max_body_bytes` and `waiting` must be at least 1")
        if self.answer_within <= 0 or self.lasts <= 0:
            raise ValueError("`answer_within` and `lasts` must be longer than 0s")

    def build(self, context: SourceContext) -> AlertmanagerSource:
        return AlertmanagerSource(self, context)


class Alert(msgspec.Struct, frozen=True):
    """One alert of a notification, as far as we read it."""

    status: Literal["firing", "resolved"]
    labels: Labels
    startsAt: Time  # noqa: N815 - the API's spelling
    annotations: Labels = {}
    endsAt: Time | None = None  # noqa: N815
    fingerprint: str = ""


class Notification(msgspec.Struct, frozen=True):
    alerts: tuple[Alert, ...]
    truncatedAlerts: int = 0  # noqa: N815


def anomaly_of(alert: Alert, now_s: float, lasts_secs: float, key: bytes = b"") -> Anomaly:
    """An alert says yes or no: observed is 1 while it fires, and nothing else is known.

    Its id is the fingerprint that the sender gave it; without one, its labels' hash by ``key``."""
    labels = alert.labels
    name = labels.get("alertname", "alert")
    resolved = alert.status == "resolved"
    entity = next(({key: labels[key]} for key in _ENTITY if labels.get(key)), {"alertname": name})
    kind = labels.get("kind", "")
    # What has happened has happened by now, whatever the sender's clock says.
    onset_s = min(max(alert.startsAt.timestamp(), 0.0), now_s)
    ended_s = min(alert.endsAt.timestamp(), now_s) if alert.endsAt else now_s
    return Anomaly(
        id=f"alertmanager:{alert.fingerprint or _fingerprint(labels, key)}",
        rule=name,
        kind=typing.cast("Kind", kind) if kind in _KINDS else "availability",
        severity=_SEVERITIES.get(labels.get("severity", "").lower(), "low"),
        tier="certain",
        labels=labels,
        entity=entity,
        service=next((labels[key] for key in _SERVICE if labels.get(key)), ""),
        onset_s=onset_s,
        seen_s=now_s,
        ended_s=max(ended_s, onset_s) if resolved else None,
        detector="alertmanager",
        title=alert.annotations.get("summary") or name,
        score=1.0,
        observed=0.0 if resolved else 1.0,
        lasts_secs=lasts_secs,
        evidence=tuple(filter(None, [alert.annotations.get("description")])),
    )


def _fingerprint(labels: Labels, key: bytes) -> str:
    return kept_hash(key, msgspec.json.encode(sorted(labels.items())))


class AlertmanagerSource:
    """Answers 200 once the journal has the alerts, and not before."""

    def __init__(self, settings: AlertmanagerSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._token = settings.token_file.read(context.base) if settings.token_file else ""
        self._refusals = Refusals(context.name)
        self._number = 0
        self._journalled: dict[int, asyncio.Future[None]] = {}  # by number of the request
        self._readings: asyncio.Queue[Reading] | None = None  # none while nobody reads
        if settings.path in context.routes:
            raise ConfigError(f"source {context.name}: `path: {settings.path}` is taken already")
        context.routes[settings.path] = self.handle

    async def stream(self, resume: Position | None) -> AsyncIterator[Reading]:
        self._number = max(self._number, int((resume or {}).get("request", 0)))
        readings: asyncio.Queue[Reading] = asyncio.Queue(self._settings.waiting)
        self._readings = readings
        try:
            while True:
                yield await readings.get()
        finally:
            self._readings = None
            while not readings.empty():  # what nobody took, Alertmanager must keep
                number = readings.get_nowait().position["request"]
                if number in self._journalled:
                    self._journalled.pop(number).set_exception(Wrong(503, "stopping"))

    async def commit(self, position: Position) -> None:
        """Whoever sent this request, or an earlier one, gets his 200."""
        for number in [n for n in self._journalled if n <= position["request"]]:
            self._journalled.pop(number).set_result(None)

    async def handle(self, request: web.Request) -> web.Response:
        """POST of one notification. Answers in sentences, for who reads Alertmanager's log."""
        sender = request.remote or "unknown"
        try:
            alerts = await self._take(request)
        except Wrong as wrong:
            self._context.count("refused_requests", 1)
            if request.transport is not None:  # who hung up tries again
                self._refusals.tell(wrong, sender)
            return wrong.response()
        self._refusals.well(sender)
        return web.Response(text=f"{alerts} alerts journalled\n")

    async def _take(self, request: web.Request) -> int:
        if not allowed(request.headers.get("Authorization", ""), self._token):
            raise Wrong(401, "wrong or missing token")
        within_secs, most = float(self._settings.answer_within), self._settings.max_body_bytes
        body = await body_of(request, limit_bytes=most, within_secs=within_secs)
        encoding = request.headers.get("Content-Encoding", "")
        notification = _notification(decoded(body, encoding, most))
        now_s, lasts_secs = self._context.clock(), float(self._settings.lasts)
        anomalies = tuple(
            anomaly_of(alert, now_s, lasts_secs, self._context.key) for alert in notification.alerts
        )
        if notification.truncatedAlerts:
            self._context.count("truncated_alerts", notification.truncatedAlerts)
        await self._hand_on(anomalies)
        return len(anomalies)

    async def _hand_on(self, anomalies: tuple[Anomaly, ...]) -> None:
        """Returns when they are journalled."""
        if self._readings is None:
            raise Wrong(503, "not started yet, or stopping")
        if self._readings.full():
            raise Wrong(503, "too many notifications are waiting to be journalled")
        self._number += 1
        number, journalled = self._number, asyncio.get_running_loop().create_future()
        self._journalled[number] = journalled
        self._readings.put_nowait(Reading(anomalies, {"request": number}))
        try:
            async with asyncio.timeout(float(self._settings.answer_within)):
                await journalled
        except TimeoutError:
            raise Wrong(503, "taken, but not journalled in time") from None
        finally:
            self._journalled.pop(number, None)


def _notification(body: bytes) -> Notification:
    try:
        return msgspec.json.decode(body, type=Notification)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Wrong(400, f"not an Alertmanager webhook (version 4): {error}") from None
