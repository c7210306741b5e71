"""How much evidence is enough: what white noise shows so rarely, more after each step."""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.detectors.steps import page_hinkley
from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

DAY_SECS: Final = 86400.0
SUSPICIOUS_DAYS, CERTAIN_DAYS = 40.0, 20e6  # how rarely white noise shows so much
LEAST: Final = 12.0  # no less evidence than this, however slow the pace
TIRED, TIRED_DAYS = 0.5, 14.0  # a step makes the next harder by this much, for so long
PACE: Final = 0.05  # how fast the usual time between samples is learned

COLUMNS: Final = {
    "last_s": Column(np.nan),
    "every": Column(np.nan),  # seconds between samples, usually
    "tired": Column(),  # steps lately ...
    "tired_s": Column(np.nan),  # ... as of then
}


def hear(rows: Rows, at: At, now: float) -> None:
    """A sample of each of these; steps are forgotten in two weeks."""
    secs, every = now - rows["last_s"][at], rows["every"][at]
    near = np.clip(secs, every / 2, every * 2)
    learned = np.where(np.isnan(every), secs, every + PACE * (near - every))
    rows["every"][at] = np.where(secs > 0, learned, every)
    rows["last_s"][at] = now
    days = np.nan_to_num(np.maximum(now - rows["tired_s"][at], 0.0) / DAY_SECS)
    rows["tired"][at] *= np.exp(-days / TIRED_DAYS)
    rows["tired_s"][at] = now


def every_secs(rows: Rows, at: At) -> Floats:
    """A minute as long as it is not known."""
    every = rows["every"][at]
    return np.where(every > 0, every, 60.0)


def bar(rows: Rows, at: At, days: float) -> Floats:
    """Evidence that white noise shows once in so many days, at this series' pace (Siegmund's
    approximation of a CUSUM's run length), harder after steps."""
    delta = page_hinkley.DELTA
    samples = days * DAY_SECS / every_secs(rows, at)
    enough = np.log(samples * 4 * delta * delta) / (2 * delta) - 1.17
    return np.asarray(np.maximum(enough, LEAST) * (1 + TIRED * rows["tired"][at]))
