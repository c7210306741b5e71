"""What people write in a rule reaches the part that it is meant for."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from aiopsd.app import House
from aiopsd.config import load
from aiopsd.model import Anomaly, Batch, Change, Floats
from aiopsd.stores import SqliteStore

DAEMON = """\
sources:
  first: {type: prometheus, url: "http://127.0.0.1:1", every: 7s}
  second: {type: prometheus, url: "http://127.0.0.1:1"}
  direct: {type: scrape, targets: ["http://127.0.0.1:1"]}
history: 0s
"""
RULES = """\
pack: mine
rules:
  - {id: as_source, promql: up, detector: {type: threshold, above: 1}, runbook: "https://r/1"}
  - {id: own, promql: up, every: 3s, detector: {type: threshold, above: 1}}
  - {id: elsewhere, promql: up, source: second, detector: {type: threshold, above: 1}}
  - {id: stream, select: up, detector: {type: threshold, above: 1}}
  - {id: flags, select: flag_info, change: {label: state, kind: flag}}
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "aiopsd.yaml").write_text(DAEMON)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "mine.yaml").write_text(RULES)
    config = load(tmp_path / "aiopsd.yaml")
    store = SqliteStore(config.state / "journal.db", time.time)
    yield House(config, time.time, store)
    await store.close()


def seen(house: House, rule: str, time_s: float, value: float, **labels: str) -> Batch:
    index = house.table.intern(rule, labels)
    values: Floats = np.array([value])
    return Batch(rule, time_s, np.array([index], np.int32), values)


def test_a_rule_is_asked_as_often_as_it_says_else_as_its_source_does(house: House) -> None:
    rules = {rule.id: rule for rule in house.config.rules}
    secs = {name: house.config.every_secs(rule) for name, rule in rules.items()}
    assert secs == {"as_source": 7, "own": 3, "elsewhere": 15, "stream": 15, "flags": 15}
    asked = {q.rule: q.every_secs for name in ("first", "second") for q in house._queries(name)}
    assert asked == {"as_source": 7, "own": 3, "elsewhere": 15}
    assert [q.rule for q in house._queries("second")] == ["elsewhere"]


def test_a_change_has_the_kind_that_its_rule_says(house: House) -> None:
    found: list[Change] = []
    for time_s, state in ((1.0, "off"), (2.0, "on")):
        batch = seen(house, "flags", time_s, 1.0, service="shop", state=state)
        found += house.detection.observe("direct", (batch,), {}).changes
    assert [(one.kind, one.version, one.previous) for one in found] == [("flag", "on", "off")]


def test_an_anomaly_carries_its_rules_runbook(house: House) -> None:
    found: list[Anomaly] = []
    for rule in ("as_source", "own"):
        batch = seen(house, rule, 1.0, 5.0, service="shop")
        found += house.detection.observe("first", (batch,), {}).anomalies
    assert [one.evidence for one in found] == [("runbook: https://r/1",), ()]
