"""Who calls whom, as proxies and clients count it: Linkerd, Envoy, OpenTelemetry. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from aiopsd.model import Labels

Call = tuple[str, str, str]
"""(caller, callee, the labels that said so)"""

NOBODY: Final = frozenset({"", "unknown", "none", "<none>", "-"})
CALLERS: Final = ("deployment", "statefulset", "daemonset", "k8s_job", "cronjob")
CALLEES: Final = ("dst_deployment", "dst_statefulset", "dst_daemonset")  # Linkerd, outbound
ROUTES: Final = ("outbound_http_", "outbound_grpc_", "outbound_tcp_")  # Linkerd since 2.15
ENVOY: Final = ("envoy_cluster_",)
CLIENTS: Final = ("http_client_", "rpc_client_", "db_client_")  # OpenTelemetry's conventions
_COUNTED: Final = (*ROUTES, *ENVOY, *CLIENTS)
_CALLEES: Final = frozenset(CALLEES)
_ISTIO = re.compile(r"outbound\|\d*\|[^|]*\|(.+)")
_CONSUL = re.compile(r"(?:[^.]+\.)?([^.]+)\.[^.]+\.[^.]+\.(?:in|ex)ternal\.[0-9a-f-]+\.consul")
_ADDRESS = re.compile(r"[\d.]+|.*:.*:.*|localhost")


def calls(labels: Labels, name: str) -> list[Call]:
    """Callers by the name of their pod where nothing better is said."""
    if not _CALLEES.isdisjoint(labels):
        found = _first(labels, CALLERS), _first(labels, CALLEES), "workload/dst_workload"
    elif not name.startswith(_COUNTED):
        return []
    elif name.startswith(ENVOY):
        caller = _first(labels, ("service", "app", *CALLERS, "pod"))
        cluster = labels.get("envoy_cluster_name") or labels.get("cluster_name", "")
        found = caller, _upstream(cluster), "envoy_cluster_name"
    elif name.startswith(CLIENTS):
        caller = _first(labels, ("service", *CALLERS, "pod", "job"))
        found = caller, _service_of(labels.get("server_address", "")), "server_address"
    else:
        is_service = labels.get("parent_kind") == "Service"
        callee = _first(labels, ("backend_name", "parent_name")) if is_service else ""
        found = _first(labels, (*CALLERS, "pod")), callee, "workload/backend_name"
    return [found] if found[0] and found[1] else []


def is_made_up(labels: Labels) -> bool:
    """Tempo calls whoever comes from outside ``user``: all that they call would have one caller."""
    return labels.get("connection_type") == "virtual_node" and labels.get("client") == "user"


def _first(labels: Labels, names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name, "") not in NOBODY), "")


def _upstream(cluster: str) -> str:
    """As Istio and Consul name Envoy's clusters; what another name means, nobody knows."""
    istio, consul = _ISTIO.fullmatch(cluster), _CONSUL.fullmatch(cluster)
    if istio:
        return _service_of(istio[1])
    return consul[1] if consul else ""


def _service_of(host: str) -> str:
    """``cart.shop.svc.cluster.local`` is cart; an address, or what is outside, is nobody here."""
    is_inside = "." not in host or ".svc" in host
    return host.partition(".")[0] if is_inside and not _ADDRESS.fullmatch(host) else ""
