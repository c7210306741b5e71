"""What users of other systems complain about, each as a test."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from aiopsd.correlation.grouping import Grouping, GroupingLimits
from aiopsd.correlation.topology import Layout
from aiopsd.errors import Refused
from aiopsd.model import Anomaly, Incident
from tests.unit.correlation.test_grouping import T, anomaly

CALLS = Layout(frozenset({("web", "cart"), ("web", "search"), ("cart", "db"), ("pay", "db")}))


def learned(
    service: str, rule: str = "errors", onset_s: float = T, tier: str = "certain"
) -> Anomaly:
    kind = "latency" if rule == "slow" else "error-rate"
    one = anomaly(service, rule, onset_s=onset_s, detector="band")
    return replace(one, tier=tier, kind=kind)


def absorb(
    grouping: Grouping, *anomalies: Anomaly, now_s: float = T, layout: Layout = CALLS
) -> list[Incident]:
    return grouping.absorb(anomalies, layout, (), now_s)


def ended(members: Sequence[Anomaly], at_s: float) -> list[Anomaly]:
    return [replace(one, ended_s=at_s) for one in members]


def test_keep_2776_4318_no_incident_before_enough_anomalies() -> None:
    grouping = Grouping()
    assert absorb(grouping, learned("cart")) == []
    (incident,) = absorb(grouping, learned("cart", "slow"))
    assert len(incident.anomalies) == 2


def test_keep_5212_the_anomalies_that_opened_it_are_all_in_it() -> None:
    grouping = Grouping()
    four = [learned(s, r, tier="suspicious") for s in ("cart", "web") for r in ("errors", "slow")]
    assert [absorb(grouping, one) for one in four[:3]] == [[], [], []]
    (incident,) = absorb(grouping, four[3])
    assert {one.id for one in incident.anomalies} == {one.id for one in four}


def test_one_false_alarm_opens_nothing_and_one_that_lasts_does() -> None:
    grouping = Grouping(GroupingLimits(confirm_secs=120.0))
    one = learned("cart")
    assert absorb(grouping, replace(one, seen_s=T + 90), now_s=T + 90) == []
    assert len(absorb(grouping, replace(one, seen_s=T + 120), now_s=T + 120)) == 1
    (severe,) = absorb(grouping, replace(learned("search"), severity="critical"))
    assert severe.services == ("search",)


def test_three_quantiles_of_one_latency_are_one_fact() -> None:
    grouping = Grouping()
    three = [replace(learned("cart", f"p{n}"), kind="latency") for n in (50, 95, 99)]
    assert absorb(grouping, *three) == []


def test_keep_2481_a_resolved_incident_swallows_nothing() -> None:
    grouping, one = Grouping(), anomaly("cart")
    (first,) = absorb(grouping, one)
    absorb(grouping, *ended([one], T + 10))
    grouping.tick(T + 60)
    (second,) = absorb(grouping, anomaly("cart", "full", onset_s=T + 70), now_s=T + 70)
    assert second.id != first.id


def test_keep_3418_what_is_over_already_opens_nothing() -> None:
    assert absorb(Grouping(), *ended([anomaly("cart")], T + 1)) == []


def test_keep_2327_2905_topology_joins_and_time_alone_does_not() -> None:
    incidents = absorb(Grouping(), anomaly("db"), anomaly("cart"), anomaly("search"))
    assert sorted(sorted(i.services) for i in incidents) == [["cart", "db"], ["search"]]


def test_a_caller_of_two_sick_services_is_no_bridge() -> None:
    incidents = absorb(Grouping(), anomaly("cart"), anomaly("search"), anomaly("web"))
    assert sorted(len(i.services) for i in incidents) == [1, 2]


def test_callers_of_one_silent_service_belong_together() -> None:
    (incident,) = absorb(Grouping(), anomaly("cart"), anomaly("pay"))
    assert set(incident.services) == {"cart", "pay"}


def test_guests_of_one_sick_host_belong_together() -> None:
    layout = Layout(homes=frozenset({("a", "h1"), ("b", "h1"), ("c", "h2")}))
    host = replace(anomaly("h1", "cpu"), kind="saturation", labels={"host": "h1"})
    incidents = absorb(Grouping(), host, anomaly("a"), anomaly("b"), anomaly("c"), layout=layout)
    assert sorted(len(i.anomalies) for i in incidents) == [1, 3]


def test_half_of_all_fall_silent_at_once_and_the_monitor_is_suspected() -> None:
    gone = [
        replace(anomaly(f"s{n}", "up", onset_s=T + n, detector="absent"), kind="stale")
        for n in range(8)
    ]
    grouping = Grouping()
    for one in gone:
        absorb(grouping, one, now_s=one.onset_s)
    (incident,) = grouping.open
    assert (incident.kind, len(incident.anomalies)) == ("monitor", 8)
    assert incident.title == "no data from 8 services at once: is the monitor well?"


def test_keep_2351_an_edge_learned_later_merges_and_says_so() -> None:
    grouping = Grouping()
    first, second = absorb(grouping, anomaly("cart"), anomaly("search", onset_s=T + 5))
    layout = Layout(CALLS.calls | {("search", "cart")})
    touched = {i.id: i for i in absorb(grouping, layout=layout, now_s=T + 20)}
    (whole,) = grouping.open
    assert len(whole.anomalies) == 2
    (over,) = [i for i in touched.values() if i.closed]
    assert over.merged_into == whole.id
    assert {first.id, second.id} == {whole.id, over.id}
    assert whole.moments[-1].text == f"{over.id} is part of this: {over.title}"
    assert over.moments[-1].text == f"goes on in {whole.id}"


def test_evidence_that_each_has_a_cause_of_its_own_splits() -> None:
    """Two callers of one silent service, until a callee of each turns out to be sick."""
    calls = frozenset({("a", "x"), ("b", "x"), ("a", "y"), ("b", "z")})
    grouping = Grouping()
    (one,) = absorb(grouping, anomaly("a"), anomaly("b"), layout=Layout(calls))
    absorb(grouping, anomaly("y"), anomaly("z"), layout=Layout(calls), now_s=T + 9)
    left, new = sorted(grouping.open, key=lambda i: i.id != one.id)
    assert {frozenset(left.services), frozenset(new.services)} == {
        frozenset("ay"), frozenset("bz")
    }  # fmt: skip
    assert next(m for m in left.moments if m.what == "split").text.endswith(f"on in {new.id}")


def test_keep_2351_people_split_and_evidence_leaves_it_so() -> None:
    grouping = Grouping()
    (one,) = absorb(grouping, anomaly("db"), anomaly("cart"))
    part, rest = grouping.split(one.id, [anomaly("cart").id], "ann", T + 5)
    assert (part.services, rest.services) == (("cart",), ("db",))
    layout = Layout(CALLS.calls | {("other", "cart")})
    absorb(grouping, anomaly("web", onset_s=T + 9), layout=layout, now_s=T + 9)
    assert {i.id for i in grouping.open} == {part.id, rest.id}
    with pytest.raises(Refused, match="some must stay"):
        grouping.split(rest.id, [anomaly("db").id], "ann", T + 9)
    with pytest.raises(Refused, match="has no anomaly nothing"):
        grouping.split(rest.id, ["nothing"], "ann", T + 9)


def test_people_merge_and_acknowledge() -> None:
    grouping = Grouping()
    one, other = absorb(grouping, anomaly("cart"), anomaly("search"))
    (acked,) = grouping.ack(other.id, "ann", T + 1)
    assert (acked.acked_by, acked.moments[-1].text) == ("ann", "by ann")
    whole, over = grouping.merge(one.id, other.id, "bob", T + 2)
    assert (whole.held, whole.acked_by, len(whole.anomalies)) == (True, "ann", 2)
    assert (over.closed, over.merged_into) == (True, one.id)
    for wrong in ((one.id, one.id), (one.id, other.id), (one.id, "INC-0")):
        with pytest.raises(Refused):
            grouping.merge(*wrong, "bob", T + 3)


def test_what_people_resolved_stays_so_until_it_begins_again() -> None:
    grouping, one = Grouping(), anomaly("cart")
    (incident,) = absorb(grouping, one)
    grouping.resolve(incident.id, "ann", T + 5)
    for late in range(10, 2000, 300):
        assert absorb(grouping, replace(one, seen_s=T + late), now_s=T + late) == []
        grouping.tick(T + late)
    again = anomaly("cart", onset_s=T + 1900)
    (back,) = absorb(grouping, again, now_s=T + 1900)
    assert (back.id, back.state) == (incident.id, "open")


def test_alertmanager_4064_2628_a_restart_opens_and_doubles_nothing() -> None:
    before, members = Grouping(), [anomaly("db"), anomaly("cart")]
    (incident,) = absorb(before, *members)
    after = Grouping()
    after.restore([incident])
    (same,) = absorb(after, *members, now_s=T + 60)
    assert (same.id, len(same.anomalies), len(after.open)) == (incident.id, 2, 1)
    assert [m.what for m in same.moments] == [m.what for m in incident.moments]


def test_alertmanager_1005_880_4108_flapping_is_one_incident_that_grows_calm() -> None:
    grouping, seen = Grouping(), set()
    for turn in range(6):
        begin_s = T + 700 * turn
        one = anomaly("cart", onset_s=begin_s)
        seen |= {i.id for i in absorb(grouping, one, now_s=begin_s)}
        absorb(grouping, *ended([one], begin_s + 100), now_s=begin_s + 100)
        for late in range(100, 700, 10):
            grouping.tick(begin_s + late)
    assert len(seen) == 1
    last_s = T + 700 * 5 + 100
    assert grouping.tick(last_s + 599) == []  # by now it must be quiet for as long as `reopen`
    assert len(grouping.tick(last_s + 600)) == 1


def test_an_incident_of_a_day_takes_no_new_members() -> None:
    grouping, one = Grouping(), anomaly("db")
    (old,) = absorb(grouping, one)
    later_s = T + 90_000
    absorb(grouping, replace(one, seen_s=later_s), now_s=later_s)
    (new,) = absorb(grouping, anomaly("cart", onset_s=later_s), now_s=later_s)
    assert new.id != old.id


def test_a_crash_is_not_explained_by_what_it_calls() -> None:
    crash = replace(anomaly("cart", "crash"), kind="crash")
    assert len(absorb(Grouping(), anomaly("db"), crash)) == 2


@pytest.mark.parametrize("detector", ["threshold", "absent", "burn", "novel", "alertmanager"])
def test_what_is_counted_or_written_opens_one_at_once(detector: str) -> None:
    assert len(absorb(Grouping(), anomaly("cart", severity="low", detector=detector))) == 1
    assert absorb(Grouping(), anomaly("cart", severity="info", detector=detector)) == []
