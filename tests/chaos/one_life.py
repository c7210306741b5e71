"""One life of a runner as a real process on a real journal: argv = folder, where to kill -9.

Where: ``none``, ``write N before|after`` (the N-th write into the journal), or
``effect before|after`` (the first effect on the world). The world is two files: ``effects``,
one line an effect, and ``level``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unit.remediation.world import PLAYBOOK, incident, playbook

from aiopsd.contracts import Action, Metrics
from aiopsd.model import Incident, Mode, Run
from aiopsd.remediation.gate import House, judge
from aiopsd.remediation.matching import match
from aiopsd.remediation.runner import Reach, Runner
from aiopsd.stores import SqliteStore

TEXT = (
    PLAYBOOK.replace("after: 10s", "after: 0s")
    .replace("every: 5s", "every: 1s")
    .replace("passes: 3", "passes: 1")
    .replace("within: 1m", "within: 3s")
    .replace(
        "verify:",
        "  - {id: again, do: toy.set, with: {name: shop, to: 0}, undo: auto}\nverify:",
        1,
    )
)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class FileToy:
    """``toy.set`` on files. Its probe knows an effect by its key."""

    actions = frozenset({"set"})

    def __init__(self, folder: Path, where: list[str]) -> None:
        self.effects, self.level = folder / "effects", folder / "level"
        self.where = where

    def lint(self, verb: str, inputs: Mapping[str, Any]) -> Sequence[str]:
        return []

    async def plan(self, action: Action) -> dict[str, Any]:
        return {}

    async def before(self, action: Action) -> dict[str, Any]:
        return {"level": int(self.level.read_text())}

    async def apply(self, action: Action) -> dict[str, Any]:
        if self.where == ["effect", "before"]:
            kill()
        self._set(action.inputs["to"], f"apply {action.key}")
        if self.where == ["effect", "after"]:
            kill()
        return {}

    async def probe(self, action: Action, before: Mapping[str, Any]) -> bool | None:
        return f"apply {action.key}" in self.effects.read_text().splitlines()

    async def undo(self, action: Action, before: Mapping[str, Any]) -> dict[str, Any]:
        self._set(before["level"], f"undo {action.key}")
        return {}

    def _set(self, level: int, line: str) -> None:
        self.level.write_text(str(level))
        with self.effects.open("a") as effects:
            effects.write(line + "\n")
            effects.flush()
            os.fsync(effects.fileno())


async def live(folder: Path, where: list[str]) -> None:
    store = SqliteStore(folder / "journal.db", time.time)
    toy = FileToy(folder, where)
    now = incident(float((folder / "opened").read_text()))
    writes = 0

    async def journal(run: Run) -> None:
        nonlocal writes
        if where == ["write", str(writes), "before"]:
            kill()
        await store.append(run)
        if where == ["write", str(writes), "after"]:
            kill()
        writes += 1

    async def promql(query: str) -> float | None:
        return 0.31 if int(toy.level.read_text()) > 5 or (folder / "sick").exists() else 0.01

    async def rule(name: str, labels: Mapping[str, str]) -> float | None:
        raise AssertionError("nobody asks by rule here")

    def found(name: str) -> Incident | None:
        return now if name == now.id else None

    one = playbook(TEXT)
    reach = Reach(
        executors={"toy": toy},
        metrics=Metrics(promql, rule),
        journal=journal,
        clock=time.time,
        halted=lambda _: "",
        secret=lambda name: name,
        incident=found,
    )
    runner = Runner(reach, {one.name: one}.get)
    history = await store.current(Run, since_s=0.0)
    if history:
        await runner.resume(history[-1])
    else:
        (plan,), _ = match([one], now, time.time())
        house = House(ceiling=Mode.AUTO)
        decision = judge(plan, history=(), halts=(), now_s=time.time(), house=house)
        await runner.run(plan, decision)
    (folder / "writes").write_text(str(writes))
    await store.close()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2].split()))
