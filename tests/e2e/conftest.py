"""A sick service, a way to heal it, and people who are told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon, daemon_in
from tests.loopback.exporter import Exporter
from tests.loopback.slack import TOKEN, LoopbackSlack

RULES = """
pack: test
rules:
  - id: sick
    title: sick
    select: sick
    by: [service]
    every: 1s
    detector: {type: threshold, above: 0.5}
    kind: error-rate
    severity: critical
"""

PLAYBOOK = """
playbook: v1
name: cure
owner: the test
mode: auto
on: [{incident: error-rate}]
target: {kind: service, id: "${root.service}"}
guard: {cooldown: 1m}
steps:
  - id: act
    do: command.run
    with: {argv: [./act, "${root.service}"] PROBE}
    timeout: 30s
    undo: none
verify:
  after: 1s
  every: 1s
  within: 30s
  passes: 2
  checks: [{name: sick, rule: sick, where: {service: "${root.service}"}, expect: value < 0.5}]
on_failure: {rollback: never, then: notify}
"""

ACT = """#!/bin/sh
echo "$1 $AIOPSD_KEY" >> acts
sleep 2
echo "$1" >> cured
"""

PROBE = """#!/bin/sh
grep -q "^$1$" cured 2>/dev/null
"""


@pytest.fixture
async def exporter() -> AsyncIterator[Exporter]:
    async with Exporter(**{'sick{service="api"}': 0.0, 'sick{service="db"}': 0.0}) as one:
        yield one


@pytest.fixture
async def slack() -> AsyncIterator[LoopbackSlack]:
    async with LoopbackSlack() as one:
        yield one


@pytest.fixture
async def daemon(tmp_path: Path, exporter: Exporter, slack: LoopbackSlack) -> AsyncIterator[Daemon]:
    """Configured and not started. Its playbook acts by ``./act``, which the test may replace."""
    async with daemon_in(tmp_path) as one:
        config = f"""
sources:
  app: {{type: scrape, targets: ["{exporter.url}/metrics"], every: 1s}}
notifiers:
  ops: {{type: slack, channel: ops, token_file: token, api_url: {slack.api_url}, edit_every: 1s}}
automation: {{mode: auto, settle: 1s}}
incidents: {{quiet: 2s}}
"""
        one.write(
            config,
            rules__test=RULES,
            playbooks__cure=PLAYBOOK.replace("PROBE", ', probe_argv: [./probe, "${root.service}"]'),
            act=ACT,
            probe=PROBE,
            token=TOKEN,
        )
        yield one
