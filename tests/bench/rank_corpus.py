"""Recorded incidents with known causes, and the scorer that judges rankings. Neither ships.

``AIOPSD_BENCH_DATA`` names the folder of ``rca/score_rca.py``, ``rca/data`` and ``rca/sim``.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from aiopsd.offline.case import Case, read_case
from tests.bench import labelled
from tests.bench.labelled import DATA

FOLDER = DATA / "rca"


@dataclass(frozen=True)
class Known:
    name: str
    truth: dict[str, Any]
    case: Case

    @property
    def group(self) -> str:
        return str(self.truth["dataset"])


def require() -> None:
    labelled.require(FOLDER / "score_rca.py", "recorded incidents")


def scorer() -> ModuleType:
    return labelled.scorer(FOLDER / "score_rca.py")


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
