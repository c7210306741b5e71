"""Labelled data, and the scorers that judge by it: held beside the project, shipped with nobody.

``AIOPSD_BENCH_DATA`` names their folder.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("AIOPSD_BENCH_DATA", ROOT.parent / "shared" / "bench"))


def require(path: Path, what: str) -> None:
    """Skips where it is not there, and says so where nobody can overlook it."""
    if not path.exists():
        missing = f"no {what} at {path}; AIOPSD_BENCH_DATA names the folder of all labelled data"
        print(f"\n*** {what.capitalize()}: NOT measured: {missing} ***", file=sys.stderr)
        pytest.skip(missing)


@cache
def scorer(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look themselves up by it
    spec.loader.exec_module(module)
    return module
