"""What a ranking looks at: one window of all series, and what else is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from aiopsd.correlation.ranking.kinds import Kind, kind_of
from aiopsd.model import Floats

Edge = tuple[str, str]
"""(caller, callee)"""


class Column(NamedTuple):
    """Whose numbers a column holds, and of what."""

    service: str
    metric: str
    kind: Kind
    callee: str = ""  # the service measures its calls to this one
    caller: str = ""  # the service measures the calls of this one
    pool: str = ""  # series of one pool are alike over the services; empty: those of this metric

    @classmethod
    def named(cls, service: str, metric: str) -> Column:
        return cls(service, metric, kind_of(metric))


@dataclass(frozen=True, slots=True)
class LineCounts:
    """How often lines of a template were seen; all four of one length.

    ``times_s`` may be -inf or inf where only "before" or "since" is known: then ``covered_secs``
    says how long both lasted (any unit, both the same).
    """

    services: tuple[str, ...]
    templates: tuple[str, ...]
    times_s: Floats
    counts: Floats
    covered_secs: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class CallSpans:
    """Spans of one operation of a callee, as called by ``caller`` (empty: from outside)."""

    caller: str
    callee: str
    operation: str
    since: bool  # of the incident; else of a normal time before
    count: float
    mean_secs: float
    gap_secs: float  # mean of the caller's span minus the callee's: the network between


@dataclass(frozen=True, slots=True)
class Traces:
    """``windows``: how many times as long as the normal time the incident's lasted."""

    spans: tuple[CallSpans, ...] = ()
    windows: float = 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """``values`` ``[rows, columns]`` at ``times_s`` ``[rows]``, rising; not finite means missing.

    The more rows before ``detected_s`` the better (an hour, or 100 rows); a few after it do.
    ``target`` is the service whose SLI alarmed, with its metric ("" where nobody knows).
    """

    times_s: Floats
    values: Floats
    columns: tuple[Column, ...]
    detected_s: float
    step_secs: float
    edges: tuple[Edge, ...] = ()
    target: str = ""
    target_metric: str = ""
    lines: LineCounts | None = None
    traces: Traces = field(default_factory=Traces)

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.times_s), len(self.columns)):
            shape = len(self.times_s), len(self.columns)
            raise ValueError(f"values are {self.values.shape}; times and columns say {shape}")
        if len(self.times_s) > 1 and not (np.diff(self.times_s) >= 0).all():
            raise ValueError("times must rise")
        if not self.step_secs > 0:
            raise ValueError("step_secs must be positive")
