"""Labelled series, and the scorer that judges detectors by them. Neither ships with this project.

``AIOPSD_BENCH_DATA`` names the folder that holds ``detect/score_detect.py`` and ``detect/data``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from aiopsd.model import Floats

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("AIOPSD_BENCH_DATA", ROOT.parent / "shared" / "bench")) / "detect"


def require() -> None:
    """Skips, and says so where nobody can overlook it."""
    if not (FOLDER / "data" / "labels.json").exists():
        what = f"no labelled data at {FOLDER}; AIOPSD_BENCH_DATA names the folder above it"
        print(f"\n*** Accuracy is NOT measured: {what} ***", file=sys.stderr)
        pytest.skip(what)


@cache
def scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score_detect", FOLDER / "score_detect.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["score_detect"] = module  # dataclasses look themselves up by it
    spec.loader.exec_module(module)
    return module


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
