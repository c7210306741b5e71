"""Which open incident explains another, and when nobody may say so."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from aiopsd.contracts import Evidence
from aiopsd.correlation.anomaly_ranking import EvidenceRanker
from aiopsd.correlation.quiet.blame import FELT, LIFT, NEAR_SECS, SURE, explained
from aiopsd.correlation.versions import opened
from aiopsd.model import Anomaly, Incident, Kind, Muted, Severity
from tests.unit.correlation.test_grouping import T, anomaly

CALLS = frozenset({("web", "cart"), ("cart", "db"), ("pay", "db")})
RANKER = EvidenceRanker()


def slow(
    service: str, by: float = 10.0, *, onset_s: float = T, severity: Severity = "high",
    kind: Kind = "latency",
) -> Anomaly:  # fmt: skip
    """So many times its usual second."""
    one = anomaly(service, kind, onset_s=onset_s, severity=severity)
    return replace(one, kind=kind, observed=1.0 + by, expected=1.0, low=0.9, high=1.1)


def crashed(service: str) -> Anomaly:
    return replace(anomaly(service, "down", severity="critical"), kind="crash")


def incident(*members: Anomaly) -> Incident:
    one = opened(list(members), members[0].onset_s)
    evidence = Evidence(T, CALLS, ())
    return replace(one, suspects=RANKER.rank(one, evidence))


def why(*incidents: Incident, before: dict[str, Muted] | None = None) -> dict[str, Muted]:
    return explained(incidents, Evidence(T + 900, CALLS, ()), RANKER, before or {})


DB = incident(crashed("db"))
CART = incident(slow("cart", onset_s=T + 600))


def test_a_caller_that_suffers_later_is_explained_by_the_callee_that_crashed() -> None:
    found = why(DB, CART)
    assert found == {CART.id: Muted(code="explained", by=DB.id, text=(
        f"suppressed because {DB.id} (db) explains it"))}  # fmt: skip
    assert why(CART, DB) == found


@pytest.mark.parametrize(
    ("other", "case"),
    [
        (incident(slow("cart", onset_s=T - 120)), "it was first"),
        (incident(slow("search", onset_s=T + 600)), "it does not call the cause"),
        (incident(crashed("cart")), "a crash is one's own"),
        (incident(slow("cart", onset_s=T + 600), crashed("cart")), "so it is beside a symptom"),
        (incident(slow("cart", onset_s=T + 600, kind="saturation")), "no symptom of a callee"),
        (incident(slow("cart", onset_s=T + 600), slow("search", onset_s=T + 600)), "one of two"),
        (incident(slow("cart", onset_s=T + 600), slow("cart", kind="disk-full")), "a full disk"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_not_sure_to_be_a_symptom_is_told(other: Incident, case: str) -> None:
    assert why(DB, other) == {}


def test_a_weak_cause_explains_nothing() -> None:
    weak = incident(slow("db", 0.12))
    assert why(weak, CART) == {}
    assert why(incident(slow("db", 30.0)), CART)


def test_what_people_feel_needs_stronger_evidence() -> None:
    assert LIFT < SURE < FELT
    small = incident(slow("db", 0.5))  # enough for most: 0.8, and not for these: 0.9
    later = slow("cart", 0.5, onset_s=T + 600)
    assert why(small, incident(later))
    felt = [
        replace(later, severity="critical"),
        replace(later, kind="slo-burn"),
        slow("pay", 0.5, onset_s=T + 600),  # no service calls it: people do
    ]
    for one in felt:
        assert why(small, incident(one)) == {}
        assert why(DB, incident(one))


def test_what_begins_hours_after_a_cause_that_lasts_has_another() -> None:
    """That cause would have shown in it before."""
    hours_s = T + NEAR_SECS + 60
    late = incident(slow("cart", onset_s=hours_s))
    assert why(DB, late) == {}
    assert why(incident(crashed("db"), slow("db", onset_s=hours_s - 300)), late)


def test_two_calls_away_where_the_one_between_is_silent() -> None:
    assert why(DB, incident(slow("web", onset_s=T + 600)))
    calls = frozenset({("a", "web"), *CALLS})
    deep = incident(slow("a", onset_s=T + 600))
    assert explained([DB, deep], Evidence(T, calls, ()), RANKER, {}) == {}  # three


def test_two_calls_away_by_way_of_one_that_is_explained_too() -> None:
    web = incident(slow("web", 9.0, onset_s=T + 900))
    found = why(DB, CART, web)
    assert set(found) == {CART.id, web.id}


def test_a_cause_that_recovered_goes_on_explaining_until_it_is_over_and_begins_to_no_more() -> None:
    strong = [crashed("db"), slow("db", 60.0), slow("db", 60.0, kind="saturation")]
    sick = incident(*strong)
    well = replace(incident(*(replace(one, ended_s=T + 800) for one in strong)), id=sick.id)
    assert why(well, CART) == {}
    assert why(well, CART, before=why(sick, CART)) == why(sick, CART) != {}


def test_beside_many_symptoms_a_cause_of_its_own_is_one_too_many() -> None:
    sick = incident(crashed("db"), slow("db", 60.0), slow("db", 60.0, kind="error-rate"))
    symptoms = [replace(slow("cart", onset_s=T + 600), id=f"{n}", rule=f"p{n}") for n in range(5)]
    assert why(sick, incident(*symptoms))
    small = slow("cart", 0.01, onset_s=T + 600, kind="disk-full")
    assert why(sick, incident(*symptoms, small)) == {}


def test_none_is_explained_by_what_is_not_among_them() -> None:
    """What nobody is told of (silenced, held back) is not handed in."""
    before = why(DB, CART)
    assert why(CART, before=before) == {}


def test_what_has_recovered_or_is_only_evidence_needs_no_explanation() -> None:
    recovered = replace(slow("cart", onset_s=T + 600), ended_s=T + 700)
    evidence = slow("cart", onset_s=T + 600, severity="info")
    for last in ([recovered], [evidence], [recovered, evidence]):
        assert why(DB, incident(*last)) == {}


def test_of_two_that_explain_one_another_both_are_told() -> None:
    calls = frozenset({("a", "b"), ("b", "a")})

    class Blames:
        """The callee, always and fully."""

        def rank(self, one: Incident, evidence: Evidence) -> Sequence[object]:
            first = one.anomalies[0].service
            return RANKER.rank(one, Evidence(T, frozenset({("a", "b")} if first == "b" else
                                                          {("b", "a")}), ()))  # fmt: skip

    one, other = incident(slow("a", 60.0)), incident(slow("b", 60.0))
    found = explained([one, other], Evidence(T, calls, ()), Blames(), {})  # type: ignore[arg-type]
    assert found == {}
