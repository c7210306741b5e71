"""Toy worlds with known faults: services that call one another, queue, retry and fail.

Load goes down the calls, with the retries of what failed; latency and errors come up again. Each
case is drawn from its seed alone. Kept is what the target's callers feel; a case is detected when
they have felt it for two rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aiopsd.correlation.ranking import Column, LineCounts, Window
from aiopsd.model import Floats

STEP_SECS, ROWS, FAULT = 30.0, 110, 90
FAULTS = ("cpu", "memory", "disk", "delay", "errors", "crash", "dark")
CAUSES = {
    "cpu": ("cpu",), "memory": ("memory",), "disk": ("disk",), "delay": ("latency",),
    "errors": ("error",), "crash": ("restarts", "up"), "dark": ("up",),
}  # fmt: skip
METRICS = ("latency-p95-ms", "error-ratio", "requests-per-sec", "cpu-percent", "memory-mb",
           "disk-io-util-percent", "threads", "restarts-total")  # fmt: skip


@dataclass(frozen=True)
class Generated:
    window: Window
    root: str
    fault: str

    def is_cause(self, metric: str) -> bool:
        return any(word in metric for word in CAUSES[self.fault])


def cases(seed: int, count: int, services: int) -> Iterator[Generated]:
    random = np.random.default_rng(seed)
    found = 0
    while found < count:
        world = _World(np.random.default_rng(random.integers(1 << 60)), services)
        one = world.case(FAULTS[found % len(FAULTS)])
        if one is not None:
            found += 1
            yield one


class _World:
    """``calls[u][v]``: calls of v a request of u; services are numbered from the entry down."""

    def __init__(self, random: np.random.Generator, services: int) -> None:
        self.random, self.n = random, services
        self.calls: list[dict[int, float]] = [{} for _ in range(services)]
        for v in range(1, services):
            above = random.choice(v, size=min(v, int(random.integers(1, 4))), replace=False)
            for u in above.tolist():
                self.calls[u][v] = float(random.choice([0.4, 0.7, 1.0, 1.5]))
        self.base = 60.0
        share = np.zeros(services)
        share[0] = 1.0
        for u in range(services):
            for v, times in self.calls[u].items():
                share[v] += share[u] * times
        self.share = share
        self.work = np.exp(random.normal(math.log(0.01), 0.4, services))  # seconds a request
        self.room = share * self.base * self.work / random.uniform(0.3, 0.65, services)
        self.retries = random.integers(0, 3, services)
        self.timeout = random.choice([0.5, 1.0, 2.0], services)
        self.memory = random.uniform(150, 900, services)
        self.names = [f"svc-{chr(97 + i % 26)}{i:02d}x" for i in range(services)]

    def case(self, fault: str) -> Generated | None:
        random = self.random
        root = int(random.choice(np.flatnonzero(self.share[1:] > 0.1) + 1))
        strength = float(random.uniform(0.6, 1.2))
        noise = self._noise(root)
        values = np.zeros((ROWS, self.n, len(METRICS)))
        self.backlog, self.failed = np.zeros(self.n), np.zeros(self.n)
        said: list[tuple[float, int, str, int]] = []
        wave = random.normal(0, 0.03, ROWS).cumsum() * 0.3
        for row in range(ROWS):
            since = row - FAULT + 1
            grown = min(1.0, max(0, since) / int(random.integers(1, 4))) * strength
            load = self.base * (1 + 0.2 * math.sin(row / 17)) * math.exp(wave[row])
            values[row] = self._tick(row, load, fault, root, grown, since, noise, said)
        return self._kept(values, fault, root, said)

    def _noise(self, root: int) -> list[tuple[int, int, int, float]]:
        """(service, metric, first row, factor): harmless things that happen at the same time."""
        random, found = self.random, []
        for _ in range(self.n // 6):
            service = int(random.integers(1, self.n))
            metric = int(random.choice([3, 4, 5]))
            if service != root:
                first = int(random.integers(FAULT - 40, ROWS - 4))
                found.append((service, metric, first, float(random.uniform(1.5, 3))))
        return found

    def _tick(self, row: int, load: float, fault: str, root: int, grown: float, since: int,
              noise: list[tuple[int, int, int, float]],
              said: list[tuple[float, int, str, int]]) -> Floats:  # fmt: skip
        random = self.random
        down = fault in ("crash", "dark") and since > 0 and (fault == "dark" or since % 6 < 4)
        work = self.work.copy()
        work[root] *= 1 + grown * {"cpu": 2.5, "memory": 2.0, "disk": 3.0}.get(fault, 0.0)
        offered = self._offered(load, root, down)
        latency, errors, used = np.zeros(self.n), np.zeros(self.n), np.zeros(self.n)
        for u in range(self.n - 1, -1, -1):
            used[u] = offered[u] * work[u] / self.room[u]
            over = max(0.0, used[u] - 1)
            self.backlog[u] = min(4.0, max(0.0, self.backlog[u] * 0.5 + over * 0.8))
            own = work[u] / max(0.08, 1 - min(used[u], 0.99)) + self.backlog[u]
            own += 0.25 * grown if u == root and fault == "delay" else 0.0
            fails = 0.3 * grown if u == root and fault == "errors" else 0.002
            fails = 0.97 if u == root and down else fails + 0.4 * min(1.0, over)
            worst, blamed = fails, -1
            for v, times in self.calls[u].items():
                own += min(latency[v], self.timeout[u]) * times
                slow = 1 / (1 + math.exp(-8 * (latency[v] / self.timeout[u] - 1)))
                gone = min(1.0, errors[v] + slow * 0.9) ** (1 + int(self.retries[u]))
                fails = 1 - (1 - fails) * (1 - min(1.0, times) * gone)
                if gone > worst:
                    worst, blamed = gone, v
            latency[u], errors[u] = min(own, 6.0), min(fails, 1.0)
            self._say(row, u, int(offered[u] * STEP_SECS * errors[u]), blamed, fault, root, said)
        self.failed = errors
        queue, none = 1 + offered * latency, np.zeros(self.n)
        cpu, disk = 100 * np.minimum(used, 1), 5 + 10 * np.minimum(used, 1)
        shown = [latency * 1000, errors, offered, cpu, self.memory, disk, queue, none]
        made = np.stack(shown, axis=1)
        made *= np.exp(random.normal(0, [0.06, 0.1, 0.04, 0.06, 0.006, 0.1, 0.08, 0], made.shape))
        made[:, 1] = np.minimum(made[:, 1], 1)
        made[root] += self._signs(fault, root, grown, since)
        for service, metric, first, factor in noise:
            if first <= row < first + 8:
                made[service, metric] *= factor
        if down:
            made[root] = np.nan if fault == "dark" else [20, 0.97, offered[root], 1, 20, 1, 1, 0]
        made[root, 7] = (max(0, since) + 5) // 6 if fault == "crash" else made[root, 7]
        return made

    def _offered(self, load: float, root: int, down: bool) -> Floats:
        offered = np.zeros(self.n)
        offered[0] = load
        for u in range(self.n):
            through = 0.05 if down and u == root else 1.0
            for v, times in self.calls[u].items():
                again = sum(self.failed[v] ** k for k in range(int(self.retries[u]) + 1))
                offered[v] += offered[u] * times * again * through
        return offered

    def _signs(self, fault: str, root: int, grown: float, since: int) -> Floats:
        """What the fault itself shows at the root."""
        signs = np.zeros(len(METRICS))
        signs[3] = {"cpu": 60.0, "memory": 10.0}.get(fault, 0.0) * grown
        signs[4] = self.memory[root] * (0.3 * grown + 0.05 * max(0, since)) * (fault == "memory")
        signs[5] = 70.0 * grown if fault == "disk" else 0.0
        return signs

    def _say(self, row: int, u: int, lines: int, blamed: int, fault: str, root: int,
             said: list[tuple[float, int, str, int]]) -> None:  # fmt: skip
        if lines <= 0:
            return
        text = "ERROR request failed"
        if blamed >= 0:
            text = f"ERROR call to {self.names[blamed]} failed: timeout or error"
        elif u == root and row >= FAULT and fault == "errors":
            text = "ERROR NullPointerException in handler"
        said.append((row * STEP_SECS, u, text, min(lines, 300)))

    def _kept(self, values: Floats, fault: str, root: int,
              said: list[tuple[float, int, str, int]]) -> Generated | None:  # fmt: skip
        felt = values[:, 0, :2]
        usual = np.median(felt[:FAULT], axis=0)
        bad = (felt[:, 0] > 1.5 * usual[0]) | (felt[:, 1] > usual[1] + 0.02)
        rows = [r for r in range(FAULT, ROWS - 4) if bad[r] and bad[r + 1]]
        if not rows or bad[:FAULT].mean() > 0.2:
            return None
        end = min(ROWS, rows[0] + 16)
        holes = self.random.random(values.shape) < 0.005
        values = np.where(holes, np.nan, values)[:end]
        columns = tuple(Column.named(s, m) for s in self.names for m in METRICS)
        kept = [line for line in said if line[0] < end * STEP_SECS]
        lines = LineCounts(
            tuple(self.names[u] for _, u, _, _ in kept), tuple(text for _, _, text, _ in kept),
            np.array([t for t, _, _, _ in kept]), np.array([float(c) for _, _, _, c in kept]),
        )  # fmt: skip
        edges = tuple((self.names[u], self.names[v]) for u in range(self.n) for v in self.calls[u])
        window = Window(
            np.arange(end) * STEP_SECS, values.reshape(end, -1), columns,
            (rows[0] + 1) * STEP_SECS, STEP_SECS, edges, self.names[0], "latency-p95-ms", lines,
        )  # fmt: skip
        return Generated(window, self.names[root], fault)
