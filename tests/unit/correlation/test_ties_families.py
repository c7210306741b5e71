"""Labels as each family of metrics really carries them, those of the scrape included."""

from __future__ import annotations

import pytest

from aiopsd.correlation.ties import Tie, TieKind, ties
from aiopsd.correlation.topology import Topology
from aiopsd.model import Labels

SCRAPED = {"job": "mesh", "instance": "10.1.2.3:15090"}
KSM = {"job": "kube-state-metrics", "service": "kube-state-metrics", "instance": "10.1.0.9:8080",
       "namespace": "shop"}  # fmt: skip

CALLS: dict[str, Labels] = {
    "Tempo": {"__name__": "traces_service_graph_request_total", "client": "web", "server": "cart",
              "connection_type": "", **SCRAPED},
    "Istio": {"__name__": "istio_requests_total", "reporter": "destination",
              "source_workload": "web", "source_canonical_service": "web", "source_app": "web",
              "destination_workload": "cart", "destination_canonical_service": "cart",
              "destination_app": "cart", "destination_service_name": "cart",
              "connection_security_policy": "mutual_tls", "response_code": "200",
              "app": "cart", "pod": "cart-7d9f8b6c5-x2x4z", "namespace": "shop", **SCRAPED},
    "Istio, TCP": {"__name__": "istio_tcp_sent_bytes_total", "reporter": "source",
                   "source_workload": "web", "destination_workload": "cart", **SCRAPED},
    "Linkerd": {"__name__": "response_total", "direction": "outbound", "deployment": "web",
                "pod": "web-7d9f8b6c5-x2x4z", "dst_deployment": "cart", "dst_namespace": "shop",
                "authority": "cart.shop.svc.cluster.local:8080", **SCRAPED},
    "Linkerd, a set calls": {"__name__": "request_total", "direction": "outbound",
                             "statefulset": "web", "dst_daemonset": "cart", **SCRAPED},
    "Linkerd, routes": {"__name__": "outbound_http_route_request_statuses_total",
                        "deployment": "web", "parent_kind": "Service", "parent_name": "cart",
                        "backend_kind": "Service", "backend_name": "cart", **SCRAPED},
    "Envoy by Istio": {"__name__": "envoy_cluster_upstream_rq_total", "app": "web",
                       "envoy_cluster_name": "outbound|8080|v1|cart.shop.svc.cluster.local",
                       "pod": "web-7d9f8b6c5-x2x4z", **SCRAPED},
    "Envoy by Istio, as the agent names it": {
        "__name__": "envoy_cluster_upstream_cx_active", "pod": "web-7d9f8b6c5-x2x4z",
        "cluster_name": "outbound|8080||cart.shop.svc.cluster.local", **SCRAPED},
    "Envoy by Consul": {
        "__name__": "envoy_cluster_upstream_rq", "service": "web", "envoy_cluster_name":
        "cart.default.dc1.internal.e5b08d03-bfc3-c870-1833-baddb116e648.consul", **SCRAPED},
    "Consul": {"__name__": "envoy_cluster_upstream_rq_total", "consul_source_service": "web",
               "consul_destination_service": "cart", **SCRAPED},
    "Hubble": {"__name__": "hubble_flows_processed_total", "source": "shop/web-7d9f8b6c5-x2x4z",
               "destination": "shop/cart-7d9f8b6c5-x2x4z", "verdict": "FORWARDED", **SCRAPED},
    "Hubble, workloads": {"__name__": "hubble_http_requests_total", "source_workload": "web",
                          "destination_workload": "cart", "reporter": "client", **SCRAPED},
    "OpenTelemetry's clients": {"__name__": "http_client_request_duration_seconds_count",
                                "service_name": "web", "server_address": "cart",
                                "server_port": "8080", **SCRAPED},
    "OpenTelemetry's clients, by job": {"__name__": "rpc_client_duration_milliseconds_count",
                                        "job": "web", "instance": "c0ffee",
                                        "server_address": "cart.shop.svc.cluster.local"},
    "one's own": {"__name__": "calls_total", "caller": "web", "callee": "cart"},
}  # fmt: skip


@pytest.mark.parametrize("family", CALLS)
def test_who_calls_whom(family: str) -> None:
    found = {(tie.one, tie.other) for tie in ties(CALLS[family]) if tie.kind == "calls"}
    assert found == {("web", "cart")}


@pytest.mark.parametrize(
    "labels",
    [
        {"__name__": "traces_service_graph_request_total", "client": "user", "server": "web",
         "connection_type": "virtual_node"},
        {"__name__": "istio_requests_total", "source_workload": "unknown",
         "destination_workload": "cart"},
        {"__name__": "envoy_cluster_upstream_rq_total", "app": "web",
         "envoy_cluster_name": "inbound|8080||"},
        {"__name__": "envoy_cluster_upstream_rq_total", "app": "web",
         "envoy_cluster_name": "PassthroughCluster"},
        {"__name__": "envoy_cluster_upstream_rq_total", "app": "web",
         "envoy_cluster_name": "outbound|443||api.stripe.com"},
        {"__name__": "http_client_request_duration_seconds_count", "service_name": "web",
         "server_address": "10.0.0.7"},
        {"__name__": "http_client_request_duration_seconds_count", "service_name": "web",
         "server_address": "api.stripe.com"},
        {"__name__": "response_total", "direction": "inbound", "deployment": "web"},
        {"__name__": "outbound_http_route_request_statuses_total", "deployment": "web",
         "parent_kind": "EgressNetwork", "parent_name": "all"},
    ],
)  # fmt: skip
def test_what_is_no_call_between_services(labels: Labels) -> None:
    assert [tie for tie in ties(labels) if tie.kind == "calls"] == []


