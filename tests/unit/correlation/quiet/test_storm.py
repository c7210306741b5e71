"""When a storm begins, what it counts, and what ends it."""

from msgspec.structs import replace

from aiopsd.correlation.quiet.storm import CALM_SECS, LONGEST_SECS, WINDOW_SECS, Storm
from aiopsd.correlation.versions import opened
from aiopsd.model import Incident, Muted
from tests.unit.correlation.test_grouping import T, anomaly


def incidents(count: int, at_s: float = T, service: str = "svc-{n}") -> list[Incident]:
    return [
        replace(opened([anomaly(service.format(n=n), onset_s=at_s)], at_s), id=f"I-{at_s}-{n}")
        for n in range(count)
    ]


def test_it_begins_with_one_more_than_usual_within_five_minutes() -> None:
    assert Storm(10).observe(incidents(10), (), T) is None
    assert Storm(10).observe(incidents(11), (), T) is not None
    late = T + WINDOW_SECS
    assert Storm(10).observe(incidents(11), (), late) is None


def test_what_says_nothing_of_the_monitor_does_not_count() -> None:
    many = incidents(30)
    for changes in (
        {"muted": Muted(code="silenced", text="", by="SIL-1")},
        {"muted": Muted(code="explained", text="", by="INC-1")},
        {"merged_into": "INC-1"},
    ):
        assert Storm(10).observe([replace(one, **changes) for one in many], (), T) is None
    assert Storm(10).observe(incidents(30, service="one"), (), T) is None  # it comes and goes


def test_what_was_over_soon_counts() -> None:
    over = [replace(one, state="resolved", resolved_s=T) for one in incidents(11)]
    assert Storm(10).observe(over, (), T) is not None


def test_it_ends_when_it_was_calm_for_a_while() -> None:
    storm, many = Storm(10), incidents(11)
    assert storm.observe(many, (), T)
    quiet_s = T + WINDOW_SECS
    assert storm.observe(many, (), quiet_s - 1) is not None  # once a minute: it goes on
    for secs in (0.0, CALM_SECS - 1):
        found = storm.observe(many, (), quiet_s + secs)
        assert found is None or not found.closed
    assert storm.observe([*many, *incidents(6, quiet_s + 119, "new-{n}")], (), quiet_s + 119.5)
    assert storm.anomaly is not None
    calm_s = quiet_s + 119 + WINDOW_SECS
    storm.observe(many, (), calm_s)
    ended = storm.observe(many, (), calm_s + CALM_SECS)
    assert ended is not None
    assert ended.ended_s == calm_s + CALM_SECS
    assert storm.observe(many, (), calm_s + CALM_SECS + 1) is None


def test_after_hours_it_is_how_things_are() -> None:
    storm, sign = Storm(10), ("prom does not answer",)
    assert storm.observe(incidents(11), sign, T)
    storm.observe([], sign, T + LONGEST_SECS - 1)
    assert storm.anomaly is not None
    end_s = T + LONGEST_SECS
    more = incidents(20, end_s)
    ended = storm.observe(more, sign, end_s)
    assert ended is not None
    assert ended.closed
    assert storm.observe(more, sign, end_s + 1) is None  # it does not begin again at once


def test_silence_is_a_sign_against_the_monitor() -> None:
    absent = [
        replace(one, anomalies=tuple(replace(a, detector="absent") for a in one.anomalies))
        for one in incidents(6)
    ]
    others = [replace(one, id=f"x{one.id}", services=(f"x{one.id}",)) for one in incidents(6)]
    found = Storm(10).observe([*absent, *others], (), T)
    assert found is not None
    assert found.evidence[0] == "sign: 6 of 12 are about data that does not come"
    found = Storm(9).observe([*absent[:5], *others], (), T)
    assert found is not None
    assert not found.evidence[0].startswith("sign")
