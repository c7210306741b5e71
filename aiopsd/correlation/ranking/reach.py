"""Where: only what the target calls, directly or not, can be the cause."""

from __future__ import annotations

from collections.abc import Iterable

from aiopsd.correlation.ranking.scene import Scene

FEW = 3  # services: fewer than more than these say that the topology does not know the target
KNOWN = 5  # edges, from which on a topology is one


def reachable(scene: Scene) -> frozenset[int] | None:
    """None where the topology does not tell."""
    target = scene.number.get(scene.window.target, -1)
    found = _walk(scene, [target]) if target >= 0 else set()
    if len(found) <= FEW and len(scene.window.edges) >= KNOWN:  # from where nobody calls
        called = {callee for _, callee in scene.window.edges}
        entries = [at for at, name in enumerate(scene.services)
                   if scene.callees[at] and name not in called]  # fmt: skip
        found = _walk(scene, entries) | {target} - {-1}
    return frozenset(found) if len(found) > FEW else None


def _walk(scene: Scene, begin: Iterable[int]) -> set[int]:
    found = set(begin)
    rest = list(found)
    while rest:
        new = set(scene.callees[rest.pop()]) - found
        found |= new
        rest += new
    return found
