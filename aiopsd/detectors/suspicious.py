"""A detector whose word is evidence only: what it says is suspicious at most, never certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from aiopsd.contracts import Detector, Explaining
from aiopsd.detectors.band import BandSettings
from aiopsd.model import Batch, Indexes, Labels, Scores


class SuspiciousSettings(BandSettings, frozen=True, kw_only=True, tag="band"):
    """``band`` for what nobody wrote a rule for."""

    def build(self, labels: Callable[[int], Labels]) -> Suspicious:  # type: ignore[override]
        return Suspicious(super().build(labels))


def evidence(tier: str) -> SuspiciousSettings:
    """In this tier of ``band``."""
    tiers = {"tier": tier} if "tier" in SuspiciousSettings.__struct_fields__ else {}
    return SuspiciousSettings(**tiers)  # type: ignore[arg-type]


class Suspicious:
    """Another detector, less its certainty."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def observe(self, batch: Batch) -> Scores:
        scores = self._detector.observe(batch)
        return replace(scores, certain=np.zeros(len(scores.series), bool))

    def explain(self, series: int) -> Sequence[str]:
        inner = self._detector
        return inner.explain(series) if isinstance(inner, Explaining) else ()

    def season(self, series: int) -> str:
        return str(getattr(self._detector, "season", lambda _: "none")(series))

    def forget(self, series: Indexes) -> None:
        self._detector.forget(series)

    def save(self) -> bytes:
        return self._detector.save()

    def load(self, saved: bytes) -> None:
        self._detector.load(saved)
