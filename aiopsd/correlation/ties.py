"""What the labels of one series say of two things: who calls whom, what belongs to or runs on what.

As these name them: Tempo's and OpenTelemetry's service graphs, Istio, Linkerd, Cilium's Hubble,
Consul, kube-state-metrics, cAdvisor, and the target labels of Prometheus.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from aiopsd.model import Labels

TieKind = Literal["calls", "part of", "backs", "runs on"]


class Tie(NamedTuple):
    """``one`` calls, is part of, backs (a pod its service), or runs on ``other``."""

    kind: TieKind
    one: str
    other: str
    origin: str  # the labels that said so, or ``written``


BOTH_ENDS: Final[tuple[tuple[str, str], ...]] = (
    ("client", "server"),  # Tempo's and OpenTelemetry's service graphs, most hand-made metrics
    ("source_workload", "destination_workload"),  # Istio; Hubble with labelsContext
    ("source_app", "destination_app"),
    ("source_canonical_service", "destination_canonical_service"),
    ("deployment", "dst_deployment"),  # Linkerd, outbound
    ("statefulset", "dst_statefulset"),
    ("deployment", "dst_statefulset"),
    ("consul_source_service", "consul_destination_service"),
    ("service_name", "peer_service"),  # OpenTelemetry's spans, counted
    ("caller", "callee"),
)
_ENDS: Final = frozenset(one for one, _ in BOTH_ENDS)
HUBBLE: Final = ("source", "destination")  # too common words to be believed of anyone else
WORKLOADS: Final = ("deployment", "statefulset", "daemonset", "cronjob", "workload", "owner_name",
                    "created_by_name")  # fmt: skip
HOSTS: Final = ("node", "host", "hostname", "nodename", "kubernetes_node")
ZONES: Final = ("zone", "availability_zone", "topology_kubernetes_io_zone",
                "label_topology_kubernetes_io_zone")  # fmt: skip
RUNNING: Final = ("service", "app", "unit", "deployment", "container")
NOBODY: Final = frozenset({"", "unknown", "none", "<none>", "-"})
TOLD_OF_OTHERS: Final = ("kube_", "container_", "kubelet_")  # their `service` is who tells
FLOWS: Final = ("hubble_", "cilium_")
TELLERS: Final = frozenset({"kubelet", "kube-state-metrics", "cadvisor", "node-exporter"})
_NO_RUNNER: Final = NOBODY | TELLERS
# A ReplicaSet's hash and a pod's suffix are of letters that make no words (apimachinery, rand).
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_POD = re.compile(f"(.+?)(?:-{_RANDOM}{{5,10}})?-{_RANDOM}{{5}}")
_SET = re.compile(f"(.+)-{_RANDOM}{{5,10}}")
_PORT = re.compile(r"(.+?):\d+")


def ties(labels: Labels) -> list[Tie]:
    """All that these labels tell; of what stands at both ends of nothing, nothing."""
    name = labels.get("__name__", "")
    pairs = () if _ENDS.isdisjoint(labels) else BOTH_ENDS
    found = [
        Tie("calls", labels[a], labels[b], f"{a}/{b}") for a, b in pairs if _both(labels, a, b)
    ]
    if name.startswith(FLOWS) and _both(labels, *HUBBLE):
        one, other = (_bare(labels[end]) for end in HUBBLE)
        found.append(Tie("calls", one, other, "source/destination"))
    return [tie for tie in found + _owned(labels) + _placed(labels, name) if tie.one != tie.other]


def _both(labels: Labels, one: str, other: str) -> bool:
    return labels.get(one, "") not in NOBODY and labels.get(other, "") not in NOBODY


def _bare(name: str) -> str:
    """Hubble says ``namespace/pod``."""
    return workload_of(name.rsplit("/", 1)[-1])


def _owned(labels: Labels) -> list[Tie]:
    """Of Kubernetes: a pod is part of its workload, a ReplicaSet of its Deployment."""
    pod, replicas = labels.get("pod", ""), labels.get("replicaset", "")
    if not (pod or replicas):
        return []
    for label in WORKLOADS:
        owner = labels.get(label, "")
        if owner in NOBODY:
            continue
        kinds = labels.get("owner_kind", ""), labels.get("created_by_kind", "")
        if pod and "ReplicaSet" in kinds:
            found = _SET.fullmatch(owner)
            owner = found[1] if found else owner
        if pod and "Node" not in kinds:
            return [Tie("part of", pod, owner, f"pod/{label}")]
        if replicas:
            return [Tie("part of", replicas, owner, f"replicaset/{label}")]
    return []


def _placed(labels: Labels, name: str) -> list[Tie]:
    """What runs on which host, and a host in which zone."""
    found = []
    running = "pod" if labels.get("pod") else ""
    if not name.startswith(TOLD_OF_OTHERS):
        running = next((r for r in RUNNING if labels.get(r, "") not in _NO_RUNNER), running)
    host = host_of(labels)
    if running and host:
        found.append(Tie("runs on", labels[running], host, f"{running}/host"))
    pod = labels.get("pod", "")
    if running == "service" and pod:
        found.append(Tie("backs", pod, labels["service"], "pod/service"))
    zone = next((z for z in ZONES if labels.get(z, "") not in NOBODY), "")
    inside = host or (labels[running] if running else "")
    if zone and inside:
        found.append(Tie("runs on", inside, labels[zone], f"host/{zone}"))
    return found


def host_of(labels: Labels) -> str:
    """The machine; "" where it is not said, or is the machine that asks."""
    named = next((labels[label] for label in HOSTS if labels.get(label, "") not in NOBODY), "")
    return named or without_port(labels.get("instance", ""))


def without_port(instance: str) -> str:
    """The host of ``host:port``; "" for the own machine, on which anything may run."""
    found = _PORT.fullmatch(instance)
    host = (found[1] if found else instance).strip("[]")
    is_own = host.startswith("127.") or host in ("localhost", "::1", "0.0.0.0")  # noqa: S104
    return "" if is_own else host


def workload_of(pod: str) -> str:
    """The name before the made-up parts; others as they are."""
    found = _POD.fullmatch(pod)
    return found[1] if found else pod
