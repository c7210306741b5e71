"""Windows of 4, 16 and 64 samples in four blocks each, and how novel they are.

Blocks are counted from a series' first tick: a four is full every 4th tick, a sixteen every
16th. ``season16`` sees fours of what is left after the profile is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.bank import tails
from aiopsd.detectors.bank.clock import DAY_SECS, Flags, Singles, Ticks
from aiopsd.detectors.bank.codebook import LIMIT, WIDTH, Codebook
from aiopsd.rows import Cell, Lane

BOOKS: Final = (
    Codebook("win4", 64, 1),  # 1.5 times as many are within noise
    Codebook("win64", 20, 16),
    Codebook("season16", 20, 4),
)
WIN4, WIN64, SEASON16 = range(len(BOOKS))
LONGEST_SECS: Final = DAY_SECS / 2  # a longer window is all season: hourly series have win4 alone
KEPT: Final = (WIDTH - 1,)
STEPS: Final = 16.0  # codes a mean deviation

CELLS: Final = {
    "unit": Cell(),  # of a code
    "last4": Cell(0, np.float32, KEPT),  # the last samples
    "rest4": Cell(0, np.float32, KEPT),  # the same, less what was expected
    "last16": Cell(0, np.float32, KEPT),  # the last fours
    "rest16": Cell(0, np.float32, KEPT),
    "last64": Cell(0, np.float32, KEPT),  # the last sixteens
    "held": Cell(0, np.float32, (len(BOOKS),)),  # each book's newest distance
    "held_ok": Cell(0, np.bool_, (len(BOOKS),)),
} | {name: cell for book in BOOKS for name, cell in book.cells.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """What members say of ``T`` ticks, ``[T, members, n]``, before it is calibrated."""

    v: Singles
    ok: Flags


@dataclass(frozen=True, slots=True)
class _Full:
    """Blocks that became full: at these ticks, of these series of the lane."""

    rows: NDArray[np.intp]
    pick: slice | NDArray[np.intp]
    ages: NDArray[np.int32]  # [rows, picked], the tick included


def observe(lane: Lane, ticks: Ticks, expected: Singles, seasonal: Flags, found: Found) -> None:
    """Fills in the distances of the books, in units of the series."""
    books = slice(0, len(BOOKS))
    found.v[:, books], found.ok[:, books] = lane["held"], lane["held_ok"]
    ages = lane["age"] + np.arange(1, len(ticks.y) + 1, dtype=np.int32)[:, None]
    samples = _shift(lane, "last4", ticks.y)
    rests = _shift(lane, "rest4", ticks.y - expected)
    every = _Full(np.arange(len(ages)), slice(None), ages)
    _look(lane, WIN4, samples, every, None, found)
    rows, some = _due(ages, WIDTH)
    if not some.any():
        return
    part, pick = lane.only(some), _pick(some)
    fours = _Full(rows, pick, ages[rows][:, pick])
    blocks = _shift(part, "last16", _means(samples, rows)[:, pick])
    rest = _shift(part, "rest16", _means(rests, rows)[:, pick])
    _look(part, SEASON16, rest, fours, seasonal[rows][:, pick], found)
    some = fours.ages[-1] % (WIDTH * WIDTH) == 0
    if np.count_nonzero(some):
        last, within = part.only(some), _pick(some)
        ended = _Full(rows[-1:], np.arange(lane.n)[pick][within], fours.ages[-1:, within])
        mean = _means(blocks, np.array([len(blocks) - WIDTH]))[:, within]
        _look(last, WIN64, _shift(last, "last64", mean), ended, None, found)
        last.close()
    part.close()


def _look(
    lane: Lane, which: int, blocks: Singles, full: _Full, wanted: Flags | None, found: Found
) -> None:
    """The novelty of each window that ended; it stands until the next one ends."""
    book, unit = BOOKS[which], lane["unit"]
    ready = full.ages > WIDTH * book.every
    if book.every > 1:
        ready &= WIDTH * book.every * lane["step_secs"] <= LONGEST_SECS
    if not ready.any():
        found.ok[full.rows[0] :, which, full.pick] = lane["held_ok"][which] = False
        return
    codes = np.rint(blocks / unit)
    codes = np.minimum(np.maximum(codes, -LIMIT), LIMIT).astype(np.int16)
    windows = np.empty((WIDTH, *full.ages.shape), np.int16)
    for j in range(WIDTH):
        windows[j] = codes[j : j + len(full.rows)]
    counted = full.ages % WIDTH == 0  # a sample of the hits is enough
    distance, good = book.novelty(lane, windows, ready, counted)
    if wanted is not None:
        good &= wanted
    known = lane["tail_count"][which] >= tails.WARM
    vigilance = np.where(known, lane["tail_u"][which] / unit, np.float32(0))
    book.keep(lane, windows, distance, good & (distance > vigilance), full.ages)
    distance *= unit
    if book.every == 1:
        found.v[:, which], found.ok[:, which] = distance, good
        return
    for b, row in enumerate(full.rows.tolist()):
        found.v[row:, which, full.pick] = distance[b]
        found.ok[row:, which, full.pick] = good[b]
    lane["held"][which], lane["held_ok"][which] = distance[-1], good[-1]


def learn(lane: Lane, scale: Singles) -> None:
    """An epoch is over. One code is 1/16 of ``scale``; within a factor of four it is left alone."""
    for book in BOOKS:
        book.learn(lane)
    unit, want = lane["unit"], scale / np.float32(STEPS)
    begins = lane["age"] <= WIDTH
    if np.count_nonzero(begins):
        unit[begins] = want[begins]
    power = np.rint(np.log2(want / unit)).astype(np.int32)
    some = np.flatnonzero(np.abs(power) >= 2)
    if len(some):
        unit[some] = np.ldexp(unit[some], power[some])
        for book in BOOKS:
            book.rescale(lane, some, power[some])


def _due(ages: NDArray[np.int32], every: int) -> tuple[NDArray[np.intp], Flags]:
    """Several ticks are only ever given of series that are in step (``clock.room``)."""
    if len(ages) == 1:
        return np.zeros(1, np.intp), np.asarray(ages[0] % every == 0)
    rows = np.flatnonzero(ages[:, 0] % every == 0)
    return rows, np.full(ages.shape[1], len(rows) > 0)


def _pick(some: Flags) -> slice | NDArray[np.intp]:
    return slice(None) if some.all() else some.nonzero()[0]


def _means(values: Singles, rows: NDArray[np.intp]) -> Singles:
    """Of the four values that end with each row; ``values`` begins with three kept ones."""
    pairs = (values[rows] + values[rows + 1]) + (values[rows + 2] + values[rows + 3])
    return np.asarray(pairs * np.float32(0.25))


def _shift(lane: Lane, name: str, new: Singles) -> Singles:
    """The kept rows and the new ones; the last of them are kept."""
    rows = np.concatenate((lane[name], new))
    lane[name] = rows[1 - WIDTH :]
    return rows
