"""Where readings come from: a part is a file here and a line below."""

from __future__ import annotations

from typing import TypeAlias

from aiopsd.sources.alertmanager import AlertmanagerSettings
from aiopsd.sources.changes import ChangesSettings
from aiopsd.sources.file import FileSettings
from aiopsd.sources.journal import JournalSettings
from aiopsd.sources.loki import LokiSettings
from aiopsd.sources.loki_push import LokiPushSettings
from aiopsd.sources.mqtt import MqttSettings
from aiopsd.sources.prometheus import PrometheusSettings
from aiopsd.sources.remote_write import RemoteWriteSettings
from aiopsd.sources.scrape import ScrapeSettings

SourceSettings: TypeAlias = (
    AlertmanagerSettings
    | ChangesSettings
    | FileSettings
    | JournalSettings
    | LokiPushSettings
    | LokiSettings
    | MqttSettings
    | PrometheusSettings
    | RemoteWriteSettings
    | ScrapeSettings
)
