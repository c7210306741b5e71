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
from aiopsd.detectors.bank.codebook import Codebook
from aiopsd.detectors.bank.nearest import LIMIT, WIDTH
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
    "vigilance": Cell(0, np.float32, (len(BOOKS),)),  # codes from which on a window is kept
} | {name: cell for book in BOOKS for name, cell in book.cells.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """What members say of ``T`` ticks, ``[T, members, n]``, before it is calibrated."""

    v: Singles  # 0 where not ok
    ok: Flags


@dataclass(frozen=True, slots=True)
class _Full:
    """Blocks that became full: at these ticks, of these series of the lane."""

    rows: NDArray[np.intp]
    pick: slice | NDArray[np.intp]
    ages: NDArray[np.int32]  # [rows, picked], or [rows, 1]: the tick included


def observe(lane: Lane, ticks: Ticks, rest: Singles, seasonal: Flags, found: Found) -> None:
    """Fills in the distances of the books, in units of the series.

    ``rest[T, n]``: the samples less what was expected.
    """
    books = slice(0, len(BOOKS))
    found.v[:, books], found.ok[:, books] = lane["held"], lane["held_ok"]
    samples, rests = _shift(lane, "last4", ticks.y), _shift(lane, "rest4", rest)
    every = _Full(np.arange(len(ticks.y)), slice(None), ticks.ages)
    _look(lane, WIN4, samples, every, None, found)
    rows, some = _due(ticks.ages, lane.n)
    if not some.any():
        return
    part, pick = lane.only(some), _pick(some)
    fours = _Full(rows, pick, ticks.ages[rows][:, pick])
    blocks = _shift(part, "last16", _means(samples, rows)[:, pick])
    rests = _shift(part, "rest16", _means(rests, rows)[:, pick])
    _look(part, SEASON16, rests, fours, seasonal[rows][:, pick], found)
    _, some = _due(fours.ages[-1:] // WIDTH, part.n)
    if some.any():
        last, within = part.only(some), _pick(some)
        at = within if isinstance(pick, slice) else pick[within]
        ended = _Full(rows[-1:], at, fours.ages[-1:, within])
        mean = _means(blocks, np.array([len(blocks) - WIDTH]))[:, within]
        _look(last, WIN64, _shift(last, "last64", mean), ended, None, found)
        last.close()
    part.close()


def _look(
    lane: Lane, which: int, blocks: Singles, full: _Full, wanted: Flags | None, found: Found
) -> None:
    """The novelty of each window that ended; it stands until the next one ends."""
    book, unit = BOOKS[which], lane["unit"]
    shape = len(full.rows), lane.n
    ready = np.empty(shape, np.bool_)
    ready[...] = full.ages > WIDTH * book.every
    if book.every > 1:
        ready &= WIDTH * book.every * lane["step_secs"] <= LONGEST_SECS
    if not ready.any():
        found.ok[full.rows[0] :, which, full.pick] = lane["held_ok"][which] = False
        found.v[full.rows[0] :, which, full.pick] = lane["held"][which] = 0
        return
    codes = np.rint(blocks / unit)
    codes = np.minimum(np.maximum(codes, -LIMIT), LIMIT).astype(np.int16)
    windows = np.empty((WIDTH, *shape), np.int16)
    for j in range(WIDTH):
        windows[j] = codes[j : j + len(windows[j])]
    counted = full.ages & WIDTH - 1 == 0  # a sample of the hits is enough
    distance, good = book.novelty(lane, windows, ready, counted)
    if wanted is not None and not wanted.all():
        good = good & wanted
        distance *= good
    book.keep(lane, windows, distance, good & (distance > lane["vigilance"][which]), full.ages)
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
    some = (np.abs(power) >= 2).nonzero()[0]
    if len(some):
        unit[some] = np.ldexp(unit[some], power[some])
        for book in BOOKS:
            book.rescale(lane, some, power[some])
    books = slice(0, len(BOOKS))
    known = lane["tail_count"][books] >= tails.WARM
    lane["vigilance"] = np.where(known, lane["tail_u"][books] / unit, np.float32(0))


def _due(ages: NDArray[np.int32], n: int) -> tuple[NDArray[np.intp], Flags]:
    """Rows and series whose age is a multiple of four.

    Several ticks are only ever given of series that are in step (``clock.room``).
    """
    if len(ages) == 1:
        some = np.empty(n, np.bool_)
        some[...] = ages[0] & WIDTH - 1 == 0
        return np.zeros(1, np.intp), some
    rows = (ages[:, 0] & WIDTH - 1 == 0).nonzero()[0]
    return rows, np.full(n, len(rows) > 0)


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
