"""What no rule selects is watched all the same: which number of it, and as what.

Counters become rates, classic histograms their median and 99th percentile, everything else is its
value. What a series is, its exporter says (``types``), or else its name. A batch names raw series
by their own index, a histogram by that of its ``+Inf`` bucket: 100,000 series more to watch are
no series more in the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy as np

from aiopsd.model import Batch, Floats, Indexes, Kind, Labels
from aiopsd.transforms.flow import Tick
from aiopsd.transforms.groups import Numbers
from aiopsd.transforms.members import Members
from aiopsd.transforms.quantile import quantiles

PREFIX: Final = "watch_all."  # of the ids of built-in rules
WINDOW_SECS: Final = 120.0  # of rates and quantiles
LOGS: Final = "log_lines"  # lines have rules of their own kind
How = Literal["value", "rate", "p50", "p99"]

_ERRORS: Final = re.compile(r"error|fail|exception|panic|abort|5xx")
_TRAFFIC: Final = re.compile(r"request|quer(y|ies)|message|call")
_LATENCY: Final = re.compile(r"seconds|latency|duration|_ms\b|milliseconds")


QUANTILES: Final[Mapping[How, float]] = {"p50": 0.5, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One of the rules that nobody wrote."""

    how: How
    kind: Kind
    unit: Literal["", "seconds"] = ""

    @property
    def rule(self) -> str:
        return ".".join(filter(None, (PREFIX + self.how, self.kind, self.unit)))

    @property
    def title(self) -> str:
        """Words before the metric's name."""
        return {"value": "", "rate": "rate of", "p50": "median of", "p99": "p99 of"}[self.how]

    def shown(self, labels: Labels) -> Labels:
        """A raw series' labels for people: the metric's name is one of them."""
        rest = {name: value for name, value in labels.items() if name not in ("__name__", "le")}
        name = labels.get("__name__", "")
        if self.how in QUANTILES:
            return {"metric": name.removesuffix("_bucket"), **rest}
        return {"metric": name, **rest, **({"le": labels["le"]} if "le" in labels else {})}

    def raw(self, labels: Labels) -> Labels:
        """The labels of the raw series that stands for this one: the inverse of ``shown``."""
        rest = {name: value for name, value in labels.items() if name != "metric"}
        name = labels.get("metric", "")
        if self.how in QUANTILES:
            return {"__name__": f"{name}_bucket", **rest, "le": "+Inf"}
        return {"__name__": name, **rest}


BUILT_IN: Final = (
    BuiltIn("value", "saturation"),
    BuiltIn("value", "availability"),
    BuiltIn("rate", "saturation"),
    BuiltIn("rate", "traffic"),
    BuiltIn("rate", "error-rate"),
    *(BuiltIn(how, "saturation") for how in QUANTILES),
    *(BuiltIn(how, "latency") for how in QUANTILES),
    *(BuiltIn(how, "latency", "seconds") for how in QUANTILES),
)
_NUMBER: Final = {one: n for n, one in enumerate(BUILT_IN)}
_NONE: Final = -1
_COUNTING: Final = np.array([one.how == "rate" for one in BUILT_IN] + [False])  # -1 does not


