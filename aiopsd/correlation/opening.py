"""When strangeness is enough for an incident: several that agree, one severe, or one that lasts.

A detector that learns is wrong now and then: by its budget one certain anomaly of 1,000 series a
day, and fifty suspicious ones. Of a thousand series two of them meet by chance every day, and
four points do so once in years. Nearly all false ones are over with the next sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiopsd.model import Anomaly

ENOUGH: Final = 4
POINTS: Final = {"certain": 2, "suspicious": 1}
STATED: Final = frozenset({
    "threshold", "absent", "burn", "alertmanager", "flood", "novel", "stopped",
})  # fmt: skip
"""What these say follows from what people wrote or was counted: there is no chance in it."""


def is_enough(anomalies: Iterable[tuple[str, Anomaly]], confirm_secs: float) -> bool:
    """(place, anomaly) of one story."""
    best: dict[tuple[str, str], int] = {}
    for place, one in anomalies:
        if one.severity == "info":
            continue
        if is_sure(one, confirm_secs):
            return True
        # p50, p95 and p99 of one latency are one fact.
        key = place, one.kind
        best[key] = max(best.get(key, 0), POINTS[one.tier])
    return sum(best.values()) >= ENOUGH


def is_sure(one: Anomaly, confirm_secs: float) -> bool:
    """Opens an incident alone."""
    if one.tier != "certain":
        return False
    lasted_secs = one.seen_s - one.onset_s
    return one.severity == "critical" or one.detector in STATED or lasted_secs >= confirm_secs
