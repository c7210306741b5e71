"""kill -9 at every write into the journal and around the effect; the next life ends the run.

Real processes, the real journal on a real disk. No effect happens twice, none is forgotten.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiopsd.model import Run
from aiopsd.stores import SqliteStore

ROOT = Path(__file__).parents[2]
LIFE = Path(__file__).with_name("one_life.py")
WRITES = 8  # of a life that heals: begin, baseline, 2 x (intent, done), verifying, pass, end


def live(folder: Path, where: str) -> int:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, LIFE, folder, where],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def begin(folder: Path, *, sick: bool = False) -> None:
    (folder / "level").write_text("9")
    (folder / "effects").write_text("")
    (folder / "opened").write_text(str(time.time()))
    if sick:
        (folder / "sick").touch()


def runs(folder: Path) -> list[Run]:
    async def read() -> list[Run]:
        store = SqliteStore(folder / "journal.db", time.time, read_only=True)
        try:
            return list(await store.current(Run, since_s=0.0))
        finally:
            await store.close()

    return asyncio.run(read())


def effects(folder: Path) -> list[str]:
    return [line.split("/", 1)[1] for line in (folder / "effects").read_text().splitlines()]


def test_a_life_without_a_kill_writes_as_often_as_we_kill(tmp_path: Path) -> None:
    begin(tmp_path)
    assert live(tmp_path, "none") == 0
    assert int((tmp_path / "writes").read_text()) == WRITES + 1
    assert [run.outcome for run in runs(tmp_path)] == ["healed"]


KILLS = [f"write {n} {when}" for n in range(WRITES + 1) for when in ("before", "after")]


@pytest.mark.parametrize("where", KILLS)
def test_killed_at_a_write_the_next_life_ends_the_run(tmp_path: Path, where: str) -> None:
    begin(tmp_path)
    assert live(tmp_path, where) == -9
    assert live(tmp_path, "none") == 0
    (run,) = runs(tmp_path)
    assert run.closed
    done = effects(tmp_path)
    assert len(done) == len(set(done))
    if run.outcome == "healed":
        assert done == ["lower/1", "again/1"]
    else:  # killed between intent and effect: known not to have happened, and no retry asked for
        assert run.outcome == "failed"
        assert where in ("write 2 after", "write 4 after")
        undone = [line for line in done if ":undo" in line]
        assert undone == (["lower:undo/1"] if where == "write 4 after" else [])
        assert (tmp_path / "level").read_text() == "9"


@pytest.mark.parametrize(
    ("where", "outcome", "left"),
    [("effect before", "failed", []), ("effect after", "healed", ["lower/1", "again/1"])],
)
def test_killed_around_the_effect(
    tmp_path: Path, where: str, outcome: str, left: list[str]
) -> None:
    begin(tmp_path)
    assert live(tmp_path, where) == -9
    assert live(tmp_path, "none") == 0
    (run,) = runs(tmp_path)
    assert (run.outcome, effects(tmp_path)) == (outcome, left)


def test_killed_again_and_again_it_still_ends(tmp_path: Path) -> None:
    begin(tmp_path)
    for where in ("write 1 after", "effect after", "write 0 before", "write 0 after",
                  "effect after"):  # fmt: skip
        assert live(tmp_path, where) == -9
    assert live(tmp_path, "none") == 0
    (run,) = runs(tmp_path)
    assert (run.outcome, effects(tmp_path)) == ("healed", ["lower/1", "again/1"])


DONE = ["lower/1", "again/1"]
WAY_BACK = [  # where, how it ends, what was undone by then
    ("write 9 after", "no_effect", ["again:undo/1", "lower:undo/1"]),
    ("write 10 after", "rollback_failed", []),
    ("write 11 before", "rollback_failed", ["again:undo/1"]),
    ("write 11 after", "no_effect", ["again:undo/1", "lower:undo/1"]),
    ("write 13 before", "rollback_failed", ["again:undo/1", "lower:undo/1"]),
    ("write 14 after", "no_effect", ["again:undo/1", "lower:undo/1"]),
]


@pytest.mark.parametrize(("where", "outcome", "undone"), WAY_BACK)
def test_killed_on_the_way_back(
    tmp_path: Path, where: str, outcome: str, undone: list[str]
) -> None:
    """An undo is not repeated blindly either: in doubt, a person looks."""
    begin(tmp_path, sick=True)
    assert live(tmp_path, where) == -9
    assert live(tmp_path, "none") == 0
    (run,) = runs(tmp_path)
    assert (run.outcome, effects(tmp_path)) == (outcome, DONE + undone)
