"""The example parts of docs/writing-a-part.md keep the promises of their rooms."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from aiopsd.contracts import Action, NotifierContext
from aiopsd.detectors.watch import RuleInfo, Watch
from aiopsd.document import parse
from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Anomaly, Batch, Delivery
from aiopsd.settings import Duration, Reader
from tests.docs.snippets import ROOT, snippets
from tests.unit.cli import journal
from tests.unit.sources.witness import Witness

PARTS = {"source": "LoadSettings", "detector": "StuckSettings", "executor": "FlagSettings",
         "notifier": "LinesSettings"}  # fmt: skip
CODE = dict(zip(PARTS, snippets(ROOT / "docs" / "writing-a-part.md", "python"), strict=True))


@pytest.fixture
def modules() -> Iterator[dict[str, ModuleType]]:
    """Each example as a module of its own, as it would be in its room."""
    made = {}
    for room, snippet in CODE.items():
        made[room] = sys.modules[f"example_{room}"] = ModuleType(f"example_{room}")
        exec(compile(snippet.text, snippet.where, "exec"), made[room].__dict__)  # noqa: S102
    yield made
    for room in made:
        del sys.modules[f"example_{room}"]


def written(settings: type[Any], text: str) -> tuple[Any, list[str]]:
    document = parse(text, "f.yaml")
    found = Reader(document).read(settings, document.data)
    return found, [str(problem) for problem in document.problems]


def settings(modules: dict[str, ModuleType], room: str) -> type[Any]:
    found: type[Any] = getattr(modules[room], PARTS[room])
    return found


@pytest.mark.parametrize("room", PARTS)
def test_an_example_is_short(room: str) -> None:
    assert len(CODE[room].text.splitlines()) <= 70


def test_what_people_write_is_read(modules: dict[str, ModuleType]) -> None:
    load, problems = written(settings(modules, "source"), "{type: load, every: 2s}")
    assert (load.every, problems) == (Duration(2), [])
    _, problems = written(settings(modules, "source"), "{type: load, every: 0s}")
    assert problems == ["f.yaml:1:1: `every` must be longer than 0s"]
    _, problems = written(settings(modules, "source"), "{type: load, evry: 1s}")
    assert problems == ["f.yaml:1:14: unknown key 'evry'; did you mean 'every'?"]


async def test_the_source_reads(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness(clock=lambda: 1000.0)
    source = settings(modules, "source")(every=Duration(0.001)).build(witness.context("load"))
    stream: AsyncIterator[Any] = source.stream(None)
    async with aclosing(stream):  # type: ignore[type-var]
        reading = await anext(stream)
        await source.commit(reading.position)
        (batch,) = reading.items
        assert (batch.rule, batch.time_s, reading.position) == ("", 1000.0, {"time": 1000.0})
        ((labels, value),) = witness.named(batch)
        assert labels == {"__name__": "load1"}
        assert value >= 0
        assert (await anext(stream)).items[0].series.tolist() == batch.series.tolist()


def feed(watch: Watch, time_s: float, *values: float) -> list[Anomaly]:
    series = np.arange(len(values), dtype=np.int32)
    return watch.observe(Batch("sensor", time_s, series, np.array(values)))


def test_the_detector_judges_each_series_and_survives_a_restart(
    modules: dict[str, ModuleType],
) -> None:
    built = settings(modules, "detector")(after=Duration(60))
    info = RuleInfo("sensor", "stale", "high", ("sensor",))

    def watch() -> Watch:
        return Watch(info, built, lambda index: {"sensor": f"s{index}"})

    before, after = watch(), watch()
    for tick in range(5):
        assert feed(before, 10.0 * tick, 7.0, float(tick)) == []
    after.load(before.save())
    assert feed(after, 50.0, np.nan, 5.0) == []
    (found,) = feed(after, 60.0, 7.0, 6.0)
    assert (found.labels, found.tier, found.score) == ({"sensor": "s0"}, "suspicious", 0.5)
    (found,) = feed(after, 120.0, 7.0, 7.0)
    assert found.tier == "certain"
    assert [one.ended_s for one in feed(after, 130.0, 8.0, 8.0) + feed(after, 140.0, 9.0, 9.0)
            if one.ended_s] == [130.0]  # fmt: skip
    with pytest.raises(ValueError, match="saved state"):
        after.detector.load(b"garbage")


def action(**inputs: Any) -> Action:
    return Action("flag.set", inputs, 10.0, "run/step/1")


async def test_the_executor_acts_probes_and_undoes(
    modules: dict[str, ModuleType], tmp_path: Path
) -> None:
    flags = settings(modules, "executor")(folder="flags").build(tmp_path)
    (tmp_path / "flags").mkdir()
    assert flags.lint("set", {"name": "dark-mode"}) == ["`to` is missing"]
    for was in (None, "on"):
        step = action(name="dark-mode", to="off")
        before = await flags.before(step)
        assert before == {"value": was}
        assert await flags.plan(step) == {"value": was, "to": "off"}
        assert await flags.probe(step, before) is False
        await flags.apply(step)
        assert await flags.probe(step, before) is True
        await flags.undo(step, before)
        assert await flags.before(step) == before
        (tmp_path / "flags" / "dark-mode").write_text("on")
    with pytest.raises(Refused, match="is not the name of a flag"):
        await flags.apply(action(name="../x", to="on"))
    (tmp_path / "flags" / "dark-mode").unlink()
    (tmp_path / "flags").rmdir()
    with pytest.raises(Unreachable, match="No such file"):
        await flags.apply(action(name="dark-mode", to="on"))


async def test_the_notifier_repeats_nothing(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    known: dict[str, Delivery] = {}

    async def record(delivery: Delivery) -> None:
        known[delivery.id] = delivery

    def build() -> Any:
        count = Counter[str]()
        context = NotifierContext("lines", lambda: 0.0, count.__setitem__, known, record, tmp_path)
        return settings(modules, "notifier")(file="told.jsonl").build(context)

    for _ in ("at first", "after a restart"):
        notifier = build()
        for event in (journal.OPEN, journal.RUN, journal.DECISION, journal.OPEN):
            await notifier.notify(event)
        await notifier.close()
    told = (tmp_path / "told.jsonl").read_text().splitlines()
    assert ['"INC-7f3a21"' in line for line in told] == [True, True]
    (tmp_path / "told.jsonl").unlink()
    (tmp_path / "told.jsonl").mkdir()
    with pytest.raises(Unreachable, match="Is a directory"):
        await build().notify(journal.CLOSED)
