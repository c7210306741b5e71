"""Means of equal stretches of time, the last 32 of them, and the line through them."""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.detectors.trends.trend import BLOCKS, Float32s, fit
from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

NEVER: Final = -(2**60)
AT_ONCE: Final = 4096  # series fitted in one go: what is in between stays small
MEMORY: Final = 8  # guesses
FITTED: Final = "slope", "level", "spread", "r2", "error", "walk"


class Blocks:
    """The columns of one line, all named ``<name>_...``; slopes are per second."""

    def __init__(self, name: str, span_secs: float) -> None:
        self.name = name
        self.secs = span_secs / BLOCKS

    def columns(self) -> dict[str, Column]:
        own = {
            "ring": Column(np.nan, np.float32, BLOCKS),
            "head": Column(NEVER, np.int64),  # the block that is open
            "sum": Column(),
            "count": Column(),
            "known": Column(0, np.bool_),
            "guess": Column(np.nan),  # what the line said of one span later
            "due": Column(-np.inf),  # when that is
            "wrong": Column(),  # mean error of such guesses
            "guesses": Column(),
        } | {word: Column() for word in FITTED}
        return {f"{self.name}_{word}": column for word, column in own.items()}

    def turn(self, rows: Rows, at: At, now: float) -> tuple[At, Floats]:
        """Closes blocks that are over and fits anew; the rows, and the highest that left each."""
        head, block = rows[f"{self.name}_head"], int(now // self.secs)
        back = at[head[at] > block + 1]  # the clock was set back
        self.clear(rows, back)
        head[back] = block
        new = at[head[at] == NEVER]
        head[new] = block
        at = at[head[at] < block]
        left = self._push(rows, at, block)
        head[at] = block
        for some in np.array_split(at, max(-(-len(at) // AT_ONCE), 1)):
            self._fit(rows, some, block)
        self._learn(rows, at, now)
        return at, left

    def _learn(self, rows: Rows, at: At, now: float) -> None:
        """How wrong the line was a span ago; and what it says now."""
        at = at[now >= rows[f"{self.name}_due"][at]]
        guess, wrong = rows[f"{self.name}_guess"], rows[f"{self.name}_wrong"]
        missed = np.abs(self.newest(rows, at) - guess[at])
        old = at[~np.isnan(missed)]
        rows[f"{self.name}_guesses"][old] += 1
        gain = 1 / np.minimum(rows[f"{self.name}_guesses"][old], MEMORY)
        wrong[old] += gain * (missed[~np.isnan(missed)] - wrong[old])
        slope, level = rows[f"{self.name}_slope"][at], rows[f"{self.name}_level"][at]
        known = rows[f"{self.name}_known"][at]
        guess[at] = np.where(known, level + slope * self.secs * BLOCKS, np.nan)
        rows[f"{self.name}_due"][at] = now + self.secs * BLOCKS

    def doubt(self, rows: Rows, at: At) -> Floats:
        """Of the slope: by how much such lines were wrong so far, each span."""
        return np.asarray(rows[f"{self.name}_wrong"][at] / (self.secs * BLOCKS))

    def _push(self, rows: Rows, at: At, block: int) -> Floats:
        ring, head = rows[f"{self.name}_ring"], rows[f"{self.name}_head"][at]
        total, count = rows[f"{self.name}_sum"], rows[f"{self.name}_count"]
        means = np.where(count[at] > 0, total[at] / np.maximum(count[at], 1), np.nan)
        last = block - 1 - (block - 1 - np.arange(BLOCKS)) % BLOCKS  # what each place is to hold
        goes = last >= head[:, None]
        mine = ring[at]
        left = np.where(goes & ~np.isnan(mine), mine, -np.inf).max(axis=1, initial=-np.inf)
        mine = np.where(goes, np.nan, mine)
        ring[at] = np.where(last == head[:, None], means[:, None], mine)
        total[at] = count[at] = 0.0
        return np.asarray(left, np.float64)

    def _fit(self, rows: Rows, at: At, block: int) -> None:
        if not len(at):
            return
        ordered: Float32s = rows[f"{self.name}_ring"][at][
            :, np.arange(block, block + BLOCKS) % BLOCKS
        ]
        found = fit(ordered)
        rows[f"{self.name}_known"][at] = found.known
        for word in FITTED:
            per = self.secs if word in ("slope", "error", "walk") else 1.0
            rows[f"{self.name}_{word}"][at] = getattr(found, word) / per

    def add(self, rows: Rows, at: At, values: Floats) -> None:
        np.add.at(rows[f"{self.name}_sum"], at, values)
        np.add.at(rows[f"{self.name}_count"], at, 1.0)

    def since(self, rows: Rows, at: At, now: float) -> Floats:
        """Seconds since the middle of the last block, where ``level`` is."""
        return np.asarray(now - (rows[f"{self.name}_head"][at] - 0.5) * self.secs)

    def newest(self, rows: Rows, at: At) -> Floats:
        """The last block's mean; NaN without one."""
        place = (rows[f"{self.name}_head"][at] - 1) % BLOCKS
        return np.asarray(rows[f"{self.name}_ring"][at, place].astype(np.float64))

    def highest(self, rows: Rows, at: At) -> Floats:
        """Of all blocks; -inf without one."""
        ring = rows[f"{self.name}_ring"][at]
        return np.asarray(np.where(np.isnan(ring), -np.inf, ring).max(axis=1), np.float64)

    def clear(self, rows: Rows, at: At) -> None:
        rows[f"{self.name}_ring"][at] = np.nan
        rows[f"{self.name}_sum"][at] = rows[f"{self.name}_count"][at] = 0.0
        rows[f"{self.name}_known"][at] = False
        rows[f"{self.name}_guess"][at], rows[f"{self.name}_due"][at] = np.nan, -np.inf
