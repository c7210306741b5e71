"""Maintenance windows by the clocks of a zone, also when these are set."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from aiopsd.correlation.quiet.matchers import parsed
from aiopsd.correlation.quiet.windows import Window, zone

BERLIN = zone("Europe/Berlin")


def window(at: str = "02:30", lasts_secs: float = 3600.0, **changes: Any) -> Window:
    words = ("backup", parsed(["service=db"]), "ana", "nightly")
    return Window(*words, time.fromisoformat(at), lasts_secs, **({"zone": BERLIN} | changes))


def at(text: str) -> float:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_every_day_by_the_clocks_there() -> None:
    daily = window()
    assert daily.spell(at("2026-11-24T01:29:59")) is None  # 02:30 in Berlin is 01:30 UTC
    first_last = at("2026-11-24T01:30"), at("2026-11-24T02:30")
    assert daily.spell(first_last[0]) == first_last
    assert daily.spell(first_last[1]) is None
    assert daily.spell(at("2026-07-01T00:30")) == (at("2026-07-01T00:30"), at("2026-07-01T01:30"))


def test_on_days_of_the_week_and_past_midnight() -> None:
    sunday = window("23:00", 2 * 3600.0, days=frozenset({6}))
    assert sunday.spell(at("2026-11-22T22:00")) == sunday.spell(at("2026-11-22T23:59"))  # Sunday
    assert sunday.spell(at("2026-11-22T23:30")) is not None  # 00:30 on Monday
    assert sunday.spell(at("2026-11-23T22:30")) is None


def test_once() -> None:
    move = window("22:00", 5 * 86400.0, on=date(2026, 12, 1))
    assert move.spell(at("2026-12-06T20:59")) == (at("2026-12-01T21:00"), at("2026-12-06T21:00"))
    assert move.spell(at("2026-11-30T21:30")) is move.spell(at("2026-12-06T21:00")) is None


def test_a_time_that_clocks_skip_comes_as_much_later() -> None:
    """2026-03-29 in Berlin: 02:00 becomes 03:00."""
    spell = window().spell(at("2026-03-29T01:30"))
    assert spell == (at("2026-03-29T01:30"), at("2026-03-29T02:30"))  # 03:30 there


def test_a_time_that_is_shown_twice_counts_once() -> None:
    """2026-10-25 in Berlin: 03:00 becomes 02:00."""
    spell = window().spell(at("2026-10-25T00:45"))
    assert spell == (at("2026-10-25T00:30"), at("2026-10-25T01:30"))
    assert window().spell(at("2026-10-25T01:31")) is None  # 02:31, the second time


def test_an_occurrence_is_the_same_silence_whenever_it_is_asked() -> None:
    first, later = window().occurrence(at("2026-11-24T01:30")), window().occurrence(
        at("2026-11-24T02:00"))  # fmt: skip
    assert first is not None
    assert later is not None
    assert first.id == later.id
    assert (first.kind, first.window, first.owner) == ("maintenance", "backup", "ana")
    tomorrow = window().occurrence(at("2026-11-25T01:30"))
    assert tomorrow is not None
    assert tomorrow.id != first.id


@pytest.mark.parametrize("name", ["Europe/Atlantis", "Europe", "../etc/passwd", "", "/etc/passwd"])
def test_what_is_no_zone_is_said(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone(name)
