"""What may have done it: changes with what is known of them, and what people were told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Commit:
    """What a change changed. ``diff`` is a unified diff, as far as it is known."""

    message: str = ""
    files: tuple[str, ...] = ()
    diff: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change that may have done it."""

    id: str
    kind: str  # deploy, flag, config ...
    service: str
    time_s: float
    text: str = ""  # what else it says of itself, such as the name of a flag
    commit: Commit | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A log line as it was written."""

    time_s: float
    service: str
    text: str
    more: str = ""  # words of its fields: the stack, the statement, the method
    is_info: bool = False
    level: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """What was said when it fired."""

    service: str = ""
    text: str = ""
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """All that an attribution looks at besides the window of series."""

    candidates: tuple[Candidate, ...]
    lines: tuple[Line, ...] = ()
    alert: Alert = Alert()
    knows_diffs: bool = False  # some commits are known: a change without one is a little less
    other_commits: tuple[Commit, ...] = ()  # not deployed; they tell which words are common
