"""Values like secrets, put wherever others can put text, are found nowhere behind it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_plus
from urllib.request import Request, urlopen

import pytest
from aiohttp import web

from aiopsd.config.redaction import KINDS
from aiopsd.redaction import Names
from aiopsd.redaction.keyring import KeyRing
from aiopsd.sources.file_tail import HEAD_BYTES
from aiopsd.sources.kept_hash import kept_hash, mark
from aiopsd.stores import SqliteStore
from tests.canaries import of
from tests.conftest import missing
from tests.e2e.asking import metric
from tests.e2e.broker import Broker
from tests.e2e.daemon import Daemon, daemon_in
from tests.loopback.exporter import Exporter
from tests.loopback.loki import LoopbackLoki
from tests.loopback.server import Call, LoopbackServer, Route, text_response
from tests.loopback.slack import TOKEN, LoopbackSlack

RULES = """
pack: test
rules:
  - {id: sick, title: sick, select: sick, by: [service, user, path], entity: [service, user, path],
     every: 1s, severity: critical, kind: error-rate, detector: {type: threshold, above: 0.5}}
  - {id: line, select: 'log_lines{level="error"}', by: [service, template], every: 1s,
     severity: high, kind: log-novelty, detector: {type: threshold, above: 0.5}}
  - {id: release, select: build_info, every: 1s, entity: [service], change: {label: version}}
"""
PLAYBOOK = """
playbook: v1
name: cure
owner: the test
mode: auto
on: [{incident: error-rate}]
target: {kind: service, id: "${root.service}"}
guard: {cooldown: 10m}
params:
  note: {type: string, default: "PARAM"}
  key: {type: secret, from: "credential:cache-key"}
steps:
  - id: say
    do: command.run
    with: {argv: [./say, "${params.note}"], stdin: "${params.key}"}
    timeout: 30s
    undo: none
  - id: fail
    do: command.run
    with: {argv: [./fail]}
    timeout: 30s
    undo: none
verify:
  {after: 1s, every: 1s, within: 3s, passes: 1, checks: [
    {name: s, rule: sick, where: {service: "${root.service}"}, expect: value < 0.5}]}
