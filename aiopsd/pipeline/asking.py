"""How guards and verification ask for numbers: in PromQL, or by a rule's newest value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiopsd.contracts import Clock, Metrics, Querier
from aiopsd.errors import Refused
from aiopsd.model import Labels
from aiopsd.pipeline.detection import Detection

STALE_TICKS: Final = 3  # a rule's value this many ticks old is no data


def metrics(
    querier: Querier | None, detection: Detection, every_secs: Mapping[str, float], clock: Clock
) -> Metrics:
    """``every_secs``: by rule, how often it has news."""

    async def promql(query: str) -> float | None:
        if querier is None:
            raise Refused("no prometheus source is configured to ask")
        return _single(await querier.instant(query), query)

    async def rule(name: str, where: Labels) -> float | None:
        since_s = clock() - STALE_TICKS * every_secs[name]
        return _single(detection.latest(name, where, since_s), f"rule {name} {where}")

    return Metrics(promql, rule)


def _single(found: Any, what: str) -> float | None:
    """One number, or none; several are a question that was put wrongly."""
    if len(found) > 1:
        raise Refused(f"{what} gives {len(found)} series; one is needed: aggregate or say which")
    return found[0][1] if found else None
