"""A limit that people know: beyond it is certain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import Column, Rows, pack, unpack
from aiopsd.settings import Settings

INSIDE: Final = 0.49  # highest score of a value within its limits


class ThresholdSettings(Settings, frozen=True, kw_only=True, tag="threshold"):
    """``above: 0.9`` is strange from anything larger on; with both, the band between is fine."""

    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        if self.above is None and self.below is None:
            raise ValueError("a threshold needs `above` or `below`")
        limits = [limit for limit in (self.above, self.below) if limit is not None]
        if not np.isfinite(limits).all():
            raise ValueError("a threshold's limits must be finite numbers")
        if len(limits) == 2 and limits[0] < limits[1]:
            raise ValueError(f"`above: {limits[0]:g}` is less than `below: {limits[1]:g}`: "
                             "every value would be beyond one of them")  # fmt: skip

    def build(self, labels: Callable[[int], Labels]) -> Threshold:  # noqa: ARG002 - as all members
        return Threshold(self)


class Threshold:
    """Score 1 and certain beyond; within, how near the limit, from 0 to less than 0.5."""

    def __init__(self, settings: ThresholdSettings) -> None:
        self.settings = settings
        self._rows = Rows(n=Column())

    def observe(self, batch: Batch) -> Scores:
        """``expected`` is the limit that matters; a side without one is infinite."""
        ok, at = np.isfinite(batch.values), self._rows.of(batch.series)
        x = np.where(ok, batch.values, 0.0)
        above = np.inf if self.settings.above is None else self.settings.above
        below = -np.inf if self.settings.below is None else self.settings.below
        beyond = ok & ((x > above) | (x < below))
        near = np.fmax(_share(x, above), _share(below, x))
        n = self._rows["n"][at]
        self._rows["n"][at] = n + ok
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=batch.series,
            score=np.where(beyond, 1.0, np.where(ok, INSIDE * near, 0.0)),
            observed=np.where(ok, x, np.nan),
            expected=np.where(np.abs(x - above) <= np.abs(x - below), above, below),
            low=np.full(len(x), below),
            high=np.full(len(x), above),
            samples=n.astype(np.int32),
            certain=beyond,
            history=batch.history,
        )

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)

    def save(self) -> bytes:
        return pack("threshold", 1, self._rows.save())

    def load(self, saved: bytes) -> None:
        self._rows.load(unpack("threshold", 1, saved, tuple[bytes])[0])


def _share(part: Floats | float, whole: Floats | float) -> Floats:
    """part / whole in [0, 1]; 0 where that says nothing (a limit of 0, signs that differ)."""
    with np.errstate(all="ignore"):
        share = np.divide(part, whole)
    return np.where(np.isfinite(share), np.clip(share, 0.0, 1.0), 0.0)
