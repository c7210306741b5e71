"""What one remote_write request says, as samples of series that the table knows.

A request in which every series is known and has one sample costs no work on labels: the bytes of
its labels are looked up as they are. Everything else (new series, several samples, native
histograms, exemplars) is read field by field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from aiopsd.contracts import Series
from aiopsd.keys import UNKNOWN
from aiopsd.model import MOST_LABEL_BYTES, Floats, Indexes, Labels
from aiopsd.sources.native_histogram import STALE, Bounds, Histogram
from aiopsd.sources.protobuf import Malformed
from aiopsd.sources.remote_write_series import MOST, One, Times

_SHOWN: Final = 60  # characters of a name, in a complaint


class BadSeries(ValueError):
    """A series that nobody could find again: without labels, or with one of them twice."""


TYPES: Final = (
    "unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset",
)  # fmt: skip


class NotLabels(ValueError):
    """These bytes are something else."""


class Scan(Protocol):
    """A request, cut into series of which nothing was read yet but where they lie."""

    keys: list[bytes]  # what should be the labels of each
    plain: NDArray[np.bool_]  # if they are: is what follows one sample and no more?
    times_ms: Times
    values: Floats
    metadata: int
    types: dict[str, str]  # what the request says of metric families

    def one(self, at: int) -> One:
        """Reads it field by field. Raises Malformed."""
        ...

    def describe(self, at: int, labels: Labels) -> None:
        """Notes the type of a new series where that comes with it."""
        ...

    def labels(self, key: bytes) -> Labels:
        """Raises BadSeries; NotLabels where one of ``keys`` was a wrong guess."""
        ...


@dataclass
class Counts:
    """What a request says, and what could not be taken of it."""

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0
    metadata: int = 0
    stale: int = 0  # markers that a series is gone
    refused: int = 0  # values of series that found the table full
    bad: int = 0  # series that nobody could find again


@dataclass
class Written:
    """The samples of one request; those of refused series are left out and counted."""

    series: Indexes
    times_ms: Times
    values: Floats
    fresh: Indexes  # series that may mean another thing than their index did before
    counts: Counts
    types: dict[str, str] = field(default_factory=dict)  # counter, gauge ... by metric family
    complaint: str = ""  # about the first bad series


@dataclass
class _Odd:
    """What was read field by field."""

    counts: Counts
    series: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    fresh: list[int] = field(default_factory=list)
    complaint: str = ""

    def add(self, series: int, time_ms: int, value: float) -> None:
        self.series.append(series)
        self.times_ms.append(time_ms)
        self.values.append(value)

    def complain(self, error: BadSeries) -> None:
        self.counts.bad += 1
        self.complaint = self.complaint or str(error)


class Intake:
    """Knows the series of all requests of one version of the protocol."""

    def __init__(self, table: Series) -> None:
        self._table = table
        self._keys = table.keys("")
        self._made = table.keys("")  # the classic series of native histograms
        self._bounds = Bounds()

    def take(self, scan: Scan) -> Written:
        """Raises Malformed; then nothing of the request was taken."""
        odd = _Odd(Counts(metadata=scan.metadata))
        found = self._keys.find(scan.keys)
        new = np.flatnonzero(scan.plain & (found == UNKNOWN)).tolist()
        bad = self._learn(scan, new, found, odd) if new else []
        plain = scan.plain & (found != UNKNOWN)
        rest = ~plain
        rest[bad] = False
        if rest.any():
            self._take_odd(scan, _read(scan, np.flatnonzero(rest).tolist()), odd)
        odd.counts.samples += int(plain.sum())
        series = np.concatenate((found[plain], np.array(odd.series, np.int32)))
        times_ms = np.concatenate((scan.times_ms[plain], np.array(odd.times_ms, np.int64)))
        values = np.concatenate((scan.values[plain], np.array(odd.values, np.float64)))
        kept = series >= 0
        odd.counts.stale += int((values.view(np.uint64) == STALE).sum())
        odd.counts.refused = len(kept) - int(kept.sum())
        fresh = np.array(odd.fresh, np.int32)
        return Written(
            series[kept],
            times_ms[kept],
            values[kept],
            fresh[fresh >= 0],
            odd.counts,
            scan.types,
            odd.complaint,
        )

    def _learn(self, scan: Scan, new: list[int], found: Indexes, odd: _Odd) -> list[int]:
        """Finds an index for each, but for those of bad series, and keys that are no labels;
        returns the former."""
        learned: dict[bytes, int] = {}
        bad = []
        for at in new:
            try:
                found[at] = self._interned(scan, scan.keys[at], learned, at)
            except NotLabels:  # it only looked like a plain series
                continue
            except BadSeries as error:
                odd.complain(error)
                bad.append(at)
        self._remember(learned, odd)
        return bad

    def _interned(self, scan: Scan, key: bytes, learned: dict[bytes, int], at: int = -1) -> int:
        if key not in learned:
            labels = scan.labels(key)
            if at >= 0:
                scan.describe(at, labels)
            learned[key] = self._table.intern("", labels)
        return learned[key]

    def _remember(self, learned: dict[bytes, int], odd: _Odd) -> None:
        self._keys.learn(list(learned), list(learned.values()))
        odd.fresh += learned.values()

    def _take_odd(self, scan: Scan, ones: Sequence[One], odd: _Odd) -> None:
        indexes = self._keys.find([one.key for one in ones]).tolist()
        learned: dict[bytes, int] = {}
        histograms: list[tuple[bytes, Histogram]] = []
        for one, index in zip(ones, indexes, strict=True):
            odd.counts.exemplars += one.exemplars
            try:
                if index == UNKNOWN and one.samples:
                    index = self._interned(scan, one.key, learned)
                elif one.histograms:
                    scan.labels(one.key)
            except BadSeries as error:
                odd.complain(error)
                continue
            for time_ms, value in one.samples:
                odd.add(index, time_ms, value)
            odd.counts.samples += len(one.samples)
            histograms += [(one.key, histogram) for histogram in one.histograms]
        self._remember(learned, odd)
        for key, histogram in histograms:
            self._take_histogram(scan, key, histogram, odd)

    def _take_histogram(self, scan: Scan, key: bytes, histogram: Histogram, odd: _Odd) -> None:
        points = self._bounds.points(key, histogram)
        odd.counts.histograms += 1
        odd.counts.stale += histogram.stale
        parts = {f"_bucket{le}": value for le, value in points.buckets.items()}
        parts |= {"_count": points.observed, "_sum": points.total}
        keys = [key + b"\xff" + part.encode() for part in parts]
        indexes = self._made.find(keys)
        unknown = np.flatnonzero(indexes == UNKNOWN)
        if len(unknown):
            labels, names = scan.labels(key), list(parts)
            scan.types[labels.get("__name__", "")] = "histogram"
            for at in unknown.tolist():
                indexes[at] = self._table.intern("", _classic(labels, names[at]))
            self._made.learn([keys[at] for at in unknown.tolist()], indexes[unknown])
            odd.fresh += indexes[unknown].tolist()
        for index, value in zip(indexes.tolist(), parts.values(), strict=True):
            odd.add(index, histogram.time_ms, value)


def _read(scan: Scan, places: Sequence[int]) -> list[One]:
    """Raises Malformed where they say more than anybody sends at once."""
    ones, said = [], 0
    for at in places:
        ones.append(one := scan.one(at))
        said += len(one.samples) + len(one.histograms) + one.exemplars
        if said > MOST:
            raise Malformed(f"more than {MOST:,} samples")
    return ones


def _classic(labels: Labels, part: str) -> Labels:
    name = labels.get("__name__", "")
    if part.startswith("_bucket"):
        return labels | {"__name__": f"{name}_bucket", "le": part.removeprefix("_bucket")}
    return labels | {"__name__": name + part}


def checked(pairs: Sequence[tuple[str, str]]) -> Labels:
    """Labels of a series; one without a value is none. Raises BadSeries."""
    labels = dict(pairs)
    if sum(len(name) + len(value) for name, value in pairs) > MOST_LABEL_BYTES:
        name = labels.get("__name__", "")
        raise BadSeries(f"labels of more than {MOST_LABEL_BYTES:,} bytes: {name[:_SHOWN]!r}")
    if len(labels) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise BadSeries(f"a label twice: {name[:_SHOWN]!r}")
    if "" in labels:
        raise BadSeries("a label without a name")
    labels = {name: value for name, value in labels.items() if value}
    if not labels:
        raise BadSeries("a series without labels")
    return labels
