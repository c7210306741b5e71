"""Samples whose times are of no use, or that are too many: said once of each sender, with a name.

The sender got its 2xx: sent again, they would be no better. So nobody hears of it but here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from aiopsd.contracts import Series
from aiopsd.sources.remote_write_intake import Written
from aiopsd.telemetry import log

_MOST_TOLD: Final = 200  # of a larger crowd of senders, the first ones
_LAST_MS: Final = 253_402_300_799_000  # of the year 9999; no date is later


class OddTimes:
    """Says it in the log, once."""

    def __init__(self, source: str, table: Series) -> None:
        self._source, self._table = source, table
        self._told: set[tuple[str, str]] = set()  # senders, and what was said of them

    def look(self, sender: str, written: Written, until_ms: int) -> None:
        """Is one of a request's samples from before 1970, or after ``until_ms``?"""
        if not len(written.times_ms):
            return
        for at, what in (
            (int(written.times_ms.argmax()), "in the future: look at the sender's clock"),
            (int(written.times_ms.argmin()), "before 1970: is it in milliseconds?"),
        ):
            time_ms = int(written.times_ms[at])
            if time_ms > until_ms or time_ms < 0:
                self._say(
                    sender, f"samples of {_date(time_ms)}, {what}", what, int(written.series[at])
                )

    def thinned(self, sender: str, series: int) -> None:
        what = "many samples within `resolution`: only the last of each step is scored"
        self._say(sender, what, what, series)

    def _say(self, sender: str, text: str, what: str, series: int) -> None:
        if (sender, what) in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add((sender, what))
        name = self._table.labels(series).get("__name__", "")
        log.warning("source=%s drops some of what %s writes, such as of %s: %s",
                    self._source, sender, name[:100] or "no name", text)  # fmt: skip


def _date(time_ms: int) -> str:
    if not 0 <= time_ms <= _LAST_MS:
        return f"{time_ms} ms"
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
