"""What the daemon asks of the fitting process, and what it hears back: one JSON line each."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from aiopsd.model import Labels


class Question(msgspec.Struct, frozen=True):
    """One rule's expression."""

    rule: str
    promql: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Goes through a pipe, never through arguments: the headers may hold a token."""

    url: str
    headers: dict[str, str]
    ca_file: str = ""
    params: dict[str, str] = {}
    questions: tuple[Question, ...]
    start_s: float
    end_s: float
    step_secs: float
    timeout_secs: float  # of one request
    max_series: int  # of one rule
    memory_bytes: int


class Found(msgspec.Struct, frozen=True, tag=True):
    """One series. ``season``: as in ``contracts.Lesson``; None where none was seen."""

    rule: str
    labels: Labels
    level: float
    scale: float
    season: Annotated[list[float | None], msgspec.Meta(min_length=336, max_length=336)]
    period: Literal["none", "day", "week"]
    samples: int


class Done(msgspec.Struct, frozen=True, tag=True):
    """A rule is through."""

    rule: str
    series: int
    left_out: int = 0  # series beyond ``max_series``, or with too little history


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A rule that could not be fitted; the others go on."""

    rule: str
    reason: str


Word: TypeAlias = Found | Done | Failed