on_failure: {rollback: never, then: notify}
"""
OFF = f"redaction: {{kinds: {json.dumps(dict.fromkeys(KINDS, 'off'))}}}\n"
HELD = {"credential": "morning glory of the cache", "config": "the desk opens at nine"}


def notations(place: str) -> list[str]:
    """Every canary of a place as somebody might log it, one a line."""
    made = of(place)
    secret, rest = made.pop("password"), [f"got {name} {one}" for name, one in made.items()]
    return [
        f'login password="{secret}" ok',
        json.dumps({"db": {"user": "app", "password": secret}}),
        f"GET /x?api_key={secret}&n=1 Authorization: Bearer {secret}",
        f"connect postgres://app:{secret}@db/x",
        f"run --db-password {secret} -v",
        *rest,
    ]


class Desk(LoopbackServer):
    """Takes webhooks."""

    def routes(self) -> Sequence[Route]:
        return (("POST", "/hook", self._take),)

    def _take(self, call: Call) -> web.Response:
        return text_response(200, "ok")


@dataclass
class House:
    daemon: Daemon
    exporter: Exporter
    loki: LoopbackLoki
    slack: LoopbackSlack
    desk: Desk
    broker: Broker | None
    pages: list[str] = field(default_factory=list)

    async def feed(self) -> None:
        """All that others can say, at once."""
        labels, made = {"service": "api"}, of("labels")
        for line in [*notations("lines"), f"desk says {HELD['config']}"]:
            self.loki.push(labels, [(time.time_ns(), f"level=error msg={json.dumps(line)}", None)])
            self.loki.push(labels, [(time.time_ns(), f"ERROR {line}", None)])
        with (self.daemon.folder / "app.log").open("a") as log:
            log.writelines(f"error that a file has: {line}\n" for line in notations("file"))
        user, path = made["email"], f"/x?token={made['github']}&card={made['card']}"
        more = f'password="{made["password"]}",iban="{made["iban"]}",jwt="{made["jwt"]}"'
        series = f'sick{{service="api",user="{user}",path="{path}",{more}}}'
        self.exporter.gauges[series] = 1.0
        version = of("change")
        self.exporter.gauges.clear()
        self.exporter.gauges[series] = 1.0
        self.exporter.gauges[
            f'build_info{{service="api",version="2-{version["email"]} {version["github"]}"}}'
        ] = 1.0
        self.exporter.extra = f"password={of('error')['password']} is no metric"
        await asyncio.to_thread(self._alert)
        await asyncio.to_thread(self._deploy)

    def _deploy(self) -> None:
        made = of("alert")
        labels = {f"said{n}": one for n, one in enumerate(notations("alert"))}
        said = {"service": "api", "version": made["github"], "author": made["email"],
                "title": f"by {made['phone']}", "labels": labels,
                "repository": f"https://bot:{made['password']}@git.example.com/x"}  # fmt: skip
        url = f"http://127.0.0.1:{self.daemon.port}/hooks/generic"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with urlopen(Request(url, json.dumps(said).encode(), headers), timeout=20) as answer:
            assert answer.status == 200

    def _alert(self) -> None:
        made = of("alert")
        labels = {"alertname": "Leak", "service": "api", "user": made["email"], "pw": made["aws"]}
        annotations = {
            "summary": f"login of {made['email']} by {made['phone']} fails",
            "description": "\n".join(notations("alert")),
        }
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        alert = {"status": "firing", "labels": labels, "annotations": annotations, "startsAt": now}
        url = f"http://127.0.0.1:{self.daemon.port}/hooks/alertmanager"
        body = json.dumps({"version": "4", "alerts": [alert]}).encode()
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=20) as said:
            assert said.status == 200

    def look(self) -> None:
        """Asks for every page; what was there stays."""
        rooms = ("incidents", "runs", "decisions", "halts", "health", "changes", "topology")
        paths = ("/metrics", "/readyz", *(f"/api/v1/{room}" for room in rooms))
        self.pages += [
            text for path in paths if (text := self.daemon.get(path)[1]) not in self.pages
        ]

    async def places(self) -> dict[str, str]:
        """Everything that came out, by where."""
        state = self.daemon.folder / "state"
        files = {
            p.name: p.read_bytes().decode(errors="replace")
            for p in state.iterdir()
            if p.name != "HALT"
        }
        found = {
            "journal": "".join(text for name, text in files.items() if name.startswith("journal")),
            "state": "".join(files.values()),
            "events": "".join(str(event) for event in await self.daemon.events()),
            "slack": _bodies(self.slack.calls),
            "webhook": _bodies(self.desk.calls),
            "pages": "".join(self.pages),
            "log": self.daemon.log(),
        }
        if self.broker is not None:
            found["mqtt"] = json.dumps(await self.broker.retained("aiopsd"))
        return found


def _bodies(calls: Sequence[Call]) -> str:
    bodies = "".join(call.path + call.body.decode(errors="replace") for call in calls)
    return bodies + unquote_plus(bodies)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        exporter, loki = await enter(Exporter()), await enter(LoopbackLoki())
        slack, desk = await enter(LoopbackSlack()), await enter(Desk())
        broker = None if missing("mosquitto") else await enter(Broker(tmp_path))
        yield House(await enter(daemon_in(tmp_path)), exporter, loki, slack, desk, broker)


def configure(house: House, redaction: str) -> None:
    folder, slack, broker = house.daemon.folder, house.slack, house.broker
    bus = f"bus: {{type: mqtt, host: 127.0.0.1, port: {broker.port}}}" if broker else ""
    failure = f"no {of('failure')['email']}: password={of('failure')['password']}"
    (folder / "app.log").write_text("")
    (folder / "outputs").write_text("\n".join(notations("output")) + "\n")
    house.daemon.write(
        f"""
sources:
  app: {{type: scrape, targets: ["{house.exporter.url}/metrics"], every: 1s}}
  logs: {{type: loki, url: {house.loki.url}, every: 1s, delay: 0s, late: 5s}}
  files: {{type: file, paths: [{folder}/app.log], labels: {{service: api}}}}
  alerts: {{type: alertmanager}}
  deploys: {{type: changes, sender: generic, secret_file: token}}
notifiers:
  ops: {{type: slack, channel: ops, token_file: token, api_url: {slack.api_url}, edit_every: 1s}}
  desk: {{type: webhook, url: "{house.desk.url}/hook", secret_file: desk-secret}}
  {bus}