POD = "cart-7d9f8b6c5-x2x4z"
PLACED: dict[str, tuple[Labels, set[tuple[TieKind, str, str]]]] = {
    "kube_pod_owner": (
        {"__name__": "kube_pod_owner", "pod": POD, "owner_kind": "ReplicaSet",
         "owner_name": "cart-7d9f8b6c5", "owner_is_controller": "true", **KSM},
        {("part of", POD, "cart"), ("in", "cart", "shop")}),
    "kube_replicaset_owner": (
        {"__name__": "kube_replicaset_owner", "replicaset": "cart-7d9f8b6c5",
         "owner_kind": "Deployment", "owner_name": "cart", **KSM},
        {("part of", "cart-7d9f8b6c5", "cart")}),
    "kube_job_owner": (
        {"__name__": "kube_job_owner", "job_name": "backup-29000000", "owner_kind": "CronJob",
         "owner_name": "backup", **KSM},
        {("part of", "backup-29000000", "backup")}),
    "kube_pod_info": (
        {"__name__": "kube_pod_info", "pod": POD, "node": "n1", "host_ip": "10.0.0.7",
         "pod_ip": "10.1.2.3", "created_by_kind": "ReplicaSet",
         "created_by_name": "cart-7d9f8b6c5", **KSM},
        {("part of", POD, "cart"), ("in", "cart", "shop"), ("runs on", POD, "n1")}),
    "kube_node_info": (
        {"__name__": "kube_node_info", "node": "n1", "internal_ip": "10.0.0.7", **KSM},
        {("runs on", "10.0.0.7", "n1")}),
    "kube_node_labels": (
        {"__name__": "kube_node_labels", "node": "n1",
         "label_topology_kubernetes_io_zone": "eu-1a", **KSM},
        {("runs on", "n1", "eu-1a")}),
    "cAdvisor of the kubelet": (
        {"__name__": "container_memory_working_set_bytes", "pod": POD, "container": "cart",
         "namespace": "shop", "node": "n1", "job": "kubelet", "service": "kubelet",
         "instance": "10.0.0.7:10250", "id": "/kubepods/x", "name": "0c5a"},
        {("runs on", POD, "n1")}),
    "cAdvisor of Docker": (
        {"__name__": "container_cpu_usage_seconds_total", "id": "/docker/0c5a",
         "image": "shop/cart:v1", "name": "shop-cart-1", "instance": "web1:8080", "job": "cadvisor",
         "container_label_com_docker_compose_service": "cart"},
        {("runs on", "cart", "web1")}),
    "cAdvisor of Docker, by name": (
        {"__name__": "container_cpu_usage_seconds_total", "name": "cart", "instance": "web1:8080"},
        {("runs on", "cart", "web1")}),
    "node_exporter": (
        {"__name__": "node_uname_info", "nodename": "web1", "instance": "10.0.0.7:9100",
         "job": "node"},
        {("runs on", "10.0.0.7", "web1")}),
    "a target": (
        {"__name__": "http_requests_total", "service": "cart", "instance": "10.0.0.7:8080"},
        {("runs on", "cart", "10.0.0.7")}),
    "OpenTelemetry's resources": (
        {"__name__": "http_server_request_duration_seconds_count", "service_name": "carts",
         "k8s_pod_name": POD, "k8s_deployment_name": "cart", "k8s_namespace_name": "shop",
         "k8s_node_name": "n1", "cloud_availability_zone": "eu-1a"},
        {("runs on", "carts", "n1"), ("backs", POD, "carts"), ("part of", POD, "cart"),
         ("in", "cart", "shop"), ("runs on", "n1", "eu-1a")}),
}  # fmt: skip


@pytest.mark.parametrize("family", PLACED)
def test_what_belongs_to_what_and_runs_where(family: str) -> None:
    labels, wanted = PLACED[family]
    assert {tie[:3] for tie in ties(labels)} == wanted


def test_a_service_at_an_address_is_on_the_machine_that_has_it() -> None:
    """Of which systemd and node_exporter speak by its name."""
    topology = Topology({})
    for family in ("node_exporter", "a target"):
        topology.learn(PLACED[family][0], 0.0)
    assert topology.layout(0.0).hosts["cart"] == {"10.0.0.7", "web1"}


def test_a_namespace_is_shown_and_binds_nobody() -> None:
    topology = Topology({})
    topology.learn(PLACED["kube_pod_owner"][0], 5.0)
    assert ("in", "cart", "shop") in {(k.kind, k.one, k.other) for k in topology.links(5.0)}
    layout = topology.layout(5.0)
    assert not layout.calls
    assert not layout.homes
    assert topology.links(5.0 + 3601) == []


def test_a_tie_is_kept_through_a_checkpoint_whatever_it_says() -> None:
    one, other = Topology({}), Topology({})
    for labels, _ in PLACED.values():
        one.learn(labels, 1.0)
    other.load(one.save())
    assert other.links(1.0) == one.links(1.0)
    assert all(isinstance(tie, Tie) for tie in other._seen)
