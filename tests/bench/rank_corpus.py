"""Recorded incidents with known causes, and the scorer that judges rankings. Neither ships.

``AIOPSD_BENCH_DATA`` names the folder of ``rca/score_rca.py``, ``rca/data`` and ``rca/sim``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aiopsd.offline.case import Case, read_case

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("AIOPSD_BENCH_DATA", ROOT.parent / "shared" / "bench")) / "rca"


@dataclass(frozen=True)
class Known:
    name: str
    truth: dict[str, Any]
    case: Case

    @property
    def group(self) -> str:
        return str(self.truth["dataset"])


def require() -> None:
    """Skips, and says so where nobody can overlook it."""
    if not (FOLDER / "score_rca.py").exists():
        what = f"no recorded incidents at {FOLDER}; AIOPSD_BENCH_DATA names the folder above it"
        print(f"\n*** Ranking is NOT measured: {what} ***", file=sys.stderr)
        pytest.skip(what)


@cache
def scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score_rca", FOLDER / "score_rca.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def known(delay_secs: float = 0.0) -> tuple[Known, ...]:
    """All of them; the reader sees neither names nor truth, as the scorer hides them."""
    found = []
    for folder in sorted([*(FOLDER / "data").iterdir(), *(FOLDER / "sim").iterdir()]):
        if (folder / "truth.json").exists():
            truth = json.loads((folder / "truth.json").read_text())
            found.append(Known(folder.name, truth, _blind(folder, truth, delay_secs)))
    return tuple(found)


def _blind(folder: Path, truth: dict[str, Any], delay_secs: float) -> Case:
    told = {name: truth.get(name) for name in ("target_service", "target_metric", "step_s")}
    told["detect_time"] = truth.get("detect_time", truth["inject_time"]) + delay_secs
    with tempfile.TemporaryDirectory() as place:
        case = Path(place)
        for file in folder.iterdir():
            if file.name != "truth.json":
                (case / file.name).symlink_to(file.absolute())
        (case / "incident.json").write_text(json.dumps(told))
        return read_case(case)