automation: {{mode: auto, settle: 1s}}
{redaction}""",
        rules__test=RULES,
        playbooks__cure=PLAYBOOK.replace(
            "PARAM", f"to {of('param')['email']} {of('param')['aws']}"
        ),
        say="#!/bin/sh\ncat\ncat outputs\ncat outputs >&2\n",
        fail=f"#!/bin/sh\necho '{failure}' >&2\nexit 3\n",
        token=TOKEN,
    )
    for name, secret in (("cache-key", "credential"), ("desk-secret", "config")):
        (folder / name).write_text(HELD[secret])


async def live(house: House) -> None:
    """From a start to a stop, with an incident, a run of two steps, a halt and a checkpoint."""
    daemon = house.daemon
    house.exporter.gauges['build_info{service="api",version="1"}'] = 1.0
    await daemon.start()
    await house.exporter.wait_asked(3, on="/metrics")
    house.loki.fail_next(500, f"password={of('error')['password']}", times=2, on="/query_range")
    await house.feed()

    def finished() -> bool:
        house.look()
        rules = {a["rule"] for i in daemon.open_incidents() for a in i["anomalies"]}
        ended = [run for run in daemon.listing("runs") if run.get("state") == "closed"]
        read = [metric(daemon, "lines", part) >= len(notations("")) for part in ("logs", "files")]
        return rules >= {"sick", "line", "Leak"} and bool(ended) and all(read)

    await daemon.until(finished)
    (run,) = daemon.listing("runs")
    assert [step["state"] for step in run["steps"]] == ["done", "failed"], run
    (daemon.folder / "state" / "HALT").write_text(f"by {of('halt')['email']}\n")
    await daemon.until(lambda: daemon.listing("halts"))
    await daemon.until(lambda: "run" in _bodies(house.desk.asked("/hook")))
    house.look()
    assert await daemon.stop() == 0


def canaries() -> dict[str, list[str]]:
    """By where they were put."""
    made = {place: list(of(place).values()) for place in ("lines", "file", "output", "alert")}
    labels = of("labels")
    made["labels"] = [labels[n] for n in ("email", "github", "card", "password", "iban", "jwt")]
    made["change"] = [of("change")[name] for name in ("email", "github")]
    made["param"] = [of("param")[name] for name in ("email", "aws")]
    made["failure"] = [of("failure")[name] for name in ("email", "password")]
    made["error"], made["halt"] = [of("error")["password"]], [of("halt")["email"]]
    return made | {name: [secret] for name, secret in HELD.items()}


async def hashes_of_lines(house: House) -> set[str]:
    """Those in the checkpoint that anybody could make of what the file says."""
    state = house.daemon.folder / "state"
    store = SqliteStore(state / "journal.db", time.time, read_only=True)
    try:
        kept = b"".join((await store.load_checkpoint()).values())
    finally:
        await store.close()
    ours = mark(KeyRing(state / "positions.key", None, 0.0).key(0.0)).encode()
    assert kept.count(ours) == 2  # Loki's as well
    log = (house.daemon.folder / "app.log").read_bytes()
    said = {log[-HEAD_BYTES:], *(log[:n] for n in range(1, HEAD_BYTES + 1))}
    return {one for one in (kept_hash(b"", part) for part in said) if one.encode() in kept}


async def test_no_canary_is_found_behind_the_daemon(house: House) -> None:
    configure(house, "")
    await live(house)
    places = await house.places()
    leaks = {
        f"{one} of {origin} in {place}"
        for place, text in places.items()
        for origin, made in canaries().items()
        for one in made
        if one in text
    }
    assert leaks == set()
    assert 'aiopsd_redacted_total{part="email"}' in places["pages"]
    key = house.daemon.folder / "state" / "redaction.key"
    assert key.stat().st_mode & 0o777 == 0o600
    names = Names(KeyRing(key, None, 0.0).key(0.0))
    assert await hashes_of_lines(house) == set()
    assert (key.parent / "positions.key").stat().st_mode & 0o777 == 0o600
    same = names.name("email", of("labels")["email"].lower())
    assert {place for place, text in places.items() if same in text} >= {
        "journal", "events", "slack", "webhook", "pages",
    }  # fmt: skip


async def test_the_canaries_would_be_found(house: House) -> None:
    """Without redaction every place shows some, and from every origin some get somewhere."""
    configure(house, OFF)
    await live(house)
    places = await house.places()
    made = canaries()
    held = {HELD["credential"], HELD["config"]}  # these are taken out all the same
    everything = "".join(places.values())
    assert not any(one in everything for one in held)
    for origin in made.keys() - HELD.keys():
        assert any(one in everything for one in made[origin]), origin
    for place, text in places.items():
        assert any(one in text for origin in made for one in made[origin]), place
