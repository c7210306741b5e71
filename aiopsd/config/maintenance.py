"""``maintenance`` in aiopsd.yaml: when what is broken on purpose, by the clocks of whom."""

from __future__ import annotations

from datetime import date, time
from typing import Literal

from aiopsd.correlation.quiet.matchers import parsed
from aiopsd.correlation.quiet.silences import LONGEST_SECS, SHORTEST_SECS
from aiopsd.correlation.quiet.windows import DAYS, Window, zone
from aiopsd.errors import Refused
from aiopsd.settings import Duration, Settings

DAY_SECS, WEEK_SECS = 86400.0, 7 * 86400.0


class MaintenanceSettings(Settings, frozen=True, kw_only=True):
    """A window that comes again, or comes once."""

    name: str
    match: tuple[str, ...]
    owner: str
    reason: str
    at: str
    lasts: Duration
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    date: str | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        for key in ("name", "owner", "reason"):
            if not getattr(self, key).strip():
                raise ValueError(f"`{key}` is empty")
        try:
            parsed(self.match)
        except Refused as error:
            raise ValueError(f"`match`: {error}") from None
        _time(self.at)
        _date(self.date)
        zone(self.zone)
        if self.days and self.date:
            raise ValueError("`days` or `date`: it comes again, or comes once")
        longest, often = LONGEST_SECS, "one that comes once"
        if not self.date:
            daily = len(set(self.days)) != 1
            longest, often = (DAY_SECS, "daily") if daily else (WEEK_SECS, "weekly")
        if not SHORTEST_SECS <= self.lasts <= longest:
            raise ValueError(f"`lasts: {self.lasts}` must be from 1m to {Duration(longest)} "
                             f"({often})")  # fmt: skip

    def window(self) -> Window:
        days = [DAYS.index(day) for day in self.days or DAYS]
        return Window(
            self.name,
            parsed(self.match),
            self.owner,
            self.reason,
            _time(self.at),
            float(self.lasts),
            zone(self.zone),
            frozenset(days),
            _date(self.date),
        )


def _time(text: str) -> time:
    try:
        found = time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`at: {text}` is no time of day, such as 02:30") from None
    if found.tzinfo is not None:
        raise ValueError(f"`at: {text}`: the time zone stands in `zone`")
    return found


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise ValueError(f"`date: {text}` is no day, such as 2026-12-01") from None
