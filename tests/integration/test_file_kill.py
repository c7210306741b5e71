"""The file source as a process that is killed at any moment, while a program writes and rotates."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from itertools import count
from pathlib import Path

READER = """
import asyncio, json, os, sys, time
from pathlib import Path
from aiopsd.contracts import Health, SourceContext
from aiopsd.series import SeriesTable
from aiopsd.settings import Duration
from aiopsd.sources.file import FileSettings

async def main(folder, kept):
    context = SourceContext(
        name="logs", table=SeriesTable(), clock=time.time, base=folder,
        health=Health(lambda part, why: None, lambda part: None), count=lambda what, n: None,
    )
    settings = FileSettings(paths=("app.log*",), every=Duration(0.02), from_start=True)
    done = [line for line in kept.read_bytes().split(b"\\n") if line] if kept.exists() else []
    resume = json.loads(done[-1])["position"] if done else None
    with kept.open("ab", buffering=0) as file:
        async for reading in settings.build(context).stream(resume):
            texts = [line.text for item in reading.items for line in item.lines]
            words = json.dumps({"texts": texts, "position": reading.position})
            file.write(words.encode() + b"\\n")  # what was told and how far, in one write

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""
KILLS = 12


class Writer:
    """Numbered events, some of several lines; now and then the log is rotated, by either way."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.log, self.chance = folder / "app.log", chance
        self.numbers, self.files = count(1), count(1)
        self.written: list[str] = []

    def write(self) -> None:
        with self.log.open("ab", buffering=0) as file:
            for _ in range(self.chance.randint(1, 40)):
                event = f"<{next(self.numbers)}> something of some length happened"
                if self.chance.random() < 0.1:
                    event += "\n  at a line\n  at another\nCaused by: this"
                self.written.append(event)
                file.write(event.encode() + b"\n")

    def rotate(self) -> None:
        self.log.rename(self.log.with_name(f"app.log.{next(self.files)}"))
        self.log.touch()


def told(kept: Path) -> list[str]:
    if not kept.exists():
        return []
    *whole, _ = kept.read_bytes().split(b"\n")
    return [text for line in whole for text in json.loads(line)["texts"]]


async def reader(folder: Path, kept: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", READER, folder, kept)


async def test_killed_again_and_again_it_tells_each_line_once(tmp_path: Path) -> None:
    folder, kept, chance = tmp_path / "log", tmp_path / "kept", random.Random(5)
    folder.mkdir()
    writer = Writer(folder, chance)
    writer.log.touch()
    deadline_s = asyncio.get_running_loop().time() + 240
    for _ in range(KILLS):
        process = await reader(folder, kept)
        try:
            seen = len(told(kept))
            while len(told(kept)) == seen:  # it is up
                writer.write()
                await asyncio.sleep(0.05)
                assert asyncio.get_running_loop().time() < deadline_s
            for _ in range(chance.randint(1, 10)):
                writer.write()
                if chance.random() < 0.2:
                    writer.rotate()
                await asyncio.sleep(chance.random() * 0.03)
        finally:
            process.kill()
            await process.wait()
    process = await reader(folder, kept)
    try:
        while len(told(kept)) < len(writer.written):
            assert asyncio.get_running_loop().time() < deadline_s
            await asyncio.sleep(0.05)
    finally:
        process.kill()
        await process.wait()
    lines = [line for event in writer.written for line in event.split("\n")]
    assert sorted(line for text in told(kept) for line in text.split("\n")) == sorted(lines)
    firsts = [text for text in told(kept) if text.startswith("<")]
    assert sorted(firsts) == sorted(set(firsts))
    whole = set(firsts) & set(writer.written)
    assert len(whole) > 0.99 * len(writer.written)  # a trace in the middle of which it was killed
