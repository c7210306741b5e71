"""The whole house through a day of virtual time: what it holds in the evening, it held before."""

import asyncio
import gc
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import aiopsd.correlation.changes
import aiopsd.pipeline
import aiopsd.pipeline.facts
import aiopsd.redaction.redactor
from aiopsd.app import House
from aiopsd.config import load
from aiopsd.stores import SqliteStore
from tests.chaos.leaping_loop import run_leaping
from tests.chaos.one_day import CHURN, HOUR_SECS, PLAYBOOK, PODS, RULES, Fleet, TellerSettings
from tests.chaos.sizes import sizes

EVERY_SECS = 60.0
KEEP_SECS = 2 * HOUR_SECS  # instead of a day, and of ninety in the journal
MORNING_H, EVENING_H = 8, 24
CROWD = 2700  # some two thousand are alive at a time, and two hundred die in an hour
CONFIG = """
sources: {fleet: {type: scrape, targets: ["http://127.0.0.1:1/metrics"]}}
automation: {mode: auto, runs_per_hour: 100}
incidents: {quiet: 30s}
limits: {keep: 2h, checkpoint: 5m}
"""


@dataclass
class Held:
    """What there is at one time."""

    lengths: Counter[str]
    objects: int
    rows: dict[str, int]

    @classmethod
    def by(cls, house: House, journal: Path) -> "Held":
        gc.collect()
        with closing(sqlite3.connect(journal)) as db:
            rows = {
                f"{kind} in {table}": number
                for table in ("events", "things")
                for kind, number in db.execute(f"select kind, count(*) from {table} group by kind")  # noqa: S608
            }
        lengths = sizes(house, "house")
        lengths["refused"] = house.table.refused
        return cls(lengths, len(gc.get_objects()), rows)


def test_a_day_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiopsd.pipeline, "FORGET_SERIES_SECS", KEEP_SECS)
    monkeypatch.setattr(aiopsd.pipeline, "REMEMBER_SECS", KEEP_SECS)
    monkeypatch.setattr(aiopsd.correlation.changes, "KEEP_SECS", KEEP_SECS)
    monkeypatch.setattr(aiopsd.redaction.redactor, "MOST_VALUES", 200)
    # A busy moment is minutes here.
    monkeypatch.setattr(aiopsd.pipeline.facts, "STILL_SECS", HOUR_SECS)
    _write(tmp_path, CONFIG)
    began = time.monotonic()
    morning, evening, house = run_leaping(lambda: _live(tmp_path, MORNING_H, EVENING_H))
    _check_that_it_lived(house)
    print(f"{evening.objects - morning.objects:+} objects, {evening.rows}, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    grown = {
        path: (morning.lengths[path], length)
        for path, length in evening.lengths.items()
        if length > 1.25 * morning.lengths[path] + 60
        and "._kept" not in path  # views of rows: few, and made anew
    }
    assert not grown
    assert evening.objects < 1.1 * morning.objects + 1000
    for name, number in evening.rows.items():
        assert number < 1.25 * morning.rows.get(name, 0) + 25, (name, morning.rows, evening.rows)


def test_a_full_table_has_room_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What came and went fills it within hours, a day before it would be forgotten."""
    _write(tmp_path, CONFIG.replace("keep: 2h", f"keep: 2h, series: {CROWD}"))
    morning, evening, house = run_leaping(lambda: _live(tmp_path, 5, 10))
    assert caplog.text.count("no room for new series") >= 1
    assert len(house.table) <= CROWD * 10 / 9  # what is kept free for others
    refused = morning.lengths["refused"], evening.lengths["refused"]
    print(f"{len(house.table)} series, refused until the fifth hour and the tenth: {refused}")
    newest = int(10 * CHURN * PODS) + PODS - 20
    assert house.table.latest("load", {"pod": f"p{newest}"}, 0.0), "a new pod finds no room"


def _write(folder: Path, config: str) -> None:
    for name, text in (
        ("aiopsd.yaml", config),
        ("rules/fleet.yaml", RULES),
        ("playbooks/cure.yaml", PLAYBOOK),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


async def _live(folder: Path, *hours: int) -> tuple[Held, Held, House]:
    loop = asyncio.get_running_loop()
    began = loop.time()

    def clock() -> float:
        return 1_700_000_000.0 + loop.time() - began

    journal = folder / "state" / "journal.db"
    config = load(folder / "aiopsd.yaml")
    config = replace(config, daemon=_with_teller(config.daemon))
    store = SqliteStore(journal, clock)
    house = House(config, clock, store)
    house.sources = {"fleet": Fleet(house.table, clock, EVERY_SECS)}
    await house.restore()
    stopping = asyncio.Event()
    living = asyncio.create_task(house.pipeline.run(stopping))
    held = []
    for hour in hours:
        await asyncio.wait([living], timeout=began + hour * HOUR_SECS - loop.time())
        assert not living.done(), living.result()
        held.append(Held.by(house, journal))
    stopping.set()
    await living
    await store.close()
    return held[0], held[1], house


def _with_teller(daemon: object) -> object:
    from msgspec.structs import replace as with_

    return with_(daemon, notifiers={"people": TellerSettings()})


def _check_that_it_lived(house: House) -> None:
    """Otherwise there would be nothing to leave behind."""
    telemetry = house.telemetry
    assert house.detection.samples > EVENING_H * HOUR_SECS / EVERY_SECS * 500
    assert telemetry.counters["notices", "people"] > EVENING_H
    reasons = [one.reason.text for one in house.pipeline.state.decisions.values()]
    assert house.pipeline.state.runs, reasons
