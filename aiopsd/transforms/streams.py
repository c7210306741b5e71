"""All rules that select from the stream: a raw batch goes in, the rules' batches come out.

Each series is matched against the selectors once, when it is first seen; after that a tick is
numpy only. A group is computed again when one of its members was in the batch, with the
others' newest values as long as they are inside the window.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiopsd.model import Batch, Floats, Indexes
from aiopsd.series import SeriesTable
from aiopsd.transforms.quantile import quantile
from aiopsd.transforms.rings import Rings
from aiopsd.transforms.selection import QUANTILES, Selection


_NOTHING = np.zeros(0, np.int32), np.zeros(0)


class Transforms:
    """Pure; time comes in with the batches."""

    def __init__(self, selections: Mapping[str, Selection], table: SeriesTable) -> None:
        self._table = table
        windows = [s.window_secs for s in selections.values()]
        longest = max(windows, default=60.0)
        self._growth, self._changes = Rings(longest), Rings(longest, changes=True)
        self._newest: Floats = np.full(0, np.nan)
        self._newest_s: Floats = np.full(0, -np.inf)
        self._matched = np.zeros(0, bool)
        self._counted = np.zeros((2, 0), bool)  # whose growth, whose changes somebody wants
        self._streams = [_Stream(rule, one, table) for rule, one in selections.items()]

    def feed(self, batch: Batch) -> list[Batch]:
        """One raw batch in; one batch for each rule that it touches, at the same time."""
        self._reach(int(batch.series.max(initial=-1)) + 1)
        for index in batch.series[~self._matched[batch.series]]:
            self._match(int(index))
        finite = np.isfinite(batch.values)
        self._newest[batch.series[finite]] = batch.values[finite]
        self._newest_s[batch.series[finite]] = batch.time_s
        for rings, wanted in ((self._growth, self._counted[0]), (self._changes, self._counted[1])):
            mine = wanted[batch.series]
            if mine.any():
                rings.push(batch.series[mine], batch.time_s, batch.values[mine])
        found = []
        for stream in self._streams:
            members = stream.touched(batch.series)
            if members is not None:
                found.append(self._batch(stream, members, batch))
            elif stream.ticks(batch.series):
                found.append(Batch(stream.rule, batch.time_s, *_NOTHING, batch.history))
        return found

    def _reach(self, top: int) -> None:
        more = top - len(self._matched)
        if more <= 0:
            return
        more += len(self._matched)
        self._matched = np.concatenate((self._matched, np.zeros(more, bool)))
        self._counted = np.concatenate((self._counted, np.zeros((2, more), bool)), axis=1)
        self._newest = np.concatenate((self._newest, np.full(more, np.nan)))
        self._newest_s = np.concatenate((self._newest_s, np.full(more, -np.inf)))

    def _match(self, index: int) -> None:
        labels = self._table.labels(index)
        self._matched[index] = True
        for stream in self._streams:
            if stream.admit(index, labels) and stream.selection.windowed:
                self._counted[int(stream.selection.as_ == "changes"), index] = True

    def _batch(self, stream: _Stream, members: NDArray[np.bool_], batch: Batch) -> Batch:
        selection = stream.selection
        series = stream.series[members]
        if selection.windowed:
            rings = self._changes if selection.as_ == "changes" else self._growth
            values, secs = rings.growth(series, batch.time_s, selection.window_secs)
            if selection.as_ == "rate":
                values = values / secs
        else:
            fresh = self._newest_s[series] >= batch.time_s - selection.window_secs
            values = np.where(fresh, self._newest[series], np.nan)
        out, result = stream.reduce(members, values)
        return Batch(stream.rule, batch.time_s, out, result, batch.history)

    def forget(self, series: Indexes) -> None:
        """These indexes now mean other series."""
        known = series[series < len(self._matched)]
        self._matched[known] = False
        self._counted[:, known] = False
        self._newest_s[known] = -np.inf
        self._growth.forget(series)
        self._changes.forget(series)
        for stream in self._streams:
            stream.forget(series)

    def save(self) -> bytes:
        return msgspec.msgpack.encode((self._growth.save(), self._changes.save()))

    def load(self, saved: bytes) -> None:
        """The table must hold the same series already. Raises ValueError."""
        growth, changes = msgspec.msgpack.decode(saved, type=tuple[bytes, bytes])
        self._growth.load(growth)
        self._changes.load(changes)


class _Stream:
    """One rule: its members, their groups and roles, as parallel arrays."""

    def __init__(self, rule: str, selection: Selection, table: SeriesTable) -> None:
        self.rule = rule
        self.selection = selection
        self._table = table
        self._groups: dict[int, int] = {}  # the rule's own series -> group number
        self._out: list[int] = []  # group number -> the rule's own series
        self.series: Indexes = np.zeros(0, np.int32)
        self._group: NDArray[np.int64] = np.zeros(0, np.int64)
        self._whole = np.zeros(0, bool)
        self._bound: Floats = np.zeros(0)  # a bucket's upper bound
        self._is_member = np.zeros(0, bool)
        self._is_kin = np.zeros(0, bool)  # has the metric's name, whether it matches or not

    def admit(self, index: int, labels: dict[str, str]) -> bool:
        """Takes a new raw series in, in each of its roles; False when it has none."""
        self._is_kin = _marked(
            self._is_kin, index, labels["__name__"] == self.selection.select.name
        )
        roles = self.selection.role(labels)
        bound = _bound(labels.get("le", "")) if self.selection.as_ in QUANTILES else 0.0
        if not roles or np.isnan(bound):
            return False
        out = self._table.intern(self.rule, self.selection.group(labels))
        if out < 0:
            return False
        group = self._groups.setdefault(out, len(self._out))
        if group == len(self._out):
            self._out.append(out)
        for role in roles:
            self.series = np.append(self.series, np.int32(index))
            self._group = np.append(self._group, group)
            self._whole = np.append(self._whole, role == "whole")
            self._bound = np.append(self._bound, bound)
        self._is_member = _marked(self._is_member, index, True)
        return True

    def ticks(self, series: Indexes) -> bool:
        """Whether the rule's metric was read, though none of its series: nothing is news too."""
        return bool(self._is_kin[series[series < len(self._is_kin)]].any())

    def touched(self, series: Indexes) -> NDArray[np.bool_] | None:
        """Members of every group that has a member in the batch; None when there is none."""
        inside = series[series < len(self._is_member)]
        inside = inside[self._is_member[inside]]
        if not len(inside):
            return None
        groups = np.zeros(len(self._out), bool)
        groups[self._group[np.isin(self.series, inside)]] = True
        return groups[self._group]

    def reduce(self, members: NDArray[np.bool_], values: Floats) -> tuple[Indexes, Floats]:
        """Members' values to one value a group; groups without a value are left out."""
        group, whole, bound = self._group[members], self._whole[members], self._bound[members]
        numbers, local = np.unique(group, return_inverse=True)
        good = np.isfinite(values)
        selection = self.selection
        if selection.as_ in QUANTILES:
            result = quantile(
                QUANTILES[selection.as_], local[good], bound[good], values[good], len(numbers)
            )
        else:
            part = good & ~whole
            result = _aggregate(selection.agg, local[part], values[part], len(numbers))
            if selection.over is not None or selection.as_ == "mean":
                result = _ratio(result, local[good & whole], values[good & whole])
        kept = np.isfinite(result)
        return np.array([self._out[g] for g in numbers[kept]], np.int32), result[kept]

    def forget(self, series: Indexes) -> None:
        if np.isin(list(self._groups), series).any() or np.isin(self.series, series).any():
            kept = ~np.isin(self.series, series)
            gone_groups = [g for out, g in self._groups.items() if out in set(series.tolist())]
            kept &= ~np.isin(self._group, gone_groups)
            self._is_member[self.series[~kept]] = False
            self._groups = {o: g for o, g in self._groups.items() if g not in gone_groups}
            for name in ("series", "_group", "_whole", "_bound"):
                setattr(self, name, getattr(self, name)[kept])


