import pytest

from aiopsd.correlation.ranking.kinds import Family, Kind, kind_of


@pytest.mark.parametrize(
    ("metric", "family"),
    [
        ("cpu-percent", Family.RESOURCE),
        ("heap_used_bytes", Family.RESOURCE),
        ("http_request_duration_seconds_p99", Family.LATENCY),
        ("PodServerLatencyP95", Family.LATENCY),
        ("http-5xx-ratio", Family.ERRORS),
        ("availability-Average", Family.AVAILABILITY),
        ("kube_pod_container_restarts", Family.RESTARTS),
        ("tcp_retransmits", Family.LOSS),
        ("db_connections_active", Family.QUEUE),
        ("requests-per-sec", Family.LOAD),
        ("queries-per-request", Family.RESOURCE),
    ],
)
def test_families_by_name(metric: str, family: Family) -> None:
    assert kind_of(metric).family is family


def test_stocks_flows_and_cpu() -> None:
    assert kind_of("memory-mb").is_stock
    assert kind_of("network_receive_bytes").is_flow
    assert kind_of("cpu-percent") == Kind(Family.RESOURCE, is_cpu=True)


def test_a_rule_knows_better_than_the_name() -> None:
    assert kind_of("rule-17", "latency").family is Family.LATENCY
    assert kind_of("rule-18", "memory-leak").is_stock
    assert kind_of("latency_x", "saturation").family is Family.LATENCY  # says nothing of a family
