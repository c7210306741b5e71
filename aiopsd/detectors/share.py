"""A series' share of its group, such as a template's of all lines of its service, kept in a band.

A share says what a count cannot: that the lines are others, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors import former
from aiopsd.detectors.band import Band, BandSettings
from aiopsd.detectors.former import LATELY_SECS, Former
from aiopsd.detectors.sensitivity import Sensitivity
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import Column, Rows, pack, unpack
from aiopsd.settings import Settings

OVER = 0.5
MOST = 1e12  # in one tick of one series; more is a mistake

_Group = tuple[str, ...]
Flags = NDArray[np.bool_]


class ShareSettings(Settings, frozen=True, kw_only=True, tag="share"):
    """Of the last ``least`` or more that came in the group. ``floor`` is the smallest change of a
    share that matters."""

    group_by: tuple[str, ...] = ("service",)
    least: float = 100.0
    floor: float = 0.1
    sensitivity: Sensitivity = "normal"

    def __post_init__(self) -> None:
        if not self.group_by:
            raise ValueError("`group_by` is empty: a share of what?")
        if self.least <= 0:
            raise ValueError(f"`least: {self.least}` must be more than 0")
        if not 0 < self.floor < 1:
            raise ValueError(f"`floor: {self.floor}` must be a share, more than 0 and less than 1")

    def build(self, labels: Callable[[int], Labels]) -> Share:
        return Share(self, labels)


class Share:
    """All series of a group come in one tick, those that are quiet as 0. What came is gathered
    until it is enough to tell a share by."""

    def __init__(self, settings: ShareSettings, labels: Callable[[int], Labels]) -> None:
        self.settings, self._labels = settings, labels
        band = BandSettings(
            floor=settings.floor, tier="light", season="none", sensitivity=settings.sensitivity
        )
        self._band = Band(band)
        self._former = Former(lambda: Band(band))
        self._rows = Rows(
            amount=Column(),
            group=Column(-1, np.int64),
            since=Column(np.nan),  # when what is gathered now began
            strange=Column(np.nan),  # the same of the first share of those that are strange
        )
        self._groups: dict[_Group, int] = {}
        self._troubled: frozenset[str] = frozenset()

    def observe(self, batch: Batch) -> Scores:
        """Judges shares; missing until enough has come in the whole group."""
        shares = self._shares(batch)
        self._former.keep(batch.time_s, self._band)
        scores = self._band.observe_doubting(
            Batch(batch.rule, batch.time_s, batch.series, shares, batch.history),
            self._within(self._troubled, batch.series),
        )
        self._date(batch, np.isfinite(shares), scores.score >= OVER)
        return scores

    def _date(self, batch: Batch, told: Flags, strange: Flags) -> None:
        rows, at = self._rows, self._rows.of(batch.series)
        begins = at[told & strange & np.isnan(rows["strange"][at])]
        rows["strange"][begins] = rows["since"][begins]
        rows["strange"][at[told & ~strange]] = np.nan
        rows["since"][at[told | np.isnan(rows["since"][at])]] = batch.time_s

    def begun(self, series: int, seen_s: float) -> float:
        """When what was gathered for its first strange share began to come; where little comes,
        that says nothing."""
        at = int(self._rows.find(np.array([series], np.int32))[0])
        began_s = float(np.nan_to_num(self._rows["strange"][at], nan=seen_s))
        return float(np.clip(began_s, seen_s - LATELY_SECS, seen_s))

    def troubled(self, services: Collection[str]) -> None:
        """Those with an open incident: what share a line takes there now is no lesson, nor what it
        took while the trouble was not seen yet."""
        new, self._troubled = frozenset(services) - self._troubled, frozenset(services)
        lately = self._within(new, self._rows.known()[0])
        if len(lately):
            self._band.take_back(lately, self._former.older)

    def _within(self, services: frozenset[str], series: Indexes) -> Indexes:
        if not services:
            return series[:0]
        sick = [n for name, n in self._groups.items() if not services.isdisjoint(name)]
        return series[np.isin(self._rows["group"][self._rows.of(series)], sick)]

    def _shares(self, batch: Batch) -> Floats:
        rows, at = self._rows, self._rows.of(batch.series)
        new = np.unique(at[rows["group"][at] < 0])
        rows["group"][new] = [self._group(index) for index in rows.series(new).tolist()]
        ok = np.isfinite(batch.values)
        np.add.at(rows["amount"], at[ok], np.clip(batch.values[ok], 0, MOST))
        _, known = rows.known()
        groups, amounts = rows["group"][known], rows["amount"][known]
        totals = np.bincount(groups, weights=amounts, minlength=len(self._groups))
        here = np.zeros(len(totals), bool)  # a group of another target waits for its own tick
        here[rows["group"][at]] = True
        enough = here & (totals >= self.settings.least)
        of = rows["group"][at]
        shares = np.where(enough[of] & ok, rows["amount"][at] / np.maximum(totals[of], 1), np.nan)
        rows["amount"][known[enough[groups]]] = 0
        return shares

    def _group(self, index: int) -> int:
        labels = self._labels(index)
        name = tuple(labels.get(one, "") for one in self.settings.group_by)
        return self._groups.setdefault(name, len(self._groups))

    def explain(self, series: int) -> Sequence[str]:
        return self._band.explain(series)

    def forget(self, series: Indexes) -> None:
        self._band.forget(series)
        self._former.forget(series)
        self._rows.forget(series)

    def save(self) -> bytes:
        groups = list(self._groups)
        return pack("share", 2, self._band.save(), self._rows.save(), groups, self._former.save())

    def load(self, saved: bytes) -> None:
        shape = tuple[bytes, bytes, list[_Group], former.Saved]
        band, rows, groups, before = unpack("share", 2, saved, shape)
        self._band.load(band)
        self._former.load(*before)
        self._rows.load(rows)
        self._groups = {tuple(name): number for number, name in enumerate(groups)}
