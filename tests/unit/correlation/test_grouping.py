"""What belongs together becomes one incident; what does not, does not."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from aiopsd.correlation.grouping import Grouping, GroupingLimits
from aiopsd.correlation.topology import Layout
from aiopsd.correlation.versions import fingerprint
from aiopsd.model import Anomaly, Change, Incident, Severity, Tier

EDGES = Layout(frozenset({("web", "checkout"), ("checkout", "payments"), ("web", "catalog")}))
T = 1_000_000.0


def anomaly(
    service: str,
    rule: str = "errors",
    *,
    onset_s: float = T,
    tier: Tier = "certain",
    severity: Severity = "high",
    ended_s: float | None = None,
    detector: str = "threshold",
) -> Anomaly:
    return Anomaly(
        id=f"{rule}/{service}/{onset_s:.0f}",
        rule=rule,
        kind="error-rate",
        severity=severity,
        tier=tier,
        labels={"service": service},
        entity={"service": service},
        service=service,
        onset_s=onset_s,
        seen_s=onset_s,
        ended_s=ended_s,
        detector=detector,
        title=f"{rule} {service}",
        score=0.9,
    )


def absorb(grouping: Grouping, *anomalies: Anomaly, now_s: float = T) -> list[Incident]:
    return grouping.absorb(anomalies, EDGES, (), now_s)


def test_one_certain_anomaly_opens_an_incident() -> None:
    (incident,) = absorb(Grouping(), anomaly("payments"))
    assert incident.state == "open"
    assert incident.services == ("payments",)
    assert incident.title == "errors payments"
    assert [m.what for m in incident.moments] == ["opened", "anomaly"]


def test_suspicious_anomalies_wait_until_they_are_four() -> None:
    grouping, seen = Grouping(), []
    for number, service in enumerate(("payments", "checkout", "web", "catalog")):
        one = anomaly(service, tier="suspicious", onset_s=T + number)
        seen += absorb(grouping, one, now_s=T + number)
    assert seen == []
    other = replace(anomaly("checkout", "slow", tier="suspicious"), kind="latency")
    (incident,) = absorb(grouping, other, now_s=T + 9)
    assert set(incident.services) == {"payments", "checkout", "web"}


def test_suspicious_strangers_never_open_together() -> None:
    grouping = Grouping()
    absorb(grouping, anomaly("payments", tier="suspicious"))
    assert absorb(grouping, anomaly("catalog", tier="suspicious")) == []


def test_information_alone_opens_nothing() -> None:
    assert absorb(Grouping(), anomaly("payments", severity="info")) == []


def test_information_does_not_hold_an_incident_open_nor_open_it_again() -> None:
    grouping = Grouping(GroupingLimits(quiet_secs=30.0))
    evidence = anomaly("payments", rule="watch", severity="info", tier="suspicious")
    absorb(grouping, anomaly("payments"), evidence)
    absorb(grouping, anomaly("payments", ended_s=T + 10), now_s=T + 10)
    going_on = replace(evidence, seen_s=T + 39)
    (incident,) = absorb(grouping, going_on, now_s=T + 39)
    assert (len(incident.anomalies), incident.state) == (2, "open")
    (over,) = grouping.tick(T + 40)
    assert (over.state, over.moments[-1].text) == ("resolved", "its anomaly recovered")
    assert absorb(grouping, replace(evidence, seen_s=T + 50), now_s=T + 50) == []
    assert grouping.open == []
    (again,) = absorb(grouping, anomaly("payments", onset_s=T + 60), now_s=T + 60)
    assert (again.id, again.state) == (incident.id, "open")


def test_two_faults_at_once_stay_two_incidents() -> None:
    incidents = absorb(Grouping(), anomaly("payments"), anomaly("catalog"))
    assert len({i.id for i in incidents}) == 2


def test_neighbours_join_over_several_steps() -> None:
    (incident,) = absorb(Grouping(), anomaly("payments"), anomaly("checkout"), anomaly("web"))
    assert set(incident.services) == {"payments", "checkout", "web"}


def test_by_time_alone_nothing_joins_and_an_old_incident_takes_no_late_neighbour() -> None:
    grouping = Grouping()
    (first,) = absorb(grouping, anomaly("payments"))
    (second,) = absorb(grouping, anomaly("checkout", onset_s=T + 3000), now_s=T + 3000)
    assert first.id != second.id


def test_the_window_extends_itself() -> None:
    grouping = Grouping()
    (first,) = absorb(grouping, anomaly("payments"))
    absorb(grouping, anomaly("checkout", onset_s=T + 250), now_s=T + 250)
    (third,) = absorb(grouping, anomaly("web", onset_s=T + 500), now_s=T + 500)
    assert third.id == first.id


def over(grouping: Grouping, members: Sequence[Anomaly], at_s: float) -> None:
    absorb(grouping, *(replace(m, ended_s=at_s) for m in members), now_s=at_s)


def test_it_is_over_when_every_member_has_been_quiet_for_a_while() -> None:
    grouping, members = Grouping(), [anomaly("payments"), anomaly("checkout")]
    absorb(grouping, *members)
    over(grouping, members[:1], T + 10)
    assert grouping.tick(T + 100) == []
    over(grouping, members[1:], T + 100)
    assert grouping.tick(T + 129) == []
    (incident,) = grouping.tick(T + 130)
    assert incident.state == "resolved"
    assert incident.resolved_s == T + 130
    assert grouping.open == []


def test_flapping_reopens_the_same_incident() -> None:
    grouping, member = Grouping(), anomaly("payments")
    (first,) = absorb(grouping, member)
    over(grouping, [member], T + 10)
    grouping.tick(T + 40)
    (again,) = absorb(grouping, anomaly("payments", onset_s=T + 60), now_s=T + 60)
    assert again.id == first.id
    assert again.state == "open"
    assert again.moments[-1].what == "reopened"


def test_a_resolved_incident_never_swallows_a_new_problem() -> None:
    grouping, member = Grouping(), anomaly("payments")
    (first,) = absorb(grouping, member)
    over(grouping, [member], T + 10)
    grouping.tick(T + 40)
    (other,) = absorb(grouping, anomaly("payments", "latency", onset_s=T + 60), now_s=T + 60)
    assert other.id != first.id


def test_much_later_the_same_anomaly_is_a_new_incident_with_the_same_fingerprint() -> None:
    grouping, member = Grouping(), anomaly("payments")
    (first,) = absorb(grouping, member)
    over(grouping, [member], T + 10)
    grouping.tick(T + 40)
    grouping.tick(T + 2000)
    (later,) = absorb(grouping, anomaly("payments", onset_s=T + 5000), now_s=T + 5000)
    assert later.id != first.id
    assert later.fingerprint == first.fingerprint == fingerprint(member)


def test_the_same_anomalies_after_a_restart_are_the_same_incident() -> None:
    before = Grouping()
    (first,) = absorb(before, anomaly("payments"))
    after = Grouping()
    after.restore([first])
    (again,) = absorb(after, anomaly("payments", onset_s=T + 2), now_s=T + 9)
    assert again.id == first.id
    assert len(again.anomalies) == 1
    assert [m.what for m in again.moments].count("opened") == 1


def test_it_says_how_it_was_over() -> None:
    def last_words(*evidence: tuple[str, ...]) -> str:
        grouping, services = Grouping(), ("payments", "checkout")
        members = [anomaly(name) for name, _ in zip(services, evidence, strict=False)]
        absorb(grouping, *members)
        ended = zip(members, evidence, strict=True)
        absorb(grouping, *(replace(m, ended_s=T + 60, evidence=said) for m, said in ended))
        (incident,) = grouping.tick(T + 3600)
        return incident.moments[-1].text

    assert last_words(()) == "its anomaly recovered"
    assert last_words((), ()) == "all 2 anomalies recovered"
    assert last_words(("no data",)) == "over, but not seen to recover: there is no data any more"
    assert last_words((), ("no data",)) == (
        "1 of 2 anomalies recovered, of the others there is no data"
    )


def test_silence_of_a_lost_member_ends_it_unless_we_are_blind() -> None:
    grouping = Grouping()
    absorb(grouping, anomaly("payments"))
    late = T + 900 + 31
    assert grouping.tick(late, blind=True) == []
    (incident,) = grouping.tick(late)
    assert incident.state == "resolved"


def test_a_change_on_a_member_becomes_part_of_the_story_once() -> None:
    grouping = Grouping()
    absorb(grouping, anomaly("payments"))
    change = Change(id="c", kind="deploy", time_s=T - 5, service="payments", version="v2")
    (incident,) = grouping.absorb((), EDGES, [change], T + 1)
    assert incident.changes == (change,)
    assert incident.moments[0].text == "deploy payments v2"
    assert grouping.absorb((), EDGES, [change], T + 2) == []


def test_a_change_joins_with_its_service_even_when_it_came_first() -> None:
    grouping = Grouping()
    change = Change(id="c", kind="deploy", time_s=T - 5, service="payments", version="v2")
    old = Change(id="o", kind="deploy", time_s=T - 5000, service="payments", version="v1")
    grouping.absorb([anomaly("checkout")], EDGES, [change, old], T)
    (incident,) = grouping.absorb([anomaly("payments")], EDGES, [change, old], T + 1)
    assert incident.changes == (change,)


def test_severity_and_title_follow_the_worst() -> None:
    grouping = Grouping()
    absorb(grouping, anomaly("payments", severity="low"))
    (incident,) = absorb(grouping, anomaly("checkout", "down", severity="critical"))
    assert incident.severity == "critical"
    assert incident.title == "down checkout"


def test_the_title_stays_while_it_heals() -> None:
    grouping, members = Grouping(), [anomaly("payments"), anomaly("checkout", severity="low")]
    (before,) = absorb(grouping, *members)
    over(grouping, members[:1], T + 10)
    assert grouping.open[0].title == before.title == "errors payments"


@pytest.mark.parametrize("count", [5, 500])
def test_size_is_bounded(count: int) -> None:
    grouping = Grouping(GroupingLimits())
    for number in range(count):
        absorb(grouping, anomaly("payments", f"rule{number}"))
    (incident,) = grouping.open
    assert len(incident.anomalies) == min(count, 200)
    assert len(incident.moments) <= 200
    assert incident.anomalies[0].rule == "rule0"