class Unruled:
    """``types``: what exporters say of their metrics, by name: counter, gauge, histogram,
    summary. It is read when a series is new, and may grow."""

    rules = frozenset(one.rule for one in BUILT_IN)

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types
        self._begin()

    def _begin(self) -> None:
        self._rule: Indexes = np.full(0, _NONE, np.int32)  # by series: number of its built-in rule
        self._counters = Members("rate", WINDOW_SECS)
        self._buckets = Members("delta", WINDOW_SECS)
        self._histograms = Numbers()  # their series: of their +Inf buckets
        self._sort: Indexes = np.zeros(0, np.int32)  # by histogram: number of its p50

    def named(self, rule: str, labels: Labels) -> Labels | None:
        """What the table calls the series that an anomaly of this rule names."""
        return next((one.raw(labels) for one in BUILT_IN if one.rule == rule), None)

    def watches(self, name: str) -> bool:
        return name != LOGS

    def admit(self, found: Sequence[tuple[int, Labels]]) -> None:
        """Series that no rule selects; a restored one knows some of them."""
        indexes = np.array([index for index, _ in found], np.int32)
        self._reach(int(indexes.max(initial=-1)))
        new = self._rule[indexes] == _NONE
        new &= ~(self._counters.knows(indexes) | self._buckets.knows(indexes))
        counters, buckets = [], []
        for (index, labels), is_new in zip(found, new.tolist(), strict=True):
            if not is_new:
                continue
            bound = self._bound(labels)
            if bound is not None:
                buckets.append((index, self._histogram(index, labels, bound), bound))
                continue
            built_in = self._built_in(labels.get("__name__", ""))
            self._rule[index] = _NUMBER[built_in]
            if built_in.how == "rate":
                counters.append(index)
        if counters:
            nothing = np.zeros(len(counters), np.intp)
            self._counters.add(np.array(counters, np.int32), nothing, nothing.astype(float))
        if buckets:
            series, groups, bounds = (np.array(column) for column in zip(*buckets, strict=True))
            self._buckets.add(series.astype(np.int32), groups, bounds)

    def feed(self, tick: Tick) -> list[Batch]:
        """One batch for each built-in rule that has a number in this round."""
        self._reach(int(tick.series.max(initial=-1)))
        rules, values = self._rule[tick.series], tick.values
        counting = _COUNTING[rules]
        if counting.any():
            at = self._counters.rows.find(tick.series[counting])
            self._counters.update(at, values[counting], tick.times[counting], tick.now_s)
            values = values.copy()
            values[counting] = self._counters.rows["value"][at]
        stamps = np.where(tick.late, tick.times, tick.now_s) if tick.late.any() else None
        found = self._split(tick, rules, tick.series, values, stamps)
        return found + self._quantiles(tick, stamps)

    def _quantiles(self, tick: Tick, stamps: Floats | None) -> list[Batch]:
        at = self._buckets.rows.find(tick.series)
        hit = at >= 0
        if not hit.any():
            return []
        at = at[hit]
        self._buckets.update(at, tick.values[hit], tick.times[hit], tick.now_s)
        newest = np.full(len(self._histograms), -np.inf)
        owners = self._buckets.rows["group"][at]
        np.maximum.at(newest, owners, tick.now_s if stamps is None else stamps[hit])
        groups = np.flatnonzero((newest > -np.inf) & (self._histograms.series[: len(newest)] >= 0))
        names, sorts = self._histograms.series[groups], self._sort[groups]
        oldest = np.minimum(newest - WINDOW_SECS, tick.since_s)
        cells = self._buckets.cells(len(newest), "sum", oldest)[groups]
        moments = None if stamps is None else newest[groups]
        found = []
        for n, q in enumerate(QUANTILES.values()):
            values = quantiles(q, self._buckets.bounds, cells)
            found += self._split(tick, sorts + n, names, values, moments)
        return found

    def _split(
        self, tick: Tick, rules: Indexes, series: Indexes, values: Floats, stamps: Floats | None
    ) -> list[Batch]:
        found, ok = [], np.isfinite(values)
        for number in np.unique(rules).tolist():
            if number != _NONE:
                mine = ok & (rules == number)
                part = None if stamps is None else stamps[mine]
                found += tick.batches(BUILT_IN[number].rule, series[mine], values[mine], part)
        return found

    def _histogram(self, index: int, labels: Labels, bound: float) -> int:
        """The number of the histogram that has this bucket."""
        histogram = self._histograms.join({k: v for k, v in labels.items() if k != "le"})
        if len(self._histograms.series) > len(self._sort):
            more = len(self._histograms.series) - len(self._sort)
            self._sort = np.concatenate((self._sort, np.zeros(more, np.int32)))
        name = labels["__name__"]
        latency = _LATENCY.search(name) is not None
        unit: Literal["", "seconds"] = "seconds" if "_seconds" in name else ""
        kind: Kind = "latency" if latency else "saturation"
        self._sort[histogram] = _NUMBER[BuiltIn("p50", kind, unit if latency else "")]
        if np.isposinf(bound):
            self._histograms.series[histogram] = index
        return histogram

    # --- what a series is ---------------------------------------------------------------

    def _bound(self, labels: Labels) -> float | None:
        """The upper bound of a classic histogram's bucket."""
        name = labels.get("__name__", "")
        if not name.endswith("_bucket") or "le" not in labels:
            return None
        if self._type(name) not in ("", "histogram", "counter"):
            return None
        try:
            bound = float(labels["le"])
        except ValueError:
            return None
        return None if np.isnan(bound) else bound

    def _type(self, name: str) -> str:
        """What its exporter says of it; a family may be named without its members' endings."""
        if name in self._types:
            return self._types[name]
        base, _, _ = name.rpartition("_")
        return self._types.get(base, "")

    def _built_in(self, name: str) -> BuiltIn:
        kind: Kind = "saturation"
        if not self._counts(name):
            return BuiltIn("value", "availability" if name == "up" else kind)
        if _ERRORS.search(name):
            kind = "error-rate"
        elif _TRAFFIC.search(name):
            kind = "traffic"
        return BuiltIn("rate", kind)

    def _counts(self, name: str) -> bool:
        """A counter, by what its exporter says, or else by the customs of names."""
        said = self._type(name)
        if said == "counter":
            return not name.endswith("_created")
        if said in ("histogram", "summary"):
            return name.endswith(("_sum", "_count", "_bucket"))
        if said in ("", "unknown", "untyped"):
            return name.endswith(("_total", "_sum", "_count", "_bucket"))
        return False

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        """These mean other series from now on, or a rule has selected them."""
        series = series[series < len(self._rule)]
        self._rule[series] = _NONE
        self._counters.forget(series)
        for group in self._buckets.forget(series):
            self._histograms.leave(group)
        self._histograms.forget(series)

    def rewind(self, now_s: float) -> None:
        self._counters.rewind(now_s)
        self._buckets.rewind(now_s)

    def _reach(self, most: int) -> None:
        if most >= len(self._rule):
            more = max(most + 1 - len(self._rule), len(self._rule))
            self._rule = np.concatenate((self._rule, np.full(more, _NONE, np.int32)))

    def state(self) -> tuple[Any, ...]:
        known = np.flatnonzero(self._rule != _NONE).astype(np.int32)
        n = len(self._histograms)
        numbers = known, self._rule[known], self._histograms.series[:n], self._sort[:n]
        return (
            *(array.tobytes() for array in numbers),
            self._histograms.state(),
            self._counters.state(),
            self._buckets.state(),
        )

    def restore(self, saved: Any) -> None:
        """Raises ValueError on what is no saved state."""
        self._begin()
        keys = list[tuple[tuple[str, str], ...] | None]
        members = tuple[bytes, list[tuple[float, bytes, bytes]]]
        shape = tuple[bytes, bytes, bytes, bytes, keys, members, members]
        known, rules, names, sorts, histograms, counters, buckets = msgspec.convert(saved, shape)
        series = np.frombuffer(known, np.int32)
        self._reach(int(series.max(initial=-1)))
        self._rule[series] = np.frombuffer(rules, np.int32)
        self._counters.restore(*counters)
        self._buckets.restore(*buckets)
        _, at = self._buckets.rows.known()
        owners = np.bincount(self._buckets.rows["group"][at], minlength=len(histograms))
        self._histograms.restore(histograms, owners)
        self._histograms.series[: len(histograms)] = np.frombuffer(names, np.int32)
        self._sort = np.zeros(len(self._histograms.series), np.int32)
        self._sort[: len(histograms)] = np.frombuffer(sorts, np.int32)
