"""How far the source is, over all its lives: what its position keeps, what a crash left open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from aiopsd.contracts import SourceContext
from aiopsd.model import Position
from aiopsd.telemetry import log


class Gap(NamedTuple):
    """What was answered 2xx in this time, after the last checkpoint before a crash, is not known
    any more, and its sender will not send it again."""

    since_s: float
    until_s: float

    def tell(self, context: SourceContext, what: str) -> None:
        context.count("gaps", 1)
        context.count("gap_seconds", self.until_s - self.since_s)
        log.warning(
            "gap source=%s from=%s until=%s: after a crash, %s of this time may be missing "
            "in what was learned", context.name, _date(self.since_s), _date(self.until_s), what,
        )  # fmt: skip


class Course:
    """A life that ended in order says so in its last checkpoint; one that did not has crashed.
    ``kept``: nothing is lost in a crash, unless it was ``missed``."""

    def __init__(self, *, kept: bool = False) -> None:
        self.request = 0  # number of the newest
        self.gaps = 0
        self.gap_secs = 0.0
        self.senders: Sequence[str] = ()  # as they were when the last life ended
        self._newest_s = 0.0  # of all samples
        self._life = {"over": kept}  # shared by all positions of this life
        self._lost_after_s: float | None = None  # since a crash, until the next sample

    def resume(self, position: Position) -> None:
        self.request = max(self.request, int(position.get("request", 0)))
        self.gaps = int(position.get("gaps", 0))
        self.gap_secs = float(position.get("gap_secs", 0.0))
        self.senders = list(position.get("senders", ()))
        self._newest_s = float(position.get("newest", 0.0))
        if position and not position.get("life", {"over": True})["over"]:
            self._lost_after_s = self._newest_s
        self._lost_after_s = position.get("missed", self._lost_after_s)

    def reach(self, time_s: float) -> Gap | None:
        """Samples up to this time are handed on; the gap that they end, if there is one."""
        since_s, self._lost_after_s = self._lost_after_s, None
        self._newest_s = max(self._newest_s, time_s)
        if since_s is None or time_s <= since_s:
            return None
        self.gaps += 1
        self.gap_secs += time_s - since_s
        return Gap(since_s, time_s)

    def end(self) -> None:
        """In order: what was handed on is scored before the last checkpoint."""
        self._life["over"] = True

    def position(self, request: int, senders: Sequence[str]) -> Position:
        missed = {} if self._lost_after_s is None else {"missed": self._lost_after_s}
        return missed | {
            "request": request,
            "newest": self._newest_s,
            "gaps": self.gaps,
            "gap_secs": self.gap_secs,
            "senders": senders,
            "life": self._life,
        }


def _date(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
