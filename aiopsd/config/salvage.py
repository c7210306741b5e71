"""What can be read of an aiopsd.yaml with faults, so that one does not hide the others."""

from __future__ import annotations

from typing import Any, Final, get_args, get_type_hints

from aiopsd.config.schema import DaemonSettings
from aiopsd.document import Document
from aiopsd.executors import ExecutorSettings, default_executors
from aiopsd.settings import Reader

ROOMS: Final = ("sources", "notifiers", "executors")


def salvaged(data: Any) -> tuple[DaemonSettings, frozenset[str]]:
    """The entries that are good, and the keys under which something is missing. Parts are kept
    one by one; of an executor with faults the default of its type stands for it."""
    hints = get_type_hints(DaemonSettings)
    good: dict[str, Any] = {"sources": {}}
    if not isinstance(data, dict):
        return DaemonSettings(**good), frozenset(hints)
    missing = {"sources"} - data.keys()
    for key, entry in data.items():
        if key not in hints:
            continue
        value, well = _read(hints[key], entry)
        if not well and key in ROOMS and isinstance(entry, dict):
            item = get_args(hints[key])[1]
            parts = {name: _read(item, one) for name, one in entry.items()}
            value = {name: one for name, (one, fine) in parts.items() if fine}
            good[key] = (_stand_ins(entry) | value) if key == "executors" else value
            if key != "executors" or good[key].keys() != entry.keys():
                missing.add(key)
        elif well:
            good[key] = value
        else:
            missing.add(key)
    return DaemonSettings(**good), frozenset(missing)


def _stand_ins(entry: dict[str, Any]) -> dict[str, ExecutorSettings]:
    types = {
        str(one.__struct_config__.tag): one  # its actions are those of every other of its type
        for one in default_executors().values()
    }
    tags = {name: one.get("type") for name, one in entry.items() if isinstance(one, dict)}
    return {name: types[tag] for name, tag in tags.items() if tag in types}


def _read(wanted: Any, entry: Any) -> tuple[Any, bool]:
    scratch = Document("")
    return Reader(scratch).read(wanted, entry), not scratch.problems
