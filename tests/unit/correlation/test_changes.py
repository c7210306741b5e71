"""A version that was not there before is a change; a restart is not."""

from aiopsd.correlation.changes import VALUE, Ledger, VersionWatch
from aiopsd.model import Change


def labels(version: str, service: str = "api") -> dict[str, str]:
    return {"service": service, "version": version}


def watch() -> VersionWatch:
    return VersionWatch("release", ("service",), "version")


def test_the_first_version_is_no_change() -> None:
    assert watch().observe(0.0, [labels("v1")]) == []


def test_versions_that_live_side_by_side_are_no_change() -> None:
    """At the first sight, and when minutes lie between two ticks."""
    one = watch()
    for time_s in (0.0, 120.0, 240.0):
        assert one.observe(time_s, [labels("v1"), labels("v2")]) == []
    (change,) = one.observe(360.0, [labels("v1"), labels("v2"), labels("v3")])
    assert change.version == "v3"


def test_a_new_version_is_a_change_that_knows_the_one_before() -> None:
    one = watch()
    one.observe(0.0, [labels("v1")])
    (change,) = one.observe(1.0, [labels("v1"), labels("v2")])  # a roll-out shows both
    assert (change.service, change.version, change.previous) == ("api", "v2", "v1")
    assert one.observe(2.0, [labels("v1"), labels("v2")]) == []


def test_a_restart_and_a_gap_of_a_moment_are_no_change() -> None:
    one = watch()
    one.observe(0.0, [labels("v1")])
    assert one.observe(10.0, []) == []
    assert one.observe(300.0, [labels("v1")]) == []


def test_going_back_is_a_change_too_once_the_old_one_was_gone() -> None:
    one = watch()
    one.observe(0.0, [labels("v1")])
    one.observe(1.0, [labels("v2")])
    one.observe(100.0, [labels("v2")])
    (change,) = one.observe(101.0, [labels("v1")])
    assert (change.version, change.previous) == ("v1", "v2")


def test_history_teaches_silently_and_state_survives() -> None:
    one = watch()
    one.observe(0.0, [labels("v1")], history=True)
    assert one.observe(1.0, [labels("v2")], history=True) == []
    other = watch()
    other.load(one.save())
    assert other.observe(2.0, [labels("v2")]) == []
    assert len(other.observe(3.0, [labels("v3")])) == 1


def test_the_ledger_forgets_after_a_day() -> None:
    ledger = Ledger()
    for time_s in (0.0, 50_000.0, 100_000.0):
        ledger.add(Change(id=str(time_s), kind="deploy", time_s=time_s, service="api"))
    assert [c.time_s for c in ledger.between(0.0, 1e9)] == [50_000.0, 100_000.0]


def test_who_was_not_seen_for_a_day_is_forgotten() -> None:
    """Pods come and go, and each was an entity."""
    one = watch()
    for day in range(5):
        one.observe(day * 86400.0, [labels("v1", f"pod-{day}-{n}") for n in range(100)])
    assert len(one.save()) < 3 * 100 * 40


def replicas(name: str = "shop") -> dict[str, str]:
    return {"deployment": name, "namespace": "prod"}


def test_a_number_that_is_another_one_is_a_change() -> None:
    """Not the first one, not what is no number, and not what comes back within a minute."""
    one = VersionWatch("replicas", ("deployment", "namespace"), VALUE, "scale")
    nan = float("nan")
    assert one.observe(0.0, [replicas(), replicas("cart")], [3.0, 1.0]) == []
    assert one.observe(30.0, [replicas(), replicas("cart")], [3.0, nan]) == []
    (change,) = one.observe(60.0, [replicas(), replicas("cart")], [5.0, 1.0])
    assert (change.kind, change.service) == ("scale", "shop")
    assert (change.version, change.previous) == ("5", "3")
    assert one.observe(75.0, [replicas(), replicas("cart")], [3.0, 1.0]) == []
    assert one.lacks() == ""
    other = VersionWatch("replicas", ("deployment",), VALUE, "scale")
    other.observe(0.0, [{"pod": "a"}], [1.0])
    assert "'deployment'" in other.lacks()


def test_things_of_one_name_in_two_places_are_two() -> None:
    one = VersionWatch("replicas", ("deployment", "namespace"), VALUE, "scale")
    both = [replicas(), replicas() | {"namespace": "test"}]
    one.observe(0.0, both, [3.0, 3.0])
    changes = one.observe(60.0, both, [4.0, 4.0])
    assert len({change.id for change in changes}) == 2
