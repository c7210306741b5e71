"""The first suspect is the one whose trouble is its own, and it says why."""

from aiopsd.contracts import Evidence
from aiopsd.correlation.anomaly_ranking import EvidenceRanker
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.topology import Layout
from aiopsd.model import Anomaly, Change, Kind, Suspect

EDGES = frozenset(
    {("web", "checkout"), ("checkout", "payments"), ("checkout", "orders"), ("web", "catalog")}
)
T = 1_000_000.0


def anomaly(
    service: str,
    kind: Kind,
    observed: float,
    *,
    onset_s: float = T,
    expected: float = 0.0,
    high: float = 0.05,
    evidence: tuple[str, ...] = (),
) -> Anomaly:
    return Anomaly(
        id=f"{kind}/{service}",
        rule=kind,
        kind=kind,
        severity="high",
        tier="certain",
        labels={"service": service},
        entity={"service": service},
        service=service,
        onset_s=onset_s,
        seen_s=onset_s,
        detector="threshold",
        title=f"{kind} {service} {observed}",
        score=0.9,
        observed=observed,
        expected=expected,
        high=high,
        evidence=evidence,
    )


def rank(*anomalies: Anomaly, changes: tuple[Change, ...] = ()) -> tuple[Suspect, ...]:
    edges = EDGES
    incidents = Grouping().absorb(anomalies, Layout(edges), (), T + 10)
    (incident,) = incidents
    return EvidenceRanker().rank(incident, Evidence(T + 10, edges, changes))


def codes(suspect: Suspect) -> set[str]:
    return {reason.code for reason in suspect.reasons}


def deploy(service: str, ago_s: float) -> Change:
    return Change(id="c", kind="deploy", time_s=T - ago_s, service=service, version="v2")


def test_the_callee_explains_its_callers_errors() -> None:
    first, *rest = rank(
        anomaly("web", "error-rate", 0.4),
        anomaly("checkout", "error-rate", 0.4),
        anomaly("payments", "error-rate", 0.4),
    )
    assert first.id == "payments"
    assert first.score > 2 * rest[0].score
    against = {s.id: {r.code for r in s.against} for s in rest}
    assert "explained-by-callee" in against["checkout"]
    assert "explained-by-callee" in against["web"]


def test_a_caller_worse_than_its_callee_is_itself_at_fault() -> None:
    first, *_ = rank(
        anomaly("checkout", "latency", 2.0, expected=0.1, high=0.2),
        anomaly("payments", "latency", 0.3, expected=0.1, high=0.2),
    )
    assert first.id == "checkout"


def test_a_crash_explains_errors_and_latency_above_it() -> None:
    first, *_ = rank(
        anomaly("web", "error-rate", 0.9),
        anomaly("checkout", "error-rate", 1.0),
        anomaly("payments", "crash", 1.0),
    )
    assert first.id == "payments"


def test_a_leak_outranks_the_slowness_it_causes_elsewhere() -> None:
    first, *_ = rank(
        anomaly("web", "latency", 0.3, expected=0.1, high=0.2, onset_s=T + 20),
        anomaly("checkout", "latency", 0.3, expected=0.1, high=0.2, onset_s=T + 20),
        anomaly("orders", "memory-leak", 4e8, expected=5e7, high=8e7),
    )
    assert first.id == "orders"


def test_a_change_shortly_before_is_evidence() -> None:
    pair = anomaly("checkout", "latency", 1.0), anomaly("web", "latency", 1.0)
    without = rank(*pair)[0]
    (first, *_) = rank(*pair, changes=(deploy("checkout", 60),))
    assert first.id == "checkout"
    assert first.score > without.score
    assert first.change is not None
    assert "changed" in codes(first)


def test_a_change_elsewhere_later_or_long_ago_is_not() -> None:
    one = anomaly("checkout", "error-rate", 0.4)
    for change in (deploy("catalog", 60), deploy("checkout", -120), deploy("checkout", 3600)):
        (first,) = rank(one, changes=(change,))
        assert first.change is None
        assert "changed" not in codes(first)


def test_a_line_that_names_a_strange_callee_speaks_of_that_callee() -> None:
    first, second, *_ = rank(
        anomaly("checkout", "log-novelty", 5, evidence=("call to payments failed status=500",)),
        anomaly("payments", "log-novelty", 5, evidence=("TaxTableMissing region=EU",)),
    )
    assert first.id == "payments"
    assert {r.code for r in second.against} >= {"line-names-callee"}


def test_earlier_is_more_likely() -> None:
    first, second = rank(
        anomaly("checkout", "saturation", 1.0, onset_s=T + 60),
        anomaly("payments", "saturation", 1.0),
    )
    assert (first.id, second.id) == ("payments", "checkout")
    assert "first" in codes(first)
    assert "later" in {r.code for r in second.against}


def test_a_lone_weak_suspect_does_not_look_sure() -> None:
    weak = anomaly("payments", "latency", 0.053, expected=0.04, high=0.05)
    (only,) = rank(weak)
    assert only.score < 0.7


def test_scores_are_shares_and_the_order_is_stable() -> None:
    members = [anomaly(s, "error-rate", 0.4) for s in ("web", "checkout", "payments")]
    one, other = rank(*members), rank(*reversed(members))
    assert one == other
    assert 0 < sum(s.score for s in one) < 1
    assert [s.score for s in one] == sorted((s.score for s in one), reverse=True)


def test_what_we_did_and_restarts_do_not_hide_the_deploy_before_them() -> None:
    pair = (anomaly("checkout", "error-rate", 0.4), anomaly("web", "error-rate", 0.4))
    ours = Change(id="o", kind="restart", time_s=T - 5, service="checkout", author="aiopsd")
    seen = Change(id="s", kind="restart", time_s=T - 20, service="checkout")
    (first, *_) = rank(*pair, changes=(deploy("checkout", 60), seen, ours))
    assert first.change == deploy("checkout", 60)
    (first, *_) = rank(*pair, changes=(seen, ours))
    assert first.change == seen
    (first, *_) = rank(*pair, changes=(ours,))
    assert "restart by aiopsd 5 s before its first anomaly" in {r.text for r in first.reasons}