def _marked(flags: NDArray[np.bool_], index: int, flag: bool) -> NDArray[np.bool_]:
    if index >= len(flags):
        flags = np.concatenate((flags, np.zeros(2 * index + 1 - len(flags), bool)))
    flags[index] = flag
    return flags


def _aggregate(agg: str, local: NDArray[np.intp], values: Floats, groups: int) -> Floats:
    """Shape [groups]; NaN where a group has no value."""
    count = np.bincount(local, minlength=groups)
    result: Floats
    if agg in ("sum", "mean"):
        result = np.bincount(local, values, minlength=groups).astype(float)
        result = result / np.maximum(count, 1) if agg == "mean" else result
    else:
        start, pick = (-np.inf, np.maximum) if agg == "max" else (np.inf, np.minimum)
        result = np.full(groups, start)
        pick.at(result, local, values)
    return np.where(count > 0, result, np.nan)


def _ratio(part: Floats, local: NDArray[np.intp], values: Floats) -> Floats:
    """A live whole without a part is zero; without a whole there is no ratio."""
    count = np.bincount(local, minlength=len(part))
    whole = np.where(count > 0, np.bincount(local, values, minlength=len(part)), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, np.nan_to_num(part) / whole, np.nan)


def _bound(le: str) -> float:
    try:
        return float(le)
    except ValueError:
        return np.nan
