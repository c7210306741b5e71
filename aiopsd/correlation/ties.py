"""What the labels of one series say of two things: who calls whom, what belongs to or runs on what.

As these name them: Tempo's and OpenTelemetry's service graphs and resources, Istio, Cilium's
Hubble, Consul, kube-state-metrics, cAdvisor, node_exporter, and the target labels of Prometheus;
proxies and clients are in ``counted_calls``.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from aiopsd.correlation.counted_calls import NOBODY, calls, is_made_up
from aiopsd.model import Labels

TieKind = Literal["calls", "part of", "backs", "runs on", "in"]


class Tie(NamedTuple):
    """``one`` calls, is part of, backs (a pod its service), runs on, or is in ``other`` (a workload
    in its namespace: shown, and no reason to think that one makes the other sick)."""

    kind: TieKind
    one: str
    other: str
    origin: str  # the labels that said so, or ``written``


BOTH_ENDS: Final[tuple[tuple[str, str], ...]] = (
    ("client", "server"),  # Tempo's and OpenTelemetry's service graphs, most hand-made metrics
    ("source_workload", "destination_workload"),  # Istio; Hubble with labelsContext
    ("source_app", "destination_app"),
    ("source_canonical_service", "destination_canonical_service"),
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
TOLD_OF_OTHERS: Final = ("kube_", "container_", "kubelet_")  # their `service` is who tells
FLOWS: Final = ("hubble_", "cilium_")
RESOURCES: Final = {
    "k8s_pod_name": "pod", "k8s_deployment_name": "deployment", "k8s_node_name": "node",
    "k8s_statefulset_name": "statefulset", "k8s_daemonset_name": "daemonset",
    "k8s_cronjob_name": "cronjob", "k8s_namespace_name": "namespace", "host_name": "host",
    "service_name": "service", "cloud_availability_zone": "zone",
}  # fmt: skip
"""Attributes of OpenTelemetry's resources, as Prometheus has them for labels."""
DOCKER: Final = ("container_label_com_docker_compose_service",
                 "container_label_com_docker_swarm_service_name", "name")  # fmt: skip
ALIASES: Final = {
    "node_uname_info": ("instance", "nodename"),
    "windows_os_hostname": ("instance", "hostname"),
    "kube_node_info": ("internal_ip", "node"),
}
"""Metrics that say by which name the machine at an address is known."""
TELLERS: Final = frozenset({"kubelet", "kube-state-metrics", "cadvisor", "node-exporter"})
_NO_RUNNER: Final = NOBODY | TELLERS
_RESOURCES: Final = frozenset(RESOURCES)
# A ReplicaSet's hash and a pod's suffix are of letters that make no words (apimachinery, rand).
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_POD = re.compile(f"(.+?)(?:-{_RANDOM}{{5,10}})?-{_RANDOM}{{5}}")
_SET = re.compile(f"(.+)-{_RANDOM}{{5,10}}")
_PORT = re.compile(r"(.+?):\d+")


def ties(labels: Labels) -> list[Tie]:
    """All that these labels tell; of what stands at both ends of nothing, nothing."""
    name = labels.get("__name__", "")
    if not _RESOURCES.isdisjoint(labels):
        labels = {RESOURCES[k]: v for k, v in labels.items() if k in RESOURCES} | labels
    pairs = () if _ENDS.isdisjoint(labels) or is_made_up(labels) else BOTH_ENDS
    found = [
        Tie("calls", labels[a], labels[b], f"{a}/{b}") for a, b in pairs if _both(labels, a, b)
    ]
    if name.startswith(FLOWS) and _both(labels, *HUBBLE):
        one, other = (_bare(labels[end]) for end in HUBBLE)
        found.append(Tie("calls", one, other, "source/destination"))
    found += [Tie("calls", workload_of(a), b, origin) for a, b, origin in calls(labels, name)]
    found += _owned(labels) + _placed(labels, name) + _named(labels, name)
    return [tie for tie in found if tie.one != tie.other]


def _both(labels: Labels, one: str, other: str) -> bool:
    return labels.get(one, "") not in NOBODY and labels.get(other, "") not in NOBODY


def _bare(name: str) -> str:
    """Hubble says ``namespace/pod``."""
    return workload_of(name.rsplit("/", 1)[-1])


def _owned(labels: Labels) -> list[Tie]:
    """Of Kubernetes: a pod is part of its workload, a ReplicaSet of its Deployment, a Job of its
    CronJob, and those are in a namespace."""
    pod = labels.get("pod", "")
    made = next((label for label in ("replicaset", "job_name") if labels.get(label)), "")
    if not (pod or made):
        return []
    space = labels.get("namespace", "")
    for label in WORKLOADS:
        owner = labels.get(label, "")
        if owner in NOBODY:
            continue
        kinds = labels.get("owner_kind", ""), labels.get("created_by_kind", "")
        if pod and "ReplicaSet" in kinds:
            found = _SET.fullmatch(owner)
            owner = found[1] if found else owner
        if pod and "Node" not in kinds:
            inside = [Tie("in", owner, space, "namespace")] if space not in NOBODY else []
            return [Tie("part of", pod, owner, f"pod/{label}"), *inside]
        if made and not pod:
            return [Tie("part of", labels[made], owner, f"{made}/{label}")]
    return []


def _placed(labels: Labels, name: str) -> list[Tie]:
    """What runs on which host, and a host in which zone."""
    found = []
    running = "pod" if labels.get("pod") else ""
    if not name.startswith(TOLD_OF_OTHERS):
        running = next((r for r in RUNNING if labels.get(r, "") not in _NO_RUNNER), running)
    elif not running and name.startswith("container_"):  # Docker's, without Kubernetes
        running = next((label for label in DOCKER if labels.get(label)), "")
    # kube-state-metrics speaks of pods from where it runs itself: not there do they run.
    host = _machine(labels) if name.startswith("kube_") else host_of(labels)
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


def _named(labels: Labels, name: str) -> list[Tie]:
    """Which machine it is that others know by its address."""
    if name not in ALIASES:
        return []
    at, known_as = ALIASES[name]
    address, machine = without_port(labels.get(at, "")), labels.get(known_as, "")
    is_both = address not in NOBODY and machine not in NOBODY
    return [Tie("runs on", address, machine, f"{at}/{known_as}")] if is_both else []


def host_of(labels: Labels) -> str:
    """The machine; "" where it is not said, or is the machine that asks."""
    return _machine(labels) or without_port(labels.get("instance", ""))


def _machine(labels: Labels) -> str:
    return next((labels[label] for label in HOSTS if labels.get(label, "") not in NOBODY), "")


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
