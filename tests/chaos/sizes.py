"""How much an object holds: the number of things in every container below it, by where it is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import numpy as np

CONTAINERS = (list, tuple, set, frozenset, deque)


def sizes(root: object, name: str) -> Counter[str]:
    """Path to length; keys and indexes are left out of paths, so that like is summed with like."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [(name, root)]
    while waiting:
        path, one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, np.ndarray):
            found[path] += one.size
        elif isinstance(one, Mapping):
            found[path] += len(one)
            waiting += [(f"{path}[]", value) for value in list(one.values())]
        elif isinstance(one, CONTAINERS):
            found[path] += len(one)
            waiting += [(f"{path}[]", value) for value in list(one)]
        elif type(one).__module__.startswith("aiopsd"):
            waiting += [(f"{path}.{key}", value) for key, value in _fields(one)]
    return found


def _fields(one: object) -> list[tuple[str, Any]]:
    """Attributes in slots and in a dictionary. What an event holds is its own affair."""
    if type(one).__module__ == "aiopsd.model":
        return []
    names = [n for kind in type(one).__mro__ for n in getattr(kind, "__slots__", ())]
    in_slots = [(n, getattr(one, n)) for n in names if hasattr(one, n)]
    return [*in_slots, *list(getattr(one, "__dict__", {}).items())]
