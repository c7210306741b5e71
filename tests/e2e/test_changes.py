"""Delivery tools tell a real daemon what they did; it is kept, told once, and evidence."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from aiopsd.cli import main
from tests.e2e.daemon import Daemon
from tests.loopback.exporter import Exporter
from tests.loopback.recording import RECORDINGS

SICK = 'sick{service="api"}'
SECRET, KEY = "s3cret-of-the-hooks", base64.b64encode(b"k" * 32).decode()
SOURCES = """
  github: {type: changes, sender: github, secret_file: hook, services: {Hello-World: api}}
  gitlab: {type: changes, sender: gitlab, secret_file: signing}
  argo: {type: changes, sender: argocd, secret_file: hook}
  jenkins: {type: changes, sender: jenkins, secret_file: hook}
  flags: {type: changes, sender: generic, secret_file: hook, fields: {kind: =flag, service: app}}
"""


def recorded(name: str, now_s: float) -> Any:
    """As if it had been done now."""
    text = (RECORDINGS / "changes" / f"{name}.json").read_text()
    now = f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return json.loads(text.replace("2019-05-15T15:20:55Z", now))


def post(daemon: Daemon, path: str, said: Any, headers: Mapping[str, str]) -> int:
    url, body = f"http://127.0.0.1:{daemon.port}/hooks/{path}", json.dumps(said).encode()
    filled = {name: value.replace("DIGEST", _hex(body)) for name, value in headers.items()}
    try:
        with urlopen(Request(url, body, filled, method="POST"), timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def _hex(body: bytes) -> str:
    return hmac.digest(SECRET.encode(), body, "sha256").hex()


GITHUB = {"X-Hub-Signature-256": "sha256=DIGEST", "X-GitHub-Event": "deployment_status"}
BEARER = {"Authorization": f"Bearer {SECRET}"}


def signed_by_gitlab(said: Any, now_s: float) -> dict[str, str]:
    text = f"m1.{int(now_s)}.".encode() + json.dumps(said).encode()
    digest = base64.b64encode(hmac.digest(b"k" * 32, text, "sha256")).decode()
    return {"webhook-id": "m1", "webhook-timestamp": f"{int(now_s)}",
            "webhook-signature": f"v1,{digest}"}  # fmt: skip


def tell(daemon: Daemon) -> dict[str, int]:
    """All five of them, and two who are not who they say."""
    now_s = time.time()
    deployed = recorded("github_deployment_status", now_s)
    flag = recorded("gitlab_feature_flag", now_s)
    password = base64.b64encode(f"jenkins:{SECRET}".encode()).decode()
    return {
        "github": post(daemon, "github", deployed, GITHUB),
        "again": post(daemon, "github", deployed, GITHUB),
        "gitlab": post(daemon, "gitlab", flag, signed_by_gitlab(flag, now_s)),
        "argocd": post(daemon, "argocd", {"application": "cart", "phase": "Succeeded",
                                          "revision": "a" * 40}, BEARER),
        "jenkins": post(daemon, "jenkins", recorded("jenkins_completed", now_s),
                        {"Authorization": f"Basic {password}"}),
        "generic": post(daemon, "generic", {"app": "db", "author": "mail bob@example.com"}, BEARER),
        "nobody": post(daemon, "github", deployed, {}),
        "forger": post(daemon, "github", deployed | {"x": 1}, {**GITHUB, "X-Hub-Signature-256":
                                                              "sha256=" + "0" * 64}),
    }  # fmt: skip


async def test_five_senders_a_fault_and_a_restart(
    daemon: Daemon, exporter: Exporter, capsys: Any
) -> None:
    config = (daemon.folder / "aiopsd.yaml").read_text()
    (daemon.folder / "aiopsd.yaml").write_text(
        config.replace("\nnotifiers:", SOURCES + "notifiers:")
    )
    (daemon.folder / "hook").write_text(SECRET)
    (daemon.folder / "signing").write_text(f"whsec_{KEY}")
    exporter.gauges['calls{client="web",server="api"}'] = 1.0
    await daemon.start()
    answers = await asyncio.to_thread(tell, daemon)
    assert answers == dict.fromkeys(answers, 200) | {"nobody": 401, "forger": 401}
    told = await daemon.until(lambda: len(daemon.listing("changes")) == 5 and
                              daemon.listing("changes"))  # fmt: skip
    assert {(one["kind"], one["service"], one["source"]) for one in told} == {
        ("deploy", "api", "github"), ("flag", "gitlab-test", "gitlab"), ("deploy", "cart", "argo"),
        ("deploy", "asgard", "jenkins"), ("flag", "db", "flags"),
    }  # fmt: skip
    assert "bob@example.com" not in json.dumps(told)
    metrics = daemon.get("/metrics")[1]
    assert 'aiopsd_repeated_deliveries_total{part="github"} 1' in metrics
    assert 'aiopsd_refused_requests_total{part="github"} 2' in metrics

    (link,) = await daemon.until(
        lambda: [one for one in daemon.listing("topology") if one["one"] == "web"]
    )
    assert (link["kind"], link["other"]) == ("calls", "api")
    assert link["origin"] == "client/server"
    assert link["first_s"] <= link["last_s"] <= time.time()

    exporter.gauges[SICK] = 1.0
    incident = await daemon.until(daemon.open_incidents)
    await daemon.until(lambda: [one for one in daemon.listing("changes")
                                if one.get("author") == "aiopsd"])  # fmt: skip
    exporter.gauges[SICK] = 0.0
    await daemon.until(lambda: [run for run in daemon.listing("runs") if run.get("outcome")])
    before = daemon.listing("changes")
    await daemon.kill()
    await daemon.start()
    assert daemon.listing("changes") == before
    again = recorded("github_deployment_status", time.time())
    assert await asyncio.to_thread(post, daemon, "github", again, {}) == 401
    assert await asyncio.to_thread(post, daemon, "github", again, GITHUB) == 200
    assert [one["id"] for one in daemon.listing("changes")] == [one["id"] for one in before]
    capsys.readouterr()
    words = ["incident", "show", incident[0]["id"], "-c", str(daemon.folder / "aiopsd.yaml")]
    assert await asyncio.to_thread(main, words) == 0
    shown = capsys.readouterr().out
    assert "deploy api f95f852bd8fc by Codertocat" in shown
    assert "config api by aiopsd (playbook cure)" in shown
