"""How often something comes, against the most that it ever did: a record, and how far beyond it
the next one may be.

A *pace* is events a second over the last six slots of ten seconds, in which no slot counts more
than twice the third smallest: a burst of twenty seconds is no pace, what lasts for forty is.

The next minute breaks the record of N minutes like it with a chance of 1 in N + 1, whatever its
distribution is; it breaks it by a factor f with f to the power of -TAIL of that, where tails are
heavy. So the *bar* is where one minute in a MONTH of them would be: far away after minutes, at
the record after a month. Nobody has to know a rate before zero of them are evidence.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

SLOT_SECS: Final = 10.0
SLOTS: Final = 6
MIDDLE: Final = 2  # place of the slot, from the smallest on, that ...
SPIKE: Final = 2.0  # ... no other counts more than so many times of
MINUTE, DAY_SECS, WEEK_SECS = 60.0, 86400.0, 7 * 86400.0
MONTH: Final = 30 * 1440.0  # minutes: one of them may be beyond the bar
TAIL: Final = 4.0  # of paces: log-normal bursts are lighter, raw counts of errors heavier
EPOCH_SECS: Final = 60.0, 600.0  # what led to trouble within one is no lesson

COLUMNS: Final = {
    "open": Column(),  # of the slot that goes on
    "slots": Column(width=SLOTS),
    "paces": Column(width=SLOTS),  # as they were when these slots were over
    "mean": Column(),  # events a second of a calm day
    "record": Column(),  # highest pace of calm times; half of it is forgotten in a week
    "sum": Column(),  # of this epoch, not learned yet
    "high": Column(),
}


def pace(slots: Floats, secs: Floats) -> Floats:
    """Events a second; ``slots[n, SLOTS]`` and their lengths, 0 where there was none yet."""
    each = slots / np.where(secs > 0, secs, np.inf)
    middle = np.sort(each, axis=1)[:, MIDDLE, None]
    found: Floats = (np.minimum(each, SPIKE * middle) * secs).sum(axis=1)
    return np.asarray(found / np.maximum(secs.sum(axis=1), SLOT_SECS))


def reach(heard_secs: Floats) -> Floats:
    """How many times a spread beyond its record the bar is."""
    found: Floats = np.maximum(MONTH / (heard_secs / MINUTE + 1), 1.0) ** (1 / TAIL)
    return found


def beyond(rows: Rows, at: At, reach: Floats) -> Floats:
    """From the mean to the bar. A spread is that from the mean to the record, at least as wide as
    chance alone makes a minute, and one event."""
    mean = rows["mean"][at]
    chance = (np.sqrt(mean * MINUTE) + 1) / MINUTE
    found: Floats = reach * (np.maximum(rows["record"][at] - mean, 0.0) + chance)
    return found


def note(rows: Rows, at: At, place: At) -> None:
    """The slots at these places were calm, and so was what came after them."""
    rows["sum"][at] += rows["slots"][at, place]
    rows["high"][at] = np.maximum(rows["high"][at], rows["paces"][at, place])


def drop(rows: Rows, at: At) -> None:
    """No lesson after all."""
    rows["sum"][at] = rows["high"][at] = 0.0


def learn(rows: Rows, at: At, epoch_secs: Floats, heard_secs: Floats) -> None:
    """An epoch is over; ``heard_secs`` with it."""
    weight = np.minimum(epoch_secs / np.minimum(heard_secs, DAY_SECS), 1.0)
    rows["mean"][at] += weight * (rows["sum"][at] / epoch_secs - rows["mean"][at])
    faded = rows["record"][at] * 0.5 ** (epoch_secs / WEEK_SECS)
    rows["record"][at] = np.maximum(faded, rows["high"][at])
    drop(rows, at)


def accept(rows: Rows, at: At, paces: Floats) -> None:
    """This is how things are now."""
    rows["mean"][at] = rows["record"][at] = paces
    drop(rows, at)
