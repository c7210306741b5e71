"""What kind of metric is it? By its name, unless a rule says so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from aiopsd import model


class Family(StrEnum):
    """Families differ in which direction is bad, and in whether callees can explain them."""

    RESOURCE = "resource"
    QUEUE = "queue"  # threads, connections, pools: load times latency
    RESTARTS = "restarts"
    LOSS = "loss"
    AVAILABILITY = "availability"
    ERRORS = "errors"
    LATENCY = "latency"
    LOAD = "load"


SYMPTOMS: Final = (Family.LATENCY, Family.ERRORS, Family.AVAILABILITY)
"""They travel up the calls; the others stay where they are."""


@dataclass(frozen=True, slots=True)
class Kind:
    family: Family
    is_flow: bool = False  # amounts of work done: they follow the load
    is_stock: bool = False  # amounts held: a real change stays
    is_cpu: bool = False


_NAMES: Final = tuple(
    (family, re.compile(pattern, re.IGNORECASE))
    for family, pattern in (
        (Family.RESOURCE, r"per[-_]request"),
        (Family.QUEUE, r"thread|queue|conn|pool|in.?flight|concurren|backlog|pending|buffer"),
        (Family.RESTARTS, r"restart"),
        (Family.LOSS, r"retrans|loss"),
        (Family.AVAILABILITY, r"avail|success|ready|\bup\b"),
        (Family.ERRORS,
         r"err|fail|5xx|exception|panic|throttle|cancel|reject|timeout|dropped"),
        (Family.LATENCY, r"lat|duration|p50|p9\d|in50|out50|delay|response.?time"),
        (Family.LOAD, r"rps|requests|lod|workload|\bops\b|qps|per.sec|throughput|invocation"),
    )
)  # fmt: skip
_FLOW: Final = re.compile(r"net|receive|transmit|syscall|bytes|packets|iops", re.IGNORECASE)
_STOCK: Final = re.compile(r"mem|heap|disk.*(used|pct)|inode", re.IGNORECASE)

_OF_RULES: Final[dict[model.Kind, Kind]] = {
    "error-rate": Kind(Family.ERRORS),
    "latency": Kind(Family.LATENCY),
    "slo-burn": Kind(Family.ERRORS),
    "traffic": Kind(Family.LOAD),
    "availability": Kind(Family.AVAILABILITY),
    "crash": Kind(Family.RESTARTS),
    "memory-leak": Kind(Family.RESOURCE, is_stock=True),
    "disk-full": Kind(Family.RESOURCE, is_stock=True),
}


@lru_cache(65_536)
def kind_of(metric: str, rule_kind: model.Kind | None = None) -> Kind:
    """``rule_kind``: what the rule of this series says it is about, where there is one."""
    if rule_kind in _OF_RULES:
        return _OF_RULES[rule_kind]
    family = next((f for f, names in _NAMES if names.search(metric)), Family.RESOURCE)
    is_resource = family is Family.RESOURCE
    return Kind(
        family,
        is_flow=is_resource and bool(_FLOW.search(metric)),
        is_stock=bool(_STOCK.search(metric)),
        is_cpu="cpu" in metric.lower(),
    )
