"""The shipped rules on log lines, over hours of a toy service whose log changes: what they say,
and what they do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import cast

import pytest

from aiopsd.app import House
from aiopsd.config import load
from aiopsd.model import Anomaly, LogBatch, LogLine
from aiopsd.stores import SqliteStore
from aiopsd.stores.memory import MemoryStore
from tests.docs.snippets import ROOT

EVERY = 15.0
BEGIN = 1_700_000_000.0
HOUR = int(3600 / EVERY)
LABELS = {"service": "shop", "host": "a1"}
Tick = list[str]


class Shop:
    """Some requests a tick, each of three lines; a heartbeat every minute."""

    def __init__(self) -> None:
        self.draw, self.requests = Random(4), 0

    def tick(self, n: int, odd: int = 0, beats: bool = True) -> Tick:
        found: Tick = []
        for at in range(12 + self.draw.randrange(4)):
            self.requests += 1
            name = f"INFO request_id=r{self.requests:07d}"
            found += [f"{name} cart of {self.draw.randrange(9)} loaded", f"{name} was paid"]
            found += [f"{name} sent"] if at >= odd else [f"{name} sent back, refused"]
        return found + (["INFO worker pool is alive"] if beats and n % 4 == 0 else [])


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "logs.yaml").write_text((ROOT / "rules" / "logs.yaml").read_text())
    config = tmp_path / "aiopsd.yaml"
    config.write_text("sources:\n  logs: {type: loki_push}\nwatch_all: 'off'\n")
    return House(load(config), lambda: BEGIN, cast("SqliteStore", MemoryStore(lambda: BEGIN)))


def run(
    house: House, begin: int, ticks: int, of: Callable[[int], Tick], history: bool = False
) -> list[Anomaly]:
    found: list[Anomaly] = []
    for n in range(begin, begin + ticks):
        time_s = BEGIN + EVERY * n
        lines = tuple(LogLine(int(time_s * 1e9), LABELS, text) for text in of(n))
        batch = LogBatch(time_s, lines, history)
        found += house.detection.observe("logs", [batch], {"n": n}).anomalies
    return found


def rules(found: list[Anomaly]) -> set[str]:
    return {one.rule for one in found}


def of(found: list[Anomaly], rule: str) -> Anomaly:
    return next(one for one in found if one.rule == rule)


@pytest.fixture
def taught(house: House) -> tuple[House, Shop]:
    shop = Shop()
    assert run(house, 0, 2 * HOUR, shop.tick) == []
    return house, shop


def test_a_new_error_is_news_with_its_line(taught: tuple[House, Shop]) -> None:
    house, shop = taught
    new = "ERROR payment of 12 refused by bank 7: password=hunter22"
    found = run(house, 2 * HOUR, 4, lambda n: [*shop.tick(n), new])
    one = of(found, "new_error_template")
    assert one.title == "new error line shop a1: " + one.labels["template"]
    assert "payment of 12 refused" in one.evidence[-1]
    assert "hunter22" not in str(found)
    assert (one.severity, one.tier) == ("info", "certain")


def test_more_errors_than_usual_come_with_the_newest_of_them(taught: tuple[House, Shop]) -> None:
    house, shop = taught
    some = ["ERROR disk is on fire"]
    run(house, 2 * HOUR, 2 * HOUR, lambda n: shop.tick(n) + some * shop.draw.randrange(4))
    found = run(house, 4 * HOUR, 20, lambda n: shop.tick(n) + some * 80)
    one = of(found, "error_flood")
    assert one.evidence[-1] == "ERROR disk is on fire"
    assert (one.severity, one.tier, one.service) == ("high", "certain", "shop")


def test_a_heartbeat_that_stops_is_missed(taught: tuple[House, Shop]) -> None:
    house, shop = taught
    found = run(house, 2 * HOUR, 40, lambda n: shop.tick(n, beats=False))
    assert rules(found) == {"line_stopped"}
    one = of(found, "line_stopped")
    assert one.title == "a steady line stopped shop a1: worker pool is alive: comes no more"
    assert one.evidence[0].startswith("came every 60 s, ")
    assert one.evidence[1] == "INFO worker pool is alive"
    back = run(house, 2 * HOUR + 40, 8, shop.tick)
    assert [x.ended_s is not None for x in back if x.rule == "line_stopped"] == [True]


def test_a_burst_that_ends_is_not_missed(taught: tuple[House, Shop]) -> None:
    house, shop = taught
    burst = ["INFO cache line was dropped"] * 2
    found = run(house, 2 * HOUR, HOUR, lambda n: shop.tick(n) + burst * (n < 2 * HOUR + 100))
    assert "line_stopped" not in rules(found)


def test_requests_that_go_another_way_are_strange_sessions(taught: tuple[House, Shop]) -> None:
    house, shop = taught
    found = run(house, 2 * HOUR, 20, lambda n: shop.tick(n, odd=8 * (n < 2 * HOUR + 8)))
    one = of(found, "odd_sessions")
    assert one.entity == {"service": "shop"}
    assert one.observed is not None
    assert one.observed > 2
    assert "sent back, refused" in one.evidence[-1]
    assert "1 in " in one.evidence[-1]


def test_other_lines_than_usual_are_another_share(taught: tuple[House, Shop]) -> None:
    house, shop = taught
    other = ["INFO looked up stock"] * 200
    found = run(house, 2 * HOUR, 20, lambda n: shop.tick(n) + other)
    assert "line_share" in rules(found)


def test_an_error_of_an_open_incident_is_news_again_in_the_next_one(
    taught: tuple[House, Shop],
) -> None:
    """Without the incident it has become usual; see ``novel``."""
    house, shop = taught
    error = ["ERROR payment refused"]
    again = {}
    for troubled, at in (((), 2), (("shop",), 4)):
        error = [f"ERROR {'payment refused' if troubled else 'disk is full'}"]
        run(house, at * HOUR, 2, lambda n, e=error: shop.tick(n) + e)
        house.detection.troubled(frozenset(troubled))
        run(house, at * HOUR + 2, 50, lambda n, e=error: shop.tick(n) + e)
        house.detection.troubled(frozenset())
        run(house, at * HOUR + 52, 120, shop.tick)
        later = run(house, at * HOUR + 172, 4, lambda n, e=error: shop.tick(n) + e)
        again[bool(troubled)] = "new_error_template" in rules(later)
        run(house, at * HOUR + 176, 300, shop.tick)
    assert again == {False: False, True: True}


def test_all_of_it_survives_a_restart(taught: tuple[House, Shop], tmp_path: Path) -> None:
    house, shop = taught
    other = House(house.config, lambda: BEGIN, house.store)
    other.detection.load(house.detection.save())
    shop.draw.seed(1)
    ticks = {n: shop.tick(n, odd=9 * (n % 5 == 0)) for n in range(2 * HOUR, 2 * HOUR + 40)}
    first = run(house, 2 * HOUR, 40, ticks.__getitem__)
    assert run(other, 2 * HOUR, 40, ticks.__getitem__) == first
    assert "odd_sessions" in rules(first)
