"""Labelled series, and the scorer that judges detectors by them. Neither ships with this project.

``AIOPSD_BENCH_DATA`` names the folder that holds ``detect/score_detect.py`` and ``detect/data``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from aiopsd.model import Floats
from tests.bench import labelled
from tests.bench.labelled import DATA

FOLDER = DATA / "detect"


def require() -> None:
    labelled.require(FOLDER / "data" / "labels.json", "labelled series")


def scorer() -> ModuleType:
    return labelled.scorer(FOLDER / "score_detect.py")


@dataclass(frozen=True)
class Case:
    """One file: ``values`` ``[rows, columns]``; ``label`` as the scorer reads it."""

    name: str
    times_s: Floats
    values: Floats
    label: Any

    @property
    def corpus(self) -> str:
        return self.name.split("/", 1)[0]

    @property
    def category(self) -> str:
        """What is left out together. Servers are all of one kind: each by itself."""
        return self.name if self.corpus == "asd" else self.name.rsplit("/", 1)[0]


@cache
def cases() -> tuple[Case, ...]:
    """In the order of their names; ``AIOPSD_BENCH_ONLY=nab/realTraffic`` takes some of them."""
    scoring, found = scorer(), []
    labels = json.loads((FOLDER / "data" / "labels.json").read_text())
    for name in sorted(labels):
        if name.startswith(os.environ.get("AIOPSD_BENCH_ONLY", "")):
            table = scoring.read_input(scoring.find_input(FOLDER / "data", name))
            times_s = scoring.ns(table["timestamp"]) / 1e9
            values = table.iloc[:, 1:].to_numpy(np.float64)
            found.append(Case(name, times_s, values, labels[name]))
    return tuple(found)
