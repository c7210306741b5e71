"""A process that watches many series, tells what that cost, and ends: ``one_million.py SERIES``.

Each tick comes in requests of 10,000 series, whose names are cut from a buffer anew, as a receiver
does: looked up, recorded and judged by a ``band`` of the light tier, and at last saved.
"""

import asyncio
import gc
import json
import os
import sys
import time
from itertools import pairwise

import numpy as np

from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.watch import RuleInfo, Watch
from aiopsd.logs import Miner
from aiopsd.model import Batch
from aiopsd.pipeline.detection import Detection
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms
from tests.bench import fleet

REQUEST, WARM, MEASURED = 10_000, 24, 8
EVERY_SECS, BEGUN_S = 15.0, 1_795_421_130.0


def resident(what: str = "VmRSS") -> int:
    with open("/proc/self/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(what))


class Requests:
    """Names as they stand in messages, back to back."""

    def __init__(self, series: int) -> None:
        self.buffers: list[tuple[bytes, list[int]]] = []
        for at in range(0, series, REQUEST):
            names = [
                json.dumps(fleet.labels(n), separators=(",", ":")).encode()
                for n in range(at, min(series, at + REQUEST))
            ]
            self.buffers.append((b"".join(names), [0, *np.cumsum(list(map(len, names))).tolist()]))

    def cut(self, number: int) -> list[bytes]:
        buffer, ends = self.buffers[number]
        return [buffer[a:b] for a, b in pairwise(ends)]


async def saved_beside(one: Detection) -> tuple[dict[str, bytes], float]:
    """What was saved, and for how long the loop had no turn meanwhile."""
    longest_secs, loop = 0.0, asyncio.get_running_loop()
    saving = asyncio.create_task(asyncio.to_thread(one.save))
    while not saving.done():
        begun = loop.time()
        await asyncio.sleep(0.001)
        longest_secs = max(longest_secs, loop.time() - begun - 0.001)
    return await saving, longest_secs


def main(series: int) -> None:
    requests = Requests(series)
    begun_bytes = resident()
    table = SeriesTable(series)
    info = RuleInfo("load", "saturation", "high", ("service",))
    settings = BandSettings(tier="light")
    watch = Watch(info, settings, table.labels)
    one = Detection(table, Miner(table), Transforms({}, table), {"load": watch}, {})
    keys = table.keys("load")
    spent = dict.fromkeys(("names cut from messages", "found", "recorded and judged"), 0.0)
    values = fleet.values(series + 97)
    sizes: dict[str, int] = {}
    for tick in range(WARM + MEASURED):
        if tick == WARM:
            spent = dict.fromkeys(spent, 0.0)
            wall = time.perf_counter()
        for number, at in enumerate(range(0, series, REQUEST)):
            marks = [time.process_time()]
            raw = requests.cut(number)
            marks.append(time.process_time())
            found = keys.find(raw)
            if tick == 0:
                labels = [json.loads(name) for name in raw]
                keys.learn(raw, [table.intern("load", one) for one in labels])
                found = keys.find(raw)
                del labels
            marks.append(time.process_time())
            now = values[at + tick : at + tick + len(raw)]
            one.observe("src", [Batch("load", BEGUN_S + tick * EVERY_SECS, found, now)], {})
            marks.append(time.process_time())
            for step, secs in zip(spent, np.diff(marks).tolist(), strict=True):
                spent[step] += secs
        if tick == 0:
            gc.collect()
            sizes["first tick"] = resident() - begun_bytes
    wall = (time.perf_counter() - wall) / MEASURED
    secs = {step: total / MEASURED for step, total in spent.items()}
    secs |= {"a tick": sum(secs.values()), "a tick, by the clock on the wall": wall}
    sizes["all that is learned"] = resident() - begun_bytes
    sent = sum(len(buffer) for buffer, _ in requests.buffers)  # is not ours
    sizes["resident"] = resident() - sent
    begun = time.process_time()
    parts, waited_secs = asyncio.run(saved_beside(one))
    secs["a checkpoint, now and then"] = time.process_time() - begun
    sizes["a checkpoint"] = sum(map(len, parts.values()))
    sizes["resident at most"] = resident("VmHWM") - sent
    other = SeriesTable(series)
    again = Watch(info, settings, other.labels)
    restored = Detection(other, Miner(other), Transforms({}, other), {"load": again}, {})
    begun = time.process_time()
    restored.load(parts)
    secs["loaded, after a restart"] = time.process_time() - begun
    secs["naive: sorted tuples, a tick"] = naive(requests) * series / REQUEST
    print(json.dumps({"secs": secs, "bytes": sizes, "waited": waited_secs}))


def naive(requests: Requests) -> float:
    """Of one request: decoded, and looked up by its labels."""
    known: dict[tuple[tuple[str, str], ...], int] = {}
    for _ in range(2):
        begun = time.process_time()
        for name in requests.cut(0):
            known.setdefault(tuple(sorted(json.loads(name).items())), len(known))
    return time.process_time() - begun


if __name__ == "__main__":
    main(int(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # freeing a million names takes a while, and tells nothing
