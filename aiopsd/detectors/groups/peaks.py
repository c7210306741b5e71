"""How high do surprises usually get here? One limit then means the same for all.

A tail that is heavier than ``rarity`` takes it for makes something rare of every day. So the
highest surprise of each half day is kept, a week of them, and surprises are divided by how much
higher their median is than that of a tail that was told right. What was told of before has to be
rarer, too. (The thought of ``bank.alerts``, for rows. What is usual was measured there; here it
follows from how many surprises a half day has.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.detectors.bank.alerts import FATIGUE, FORGET_SECS, HALF_SECS, HALVES, PRIORS
from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

MEDIAN: Final = float(-np.log10(np.log(2)))  # decades that the median of a maximum of N is over N
LEAST: Final = 10.0  # surprises; fewer have no highest to speak of

COLUMNS: Final = {
    "peaks": Column(np.nan, np.float32, HALVES),  # of finished half days
    "halves": Column(),  # how many there were
    "half": Column(np.nan),
    "peak": Column(),  # of this one
    "bar": Column(1.0),  # how much too high surprises usually are
}
TIRED: Final = {
    "tired": Column(),  # how often it was told of lately ...
    "tired_s": Column(np.nan),  # ... as of then
    "told_s": Column(-np.inf),
}


def bar(rows: Rows, at: At, high: Floats, now: float, every_secs: Floats) -> Floats:
    """By what to divide, from half days that are over; takes in how ``high`` it is now, in decades.

    ``every_secs``: how often there is a surprise; anything else than more than 0 is a minute.
    """
    half = float(now // HALF_SECS)
    ended = rows["half"][at] != half
    if ended.any():
        every = every_secs[ended]
        _end(rows, at[ended], HALF_SECS / np.where(every > 0, every, 60.0))
        rows["half"][at] = half
    rows["peak"][at] = np.maximum(rows["peak"][at], high)
    return np.asarray(rows["bar"][at])


def _end(rows: Rows, at: At, often: Floats) -> None:
    some = rows["peak"][at] > 0
    at, often = at[some], often[some]
    n = rows["halves"][at]
    rows["peaks"][at, n.astype(np.intp) % HALVES] = rows["peak"][at]
    rows["halves"][at], rows["peak"][at] = n + 1, 0.0
    due = np.log10(np.maximum(often, LEAST)) + MEDIAN
    known = np.concatenate((rows["peaks"][at], np.repeat(due[:, None], PRIORS, axis=1)), axis=1)
    rows["bar"][at] = np.maximum(np.nanmedian(known, axis=1) / due, 1.0)


def weary(rows: Rows, at: At, now: float) -> Floats:
    """By what to divide for what was told of before."""
    rested = np.nan_to_num(np.maximum(now - rows["tired_s"][at], 0.0))
    rows["tired"][at] *= np.exp(-rested / FORGET_SECS)
    rows["tired_s"][at] = now
    return np.asarray(1 + FATIGUE * rows["tired"][at])


def tire(rows: Rows, at: At, now: float) -> None:
    """These were told of, and it is over; several times in half a day are one."""
    new = at[np.abs(now - rows["told_s"][at]) > HALF_SECS]
    rows["tired"][new] += 1
    rows["told_s"][new] = now
