"""Series that differ by one label only: the classes of a count, the buckets of a histogram.

A family is judged as one, so one of its series speaks for it. Labels are looked at once for each
index. Numbers of families that have died are used again, the smallest first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from aiopsd.model import Batch, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows

INSIDE: Final = 0.49  # highest score of what does not speak
VERDICT: Final = {
    "score": Column(),
    "observed": Column(np.nan),  # NaN: unknown
    "expected": Column(),
    "high": Column(),
    "certain": Column(0, np.bool_),
    "speaker": Column(-1, np.int64),  # series index; -1: nobody yet
}
"""Columns of rows that hold one row a family, found by its number."""

Key = tuple[tuple[str, str], ...]


class Families:
    """``rows`` has one row a member: its ``family`` (-1: it lacks the label) and your columns.

    Without a label every series is a family by itself, and its index is the number.
    """

    def __init__(self, label: str, labels: Callable[[int], Labels], **columns: Column) -> None:
        self._label, self._labels = label, labels
        self.rows = Rows(family=Column(-1, np.int64), n=Column(), **columns)
        self._begin([])

    def _begin(self, keys: list[Key | None]) -> None:
        self._keys = keys
        self._number = {key: n for n, key in enumerate(keys) if key is not None}
        self._free = [n for n, key in enumerate(keys) if key is None]
        _, at = self.rows.known()
        family = self.rows["family"][at] if self._label else at[:0]
        self._size = np.bincount(family[family >= 0], minlength=len(keys)).tolist()

    def meet(self, series: Indexes) -> Iterator[tuple[int, int, str]]:
        """Takes in the new ones of these: each one's row, its family and what its label says."""
        found = self.rows.find(series) < 0
        for index in dict.fromkeys(series[found].tolist()) if found.any() else ():
            row = int(self.rows.of(np.array([index], np.int32))[0])
            labels = self._labels(index) if self._label else {}
            if not self._label:
                self.rows["family"][row] = index
            elif self._label in labels:
                rest = (one for one in labels.items() if one[0] != self._label)
                family = self._join(tuple(sorted(rest)))
                self.rows["family"][row] = family
                yield row, family, labels[self._label]

    def _join(self, key: Key) -> int:
        number = self._number.get(key)
        if number is None:
            number = heapq.heappop(self._free) if self._free else len(self._keys)
            if number == len(self._keys):
                self._keys.append(None)
                self._size.append(0)
            self._keys[number], self._number[key] = key, number
        self._size[number] += 1
        return number

    def strangers(self) -> bool:
        """It has met series, and none of them has the label."""
        _, at = self.rows.known()
        return len(at) > 0 and bool((self.rows["family"][at] < 0).all())

    def of(self, series: Indexes) -> Indexes:
        """Their families, -1 for none."""
        at = self.rows.find(series)
        return np.where(at < 0, -1, self.rows["family"][at]).astype(np.int32)

    def sizes(self, families: Indexes) -> Indexes:
        """How many members each has."""
        return np.array([self._size[number] for number in families.tolist()], np.int32)

    def members(self, family: int) -> At:
        """Rows of all members, by series index."""
        at = np.flatnonzero(self.rows["family"] == family)
        return at[np.argsort(self.rows.series(at))]

    def scores(self, batch: Batch, verdicts: Rows, also: At) -> Scores:
        """Each series by its family's verdict: the one that speaks, and below the limit the rest.

        ``also``: verdicts that are told even if the series that speaks is not in the batch.
        """
        absent = np.setdiff1d(verdicts["speaker"][also], np.append(batch.series, -1))
        series = np.concatenate((batch.series, absent)).astype(np.int32)
        family = self.of(series)
        row = np.where(family < 0, -1, verdicts.find(np.abs(family)))
        known, row = row >= 0, np.maximum(row, 0)
        speaker = known & (verdicts["speaker"][row] == series)
        missing = np.concatenate((~np.isfinite(batch.values), np.zeros(len(absent), bool)))
        # Who speaks for others does so without a sample of its own.
        known &= ~missing | (speaker if self._label else False)
        score = np.where(known, verdicts["score"][row], 0.0)
        high = verdicts["high"][row]
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=series,
            score=np.where(speaker, score, np.minimum(score, INSIDE)),
            observed=np.where(known, verdicts["observed"][row], np.nan),
            expected=verdicts["expected"][row],
            low=np.zeros(len(series)),
            high=high,
            samples=self.rows["n"][self.rows.find(series)].astype(np.int32),
            certain=known & speaker & (score >= 0.5) & verdicts["certain"][row],
            history=batch.history,
        )

    def forget(self, series: Indexes, verdicts: Rows) -> list[int]:
        """Drops these members, and families that have none left; returns those."""
        at = self.rows.find(series)
        families = self.rows["family"][np.unique(at[at >= 0])]
        self.rows.forget(series)
        died = [number for number in families[families >= 0].tolist() if self._leave(number)]
        verdicts.forget(np.array(died, np.int32))
        _, known = verdicts.known()
        gone = known[np.isin(verdicts["speaker"][known], series)]
        verdicts["speaker"][gone] = -1
        return died

    def _leave(self, number: int) -> bool:
        """Was it the last one?"""
        if not self._label:
            return True
        self._size[number] -= 1
        key = self._keys[number]
        if self._size[number] > 0 or key is None:
            return False
        del self._number[key]
        self._keys[number] = None
        heapq.heappush(self._free, number)
        return True

    def state(self) -> tuple[list[Key | None], bytes]:
        return self._keys, self.rows.save()

    def restore(self, keys: list[Key | None], rows: bytes) -> None:
        """Raises ValueError when they do not belong together."""
        self.rows.load(rows)
        _, at = self.rows.known()
        family = self.rows["family"][at]
        if self._label and not -1 <= int(family.max(initial=-1)) < len(keys):
            raise ValueError("saved members belong to no family")
        self._begin(list(keys))
