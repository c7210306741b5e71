"""Who calls whom and what runs where, as metrics and people tell."""

import pytest

from aiopsd.correlation.ties import ties, workload_of
from aiopsd.correlation.topology import MOST_TIES, Link, Topology
from aiopsd.model import Anomaly, Labels


def sick(service: str, labels: Labels) -> Anomaly:
    return Anomaly(
        id="a", rule="r", kind="latency", severity="high", tier="certain", labels=labels,
        entity=labels, service=service, onset_s=0.0, seen_s=0.0, detector="band", title="t",
        score=1.0,
    )  # fmt: skip


def test_learned_edges_fade_and_written_ones_stay() -> None:
    topology = Topology({"web": ["api"]}, fade_secs=60)
    topology.learn({"client": "api", "server": "db"}, 0.0)
    topology.learn({"client": "api", "server": "api"}, 0.0)
    topology.learn({"client": "api"}, 0.0)
    assert topology.edges(60.0) == {("web", "api"), ("api", "db")}
    assert topology.edges(61.0) == {("web", "api")}


def test_what_comes_and_goes_does_not_pile_up() -> None:
    topology = Topology({"a": ["b"]}, fade_secs=60)
    for n in range(100):
        topology.learn({"client": "shop", "server": f"pod-{n}"}, n * 10.0)
        assert len(topology.edges(n * 10.0)) <= 8
    assert len(topology._seen) <= 7


@pytest.mark.parametrize(
    "labels",
    [
        {"client": "a", "server": "b", "connection_type": ""},
        {"reporter": "source", "source_workload": "a", "destination_workload": "b"},
        {"source_canonical_service": "a", "destination_canonical_service": "b"},
        {"direction": "outbound", "deployment": "a", "dst_deployment": "b"},
        {"__name__": "hubble_http_requests_total", "source": "shop/a", "destination": "shop/b"},
        {"consul_source_service": "a", "consul_destination_service": "b"},
        {"service_name": "a", "peer_service": "b"},
    ],
    ids=["service graph", "istio", "istio canonical", "linkerd", "hubble", "consul", "otel spans"],
)
def test_metrics_that_carry_both_ends(labels: Labels) -> None:
    topology = Topology({})
    topology.learn(labels, 0.0)
    assert topology.edges(0.0) == {("a", "b")}


@pytest.mark.parametrize(
    "labels",
    [
        {"source_workload": "unknown", "destination_workload": "b"},
        {"client": "a", "server": "a"},
        {"__name__": "copied_bytes", "source": "disk", "destination": "tape"},
        {"service": "a", "instance": "127.0.0.1:9090"},
        {"service": "a", "instance": "localhost:80"},
    ],
)
def test_what_tells_nothing(labels: Labels) -> None:
    assert ties(labels) == []


def test_kubernetes_tells_pod_workload_service_node_and_zone() -> None:
    topology = Topology({})
    for labels in (
        {"__name__": "kube_pod_owner", "namespace": "shop", "pod": "cart-7d9f8b6c5-x2x4z",
         "owner_kind": "ReplicaSet", "owner_name": "cart-7d9f8b6c5",
         "service": "kube-state-metrics"},
        {"__name__": "kube_pod_info", "pod": "cart-7d9f8b6c5-x2x4z", "node": "n1"},
        {"__name__": "http_requests_total", "service": "carts", "pod": "cart-7d9f8b6c5-x2x4z"},
        {"__name__": "kube_node_labels", "node": "n1", "label_topology_kubernetes_io_zone": "z1"},
    ):  # fmt: skip
        topology.learn(labels, 0.0)
    layout = topology.layout(0.0)
    pod = sick("cart-7d9f8b6c5-x2x4z", {"pod": "cart-7d9f8b6c5-x2x4z"})
    assert layout.place(pod) == layout.place(sick("cart", {})) == "carts"
    assert layout.hosts_of(pod) == {"n1", "z1"}
    assert layout.guests["n1"] == {"carts"}


def test_the_host_of_an_instance_is_a_place() -> None:
    layout = Topology({}).layout(0.0)
    assert layout.place(sick("10.0.0.7:9100", {"instance": "10.0.0.7:9100"})) == "10.0.0.7"
    assert layout.hosts_of(sick("api", {"instance": "10.0.0.7:8080"})) == {"10.0.0.7"}


def test_a_workload_is_found_in_the_name_of_its_pod() -> None:
    assert workload_of("cart-7d9f8b6c5-x2x4z") == "cart"
    assert workload_of("agent-x2x4z") == "agent"
    assert workload_of("payments-primary") == "payments-primary"


def test_edges_say_where_they_are_known_from_and_since_when() -> None:
    topology = Topology({"web": ["api"]}, fade_secs=60)
    topology.learn({"client": "api", "server": "db"}, 10.0)
    topology.learn({"client": "api", "server": "db"}, 30.0)
    learned = Link(
        kind="calls", one="api", other="db", origin="client/server", first_s=10.0, last_s=30.0
    )
    written = Link(kind="calls", one="web", other="api", origin="written")
    assert topology.links(40.0) == [learned, written]
    assert topology.links(91.0) == [written]


def test_the_layout_is_the_same_object_while_nothing_is_new() -> None:
    topology = Topology({}, fade_secs=60)
    topology.learn({"client": "a", "server": "b"}, 0.0)
    before = topology.layout(0.0)
    topology.learn({"client": "a", "server": "b"}, 50.0)
    assert topology.layout(70.0) is before
    assert topology.layout(111.0) is not before


def test_what_was_learned_is_kept_with_its_age() -> None:
    before, after = Topology({}), Topology({})
    before.learn({"client": "a", "server": "b"}, 5.0)
    after.load(before.save())
    assert after.links(6.0) == before.links(6.0)


def test_its_size_is_bounded_and_the_oldest_goes() -> None:
    topology = Topology({}, fade_secs=1e9)
    for n in range(MOST_TIES + 1):
        topology.learn({"client": "a", "server": f"b{n}"}, float(n))
    edges = topology.edges(0.0)
    assert len(edges) <= MOST_TIES
    assert ("a", "b0") not in edges
    assert ("a", f"b{MOST_TIES}") in edges
