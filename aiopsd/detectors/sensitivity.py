"""How surprising a deviation must be, in one word that all learning members understand."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Sensitivity: TypeAlias = Literal["low", "normal", "high"]
WEIGHT: Final[dict[Sensitivity, float]] = {"low": 1.5, "normal": 1.0, "high": 0.7}
"""Of the surprise that is needed: ``low`` needs half as much again."""
