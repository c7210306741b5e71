"""The whole house: real Prometheus, Alertmanager and mosquitto; Loki and Slack by the book."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from integration.programs import Program

from tests.e2e.broker import Broker
from tests.e2e.conftest import ACT, PLAYBOOK, PROBE
from tests.e2e.daemon import Daemon, daemon_in
from tests.loopback.exporter import Exporter
from tests.loopback.loki import LoopbackLoki
from tests.loopback.slack import TOKEN, LoopbackSlack

pytestmark = [pytest.mark.prometheus, pytest.mark.alertmanager, pytest.mark.mosquitto]

RULES = """
pack: test
rules:
  - id: sick
    title: sick
    promql: max by (service) (sick)
    every: 1s
    detector: {type: threshold, above: 0.5}
    kind: error-rate
    severity: critical
  - id: hot
    title: temperature of
    select: temperature
    by: [service]
    every: 1s
    detector: {type: threshold, above: 80}
    kind: saturation
    severity: low
  - id: new_line
    title: new error line
    select: log_lines{level="error"}
    by: [service, template]
    detector: {type: novel, group_by: [service], learn_samples: 5}
    kind: log-novelty
    severity: info
"""


@dataclass
class House:
    daemon: Daemon
    exporter: Exporter
    alertmanager: Program
    broker: Broker
    loki: LoopbackLoki
    slack: LoopbackSlack

    def say(self, line: str) -> None:
        """One log line of the sick service, now."""
        self.loki.push({"service": "api", "job": "shop"}, [(time.time_ns(), line, None)])

    def alert(self, *, over: bool = False) -> None:
        """What a Prometheus would post to its Alertmanager."""
        one = {
            "labels": {"alertname": "ProbeFailed", "service": "api", "severity": "critical"},
            "annotations": {"summary": "the probe of api fails"},
        }
        if over:
            one["endsAt"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
        request = Request(
            f"{self.alertmanager.url}/api/v2/alerts",
            json.dumps([one]).encode(),
            {"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=10) as answer:
            assert answer.status == 200


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        exporter = await enter(Exporter(**{'sick{service="api"}': 0.0}))
        daemon = await enter(daemon_in(tmp_path))
        prometheus = await enter(_prometheus(tmp_path, exporter))
        alertmanager = await enter(_alertmanager(tmp_path, daemon))
        broker = await enter(Broker(tmp_path))
        loki, slack = await enter(LoopbackLoki()), await enter(LoopbackSlack())
        daemon.write(
            f"""
sources:
  prom: {{type: prometheus, url: {prometheus.url}}}
  logs: {{type: loki, url: {loki.url}, query: '{{job="shop"}}', every: 1s, delay: 0s, late: 10s}}
  plant:
    type: mqtt
    host: 127.0.0.1
    port: {broker.port}
    topics: [{{topic: "plant/{{service}}/{{metric}}"}}]
  alerts: {{type: alertmanager}}
notifiers:
  ops: {{type: slack, channel: ops, token_file: token, api_url: {slack.api_url}, edit_every: 1s}}
  bus: {{type: mqtt, host: 127.0.0.1, port: {broker.port}}}
history: 10s
automation: {{mode: auto, settle: 1s}}
incidents: {{quiet: 2s}}
""",
            rules__test=RULES,
            playbooks__cure=PLAYBOOK.replace("PROBE", "").replace(
                'rule: sick, where: {service: "${root.service}"}',
                "promql: 'max(sick{service=\"${root.service}\"})'",
            ),
            act=ACT,
            probe=PROBE,
            token=TOKEN,
        )
        yield House(daemon, exporter, alertmanager, broker, loki, slack)


def _prometheus(folder: Path, exporter: Exporter) -> Program:
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: app\n    static_configs:\n"
        f"      - targets: ['127.0.0.1:{exporter.port}']\n"
    )
    return Program(
        folder,
        *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"),
        "--web.listen-address=127.0.0.1:{port}",
        ready="/-/ready",
    )


def _alertmanager(folder: Path, daemon: Daemon) -> Program:
    config = folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: aiopsd, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\n"
        "receivers:\n  - name: aiopsd\n    webhook_configs:\n"
        f"      - {{url: 'http://127.0.0.1:{daemon.port}/hooks/alertmanager'}}\n"
    )
    return Program(
        folder,
        *("prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder / 'am'}"),
        *("--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="),
        ready="/-/ready",
    )


def members(daemon: Daemon) -> set[str]:
    """The rules whose anomalies are in the one open incident."""
    return {a["rule"] for i in daemon.open_incidents() for a in i["anomalies"]}


async def test_one_trouble_seen_by_five_sources_is_one_incident_and_healed(house: House) -> None:
    daemon = house.daemon
    await daemon.start()
    for number in range(8):  # what the service usually says
        house.say(f"level=info msg=handled order={number}")
        await house.broker.publish("plant/api/temperature", "60")
        await asyncio.sleep(1.1)
    assert daemon.open_incidents() == []

    # Everybody sees it at once; the cure works as soon as it has run.
    (daemon.folder / "act").write_text(ACT.replace("sleep 2", "sleep 4"))
    house.exporter.gauges['sick{service="api"}'] = 1.0
    house.alert()
    house.say("level=error msg=TaxTableMissing region=EU")
    await house.broker.publish("plant/api/temperature", "95")
    everyone = {"sick", "hot", "new_line", "ProbeFailed"}
    await daemon.until(lambda: members(daemon) >= everyone)
    (incident,) = daemon.open_incidents()
    assert incident["suspects"][0]["service"] == "api"
    await daemon.until(lambda: (daemon.folder / "cured").exists())
    house.exporter.gauges['sick{service="api"}'] = 0.0
    house.alert(over=True)
    for number in range(60):  # life goes on, until the new line is old
        if not daemon.open_incidents():
            break
        house.say(f"level=info msg=handled order={number}")
        await house.broker.publish("plant/api/temperature", "61")
        await asyncio.sleep(1.0)
    assert daemon.open_incidents() == []

    (run,) = daemon.listing("runs")
    assert run["outcome"] == "healed"
    await daemon.until(lambda: "Healed" in _header(house))
    (root,) = house.slack.roots("ops")
    assert root.edits > 0
    assert any("TaxTableMissing" in m.text for m in house.slack.thread(root.ts))
    told = (await house.broker.retained("aiopsd"))[f"aiopsd/incident/{incident['id']}"]
    assert told["state"] == "resolved"
    assert await daemon.stop() == 0
    assert daemon.log_lines("ERROR") == []


def _header(house: House) -> str:
    roots = house.slack.roots("ops")
    return str(roots[0].blocks[0]["text"]["text"]) if roots else ""
