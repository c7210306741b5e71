"""What a member usually is to its group: some more, or some times as much.

The group's centre is the median of what its members would be without their own ways; a member is
expected at the centre, plus its usual difference or times its usual share, whichever predicts it
better. So a replica that always was different is normal, and one that joins or leaves moves
nobody.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.groups import rarity
from aiopsd.detectors.groups.rounds import Round
from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

WARM: Final = 20  # rounds before a member's own way is known
MEMORY: Final = 256.0  # rounds
CLIP: Final = 5.0  # usual errors; a larger one teaches no more than that
LEAST_SHARE, LARGEST_SHARE = 1e-3, 1e3  # what a share may be; otherwise it is no share
BETTER: Final = 0.8  # error against error, for a change of mind

COLUMNS: Final = {
    "warm": Column(0.0, np.float64, WARM),  # the first differences to the centre
    "more": Column(),  # usual difference to the centre
    "cross": Column(),  # mean of value * centre ...
    "square": Column(),  # ... and of centre ** 2: their ratio is the share
    "more_miss": Column(),  # mean error of the difference, and of the share
    "share_miss": Column(),
    "shares": Column(0.0, np.bool_),  # the share predicts better
}


def share(rows: Rows, at: At) -> Floats:
    square = rows["square"][at]
    found = np.divide(rows["cross"][at], square, out=np.ones(len(at)), where=square > 0)
    return np.where((found > LEAST_SHARE) & (found < LARGEST_SHARE), found, 1.0)


def centres(rows: Rows, over: Round, grown: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Of each member's group, by differences and by shares; only grown members count."""
    more = over.medians(np.where(grown, over.x - rows["more"][over.at], np.nan))
    times = over.medians(np.where(grown, over.x / share(rows, over.at), np.nan))
    return more[over.place], times[over.place]


def expected(rows: Rows, at: At, more: Floats, times: Floats) -> tuple[Floats, Floats]:
    """By what predicts each member better, and by the other."""
    usual, part, shares = more + rows["more"][at], times * share(rows, at), rows["shares"][at]
    return np.where(shares, part, usual), np.where(shares, usual, part)


def begin(rows: Rows, at: At, centre: Floats) -> None:
    """The first rounds are over: their middle is the usual, and glitches are no usual miss."""
    kept = rows["warm"][at]
    rows["more"][at] = more = np.median(kept, axis=1)
    away = np.sort(np.abs(kept - more[:, None]), axis=1)
    usual = away[:, :-2].mean(axis=1)
    miss = np.minimum(away, CLIP * usual[:, None]).mean(axis=1)
    rows["more_miss"][at] = rows["share_miss"][at] = miss
    rows["square"][at] = centre * centre
    rows["cross"][at] = centre * (centre + more)


def learn(
    rows: Rows, over: Round, more: Floats, times: Floats, gain: Floats, least: Floats
) -> None:
    """Takes in a round as far as its gain; a deviation of ``least`` always counts."""
    at, x = over.at, over.x
    limit = np.maximum(CLIP * error(rows, at), least)
    miss = np.clip(x - more - rows["more"][at], -limit, limit)
    usual = times * share(rows, at)
    share_miss = np.clip(x - usual, -limit, limit)
    rows["more"][at] += gain * miss
    rows["cross"][at] += gain * ((usual + share_miss) * times - rows["cross"][at])
    rows["square"][at] += gain * (times * times - rows["square"][at])
    rows["more_miss"][at] += gain * (np.abs(miss) - rows["more_miss"][at])
    rows["share_miss"][at] += gain * (np.abs(share_miss) - rows["share_miss"][at])


def error(rows: Rows, at: At) -> Floats:
    return np.where(rows["shares"][at], rows["share_miss"][at], rows["more_miss"][at])


def choose(rows: Rows, at: At) -> None:
    """Difference or share; the tail stays in the units of what it was."""
    was, more, times = rows["shares"][at], rows["more_miss"][at], rows["share_miss"][at]
    rows["shares"][at] = now = np.where(was, times * BETTER <= more, times < BETTER * more)
    old, new = np.where(was, times, more), np.where(now, times, more)
    ratio = np.clip(new / np.maximum(old, 1e-300), 0.05, 1.0)
    rarity.scale(rows, at, np.where(was == now, 1.0, ratio))


def move(rows: Rows, at: At, expected_now: Floats, value: Floats, centre: Floats) -> None:
    """A member stays where it is now: that is its own way."""
    rows["more"][at] += value - expected_now
    # Against what the centre usually is: at this moment it may be next to nothing.
    usual = np.copysign(np.sqrt(rows["square"][at]), centre)
    rows["cross"][at] = rows["square"][at] + (value - centre) * usual
