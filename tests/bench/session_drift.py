"""Sessions of a made-up order service that drifts, with labels: what a log's next month may bring.

A session is a count for each template, as the texts below number them. Nothing of any real log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

TEXTS: Final = (
    "order <id> accepted for customer <id>", "stock of <num> items reserved",  # 0 1
    "payment of <num> authorised", "parcel <id> handed to carrier <word>",  # 2 3
    "invoice <id> sent", "price list <id> read", "order <id> closed",  # 4 5 6
    "reservation <id> released", "customer <id> notified",  # 7 8
    "payment gateway timed out after <duration>", "could not reserve item <id>: out of stock",  # 9
    "unexpected state of order <id>", "carrier <word> refused parcel <id>",  # 11 12
    "loyalty points of customer <id> updated", "gift card <id> redeemed",  # 13 14: new and benign
    "order <id> passed to region <word>", "tax of <num> computed", "parcel <id> weighed again",
)  # fmt: skip
RETRY: Final = 2  # the template that comes too often when something is stuck
NEW: Final = (13, 14, 15, 16, 17)
Counts = Counter[int]


class Case(NamedTuple):
    counts: Counts
    odd: bool


def _usual(draw: Random) -> Counts:
    items = draw.choice((1, 1, 2, 3))
    found = Counter({0: 1, 1: items, 2: 1, 3: draw.choice((1, 1, 1, 2)), 4: 1, 5: items, 6: 1})
    if draw.random() < 0.3:
        found[8] = 1
    if draw.random() < 0.08:  # a cancelled order
        found -= Counter({3: 9, 4: 9})
        found[7] = 1
    return found


def _odd(draw: Random) -> Counts:
    found = _usual(draw)
    match draw.randrange(5):
        case 0:
            found[9] += draw.choice((1, 2))
        case 1:
            found[10] += 1
            del found[3]
        case 2:
            found[11] += 1
        case 3:
            found[RETRY] += 8
            del found[6]
        case 4:
            found[12] += 1
            found[7] += 1
    return found


def _gone(share: float) -> Callable[[Counts, Random, float], Counts]:
    def change(found: Counts, draw: Random, _: float) -> Counts:
        if draw.random() < share:
            for template in (4, 5):
                del found[template]
        return found

    return change


def _new(share: float, *templates: int) -> Callable[[Counts, Random, float], Counts]:
    def change(found: Counts, draw: Random, _: float) -> Counts:
        for template in templates:
            if draw.random() < share:
                found[template] += draw.choice((1, 1, 3))
        return found

    return change


def _ramp(found: Counts, draw: Random, way: float) -> Counts:
    return _gone(way)(found, draw, way)


def _twice(share: float) -> Callable[[Counts, Random, float], Counts]:
    def change(found: Counts, draw: Random, _: float) -> Counts:
        if draw.random() < share:
            for template in (1, 5, 3):
                found[template] *= 2
        return found

    return change


def _renamed(found: Counts, _draw: Random, _way: float) -> Counts:
    for before, after in ((4, 16), (8, 13)):
        if before in found:
            found[after] = found.pop(before)
    return found


def _burst(found: Counts, draw: Random, way: float) -> Counts:
    return _new(1.0, 15)(found, draw, way) if 0.3 < way < 0.4 else found


DRIFTS: Final[dict[str, Callable[[Counts, Random, float], Counts]]] = {
    "none": lambda found, _draw, _way: found,
    "steps gone from 30 %": _gone(0.3),
    "steps gone from 80 %": _gone(0.8),
    "steps gone by and by": _ramp,
    "new steps in 2 %": _new(0.02, 13, 14, 17),
    "new steps in 5 %": _new(0.05, 13),
    "new steps in 20 %": _new(0.2, 13),
    "new steps in all": _new(1.0, 13, 15),
    "twice the steps in 30 %": _twice(0.3),
    "twice the steps in all": _twice(1.0),
    "renamed": _renamed,
    "a burst of new steps": _burst,
}


def cases(drift: str, sessions: int = 3000, odd: float = 0.03, seed: int = 1) -> list[Case]:
    """Drift begins in the middle."""
    draw, change, found = Random(f"{seed} {drift}"), DRIFTS[drift], []
    for n in range(sessions):
        strange = draw.random() < odd
        counts = _odd(draw) if strange else _usual(draw)
        if n >= sessions // 2:
            counts = change(counts, draw, 2 * n / sessions - 1)
        found.append(Case(+counts, strange))
    return found
