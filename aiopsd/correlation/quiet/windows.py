"""Maintenance windows: every day, on days of the week, or once, by the clocks of a time zone.

Pure. A window begins when the clocks of its zone show ``at``, and lasts as long as it says, in
seconds that pass. Where clocks skip that time it begins as much later as they skip; where they
show it twice, the first time counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiopsd.correlation.quiet.silences import window_name
from aiopsd.model import Matcher, Silence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Window:
    """One entry of ``maintenance`` in aiopsd.yaml."""

    name: str
    matchers: tuple[Matcher, ...]
    owner: str
    reason: str
    at: time
    lasts_secs: float
    zone: tzinfo = UTC
    days: frozenset[int] = frozenset(range(7))  # 0: Monday
    on: date | None = None  # once, on this day

    def spell(self, now_s: float) -> tuple[float, float] | None:
        """Beginning and end of the occurrence that is on now; the last that began."""
        today = datetime.fromtimestamp(now_s, self.zone).date()
        back = int(self.lasts_secs // 86400) + 1
        for day in (today - timedelta(days=n) for n in range(back + 1)):
            starts_s = self._starts_s(day)
            if starts_s is not None and starts_s <= now_s < starts_s + self.lasts_secs:
                return starts_s, starts_s + self.lasts_secs
        return None

    def _starts_s(self, day: date) -> float | None:
        is_it = day == self.on if self.on is not None else day.weekday() in self.days
        if not is_it:
            return None
        # fold=0: what is shown twice counts the first time; what is skipped is taken by the
        # offset of before, so it begins as much later as the clocks skip.
        return datetime.combine(day, self.at, self.zone).timestamp()

    def occurrence(self, now_s: float) -> Silence | None:
        """The silence that it is now."""
        spell = self.spell(now_s)
        if spell is None:
            return None
        return Silence(
            id=window_name(self.name, spell[0]),
            kind="maintenance",
            matchers=self.matchers,
            owner=self.owner,
            reason=self.reason,
            created_s=now_s,
            starts_s=spell[0],
            ends_s=spell[1],
            window=self.name,
        )


def zone(name: str) -> tzinfo:
    """Raises ValueError, as a sentence."""
    if name == "UTC":  # also where no time zones are installed
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name!r} here; such as Europe/Berlin, and tzdata must be "
            "installed"
        ) from None
