"""The first hour of somebody who follows a log with the shipped rules: a flood of errors is one
incident within a minute, and whatever else happens is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from aiopsd.model import Incident
from tests.log_world import LogWorld

LABELS = {"service": "shop", "host": "a1"}
Lines = list[str]
FLOODS: dict[str, Callable[[Random], Lines]] = {
    "tens a second": lambda draw: [
        f"ERROR no connection to 10.0.0.{draw.randrange(99)}:5432" for _ in range(30)
    ],
    "a fifth of all": lambda _: ["ERROR payment refused"] * 3,
    "many kinds": lambda _: [f"ERROR {what} failed" for what in ["cart", "cash", "mail"]] * 4,
    "without a level": lambda draw: [f"request {draw.randrange(999)} timed out"] * 10,
    "json": lambda _: ['{"level":"error","msg":"no stock","error":{"cause":"gone"}}'] * 10,
}


class Shop:
    def __init__(self, folder: Path) -> None:
        self.world, self.draw = LogWorld(folder), Random(5)
        self.labels = LABELS

    def run(
        self, secs: int, more: Callable[[Random], Lines] = lambda _: [], every: float = 1.0
    ) -> list[Incident]:
        for _ in range(round(secs / every)):
            lines = [self.usual() for _ in range(round(12 * every))]
            if self.draw.random() < 0.005 * every:
                lines.append("ERROR payment of order 7 declined")
            lines += [line for _ in range(max(1, round(every))) for line in more(self.draw)]
            self.world.tick(every, [(self.labels, line) for line in lines])
        return list(self.world.incidents.values())

    def usual(self) -> str:
        n = self.draw.randrange(10**6)
        return self.draw.choice(
            (f"INFO order {n} accepted", f"INFO order {n} paid", f"DEBUG cart {n} loaded")
        )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.parametrize("flood", FLOODS)
def test_after_two_minutes_a_flood_is_one_incident_that_ends(shop: Shop, flood: str) -> None:
    assert shop.run(150) == []
    begun = shop.world.now
    [one] = shop.run(180, FLOODS[flood])
    assert shop.world.opened[one.id] - begun <= 70
    assert (one.severity, one.kind, one.services) == ("high", "error-rate", ("shop",))
    assert one.title.startswith("error lines shop a1 ")
    told = next(member for member in one.anomalies if member.rule == "error_flood")
    assert 0 < told.onset_s - begun <= 11  # not when enough had come to know it
    last = FLOODS[flood](shop.draw)[-1]
    shown = [line for member in one.anomalies for line in member.evidence]
    assert any(line.split()[0] == last.split()[0] for line in shown)
    over = shop.world.now
    [one] = shop.run(180)
    assert one.closed
    assert shop.world.closed[one.id] - over <= 120


@pytest.mark.parametrize("every", [0.5, 5.0, 15.0])
def test_ticks_of_any_length_say_the_same(shop: Shop, every: float) -> None:
    assert shop.run(210, every=every) == []
    [one] = shop.run(90, FLOODS["tens a second"], every)
    assert one.severity == "high"
    told = [member for member in one.anomalies if member.rule == "new_error_template"]
    [news] = [member for member in told if "payment" not in member.title]
    assert news.title == "new error line shop a1: no connection to <ip>"
    assert news.evidence[-1].startswith("ERROR no connection to 10.0.0.")


@pytest.mark.parametrize("labels", [{"service_name": "shop"}, {"app": "shop", "pod": "shop-1"}])
def test_whatever_names_a_service_it_is_one_place(shop: Shop, labels: dict[str, str]) -> None:
    shop.labels = labels
    shop.run(150, every=5.0)
    [one] = shop.run(90, FLOODS["tens a second"], 5.0)
    assert one.services == ("shop",)
    assert {"error_flood", "new_error_template"} <= {member.rule for member in one.anomalies}


def test_a_restart_with_fifty_new_lines_is_none(shop: Shop) -> None:
    shop.run(150)
    banner = [f"INFO {a} {b} is ready" for a in "abcdefghij" for b in "vwxyz"]
    shop.world.tick(20.0, [(LABELS, line) for line in ["ERROR connection closed", *banner]])
    assert shop.run(600) == []


def test_a_trace_of_a_hundred_lines_a_scan_and_debug_lines_are_none(shop: Shop) -> None:
    shop.run(150)
    shop.run(1, lambda _: ["ERROR at shop.Orders.save failed"] * 100)
    shop.run(120)
    shop.run(15, lambda draw: [f"ERROR open() /{draw.randrange(99)}.php failed"] * 5)
    shop.run(120)
    assert shop.run(300, lambda draw: [f"DEBUG key {draw.randrange(99)} not found"] * 20) == []


def test_nothing_of_a_flood_is_learned_while_it_is_an_incident(shop: Shop) -> None:
    shop.run(300)
    shop.run(1200, FLOODS["tens a second"])
    [one] = shop.run(900)
    assert one.closed
    first = shop.world.now
    found = shop.run(90, FLOODS["tens a second"])
    assert len(found) == 2
    assert shop.world.opened[found[1].id] - first <= 60
