"""Who calls whom: written by people, or learned from metrics that carry both ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiopsd.model import Labels

Edge = tuple[str, str]
"""(caller, callee)"""

BOTH_ENDS: tuple[Edge, ...] = (
    ("client", "server"),  # Tempo's service graph, and most hand-made metrics
    ("source_workload", "destination_workload"),  # Istio
    ("source_app", "destination_app"),
    ("caller", "callee"),
)


class Topology:
    """Edges between services. Learned ones fade when nobody has seen them for a while."""

    def __init__(self, written: Mapping[str, Iterable[str]], fade_secs: float = 3600.0) -> None:
        self._written = frozenset((a, b) for a, callees in written.items() for b in callees)
        self._fade_secs = fade_secs
        self._seen: dict[Edge, float] = {}

    def learn(self, labels: Labels, now_s: float) -> None:
        for caller, callee in BOTH_ENDS:
            edge = labels.get(caller, ""), labels.get(callee, "")
            if all(edge) and edge[0] != edge[1]:
                self._seen[edge] = now_s

    def edges(self, now_s: float) -> frozenset[Edge]:
        oldest = now_s - self._fade_secs
        self._seen = {edge: seen_s for edge, seen_s in self._seen.items() if seen_s >= oldest}
        return self._written | frozenset(self._seen)
