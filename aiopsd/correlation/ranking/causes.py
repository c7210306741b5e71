"""Which metric of the root is the cause? Causes before effects, earlier before later."""

from __future__ import annotations

import re
from typing import Final

from aiopsd.correlation.ranking.kinds import Family

_NAMES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), weight)
    for pattern, weight in (
        ("mem|heap", 1.9),  # a leak burns CPU and time; nothing but load makes memory grow
        ("disk|iops|fs-|inode", 1.7),
        ("cpu", 1.5),  # makes latency, is made by load
        ("gap", 1.2),
        ("client", 0.8),  # the callees' fault
        ("net|receive|transmit|syscall", 0.5),  # work done
    )
)
_FAMILIES: Final = {
    Family.RESTARTS: 1.9,
    Family.LOSS: 1.7,
    Family.LATENCY: 1.0,
    Family.AVAILABILITY: 1.0,
    Family.ERRORS: 0.85,
    Family.RESOURCE: 0.8,
    Family.QUEUE: 0.6,
    Family.LOAD: 0.4,
}
CAUSES: Final = (Family.RESOURCE, Family.RESTARTS, Family.LOSS)
MISSING: Final = 1.5


def cause_weight(metric: str, family: Family) -> float:
    return next((w for names, w in _NAMES if names.search(metric)), _FAMILIES[family])
