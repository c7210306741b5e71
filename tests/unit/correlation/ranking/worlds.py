"""A small world for rankings: ``web`` calls ``shop``, ``shop`` calls ``stock`` and ``ledger``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aiopsd.correlation.ranking import Column, Window
from aiopsd.model import Floats

EDGES = (("web", "shop"), ("shop", "stock"), ("shop", "ledger"))
SERVICES = ("web", "shop", "stock", "ledger")
ROWS, FAULT = 80, 70


def calm(seed: int = 1) -> dict[tuple[str, str], Floats]:
    random = np.random.default_rng(seed)

    def about(level: float, share: float) -> Floats:
        return np.asarray(level * np.exp(random.normal(0, share, ROWS)))

    found: dict[tuple[str, str], Floats] = {}
    for at, service in enumerate(SERVICES):
        found[service, "latency-p95-ms"] = about(100.0 - 20 * at, 0.04)
        found[service, "error-ratio"] = about(0.002, 0.2)
        found[service, "cpu-percent"] = about(20.0 + at, 0.05)
        found[service, "memory-mb"] = about(300.0 + 100 * at, 0.01)
        found[service, "requests-per-sec"] = about(50.0, 0.05)
    return found


def window(series: dict[tuple[str, str], Floats], **more: object) -> Window:
    made = Window(
        np.arange(ROWS) * 30.0, np.stack(list(series.values()), axis=1),
        tuple(Column.named(*name) for name in series),
        (FAULT + 1) * 30.0, 30.0, EDGES, "web", "latency-p95-ms",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def slow_ledger(seed: int = 1) -> dict[tuple[str, str], Floats]:
    """The ledger's CPU is eaten; its callers wait for it."""
    series = calm(seed)
    series["ledger", "cpu-percent"][FAULT:] += 60.0
    for service in ("ledger", "shop", "web"):
        series[service, "latency-p95-ms"][FAULT:] += 150.0
    return series
