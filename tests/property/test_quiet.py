"""Of any matchers and any windows."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.correlation.quiet.matchers import fit, parsed, shown
from aiopsd.correlation.quiet.windows import Window, zone
from aiopsd.errors import Refused
from aiopsd.model import Matcher

LABELS = st.sampled_from(["service", "rule", "zone", "k8s.io/app"])
VALUES = st.text(alphabet="ab.*|[]()\\ä\n\"'=~ ", max_size=6)
YEAR_S = 1_735_689_600  # 2025
ZONES = [zone(name) for name in (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago",
    "Asia/Kolkata", "Africa/Casablanca",
)]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(LABELS, st.sampled_from(["=", "!=", "=~", "!~"]), VALUES), max_size=4),
       st.dictionaries(LABELS, VALUES, max_size=4))  # fmt: skip
def test_what_is_taken_names_something_and_never_raises(
    written: list[tuple[str, str, str]], labels: dict[str, str]
) -> None:
    try:
        matchers = parsed(["".join(one) for one in written])
    except Refused:
        return
    assert not fit(matchers, {})  # or it would fit everything without such labels
    assert fit(matchers, labels) in (True, False)
    assert shown(matchers)


@settings(max_examples=100, deadline=None)
@given(LABELS, VALUES, st.dictionaries(LABELS, VALUES, max_size=4))
def test_not_is_the_opposite(label: str, value: str, labels: dict[str, str]) -> None:
    exact, other = (Matcher(label=label, op=op, value=value) for op in ("=", "!="))
    assert fit([exact], labels) is not fit([other], labels)
    assert fit([exact], labels) is (labels.get(label, "") == value)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.integers(1, 24 * 60).map(lambda minutes: minutes * 60.0),
    st.sets(st.integers(0, 6), min_size=1).map(frozenset),
    st.integers(YEAR_S, YEAR_S + 3 * 365 * 86400).map(float),
)
def test_a_window_is_on_from_its_beginning_for_as_long_as_it_says(
    where: tzinfo, at: time, lasts_secs: float, days: frozenset[int], now_s: float
) -> None:
    one = Window("w", (), "o", "r", at, lasts_secs, where, days)
    spell = one.spell(now_s)
    if spell is None:
        return
    begin_s, end_s = spell
    assert begin_s <= now_s < end_s == begin_s + lasts_secs
    assert one.spell(begin_s) == spell
    assert one.spell(end_s) != spell
    shown_at = datetime.fromtimestamp(begin_s, where)
    late = datetime.combine(shown_at.date(), shown_at.time()) - datetime.combine(
        shown_at.date(), at)  # fmt: skip
    assert timedelta(0) <= late <= timedelta(hours=1) or shown_at.time() < at  # skipped past 00:00
    assert shown_at.date().weekday() in days or shown_at.time() < at


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ZONES), st.times().map(lambda t: t.replace(second=0, microsecond=0)))
def test_a_daily_window_comes_once_a_day_all_year(where: tzinfo, at: time) -> None:
    one = Window("w", (), "o", "r", at, 1800.0, where)
    begun = set()
    first = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    for half_hour in range(120 * 48):  # into spring, or autumn in the south
        spell = one.spell(first + half_hour * 1800.0)
        if spell is not None:
            begun.add(spell[0])
    assert 119 <= len(begun) <= 121


def test_years_of_a_window_that_comes_once() -> None:
    one = Window("w", (), "o", "r", time(12), 3600.0, UTC, on=date(2026, 2, 28))
    days = [datetime(2026, 1, 1, 12, 30, tzinfo=UTC) + timedelta(days=n) for n in range(700)]
    assert sum(one.spell(day.timestamp()) is not None for day in days) == 1
